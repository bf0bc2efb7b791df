-- ARGV: prefix, id, the number of the change that stored the entry, fields and values. Sets the
-- fields, unless the entry has changed since. Returns whether it is as expected.
if fields(ARGV[2], 'seq')[1] ~= ARGV[3] then return 0 end
redis.call('HSET', prefix .. ARGV[2], unpack(ARGV, 4))
return 1
