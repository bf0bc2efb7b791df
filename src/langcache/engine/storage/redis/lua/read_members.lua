-- Members whose entries are gone, or of another scope, are dropped on the way.
local function read(first, get)
  local found = {}
  local seq
  for number = first, #ARGV do
    local member = ARGV[number]
    local scope, id = string.sub(member, 1, 32), string.sub(member, 33)
    local known = redis.pcall('HGET', prefix .. id, 'scope')
    if type(known) == 'table' and known.err then found[#found + 1] = {'foreign'}
    elseif known ~= scope then
      found[#found + 1] = {}
      if redis.call('ZSCORE', members, member) then
        seq = seq or next_seq_of_removal()
        leave(member, seq)
      end
    else found[#found + 1] = get(scope, prefix .. id) end
  end
  if seq then tidy() end
  return found
end
