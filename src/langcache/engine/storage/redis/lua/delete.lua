-- ARGV: prefix, now, ids. Returns how many there were.
local now = tonumber(ARGV[2])
local seq, count
for number = 3, #ARGV do
  local id = ARGV[number]
  local found = fields(id, 'scope', 'seq')
  if found[1] and found[2] then
    seq = seq or next_seq_of_removal()
    if remove(found[1] .. id, now, seq) then count = (count or 0) + 1 end
  end
end
if seq then tidy() end
return count or 0
