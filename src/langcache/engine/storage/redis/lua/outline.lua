-- ARGV: prefix, number of fields, fields, members. Returns the values of those fields of each
-- one's entry, and its vector last.
local last = 2 + ARGV[2]
local names = {unpack(ARGV, 3, last)}
local vectors = {}
return read(last + 1, function(scope, key)
  vectors[scope] = vectors[scope] or 'v' .. (redis.call('HGET', state, 'd' .. scope) or '')
  names[last - 1] = vectors[scope]
  return redis.call('HMGET', key, unpack(names))
end)
