local state, members, removed, expiries = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix = ARGV[1]
local MOST_REMOVED = 1000

-- Fields of an entry, or an empty table when there is none or the key holds something else.
local function fields(id, ...)
  local found = redis.pcall('HMGET', prefix .. id, ...)
  if found.err then return {} end
  return found
end

-- The number in a field, 0 when there is none, or somebody else's text.
local function as_number(text)
  return tonumber(text or '0') or 0
end

-- The rule of `engine/expiry.py`. An entry that never expires has the moment 1e15.
local function has_expired(expires, now)
  return as_number(expires) <= now
end

-- The number of this change. It also grows with time, so that a server that has lost its last
-- changes in a failover does not give their numbers to others. `last` is the last one, if known.
local function next_seq(last)
  local time = redis.call('TIME')
  local seq = time[1] * 1000000 + time[2]
  last = tonumber(last or redis.call('HGET', state, 'seq') or '0')
  if seq <= last then seq = last + 1 end
  seq = string.format('%.0f', seq)
  redis.call('HSET', state, 'seq', seq)
  return seq
end

-- Out of memory, Redis refuses a script at its first write if that is one that may add data. So a
-- script that frees memory, though it takes notes on the way, begins with one that does not.
local function next_seq_of_removal()
  redis.call('ZREM', members, '')
  return next_seq()
end

local function leave(member, seq)
  if redis.call('ZREM', members, member) == 0 then return end
  redis.call('ZREM', expiries, member)
  redis.call('ZADD', removed, seq, member)
  local scope = string.sub(member, 1, 32)
  if redis.call('HINCRBY', state, 'c' .. scope, -1) <= 0 then
    redis.call('HDEL', state, 'c' .. scope, 'd' .. scope)
  end
end

local function tidy()
  if redis.call('EXISTS', members) == 0 then
    redis.call('UNLINK', state, removed, expiries)
  else
    redis.call('ZREMRANGEBYRANK', removed, 0, -1 - MOST_REMOVED)
  end
end

-- Remove an entry and return whether it had not expired. One that has moved to another scope
-- stays: only its old membership goes.
local function remove(member, now, seq)
  local scope, id = string.sub(member, 1, 32), string.sub(member, 33)
  local found = fields(id, 'scope', 'expires')
  leave(member, seq)
  if found[1] ~= scope then return false end
  redis.call('UNLINK', prefix .. id)
  return not has_expired(found[2], now)
end

local function prune(now, limit)
  local expired = redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, limit)
  if #expired == 0 then return 0 end
  local seq = next_seq_of_removal()
  for _, member in ipairs(expired) do
    local scope, id = string.sub(member, 1, 32), string.sub(member, 33)
    local found = fields(id, 'scope', 'expires')
    -- What is there may be newer than this membership, if Redis had evicted what was before.
    if found[1] ~= scope or has_expired(found[2], now) then remove(member, now, seq)
    else redis.call('ZADD', expiries, found[2], member) end
  end
  return #expired
end
