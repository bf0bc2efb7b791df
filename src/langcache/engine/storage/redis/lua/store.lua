-- ARGV: prefix, now, epoch, number of entries, then for each: the number of its arguments, id, scope,
-- dimensions, what to replace, milliseconds to live or '', the moment of expiry, fields and values.
-- What to replace is an entry's seq, 'none', 'same' for none or one with the same prompt and
-- attributes, or '' for any. Returns for each entry 'stored', 'changed' when there is another one,
-- the dimensions that its scope has if they are others, or 'again' when there is more to prune first.
local now = tonumber(ARGV[2])
local has_removed = prune(now, 64) > 0
local epoch, last  -- the present one, and the number of the last change
local is_begun, seq = false, nil
local known = {}  -- the dimensions of scopes

local function dimensions_of(scope)
  if not known[scope] then
    epoch, known[scope], last = unpack(redis.call('HMGET', state, 'epoch', 'd' .. scope, 'seq'))
  end
  return known[scope]
end

local function begin()
  if is_begun then return end
  is_begun = true
  if epoch and redis.call('EXISTS', members) == 1 then return end
  -- Set twice: out of memory, Redis refuses a script at its first write only, if that adds data.
  redis.call('HSET', state, 'epoch', ARGV[3])
  redis.call('UNLINK', state, members, removed, expiries)
  redis.call('HSET', state, 'epoch', ARGV[3], 'format', '2')
  known, last = {}, nil
end

-- The number of the next change. Those of all entries are taken at once.
local function take_seq()
  if not seq then
    seq = next_seq(last)
    if ARGV[4] ~= '1' then redis.call('HINCRBY', state, 'seq', ARGV[4] - 1) end
  else
    seq = string.format('%.0f', seq + 1)
  end
  return seq
end

local function is_expected(old, expected, from, to)
  if expected == '' then return true end
  if expected == 'none' then return not old[1] end
  if expected ~= 'same' then return old[1] == expected end
  for number = from, old[1] and to or 0, 2 do
    local name, value = ARGV[number], ARGV[number + 1]
    if name == 'prompt' and value ~= old[5] or name == 'attributes' and value ~= old[6] then
      return false
    end
  end
  return true
end

local function store(from, to)
  local id, scope, dimensions, expected, millis, expires = unpack(ARGV, from, from + 5)
  local old = fields(id, 'seq', 'scope', 'expires', 'first', 'prompt', 'attributes')
  if old[1] and has_expired(old[3], now) then old = {} end
  if not is_expected(old, expected, from + 6, to) then return 'changed' end
  dimensions_of(scope)
  begin()
  if known[scope] and known[scope] ~= dimensions then
    local pruned = prune(now, 500)
    has_removed, known = true, {}
    if pruned == 500 then return 'again' end
    local others = dimensions_of(scope)
    if others and others ~= dimensions then return tonumber(others) end
  end
  local number = take_seq()
  if old[2] and old[2] ~= scope then
    leave(old[2] .. id, number)
    has_removed, known[old[2]] = true, nil
  end
  local key, member = prefix .. id, scope .. id
  redis.call('UNLINK', key)
  local first = as_number(old[4]) > 0 and old[4] or number
  redis.call('HSET', key, 'seq', number, 'first', first, unpack(ARGV, from + 6, to))
  if millis ~= '' then redis.call('PEXPIRE', key, millis) end
  if redis.call('ZADD', members, number, member) == 1 then
    redis.call('HINCRBY', state, 'c' .. scope, 1)
  end
  if not known[scope] then
    redis.call('HSET', state, 'd' .. scope, dimensions)
    known[scope] = dimensions
  end
  redis.call('ZREM', removed, member)
  if tonumber(expires) < 1e15 then redis.call('ZADD', expiries, expires, member)
  else redis.call('ZREM', expiries, member) end
  return 'stored'
end

local outcomes = {}
local place = 5
for number = 1, ARGV[4] do
  local to = place + ARGV[place]
  outcomes[number] = store(place + 1, to)
  place = to + 1
end
if has_removed then tidy() end
return outcomes
