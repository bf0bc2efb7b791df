-- ARGV: as above, then fields and values. Fields that only the old record had, such as metadata,
-- go. Out of memory, Redis refuses a script only at its first write, so the first write adds data.
redis.call('HSET', KEYS[1], 'entry_id', '')
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
live_on()
