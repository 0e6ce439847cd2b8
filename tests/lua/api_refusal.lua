-- SPDX-License-Identifier: MIT
--
-- What is refused, and the words (API §5). Nothing is lost by it.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local echo = support.echo

TestRefusal = {}

local log = io.tmpfile()
local co = coroutine.create(print)
local iterator = ("x"):gmatch "x" -- a C function that nobody knows by name

function TestRefusal.tearDown()
  G_bad, G_function = nil
end

-- submit(fn, ...) is refused with these words between 'cannot send' and 'to a worker'.
local function refused(what, fn, ...)
  local exe <close> = support.Executor(1)
  local before = exe:stats()
  support.fails_as("TransferError", ("cannot send %s to a worker"):format(what), function(...)
    exe:submit(fn, ...)
  end, ...)
  local after = exe:stats()
  lu.assertEquals({ after.queued, after.failed, after.finished }, { before.queued, before.failed, before.finished })
  support.works(exe)
end

function TestRefusal.test_arguments()
  refused("argument 1 (userdata FILE*)", echo, log)
  refused("argument 3 (userdata FILE*)", echo, 1, nil, log)
  refused("argument 2 (thread)", echo, {}, co)
  refused("argument 200 (thread)", echo, table.unpack({ [200] = co }, 1, 200))
end

function TestRefusal.test_c_functions_without_a_name()
  local exe <close> = support.Executor(1)
  local e = support.fails_as("TransferError", nil, function() exe:submit(echo, 1, iterator) end)
  lu.assertStrMatches(e.message, "cannot send argument 2 %([^()]*function[^()]*%) to a worker")
  support.works(exe)
end

function TestRefusal.test_paths_in_tables()
  refused("argument 1.x (userdata FILE*)", echo, { x = log })
  refused("argument 2.opts.log (userdata FILE*)", echo, 1, { opts = { log = log } })
  refused('argument 1["a b"] (userdata FILE*)', echo, { ["a b"] = log })
  refused('argument 1[""] (userdata FILE*)', echo, { [""] = log })
  refused('argument 1["1x"] (userdata FILE*)', echo, { ["1x"] = log })
  refused("argument 1._x1 (userdata FILE*)", echo, { _x1 = log })
  refused("argument 1[3] (userdata FILE*)", echo, { 1, 2, log })
  refused("argument 1[-7] (thread)", echo, { [-7] = co })
  refused("argument 1[1.5] (thread)", echo, { [1.5] = co })
  refused("argument 1[true] (thread)", echo, { [true] = co })
  refused('argument 1.a[2]["b c"].d (thread)', echo, { a = { 0, { ["b c"] = { d = co } } } })
end

function TestRefusal.test_what_belongs_to_another_process()
  local other <close> = lfut.ThreadPoolExecutor(1)
  local map = other:map(echo, { 1 })
  local words = "(userdata lfut.Executor, which cannot cross into another process)"
  if support.is_process then
    refused("argument 1 " .. words, echo, other)
    refused("argument 2.pool[1] " .. words, echo, 1, { pool = { other } })
    refused(("upvalue 'other' of function <%s:%d> %s"):format(arg[0], debug.getinfo(1, "l").currentline + 1, words),
      function() return other end)
    local exe <close> = support.Executor(1)
    support.fails_as("TransferError", "cannot send result 1.x " .. words .. " back", function()
      exe:submit(function()
        return { x = require "lfut".ThreadPoolExecutor(1) }
      end):result()
    end)
    support.works(exe)
  else
    local exe <close> = support.Executor(1)
    lu.assertTrue(exe:submit(echo, other):result() == other)
  end
  lu.assertEquals({ map() }, { 1, 1 })
end

function TestRefusal.test_keys()
  refused("argument 1(key) (thread)", echo, { [co] = 1 })
  refused("argument 1.map(key) (userdata FILE*)", echo, { map = { [log] = true } })
  refused("argument 1(key).x (thread)", echo, { [{ x = co }] = 1 })
end

function TestRefusal.test_metatables()
  refused("argument 1(metatable).log (userdata FILE*)", echo, setmetatable({}, { log = log }))
  refused("argument 1.o(metatable).__index.co (thread)", echo, { o = setmetatable({}, { __index = { co = co } }) })
end

function TestRefusal.test_upvalues()
  local line = debug.getinfo(1, "l").currentline + 2
  local conn = log
  local function task() return conn end
  refused(("upvalue 'conn' of function <%s:%d> (userdata FILE*)"):format(arg[0], line), task)
  refused(("upvalue 'conn' of function <%s:%d> (userdata FILE*)"):format(arg[0], line), function() return task() end)
  refused(("upvalue 'conn' of function <%s:%d> (userdata FILE*)"):format(arg[0], line), echo, { f = task })
end

function TestRefusal.test_a_path_from_an_upvalue()
  local exe <close> = support.Executor(1)
  local config = { list = { 1, co } }
  local e = support.fails_as("TransferError", nil, function()
    exe:submit(function() return config end)
  end)
  lu.assertStrContains(e.message, "cannot send upvalue 'config'")
  lu.assertStrContains(e.message, ".list[2]")
  lu.assertStrContains(e.message, "(thread) to a worker")
  lu.assertStrContains(e.message, ("function <%s:%d>"):format(arg[0], debug.getinfo(1, "l").currentline - 5))
  support.works(exe)
end

function TestRefusal.test_globals()
  local exe <close> = support.Executor(1)
  G_bad = log
  local e = support.fails_as("TransferError", nil, function()
    exe:submit(function() return G_bad end)
  end)
  lu.assertStrContains(e.message, "cannot send global 'G_bad'")
  lu.assertStrContains(e.message, "(userdata FILE*) to a worker")
  function G_function() return G_bad end
  e = support.fails_as("TransferError", nil, function()
    exe:submit(function() return G_function() end)
  end)
  lu.assertStrContains(e.message, "global 'G_bad'")
  G_bad = nil
  lu.assertEquals(exe:submit(function() return G_function() end):result(), nil)
  support.works(exe)
end

function TestRefusal.test_deep_below()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local t = { co }
  for _ = 1, 20000 do
    t = { t }
  end
  local e = support.fails_as("TransferError", nil, function() exe:submit(echo, t) end)
  lu.assertStrContains(e.message, "cannot send argument 1[1]")
  lu.assertStrContains(e.message, "(thread) to a worker")
  support.works(exe)
end

-- However deep or long it is, the message is short: both ends are there.
function TestRefusal.test_messages_are_short()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local function short(begin, last, fn, ...)
    local e = support.fails_as("TransferError", nil, fn, ...)
    lu.assertTrue(#e.message <= 2000, #e.message)
    lu.assertEquals(e.message:sub(1, #begin), begin)
    lu.assertEquals(e.message:sub(-#last), last)
  end
  local list, keys, metas = co, co, co
  for i = 1, support.size(100000) do
    list, keys = { next = list }, { [keys] = true }
    if i <= 5000 then metas = setmetatable({}, { __index = metas }) end
  end
  local where = " (thread) to a worker"
  short("cannot send argument 1.next.next", ".next.next" .. where, exe.submit, exe, echo, list)
  short("cannot send argument 1(key)(key)", "(key)(key)" .. where, exe.submit, exe, echo, keys)
  short("cannot send argument 1(metatable).__index", ".__index" .. where, exe.submit, exe, echo, metas)
  short("cannot send upvalue 'list'.next", where, exe.submit, exe, function() return list end)
  short("cannot send argument 1.next", " (thread) to a queue", lfut.Queue().put, lfut.Queue(), list)
  short("cannot send value.next", " (thread) to a dictionary", lfut.Dict().set, lfut.Dict(), "k", list)
  local long = ("k"):rep(100000)
  short('cannot send argument 1.kkk', where, exe.submit, exe, echo, { [long] = { x = co } })
  local meta = { __name = ("Name"):rep(10000) }
  local file = debug.setmetatable(io.tmpfile(), meta)
  short("cannot send argument 1.x (userdata Name", " to a worker", exe.submit, exe, echo, { x = file })
  debug.setmetatable(file, getmetatable(log))
  local depth = support.size(20000)
  local f = exe:submit(function()
    local list = coroutine.create(print)
    for _ = 1, depth do list = { next = list } end
    return 1, list
  end)
  short("cannot send result 2.next", ".next (thread) back", f.result, f)
  -- Not so deep: whole.
  local some = co
  for i = 1, 30 do some = { ["k" .. i] = some } end
  local e = support.fails_as("TransferError", nil, exe.submit, exe, echo, some)
  lu.assertStrContains(e.message, ".k16.k15.k14")
  support.works(exe)
end

function TestRefusal.test_after_many_that_could()
  local t = {}
  for i = 1, 1000 do
    t[i] = { {}, tostring(i) }
  end
  t[1000][1].x = log
  refused("argument 1[1000][1].x (userdata FILE*)", echo, t)
end

function TestRefusal.test_a_binary_key()
  local exe <close> = support.Executor(1)
  local e = support.fails_as("TransferError", nil, function() exe:submit(echo, { ["a\0b"] = co }) end)
  lu.assertStrContains(e.message, "cannot send argument 1")
  support.works(exe)
end

-- Results

local function result_refused(what, fn, ...)
  local exe <close> = support.Executor(1)
  local f = exe:submit(fn, ...)
  support.fails_as("TransferError", ("cannot send %s back"):format(what), f.result, f)
  support.is_error(f:exception(), "TransferError", ("cannot send %s back"):format(what))
  lu.assertEquals(f:state(), "failed")
  support.works(exe)
end

function TestRefusal.test_results()
  result_refused("result 1 (userdata FILE*)", function() return io.tmpfile() end)
  result_refused("result 3 (thread)", function() return 1, nil, coroutine.create(print) end)
  result_refused("result 1.x (userdata FILE*)", function() return { x = io.tmpfile() } end)
  result_refused("result 2[1][true] (thread)", function() return 1, { { [true] = coroutine.create(print) } } end)
  result_refused("result 1(key) (thread)", function() return { [coroutine.create(print)] = 1 } end)
  result_refused("result 1(metatable).co (thread)", function()
    return setmetatable({}, { co = coroutine.create(print) })
  end)
end

function TestRefusal.test_a_function_as_result()
  local line = debug.getinfo(1, "l").currentline
  result_refused(("upvalue 'file' of function <%s:%d> (userdata FILE*)"):format(arg[0], line + 3), function()
    local file = io.tmpfile()
    return function() return file end
  end)
end

-- Errors

function TestRefusal.test_an_error_value_that_cannot_travel()
  local exe <close> = support.Executor(1)
  local function thrower() error(io.tmpfile()) end
  local f = exe:submit(function() thrower() end)
  local e = support.fails_as("TransferError", nil, f.result, f)
  lu.assertStrContains(e.message, "cannot send error")
  lu.assertStrContains(e.message, "(userdata FILE*) back")
  lu.assertStrContains(f:traceback(), "thrower")
  f = exe:submit(function() error { inner = { coroutine.create(print) } } end)
  e = support.fails_as("TransferError", nil, f.result, f)
  lu.assertStrContains(e.message, "cannot send error")
  lu.assertStrContains(e.message, ".inner[1] (thread) back")
  support.works(exe)
end

-- Loops

function TestRefusal.test_items_of_a_map()
  local exe <close> = support.Executor(1)
  local e = support.fails_as("TransferError", nil, function() exe:map(echo, { 1, 2, { x = co } }) end)
  lu.assertStrContains(e.message, ".x (thread) to a worker")
  lu.assertStrContains(e.message, "3")
  support.fails_as("TransferError", nil, function() exe:for_each(echo, { co }) end)
  support.fails_as("TransferError", nil, function() exe:reduce(echo, { co }, math.max) end)
  support.fails_as("TransferError", nil, function() exe:starmap(echo, { { 1 }, { co } }) end)
  support.works(exe)
end

function TestRefusal.test_functions_of_a_map()
  local exe <close> = support.Executor(1)
  local function bad() return co end
  local function good() end
  for _, call in ipairs {
    function() exe:map(bad, { 1 }) end,
    function() exe:starmap(bad, { { 1 } }) end,
    function() exe:for_each(bad, { 1 }) end,
    function() exe:reduce(bad, { 1 }, math.max) end,
    function() exe:reduce(good, { 1 }, bad) end,
    function() exe:broadcast(bad) end,
  } do
    local e = support.fails_as("TransferError", nil, call)
    lu.assertStrContains(e.message, "cannot send upvalue 'co' of function <" .. arg[0])
  end
  support.works(exe)
end

function TestRefusal.test_items_of_a_source_at_their_position()
  local exe <close> = support.Executor(1)
  local items, i = { 1, 2, { co }, 4 }, 0
  local it = exe:map(echo, function() i = i + 1 return items[i] end)
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertEquals({ it() }, { 2, 2 })
  local e = support.fails_as("TransferError", nil, it)
  lu.assertStrContains(e.message, "(thread) to a worker")
  support.works(exe)
end

function TestRefusal.test_results_of_a_map_at_their_position()
  local exe <close> = support.Executor(1)
  local it = exe:map(function(i) return i == 2 and coroutine.create(print) or i end, { 1, 2, 3 })
  lu.assertEquals({ it() }, { 1, 1 })
  support.fails_as("TransferError", "cannot send result 1 (thread) back", it)
  lu.assertEquals({ it() }, { 3, 3 })
  lu.assertNil(it())
end

function TestRefusal.test_initargs()
  local exe
  local ok, e = pcall(function()
    exe = support.Executor { max_workers = 1, initializer = echo, initargs = { 1, co } }
  end)
  lu.assertFalse(ok)
  support.is_error(e, "TransferError")
  lu.assertStrContains(e.message, "(thread)")
  lu.assertNil(exe)
end

function TestRefusal.test_inside_a_task()
  local exe <close> = support.Executor(1)
  local text = exe:submit(function(exe)
    local ok, e = pcall(exe.submit, exe, function(x) return x end, { coroutine.create(print) })
    return tostring(e)
  end, exe):result()
  lu.assertEquals(text, "TransferError: cannot send argument 1[1] (thread) to a worker")
end

local rc = support.run(TestRefusal)
if rc ~= 0 then
  os.exit(rc)
end
