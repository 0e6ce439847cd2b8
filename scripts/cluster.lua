#!lua name=lfut1
-- SPDX-License-Identifier: MIT
--
-- What the server of a cluster does for lfut, each function in one step that
-- nobody sees the middle of. Loaded into Redis by who connects; the keys, and
-- what members and clients tell each other, are described in
-- runtime/cluster/functions.h.

local MAIN = 'lfut:tasks'
local GROUP = 'members'

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The streams of tasks, that of the highest priority first.
local function streams()
  local levels = redis.call('ZREVRANGE', 'lfut:levels', 0, -1)
  if #levels == 0 then
    return { MAIN }
  end
  local list, main = {}, false
  for _, level in ipairs(levels) do
    if not main and tonumber(level) < 0 then
      list[#list + 1] = MAIN
      main = true
    end
    list[#list + 1] = MAIN .. ':' .. level
  end
  if not main then
    list[#list + 1] = MAIN
  end
  return list
end

-- The stream of what one member alone may run.
local function own(member)
  return MAIN .. ':of:' .. member
end

-- All from which the member takes.
local function streams_of(member)
  local all = streams()
  all[#all + 1] = own(member)
  return all
end

local function all_streams()
  local all = streams()
  for _, member in ipairs(redis.call('ZRANGE', 'lfut:members', 0, -1)) do
    all[#all + 1] = own(member)
  end
  return all
end

local function make_group(stream)
  redis.pcall('XGROUP', 'CREATE', stream, GROUP, 0, 'MKSTREAM')
end

local function remove(stream, entry)
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
end

-- If the payload names messages of the client's that are there by themselves
-- (parts.h): their fields.
local function parts(payload)
  local id, n = payload:match '^P (%x+) (%d+) '
  local list = {}
  for i = 1, id and n or 0 do
    list[i] = id .. ':' .. i - 1
  end
  return list
end

-- They are not wanted any more.
local function drop_parts(client, payload)
  for _, part in ipairs(parts(payload)) do
    redis.call('HDEL', 'lfut:parts:' .. client, part)
  end
end

local function has_parts(client, payload)
  for _, part in ipairs(parts(payload)) do
    if redis.call('HEXISTS', 'lfut:parts:' .. client, part) == 0 then
      return false
    end
  end
  return true
end

-- Puts something into an inbox, or among results: its reader cuts off what has
-- come through to it, so that nothing is lost with a connection.
local function push(stream, text)
  redis.call('XADD', stream, '*', 'e', text)
end

local function fields(list)
  local map = {}
  for i = 1, #list, 2 do
    map[list[i]] = list[i + 1]
  end
  return map
end

local function read_group(stream, member)
  local r = redis.pcall('XREADGROUP', 'GROUP', GROUP, member, 'COUNT', 1, 'STREAMS', stream, '>')
  if r and r.err then
    make_group(stream)
    r = redis.call('XREADGROUP', 'GROUP', GROUP, member, 'COUNT', 1, 'STREAMS', stream, '>')
  end
  return r and r[1] and r[1][2][1]
end

-- Which of the entry's tasks have been cancelled, with commas; nil: all.
local function cancelled(client, tasks)
  local marks, numbers, gone = 'lfut:cancelled:' .. client, {}, {}
  for number in tasks:gmatch '%d+' do
    numbers[#numbers + 1] = number
  end
  local found = redis.call('SMISMEMBER', marks, unpack(numbers))
  for i, number in ipairs(numbers) do
    if found[i] == 1 then
      gone[#gone + 1] = number
      redis.call('SREM', marks, number)
    end
  end
  if #gone == #numbers then
    return nil
  end
  return table.concat(gone, ',')
end

-- What a member is told about an entry.
local function told(entry, stream, f, gone)
  return 'T' .. table.concat({ entry[1], stream, f.c, gone }, ' ') .. '\n' .. f.p
end

-- The next entry of the stream for the member, as it is told about it.
local function take_from(stream, member)
  while true do
    local entry = read_group(stream, member)
    if not entry then
      return nil
    end
    local f = fields(entry[2])
    local there = redis.call('EXISTS', 'lfut:client:' .. f.c)
    local gone = there == 1 and '' or nil
    if gone then
      redis.call('HINCRBY', 'lfut:queued', f.c, -1)
    end
    if gone and redis.call('EXISTS', 'lfut:cancelled:' .. f.c) == 1 then
      gone = cancelled(f.c, f.t)
    end
    if gone then
      return told(entry, stream, f, gone)
    end
    drop_parts(f.c, f.p)
    remove(stream, entry[1])
  end
end

local function take(member)
  for _, stream in ipairs(streams()) do
    local entry = take_from(stream, member)
    if entry then
      return entry
    end
  end
end

-- An entry has been added: a member that waits gets it. (As long as some wait, no
-- other is there.)
local function hand_out()
  local member = redis.call('LPOP', 'lfut:idle')
  local entry = member and take(member)
  if entry then
    push('lfut:inbox:' .. member, entry)
  elseif member then
    redis.call('LPUSH', 'lfut:idle', member)
  end
end

-- The last one has gone: nothing is left.
local function tidy()
  if redis.call('ZCARD', 'lfut:members') + redis.call('ZCARD', 'lfut:clients') > 0 then
    return
  end
  for _, stream in ipairs(streams()) do
    redis.call('DEL', stream)
  end
  redis.call('DEL', 'lfut:levels', 'lfut:version', 'lfut:idle', 'lfut:workers', 'lfut:counts')
end

-- What the member had taken is told to those who wait for it.
local function tell_lost(member, host, pid)
  for _, stream in ipairs(streams_of(member)) do
    local list = redis.pcall('XPENDING', stream, GROUP, '-', '+', 1000, member)
    while not list.err and #list > 0 do
      for _, p in ipairs(list) do
        local entry = redis.call('XRANGE', stream, p[1], p[1])[1]
        local f = entry and fields(entry[2])
        if f and redis.call('EXISTS', 'lfut:client:' .. f.c) == 1 then
          drop_parts(f.c, f.p)
          push('lfut:results:' .. f.c, 'L ' .. pid .. ' ' .. host .. '\n' .. f.t)
        end
        remove(stream, p[1])
      end
      list = redis.call('XPENDING', stream, GROUP, '-', '+', 1000, member)
    end
    redis.pcall('XGROUP', 'DELCONSUMER', stream, GROUP, member)
  end
end

local function sum_of(key)
  local sum = 0
  for _, n in ipairs(redis.call('HVALS', key)) do
    sum = sum + tonumber(n)
  end
  return sum
end

local function workers()
  return sum_of 'lfut:workers'
end

local function tell_clients(text)
  for _, client in ipairs(redis.call('ZRANGE', 'lfut:clients', 0, -1)) do
    push('lfut:results:' .. client, text)
  end
end

local function bury_member(member)
  local about = redis.call('HMGET', 'lfut:member:' .. member, 'host', 'pid')
  redis.call('ZREM', 'lfut:members', member)
  redis.call('HDEL', 'lfut:workers', member)
  redis.call('LREM', 'lfut:idle', 0, member)
  redis.call('DEL', 'lfut:member:' .. member, 'lfut:inbox:' .. member)
  tell_lost(member, about[1] or '?', about[2] or '0')
  redis.call('DEL', own(member))
  tell_clients('W ' .. workers() .. '\n')
end

local function tell_members(text)
  for _, member in ipairs(redis.call('ZRANGE', 'lfut:members', 0, -1)) do
    push('lfut:inbox:' .. member, text)
  end
end

local function bury_client(client)
  redis.call('ZREM', 'lfut:clients', client)
  for _, what in ipairs { 'client', 'results', 'code', 'parts', 'cancelled' } do
    redis.call('DEL', 'lfut:' .. what .. ':' .. client)
  end
  redis.call('HDEL', 'lfut:queued', client) -- its entries go when they are taken
  tell_members('G' .. client .. '\n')
end

-- Those who have not been heard of for too long are dead to the others.
local function sweep(at)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'lfut:members', '-inf', at, 'LIMIT', 0, 10)) do
    bury_member(member)
  end
  for _, client in ipairs(redis.call('ZRANGEBYSCORE', 'lfut:clients', '-inf', at, 'LIMIT', 0, 10)) do
    bury_client(client)
  end
end

local function check_version(version)
  local theirs = redis.call('GET', 'lfut:version')
  if theirs and theirs ~= version then
    return redis.error_reply('VERSION ' .. theirs)
  end
  redis.call('SET', 'lfut:version', version)
end

-- (client, version, lease, setup)
local function open(_, args)
  local client, version, lease, setup = unpack(args)
  local at = now()
  sweep(at)
  local refused = check_version(version)
  if refused then
    return refused
  end
  make_group(MAIN)
  redis.call('HSET', 'lfut:client:' .. client, 'setup', setup)
  redis.call('ZADD', 'lfut:clients', at + lease, client)
  return workers()
end

-- (client)
local function close(_, args)
  bury_client(args[1])
  tidy()
  return 1
end

-- (member, version, lease, workers, pid, host)
local function join(_, args)
  local member, version, lease, n, pid, host = unpack(args)
  local at = now()
  sweep(at)
  local refused = check_version(version)
  if refused then
    return refused
  end
  make_group(MAIN)
  redis.call('HSET', 'lfut:member:' .. member, 'host', host, 'pid', pid, 'workers', n, 'since', at)
  redis.call('HSET', 'lfut:workers', member, n)
  redis.call('ZADD', 'lfut:members', at + lease, member)
  tell_clients('W ' .. workers() .. '\n')
  return 1
end

-- (member)
local function leave(_, args)
  bury_member(args[1])
  tidy()
  return 1
end

-- ('members' | 'clients', id, lease): how many workers there are; nil: the
-- others have taken it for dead.
local function beat(_, args)
  local who, id, lease = 'lfut:' .. args[1], args[2], args[3]
  local at = now()
  if not redis.call('ZSCORE', who, id) then
    return nil
  end
  redis.call('ZADD', who, at + lease, id)
  sweep(at)
  return workers()
end

local function stream_of(level)
  if level == '0' then
    return MAIN
  end
  local stream = MAIN .. ':' .. level
  if redis.call('ZADD', 'lfut:levels', level, level) == 1 then
    make_group(stream)
  end
  return stream
end

-- The client's entry with these tasks, among the last ones.
local function find(stream, client, tasks)
  for _, entry in ipairs(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 10000)) do
    local f = fields(entry[2])
    if f.c == client and f.t == tasks then
      return entry[1]
    end
  end
end

-- The entry with these tasks, if the client has put them before: '0-0' if that is
-- through. Clients number their tasks in the order in which they put them.
local function put_before(client, stream, tasks)
  local last = tonumber(redis.call('HGET', 'lfut:client:' .. client, 'last') or 0)
  if tonumber(tasks:match '(%d+)%s*$') <= last then
    return find(stream, client, tasks) or '0-0'
  end
end

local function add(client, stream, tasks, payload)
  redis.call('HSET', 'lfut:client:' .. client, 'last', tasks:match '(%d+)%s*$')
  redis.call('HINCRBY', 'lfut:queued', client, 1)
  return redis.call('XADD', stream, '*', 'c', client, 't', tasks, 'p', payload)
end

-- (client, priority, again, tasks, payload): the entry; 'again': the client does
-- not know whether it was here before.
local function put(_, args)
  local client, level, again, tasks, payload = unpack(args)
  if redis.call('EXISTS', 'lfut:client:' .. client) == 0 then
    drop_parts(client, payload)
    return redis.error_reply('GONE')
  end
  local stream = stream_of(level)
  local entry = again == '1' and put_before(client, stream, tasks)
  if entry then
    drop_parts(client, payload)
    return entry
  end
  if not has_parts(client, payload) then
    drop_parts(client, payload)
    return redis.error_reply('OOM command not allowed: no room for large values')
  end
  entry = add(client, stream, tasks, payload)
  hand_out()
  return entry
end

-- (member, wanted, failed, {stream, entry | '', client, result | ''} ...): what
-- has come of tasks; entries that are through. Returns up to so many new ones;
-- for the rest the member waits. nil: the others have taken it for dead.
local function done(_, args)
  local member, wanted = args[1], tonumber(args[2])
  if not redis.call('ZSCORE', 'lfut:members', member) then
    return nil
  end
  if args[3] ~= '0' then
    redis.call('HINCRBY', 'lfut:counts', 'failed', args[3])
  end
  for i = 4, #args, 4 do
    local stream, entry, client, result = args[i], args[i + 1], args[i + 2], args[i + 3]
    if result ~= '' and redis.call('EXISTS', 'lfut:client:' .. client) == 1 then
      push('lfut:results:' .. client, result)
    elseif result ~= '' then
      redis.call('DEL', 'lfut:parts:' .. client)
    end
    if entry ~= '' then
      remove(stream, entry)
    end
  end
  local entries = {}
  for i = 1, wanted do
    local entry = take(member)
    if not entry then
      for _ = i, wanted do
        redis.call('RPUSH', 'lfut:idle', member)
      end
      break
    end
    entries[#entries + 1] = entry
  end
  return entries
end

-- (client, field, bytes): a part of a result, also when there is no room.
local function part(_, args)
  redis.call('HSET', 'lfut:parts:' .. args[1], args[2], args[3])
end

-- (): of each member its id and its workers.
local function members()
  local list = {}
  for _, member in ipairs(redis.call('ZRANGE', 'lfut:members', 0, -1)) do
    list[#list + 1] = member
    list[#list + 1] = tonumber(redis.call('HGET', 'lfut:workers', member) or 0)
  end
  return list
end

-- (client, member, again, tasks, payload): the same for that member alone; nil:
-- it has gone.
local function give(_, args)
  local client, member, again, tasks, payload = unpack(args)
  local stream = own(member)
  local entry = again == '1' and put_before(client, stream, tasks)
  if entry or not redis.call('ZSCORE', 'lfut:members', member) then
    drop_parts(client, payload)
    return entry or nil
  end
  if not has_parts(client, payload) then
    drop_parts(client, payload)
    return redis.error_reply('OOM command not allowed: no room for large values')
  end
  entry = add(client, stream, tasks, payload)
  push('lfut:inbox:' .. member, take_from(stream, member))
  return entry
end

-- (member, entry ...): the last of its inbox, then what it has taken, but for
-- these, which may stand in that inbox, too; it waits for no more.
local function mine(_, args)
  local member, known = args[1], {}
  local last = redis.call('XREVRANGE', 'lfut:inbox:' .. member, '+', '-', 'COUNT', 1)[1]
  local list = { last and last[1] or '0-0' }
  for i = 2, #args do
    known[args[i]] = true
  end
  redis.call('LREM', 'lfut:idle', 0, member)
  for _, stream in ipairs(streams_of(member)) do
    local pending = redis.pcall('XPENDING', stream, GROUP, '-', '+', 10000, member)
    for _, p in ipairs(pending.err and {} or pending) do
      local entry = not known[p[1]] and redis.call('XRANGE', stream, p[1], p[1])[1]
      if entry then
        list[#list + 1] = told(entry, stream, fields(entry[2]), '')
      end
    end
  end
  return list
end

-- Has somebody taken the entry?
local function is_taken(stream, entry)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err or not groups[1] then
    return false
  end
  local last = fields(groups[1])['last-delivered-id']
  local ms, n = last:match '(%d+)-(%d+)'
  local my_ms, my_n = entry:match '(%d+)-(%d+)'
  ms, n, my_ms, my_n = tonumber(ms), tonumber(n), tonumber(my_ms), tonumber(my_n)
  return my_ms < ms or (my_ms == ms and my_n <= n)
end

-- Who has taken the entry, or nil.
local function owner(stream, entry)
  local list = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)
  return not list.err and list[1] and list[1][2]
end

-- Who has the entry answers the question itself.
local function ask(client, stream, entry, task, question, what)
  local member = owner(stream, entry)
  if not member then
    return 0
  end
  push('lfut:inbox:' .. member, 'A' .. table.concat({ client, task, question, what }, ' ') .. '\n')
  return 2
end

-- (client, stream, entry, task, question): has it begun? 0: no; 1: it has
-- ended; 2: its member will say.
local function look(_, args)
  local client, stream, entry, task, question = unpack(args)
  return is_taken(stream, entry) and ask(client, stream, entry, task, question, 'l') or 0
end

-- (client, stream, entry, task, question): 1 if nobody has begun it, and will;
-- 2: its member will say.
local function cancel(_, args)
  local client, stream, entry, task, question = unpack(args)
  if is_taken(stream, entry) then
    return ask(client, stream, entry, task, question, 'c')
  end
  redis.call('SADD', 'lfut:cancelled:' .. client, task)
  return 1
end

-- (client, id, name): a worker wants a module of the client's: 1 if there is
-- somebody to ask.
local function want(_, args)
  local client, id, name = unpack(args)
  if redis.call('EXISTS', 'lfut:client:' .. client) == 0 then
    return 0
  end
  push('lfut:results:' .. client, 'M ' .. id .. ' ' .. name .. '\n')
  return 1
end

-- (id, file, text): the module; no file: there is none.
local function module(_, args)
  local key = 'lfut:module:' .. args[1]
  redis.call('RPUSH', key, args[2] .. '\n' .. args[3])
  redis.call('EXPIRE', key, 60)
end

-- (client, text): the answer.
local function answer(_, args)
  if redis.call('EXISTS', 'lfut:client:' .. args[1]) == 1 then
    push('lfut:results:' .. args[1], args[2])
  end
end

-- (client, stream, entry, task, reason): who has it is told to stop it; nobody
-- will take it else.
local function stop(_, args)
  local client, stream, entry, task, reason = unpack(args)
  local member = owner(stream, entry)
  if member then
    push('lfut:inbox:' .. member, 'S' .. table.concat({ client, task, reason }, ' ') .. '\n')
  elseif not is_taken(stream, entry) then
    redis.call('SADD', 'lfut:cancelled:' .. client, task)
    return 1
  end
  return 0
end

-- (): workers, and of each stream the last entry that was taken.
local function stat()
  local list = { workers() }
  for _, stream in ipairs(all_streams()) do
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    if not groups.err and groups[1] then
      list[#list + 1] = stream
      list[#list + 1] = fields(groups[1])['last-delivered-id']
    end
  end
  return list
end

-- (): queued, running, failed, clients; then of each member id, host, pid,
-- workers, seconds, tasks.
local function status()
  local running, claims = 0, {}
  for _, stream in ipairs(all_streams()) do
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    if not groups.err and groups[1] then
      local pending = redis.call('XPENDING', stream, GROUP)
      running = running + pending[1]
      for _, consumer in ipairs(pending[4] or {}) do
        claims[consumer[1]] = (claims[consumer[1]] or 0) + tonumber(consumer[2])
      end
    end
  end
  local failed = redis.call('HGET', 'lfut:counts', 'failed') or 0
  local list = { sum_of 'lfut:queued', running, tonumber(failed), redis.call('ZCARD', 'lfut:clients') }
  local at = now()
  for _, id in ipairs(redis.call('ZRANGE', 'lfut:members', 0, -1)) do
    local about = redis.call('HMGET', 'lfut:member:' .. id, 'host', 'pid', 'workers', 'since')
    list[#list + 1] = { id, about[1], about[2], about[3], at - (about[4] or at), claims[id] or 0 }
  end
  return list
end

-- (): all members are to leave.
local function down()
  tell_members('Q\n')
  return redis.call('ZCARD', 'lfut:members')
end

-- While it is loaded, Redis has no pairs.
local function register(name, callback, flags)
  redis.register_function {
    function_name = 'lfut1_' .. name,
    callback = callback,
    flags = flags,
  }
end

-- What makes room is allowed when there is none.
register('open', open, {})
register('put', put, {})
register('close', close, { 'allow-oom' })
register('join', join, { 'allow-oom' })
register('leave', leave, { 'allow-oom' })
register('beat', beat, { 'allow-oom' })
register('done', done, { 'allow-oom' })
register('part', part, { 'allow-oom' })
register('members', members, { 'allow-oom' })
register('give', give, {})
register('mine', mine, { 'allow-oom' })
register('look', look, { 'allow-oom' })
register('cancel', cancel, { 'allow-oom' })
register('want', want, { 'allow-oom' })
register('module', module, {})
register('answer', answer, { 'allow-oom' })
register('stop', stop, { 'allow-oom' })
register('stat', stat, { 'allow-oom' })
register('status', status, { 'allow-oom' })
register('down', down, { 'allow-oom' })
