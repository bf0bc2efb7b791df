-- ARGV: prefix, 'oldest' or 'newest', number or '' for the first ones, limit. Returns the number of
-- the last change, and the members that were stored after that number, or before it if the newest
-- come first, with their numbers.
local last = redis.call('HGET', state, 'seq')
if not last then return {} end
local bound = ARGV[3] == '' and '' or '(' .. ARGV[3]
if ARGV[2] == 'newest' then
  if bound == '' then bound = '+inf' end
  return {last, redis.call('ZREVRANGEBYSCORE', members, bound, '-inf', 'WITHSCORES',
    'LIMIT', 0, ARGV[4])}
end
if bound == '' then bound = '-inf' end
return {last, redis.call('ZRANGEBYSCORE', members, bound, '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[4])}
