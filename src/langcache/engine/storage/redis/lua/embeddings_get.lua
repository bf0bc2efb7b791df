if not is_live() then return {} end
live_on()
return redis.call('HGETALL', KEYS[1])
