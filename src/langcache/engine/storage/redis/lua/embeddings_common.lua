-- Every script gets the key of one record as KEYS[1]. ARGV: milliseconds to live or '', the moment
-- of expiry or '', the present moment. With the system's clock, Redis expires the record; with
-- another clock, a field has the moment.
local function is_live()  -- by the rule of `engine/expiry.py`
  if redis.call('EXISTS', KEYS[1]) == 0 then return false end
  local expires = redis.pcall('HGET', KEYS[1], 'expires_at')
  return type(expires) ~= 'string' or tonumber(expires) > tonumber(ARGV[3])
end
local function live_on()
  if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'expires_at', ARGV[2]) end
end
