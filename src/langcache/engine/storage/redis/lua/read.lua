-- ARGV: prefix, members. Returns the fields and values of each one's entry.
return read(2, function(scope, key) return redis.call('HGETALL', key) end)
