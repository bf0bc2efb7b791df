-- ARGV: prefix, now, since, until, limit, tokens of attributes. Looks at members with numbers
-- above `since`, up to `until`, and removes those whose entries have all the tokens.
-- Returns {number of the last one looked at or '' at the end, how many were removed}.
local now = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', members, '(' .. ARGV[3], ARGV[4], 'WITHSCORES',
  'LIMIT', 0, ARGV[5])
local seq
local count = 0
for number = 1, #found, 2 do
  local member = found[number]
  local wanted = true
  if #ARGV > 5 then
    local tags = ',' .. (fields(string.sub(member, 33), 'tags')[1] or '') .. ','
    for each = 6, #ARGV do
      wanted = wanted and string.find(tags, ',' .. ARGV[each] .. ',', 1, true)
    end
  end
  if wanted then
    seq = seq or next_seq_of_removal()
    if remove(member, now, seq) then count = count + 1 end
  end
end
if seq then tidy() end
if #found < 2 * ARGV[5] then return {'', count} end
return {found[#found], count}
