-- ARGV: prefix, now. Returns how many members have not expired.
return redis.call('ZCARD', members) - redis.call('ZCOUNT', expiries, '-inf', ARGV[2])
