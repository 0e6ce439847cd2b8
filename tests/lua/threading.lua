-- SPDX-License-Identifier: MIT
--
-- lfut.Thread (API §7): a function in a thread with an interpreter of its own.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

local Thread = lfut.Thread

local function held(...)
  local g = gate.new()
  local t = Thread{ target = gate.hold, args = { g, ... } }:start()
  gate.arrived(g)
  return g, t
end

TestLife = {}

function TestLife.test_a_thread()
  local t = Thread{ target = support.echo, args = { 1, nil, "x", n = 4 } }
  lu.assertStrMatches(t.name, "Thread%-%d+")
  lu.assertEquals(tostring(t), ("Thread(%s, initial)"):format(t.name))
  lu.assertIs(t:is_alive(), false)
  lu.assertIs(t.daemon, false)
  lu.assertTrue(rawequal(t:start(), t))
  lu.assertEquals(table.pack(t:result()), { 1, nil, "x", nil, n = 4 })
  lu.assertIs(t:join(), true)
  lu.assertIs(t:is_alive(), false)
  lu.assertEquals(tostring(t), ("Thread(%s, stopped)"):format(t.name))
  lu.assertEquals(select("#", t:result()), 4) -- a fresh copy each time
  lu.assertIs(t:join(0), true)
  lu.assertNil(t.pid)
  lu.assertNil(t[1])
end

function TestLife.test_names()
  local a, b = Thread{ target = print }, Thread{ target = print }
  lu.assertEquals(tonumber(b.name:match "%d+"), tonumber(a.name:match "%d+") + 1)
  local t = Thread{ target = function() return lfut.worker() end, name = "spinner", daemon = true }
  lu.assertEquals(t.name, "spinner")
  lu.assertIs(t.daemon, true)
  lu.assertEquals(tostring(t), "Thread(spinner, initial, daemon)")
  local w = t:start():result()
  lu.assertEquals(w, { kind = "thread", id = 1, name = "spinner", pid = lfut.getpid() })
end

function TestLife.test_while_it_runs()
  local g <close>, t = held("x")
  lu.assertIs(t:is_alive(), true)
  lu.assertEquals(tostring(t), ("Thread(%s, started)"):format(t.name))
  lu.assertIs(t:join(0), false)
  lu.assertIs(t:join(-1), false)
  lu.assertIs(t:join(0.01), false)
  support.fails_as("TimeoutError", nil, t.result, t, 0)
  support.fails_as("TimeoutError", nil, t.result, t, 0.01)
  gate.open(g)
  lu.assertEquals(t:result(1e6), "x")
  lu.assertIs(t:join(1e6), true)
end

function TestLife.test_each_has_its_own_interpreter()
  local function count()
    counter = (counter or 0) + 1
    return counter
  end
  for _ = 1, 3 do
    lu.assertEquals(Thread{ target = count }:start():result(), 1)
  end
end

function TestLife.test_at_the_same_time()
  local gates, threads = {}, {}
  for i = 1, 10 do
    gates[i], threads[i] = held(i)
  end
  for i = 10, 1, -1 do
    gate.open(gates[i])
    lu.assertEquals(threads[i]:result(), i)
  end
end

function TestLife.test_many()
  for i = 1, support.size(200) do
    local t = Thread{ target = support.echo, args = { i } }:start()
    if i % 3 == 0 then
      lu.assertTrue(t:join())
    end
    lu.assertEquals(t:result(), i)
  end
end

function TestLife.test_collected_while_it_runs()
  local g, g2 = gate.new(), gate.new()
  Thread{ target = function(g, g2) gate.hold(g) gate.hold(g2) end, args = { g, g2 } }:start()
  gate.arrived(g)
  collectgarbage()
  collectgarbage()
  gate.open(g)
  gate.arrived(g2)
  gate.open(g2)
end

function TestLife.test_captured_at_start()
  local t = { 1 }
  local arg = { t }
  local thread = Thread{ target = support.echo, args = arg }
  t[1] = 2
  arg[2] = 3
  thread:start()
  t[1] = 4
  lu.assertEquals({ thread:result() }, { { 2 }, 3 })
end

function TestLife.test_other_targets()
  lu.assertEquals(Thread{ target = math.max, args = { 3, 5, 4 } }:start():result(), 5)
  local callable = setmetatable({ 2 }, { __call = function(self, x) return self[1] * x end })
  lu.assertEquals(Thread{ target = callable, args = { 21 } }:start():result(), 42)
end

function TestLife.test_objects_come_home()
  local Point = {}
  Point.__index = Point
  local p = Thread{ target = function() return setmetatable({ 1 }, Point) end }:start():result()
  lu.assertIs(getmetatable(p), Point)
end

TestErrors = {}

function TestErrors.test_an_error()
  local t = Thread{ target = function() error "boom" end }:start()
  lu.assertIs(t:join(), true)
  for _ = 1, 2 do
    support.fails("boom", t.result, t)
  end
  local value = support.raised(function() Thread{ target = error, args = { { 1 } } }:start():result() end)
  lu.assertEquals(value, { 1 })
  lu.assertEquals(support.raised(function() Thread{ target = error }:start():result() end), support.nil_error)
end

function TestErrors.test_traceback()
  local _, err, status = support.program [[
    local function deep() error "boom" end
    require "lfut".Thread{ target = function() deep() end }:start():result()
  ]]
  lu.assertEquals(status, 1)
  lu.assertStrContains(err, "lfut: script.lua:1: boom\nstack traceback:")
  lu.assertStrContains(err, "in method 'result'")
  lu.assertStrContains(err, "worker's stack traceback:")
  lu.assertStrContains(err, "in upvalue 'deep'")
end

-- An error that nobody has asked for is told when nobody can any more.
function TestErrors.test_not_asked_for()
  local out, err, status = support.program [[
    local lfut = require "lfut"
    local t = lfut.Thread{ target = function() error "boom" end }:start()
    print(t:join())
    t = nil
    collectgarbage()
    io.stderr:write "collected\n"
    lfut.Thread{ target = error, args = { setmetatable({}, { __tostring = function() return "hey" end }) },
      name = "other" }:start()
    pcall(lfut.Thread{ target = error, args = { "asked" } }:start().result)
    pcall(function() lfut.Thread{ target = error, args = { "asked" } }:start():result() end)
    KEPT = lfut.Thread{ target = error, args = { "kept" }, name = "kept" }:start()
  ]]
  lu.assertEquals(status, 0)
  lu.assertEquals(out, "true\n")
  lu.assertStrContains(err, "lfut: error in Thread-1: script.lua:2: boom\nstack traceback:\n")
  lu.assertTrue(err:find("boom", 1, true) < err:find("collected", 1, true))
  lu.assertStrContains(err, "lfut: error in kept: kept\n")
end

function TestErrors.test_exit()
  local t = Thread{ target = function() pcall(os.exit, 3) end }:start()
  lu.assertEquals(support.raised(t.result, t), "os.exit(3) called in a task")
end

function TestErrors.test_what_cannot_travel()
  local file <close> = io.tmpfile()
  local t = Thread{ target = print, args = { 1, { x = file } } }
  support.fails_as("TransferError", "cannot send argument 2.x (userdata FILE*) to a worker", t.start, t)
  lu.assertIs(t:is_alive(), false)
  support.fails_as("TransferError", "cannot send argument 2.x (userdata FILE*) to a worker", t.start, t)
  t = Thread{ target = function() return file end }
  support.fails_as("TransferError", nil, t.start, t)
  t = Thread{ target = function() return io.tmpfile() end }:start()
  support.fails_as("TransferError", "cannot send result 1 (userdata FILE*) back", t.result, t)
end

TestMisuse = {}

function TestMisuse.test_options()
  local fails = support.fails
  fails("bad argument #1 to 'Thread' (table expected, got no value)", function() Thread() end)
  fails("bad argument #1 to 'Thread' (table expected, got function)", function() Thread(print) end)
  fails("bad option 'target' (function expected, got nil)", function() Thread{} end)
  fails("bad option 'target' (function expected, got string)", function() Thread{ target = "x" } end)
  fails("bad option 'args' (table expected, got number)", function() Thread{ target = print, args = 1 } end)
  fails("bad option 'name' (string expected, got boolean)", function() Thread{ target = print, name = true } end)
  fails("bad option 'daemon' (boolean expected, got number)", function() Thread{ target = print, daemon = 1 } end)
  fails("unknown option 'max_workers' (options: target, args, name, daemon)", function() Thread{ target = print, max_workers = 1 } end)
end

function TestMisuse.test_order()
  local t = Thread{ target = function() end }
  support.fails("cannot join a thread before it is started", function() t:join() end)
  support.fails("cannot get the result of a thread before it is started", function() t:result() end)
  t:start()
  support.fails("a thread can only be started once", function() t:start() end)
  t:join()
  support.fails("a thread can only be started once", function() t:start() end)
  support.fails("bad argument #1 to 'join' (number expected, got string)", function() t:join "x" end)
  lu.assertErrorMsgContains("lfut.Thread expected", t.join, 1)
end

function TestMisuse.test_oneself()
  local t
  t = Thread{ target = function()
    local results = {}
    for _, verb in ipairs { "join", "result", "start" } do
      results[#results + 1] = select(2, pcall(function() t[verb](t) end)):match ": (.*)"
    end
    local inline = lfut.InlineExecutor()
    results[#results + 1] = select(2, pcall(function()
      inline:submit(function() t:join() end):result()
    end)):match ": (.*)"
    return table.concat(results, "\n"), t.name, t:is_alive()
  end }
  t:start()
  lu.assertEquals({ t:result() }, { [[
cannot join the current thread
cannot get the result of the current thread
a thread can only be started once
cannot join the current thread]], t.name, true })
end

function TestMisuse.test_in_a_circle()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local t
  local function work()
    return exe:submit(function() return t:join() end):result()
  end
  t = Thread{ target = work }
  t:start()
  support.is_error(support.raised(t.result, t), "DeadlockError")
end

TestElsewhere = {}

function TestElsewhere.test_in_a_task()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  lu.assertEquals({ exe:submit(function(x)
    local t = Thread{ target = function() return x * 2, lfut.worker().name end, name = "inner" }:start()
    return t:join(), t:result()
  end, 21):result() }, { true, 42, "inner" })
  local inline = lfut.InlineExecutor()
  lu.assertEquals(inline:submit(function() return Thread{ target = math.max, args = { 1, 2 } }:start():result() end)
    :result(), 2)
end

-- A join in a task parks it: the pool's one worker runs what lets it end.
function TestElsewhere.test_join_parks()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close>, t = held("x") -- opened first
  for _, wait in ipairs { function() return t:join(), t:result() end, function() return true, t:result() end } do
    local f = exe:submit(wait)
    lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
    exe:submit(gate.open, g):result()
    lu.assertEquals({ f:result() }, { true, "x" })
  end
  local g2 <close>, t2 = held()
  lu.assertIs(exe:submit(function() return t2:join(0.01) end):result(), false)
end

function TestElsewhere.test_a_thread_submits_and_waits()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local t = Thread{ target = function(n)
    local sum = 0
    for _, r in exe:map(function(i) return i end, lfut.range(n)) do
      sum = sum + r
    end
    return sum + Thread{ target = math.abs, args = { -1 } }:start():result()
  end, args = { 100 } }
  lu.assertEquals(t:start():result(), 5051)
end

function TestElsewhere.test_handles()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close>, t = held(7)
  local back, name, alive = exe:submit(function(t) return t, t.name, t:is_alive() end, t):result()
  lu.assertTrue(back == t)
  lu.assertEquals(name, t.name)
  lu.assertIs(alive, true)
  gate.open(g)
  lu.assertEquals(back:result(), 7)
  -- One that was not started:
  local new = Thread{ target = math.max, args = { 1, 2 } }
  support.fails_like("a thread can only be started where it was made", "", function()
    exe:submit(function() new:start() end):result()
  end)
  new:start()
  lu.assertEquals(exe:submit(function() return new:result() end):result(), 2)
end

function TestElsewhere.test_callbacks_run_in_join()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close>, t = held()
  local called = 0
  exe:submit(support.echo):add_done_callback(function()
    called = called + 1
    gate.open(g)
  end)
  t:join()
  lu.assertEquals(called, 1)
end

TestExit = {}

function TestExit.test_the_program_waits()
  local out, err, status = support.program [[
    require "lfut".Thread{ target = function()
      local t = {}
      for i = 1, 1e5 do t[i] = {} end
      print "thread"
    end }:start()
    print "main"
  ]]
  lu.assertEquals({ err, status }, { "", 0 })
  lu.assertItemsEquals({ out:match "(%a+)\n(%a+)\n" }, { "main", "thread" })
end

function TestExit.test_not_for_a_daemon()
  local bodies = { "lfut.sleep(1e6)", "while true do end", "while true do print 'daemon' end" }
  if os.getenv "LFUT_SANITIZER" == "thread" then
    bodies[3] = nil -- the C library flushes all streams at exit, without their locks
  end
  for _, body in ipairs(bodies) do
    local out, err, status = support.program(([[
      local lfut = require "lfut"
      lfut.Thread{ target = function() %s end, daemon = true }:start()
      lfut.Thread{ target = function() print "thread" end }:start()
      print "main"
    ]]):format(body))
    lu.assertEquals({ err, status }, { "", 0 })
    local lines = {}
    for line in out:gsub("daemon\n", ""):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    lu.assertItemsEquals(lines, { "main", "thread" })
  end
end

function TestExit.test_after_an_error_nobody_waits()
  local _, err, status = support.program [[
    local lfut = require "lfut"
    lfut.Thread{ target = lfut.sleep, args = { 1e6 } }:start()
    error "boom"
  ]]
  lu.assertEquals(status, 1)
  lu.assertStrContains(err, "boom")
end

local rc = support.run(TestLife, TestErrors, TestMisuse, TestElsewhere, TestExit)
if rc ~= 0 then
  os.exit(rc)
end
