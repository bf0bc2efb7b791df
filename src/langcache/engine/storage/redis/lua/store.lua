-- ARGV: prefix, id, scope, dimensions, epoch, now, what to replace, milliseconds to live or '', the
-- moment of expiry, then fields and values. What to replace is an entry's seq, 'none', 'same' for none or one with the same
-- prompt and attributes, or '' for any. Returns {'stored'}, {'changed'} when there is another one,
-- {'dimensions', what the scope has}, or {'again'} when there is more to prune first.
local id, scope, dimensions = ARGV[2], ARGV[3], ARGV[4]
local now = tonumber(ARGV[6])
local old = fields(id, 'seq', 'scope', 'expires', 'first', 'prompt', 'attributes')
if old[1] and has_expired(old[3], now) then old = {} end
if ARGV[7] == 'same' then
  for number = 10, old[1] and #ARGV or 0, 2 do
    local name, value = ARGV[number], ARGV[number + 1]
    if name == 'prompt' and value ~= old[5] or name == 'attributes' and value ~= old[6] then
      return {'changed'}
    end
  end
elseif ARGV[7] == 'none' then
  if old[1] then return {'changed'} end
elseif ARGV[7] ~= '' and old[1] ~= ARGV[7] then return {'changed'}
end
local has_removed = prune(now, 64) > 0
local function facts()
  return unpack(redis.call('HMGET', state, 'epoch', 'd' .. scope, 'seq'))
end
local epoch, known, last = facts()
if not epoch or redis.call('EXISTS', members) == 0 then
  -- Set twice: out of memory, Redis refuses a script at its first write only, if that adds data.
  redis.call('HSET', state, 'epoch', ARGV[5])
  redis.call('UNLINK', state, members, removed, expiries)
  redis.call('HSET', state, 'epoch', ARGV[5], 'format', '2')
  known, last = nil, nil
end
if known and known ~= dimensions then
  if prune(now, 500) == 500 then return {'again'} end
  has_removed = true
  epoch, known, last = facts()
  if known and known ~= dimensions then return {'dimensions', known} end
end
local seq = next_seq(last)
if old[2] and old[2] ~= scope then
  leave(old[2] .. id, seq)
  has_removed = true
end
local key, member = prefix .. id, scope .. id
redis.call('UNLINK', key)
local first = as_number(old[4]) > 0 and old[4] or seq
redis.call('HSET', key, 'seq', seq, 'first', first, unpack(ARGV, 10))
if ARGV[8] ~= '' then redis.call('PEXPIRE', key, ARGV[8]) end
if redis.call('ZADD', members, seq, member) == 1 then
  redis.call('HINCRBY', state, 'c' .. scope, 1)
end
if not known then redis.call('HSET', state, 'd' .. scope, dimensions) end
redis.call('ZREM', removed, member)
if tonumber(ARGV[9]) < 1e15 then redis.call('ZADD', expiries, ARGV[9], member)
else redis.call('ZREM', expiries, member) end
if has_removed then tidy() end
return {'stored'}
