"""The Lua scripts: every change is one of them, so that others see all of it or nothing.

All have the keys of one namespace as KEYS[1] to KEYS[4] and as ARGV[1] the prefix of its entries'
keys, by which they reach entries; these are in the same slot of a cluster. A script looks at a
bounded number of members, and its caller calls again where there are more.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text and its SHA-1, which Redis knows it by once it has seen it."""

    text: bytes
    sha1: bytes


_COMMON = """
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

-- The number of this change. It also grows with time, so that a server that has lost its last
-- changes in a failover does not give their numbers to others.
local function next_seq()
  local time = redis.call('TIME')
  local seq = time[1] * 1000000 + time[2]
  local last = tonumber(redis.call('HGET', state, 'seq') or '0')
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
  return as_number(found[2]) > now
end

local function prune(now, limit)
  local expired = redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, limit)
  if #expired == 0 then return 0 end
  local seq = next_seq_of_removal()
  for _, member in ipairs(expired) do
    local scope, id = string.sub(member, 1, 32), string.sub(member, 33)
    local found = fields(id, 'scope', 'expires')
    -- What is there may be newer than this membership, if Redis had evicted what was before.
    if found[1] ~= scope or as_number(found[2]) <= now then remove(member, now, seq)
    else redis.call('ZADD', expiries, found[2], member) end
  end
  return #expired
end
"""


def _script(body: str) -> Script:
    text = (_COMMON + body).encode()
    return Script(text, hashlib.sha1(text).hexdigest().encode())  # noqa: S324 - as Redis does


STORE = _script("""
-- ARGV: prefix, id, scope, dimensions, epoch, now, expected seq or '', milliseconds to live or '',
-- then fields and values. Returns {'stored'}, {'changed'} when the entry is not the expected one,
-- {'dimensions', what the scope has}, or {'again'} when there is more to prune first.
local id, scope, dimensions = ARGV[2], ARGV[3], ARGV[4]
local now = tonumber(ARGV[6])
local old = fields(id, 'seq', 'scope', 'expires', 'first')
if old[1] and as_number(old[3]) <= now then old = {} end
if ARGV[7] ~= '' and old[1] ~= ARGV[7] then return {'changed'} end
prune(now, 64)
if redis.call('EXISTS', members) == 0 or redis.call('HEXISTS', state, 'epoch') == 0 then
  -- Set twice: out of memory, Redis refuses a script at its first write only, if that adds data.
  redis.call('HSET', state, 'epoch', ARGV[5])
  redis.call('UNLINK', state, members, removed, expiries)
  redis.call('HSET', state, 'epoch', ARGV[5])
end
local known = redis.call('HGET', state, 'd' .. scope)
if known and known ~= dimensions then
  if prune(now, 500) == 500 then return {'again'} end
  known = redis.call('HGET', state, 'd' .. scope)
  if known and known ~= dimensions then return {'dimensions', known} end
end
local seq = next_seq()
if old[2] and old[2] ~= scope then leave(old[2] .. id, seq) end
local key, member = prefix .. id, scope .. id
redis.call('UNLINK', key)
local first = as_number(old[4]) > 0 and old[4] or seq
redis.call('HSET', key, 'seq', seq, 'first', first, unpack(ARGV, 9))
if ARGV[8] ~= '' then redis.call('PEXPIRE', key, ARGV[8]) end
if redis.call('ZADD', members, seq, member) == 1 then
  redis.call('HINCRBY', state, 'c' .. scope, 1)
  redis.call('HSET', state, 'd' .. scope, dimensions)
end
redis.call('ZREM', removed, member)
local expires = redis.call('HGET', key, 'expires')
if tonumber(expires) < 1e15 then redis.call('ZADD', expiries, expires, member)
else redis.call('ZREM', expiries, member) end
tidy()
return {'stored'}
""")

DELETE = _script("""
-- ARGV: prefix, now, ids. Returns how many there were.
local now = tonumber(ARGV[2])
local seq, count
for number = 3, #ARGV do
  local id = ARGV[number]
  local found = fields(id, 'scope', 'seq')
  if found[1] and found[2] then
    seq = seq or next_seq_of_removal()
    if remove(found[1] .. id, now, seq) then count = (count or 0) + 1 end
  end
end
if seq then tidy() end
return count or 0
""")

DELETE_MATCHING = _script("""
-- ARGV: prefix, now, since, until, limit, tokens of attributes. Looks at members with numbers
-- above `since`, up to `until`, and removes those whose entries have all the tokens.
-- Returns {number of the last one looked at or '' at the end, how many were removed}.
local now = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', members, '(' .. ARGV[3], ARGV[4], 'WITHSCORES',
  'LIMIT', 0, ARGV[5])
local seq
local count = 0
for number = 1, #found, 2 do
  local member = found[number]
  local wanted = true
  if #ARGV > 5 then
    local tags = ',' .. (fields(string.sub(member, 33), 'tags')[1] or '') .. ','
    for each = 6, #ARGV do
      wanted = wanted and string.find(tags, ',' .. ARGV[each] .. ',', 1, true)
    end
  end
  if wanted then
    seq = seq or next_seq_of_removal()
    if remove(member, now, seq) then count = count + 1 end
  end
end
if seq then tidy() end
if #found < 2 * ARGV[5] then return {'', count} end
return {found[#found], count}
""")

CHANGES = _script("""
-- ARGV: prefix, epoch, since, limit. Returns {epoch, number of members, number of the last change,
-- members stored after `since` and their numbers, members removed after it and theirs}, or {} for
-- an empty namespace. Another epoch than the caller's begins with the first member; '' is any.
local epoch = redis.call('HGET', state, 'epoch')
if not epoch then return {} end
local since = '(' .. ARGV[3]
local gone = {}
if epoch == ARGV[2] then
  gone = redis.call('ZRANGEBYSCORE', removed, since, '+inf', 'WITHSCORES')
elseif ARGV[2] ~= '' then
  since = '(0'
end
return {
  epoch,
  redis.call('ZCARD', members),
  redis.call('HGET', state, 'seq'),
  redis.call('ZRANGEBYSCORE', members, since, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4]),
  gone,
}
""")

_READ = """
-- Members whose entries are gone, or of another scope, are dropped on the way.
local function read(first, get)
  local found = {}
  local seq
  for number = first, #ARGV do
    local member = ARGV[number]
    local scope, id = string.sub(member, 1, 32), string.sub(member, 33)
    local known = redis.pcall('HGET', prefix .. id, 'scope')
    if type(known) == 'table' and known.err then found[#found + 1] = {'foreign'}
    elseif known ~= scope then
      found[#found + 1] = {}
      if redis.call('ZSCORE', members, member) then
        seq = seq or next_seq_of_removal()
        leave(member, seq)
      end
    else found[#found + 1] = get(scope, prefix .. id) end
  end
  if seq then tidy() end
  return found
end
"""

READ = _script(
    _READ
    + """
-- ARGV: prefix, members. Returns the fields and values of each one's entry.
return read(2, function(scope, key) return redis.call('HGETALL', key) end)
"""
)

OUTLINE = _script(
    _READ
    + """
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
"""
)

SIZE = _script("""
-- ARGV: prefix, now. Returns how many members have not expired.
return redis.call('ZCARD', members) - redis.call('ZCOUNT', expiries, '-inf', ARGV[2])
""")

BYTES = _script("""
-- ARGV: prefix, now, since, limit. Returns {as DELETE_MATCHING, the sum of the entries' bytes}.
local now = tonumber(ARGV[2])
local found = redis.call('ZRANGEBYSCORE', members, '(' .. ARGV[3], '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[4])
local sum = 0
for number = 1, #found, 2 do
  local entry = fields(string.sub(found[number], 33), 'bytes', 'expires')
  if as_number(entry[2]) > now then sum = sum + as_number(entry[1]) end
end
if #found < 2 * ARGV[4] then return {'', sum} end
return {found[#found], sum}
""")
