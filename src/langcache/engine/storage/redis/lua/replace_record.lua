-- KEYS: the records of a collection. ARGV: key, old text, new text; each text after "=", or '' for none.
-- Returns 1 if it was the old one.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if (text and '=' .. text or '') ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], string.sub(ARGV[3], 2))
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
