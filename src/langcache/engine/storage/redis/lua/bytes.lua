-- ARGV: prefix, now, since, limit. Returns {as DELETE_MATCHING, the sum of the entries' bytes}.
local now = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', members, '(' .. ARGV[3], '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[4])
local sum = 0
for number = 1, #found, 2 do
  local entry = fields(string.sub(found[number], 33), 'bytes', 'expires')
  if not has_expired(entry[2], now) then sum = sum + as_number(entry[1]) end
end
if #found < 2 * ARGV[4] then return {'', sum} end
return {found[#found], sum}
