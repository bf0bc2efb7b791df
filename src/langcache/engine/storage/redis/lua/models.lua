-- ARGV: prefix, now, since, limit. Returns {as DELETE_MATCHING, then models and numbers of entries}.
local now = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', members, '(' .. ARGV[3], '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[4])
local sizes = {}
for number = 1, #found, 2 do
  local entry = fields(string.sub(found[number], 33), 'model', 'expires')
  if entry[1] and not has_expired(entry[2], now) then
    sizes[entry[1]] = (sizes[entry[1]] or 0) + 1
  end
end
local reply = {#found < 2 * ARGV[4] and '' or found[#found]}
for model, size in pairs(sizes) do
  reply[#reply + 1] = model
  reply[#reply + 1] = size
end
return reply
