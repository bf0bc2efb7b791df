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
