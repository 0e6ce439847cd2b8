-- SPDX-License-Identifier: MIT
--
-- Futures made of futures: f:and_then, lfut.all, lfut.any (API §10).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

local function add1(x, ...) return x + 1, ... end

local function raise(value) error(value, 0) end

local exe

local function set_up() exe = support.Executor(2) end

local function tear_down() exe:shutdown() end

-- fn(...), inside of a task where there is another worker than the caller.
local function inside(fn, ...)
  if support.is_inline then
    return fn(...)
  end
  return exe:submit(fn, ...):result()
end

TestAndThen = { setUp = set_up, tearDown = tear_down }

function TestAndThen.test_is_called_with_all_results()
  local f = exe:submit(function() return 1, nil, "x", { 2 }, math.sin, nil end)
  local n, list = f:and_then(function(...) return select("#", ...), { ... } end):result()
  lu.assertEquals(n, 6)
  lu.assertEquals({ list[1], list[3], list[4] }, { 1, "x", { 2 } })
  lu.assertEquals(list[5], math.sin)
  lu.assertEquals(f:result(), 1) -- still has them
  lu.assertEquals({ f:and_then(add1):and_then(add1):result() }, { 3, nil, "x", { 2 }, math.sin })
end

function TestAndThen.test_without_results()
  lu.assertEquals(exe:submit(function() end):and_then(function(...) return select("#", ...) end):result(), 0)
end

function TestAndThen.test_captures_now_what_it_captures()
  local k = 10
  local f = exe:submit(add1, 0):and_then(function(x) return x + k end)
  k = 20
  lu.assertEquals(f:result(), 11)
end

-- Both name the same globals: each is set when the task runs, and when it goes
-- on.
function TestAndThen.test_functions_among_results_have_their_globals()
  SHARED_SCALE = 3
  local f = exe:submit(function() return function(x) return x * SHARED_SCALE end end)
  local g = f:and_then(function(fn)
    lfut.wait {}
    return fn(2), SHARED_SCALE
  end)
  lu.assertEquals({ g:result() }, { 6, 3 })
  SHARED_SCALE = nil
end

function TestAndThen.test_objects_keep_their_class()
  local Point = {}
  Point.__index = Point
  function Point.norm(p) return p.x + p.y end
  local f = exe:submit(function(p) return p end, setmetatable({ x = 1, y = 2 }, Point))
  local g = f:and_then(function(p) return p:norm(), p end)
  local n, p = g:result()
  lu.assertEquals(n, 3)
  lu.assertIs(getmetatable(p), Point)
end

function TestAndThen.test_an_error_passes_with_its_value_and_traceback()
  local f = exe:submit(function() local t = nil; return t.x end)
  local g = f:and_then(add1):and_then(add1)
  lu.assertEquals(g:exception(), f:exception())
  lu.assertStrContains(g:exception(), "api_chain.lua:")
  lu.assertEquals(g:traceback(), f:traceback())
  lu.assertStrContains(tostring(g), "attempt to index")
  lu.assertEquals(g:state(), "failed")
  local h = exe:submit(raise, { code = 5 }):and_then(add1)
  lu.assertEquals(support.raised(h.result, h), { code = 5 })
  lu.assertEquals({ exe:submit(raise, nil):and_then(add1):exception() }, { support.nil_error, true })
end

function TestAndThen.test_its_own_error()
  local g = exe:submit(add1, 1):and_then(function(x) error("got " .. x) end)
  lu.assertStrContains(g:exception(), "api_chain.lua:")
  lu.assertStrContains(g:exception(), "got 2")
  lu.assertStrContains(g:traceback(), "api_chain.lua")
end

function TestAndThen.test_waits_for_nobody()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local g, f = support.held(one)
  local h = f:and_then(function() return "after" end)
  local other = one:submit(function() return "queued" end)
  lu.assertEquals(h:state(), "pending")
  lu.assertFalse(h:done())
  support.fails_as("TimeoutError", nil, h.result, h, 0)
  gate.open(g)
  lu.assertEquals({ h:result(), other:result() }, { "after", "queued" })
end

function TestAndThen.test_is_cancelled_with_its_future()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local g <close> = support.held(one)
  local f = one:submit(add1, 1)
  local h = f:and_then(add1):and_then(add1)
  lu.assertTrue(f:cancel())
  lu.assertTrue(h:cancelled())
  support.fails_as("CancelledError", nil, h.result, h)
end

function TestAndThen.test_can_be_cancelled()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local g, f = support.held(one)
  local h = f:and_then(add1)
  local i = h:and_then(add1)
  lu.assertTrue(h:cancel())
  lu.assertTrue(h:cancel())
  lu.assertTrue(h:cancelled())
  lu.assertTrue(i:cancelled())
  lu.assertEquals(one:stats().cancelled, 2)
  gate.open(g)
  f:result()
  lu.assertTrue(h:cancelled())
  support.works(one)
end

function TestAndThen.test_after_shutdown()
  local own = support.Executor(1)
  local f = own:submit(add1, 1)
  own:shutdown()
  support.fails("cannot schedule new futures after shutdown", function() return (f:and_then(add1)) end)
end

function TestAndThen.test_shutdown_waits_for_it()
  support.needs_workers()
  local own = support.Executor(1)
  local g, f = support.held(own)
  local h = f:and_then(function() return "after" end):and_then(function(x) return x .. " all" end)
  own:shutdown(false)
  gate.open(g)
  own:shutdown()
  lu.assertEquals(h:state(), "finished")
  lu.assertEquals(h:result(), "after all")
end

function TestAndThen.test_shutdown_cancels_it_at_once()
  support.needs_workers()
  local own = support.Executor(1)
  local g = support.held(own)
  local f = own:submit(add1, 1)
  local held = { f:and_then(add1), f:and_then(add1):and_then(add1) }
  own:shutdown { wait = false, cancel_futures = true }
  lu.assertEquals(#lfut.wait(held), 2)
  lu.assertTrue(held[1]:cancelled() and held[2]:cancelled())
  gate.open(g)
  own:shutdown()
end

function TestAndThen.test_a_dropped_executor_finishes_it()
  support.needs_workers()
  local f
  do
    local own = support.Executor(1)
    f = own:submit(add1, 1):and_then(add1):and_then(add1)
  end
  collectgarbage()
  collectgarbage()
  lu.assertEquals(f:result(), 4)
end

function TestAndThen.test_wrong_use()
  local f = exe:submit(add1, 1)
  support.fails("bad argument #1 to 'and_then' (function expected, got no value)", function() return (f:and_then()) end)
  support.fails("bad argument #1 to 'and_then' (function expected, got number)", function() return (f:and_then(1)) end)
end

function TestAndThen.test_what_cannot_travel_is_refused_at_the_call()
  local co = coroutine.create(print)
  local f = exe:submit(add1, 1)
  local e = support.fails_as("TransferError", nil, f.and_then, f, function() return co end)
  lu.assertStrContains(e.message, "upvalue 'co'")
end

function TestAndThen.test_is_a_future_like_others()
  local f = exe:submit(add1, 1)
  local g = f:and_then(add1)
  local got
  g:add_done_callback(function(x) got = x end)
  local done = lfut.wait { f, g }
  lu.assertEquals(#done, 2)
  for x in lfut.as_completed { g } do
    lu.assertIs(x, g)
  end
  lfut.poll()
  lu.assertIs(got, g)
  lu.assertEquals(tostring(g), "Future(finished: number)")
  lu.assertNotEquals(f, g)
end

function TestAndThen.test_goes_to_tasks()
  support.needs_workers()
  local f = exe:submit(add1, 1):and_then(add1)
  lu.assertEquals(exe:submit(function(f) return f:result() end, f):result(), 3)
  lu.assertEquals(exe:submit(function(f, add1) return f:and_then(add1):and_then(add1):result() end, f, add1):result(), 5)
end

function TestAndThen.test_in_a_task_of_its_own_tasks()
  local function chain(exe, add1)
    local f = exe:submit(add1, 0)
    for _ = 1, 20 do
      f = f:and_then(add1)
    end
    return f:result()
  end
  lu.assertEquals(inside(chain, exe, add1), 21)
end

function TestAndThen.test_a_task_returns_it()
  support.needs_workers()
  local f = exe:submit(function(exe, add1) return exe:submit(add1, 0):and_then(add1) end, exe, add1):result()
  lu.assertEquals(f:result(), 2)
end

function TestAndThen.test_waits_for_it_where_nothing_can_yield()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local sorted = one:submit(function(exe, add1)
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b)
      return exe:submit(add1, a):and_then(add1):result() < b + 2
    end)
    return list
  end, one, add1):result()
  lu.assertEquals(sorted, { 1, 2, 3 })
end

-- Tasks that wait for what waits for them: given to them by a broadcast.
local function waits_for(make, way)
  support.needs_workers()
  local own <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(support.echo)
  local f = own:submit(function()
    wake:result()
    local ok, e = pcall(way, MINE)
    return ok, e
  end)
  own:broadcast(function(x) MINE = x end, make(f, other))[1]:result()
  gate.open(g)
  local ok, e = f:result()
  lu.assertFalse(ok)
  support.is_error(e, "DeadlockError")
end

local function result(f) return f:result() end

function TestAndThen.test_a_task_that_waits_for_what_comes_after_it()
  waits_for(function(f) return f:and_then(add1) end, result)
  waits_for(function(f) return f:and_then(add1):and_then(add1) end, result)
end

function TestAndThen.test_a_task_that_waits_for_all_with_itself()
  waits_for(function(f, other) return lfut.all { other:submit(add1, 1), f:and_then(add1) } end, result)
  waits_for(function(f) return lfut.any { lfut.all { f }, f } end, result)
  waits_for(function(f) return f end, function(f) return lfut.all({ lfut.all { f } }):result() end)
end

function TestAndThen.test_a_long_chain()
  local n = support.size(support.is_process and 500 or 100000)
  local one <close> = support.Executor(1)
  support.relaxed()
  local f = one:submit(function() return 0 end)
  for _ = 1, n do
    f = f:and_then(add1)
  end
  lu.assertEquals(f:result(), n)
end

TestAll = { setUp = set_up, tearDown = tear_down }

local function squares(n)
  local list = {}
  for i = 1, n do
    list[i] = exe:submit(function(i) return i * i, "more" end, i)
  end
  return list
end

function TestAll.test_first_results_in_order()
  lu.assertEquals(lfut.all(squares(5)):result(), { 1, 4, 9, 16, 25, n = 5 })
end

function TestAll.test_holes()
  local none, null = exe:submit(function() end), exe:submit(function() return nil, 1 end)
  local list = lfut.all { none, exe:submit(add1, 1), null }:result()
  lu.assertEquals(list, { nil, 2, nil, n = 3 })
end

function TestAll.test_tables_and_functions()
  local shared = exe:submit(function() local t = {} t.self = t return t end)
  local double = exe:submit(function() return function(x) return 2 * x end end)
  local list = lfut.all { shared, double, shared }:result()
  lu.assertIs(list[1].self, list[1])
  lu.assertEquals(list[2](21), 42)
  lu.assertNotIs(list[1], list[3])
end

function TestAll.test_of_none()
  local f = lfut.all {}
  lu.assertEquals(f:state(), "finished")
  lu.assertEquals(f:result(), { n = 0 })
  support.fails("the future has no executor that could run more", function() return (f:and_then(add1)) end)
end

function TestAll.test_of_all()
  local f = lfut.all { lfut.all(squares(2)), lfut.all {}, exe:submit(add1, 1) }
  lu.assertEquals(f:result(), { { 1, 4, n = 2 }, { n = 0 }, 2, n = 3 })
end

function TestAll.test_the_same_future_twice()
  local f = exe:submit(add1, 1)
  lu.assertEquals(lfut.all({ f, f }):result(), { 2, 2, n = 2 })
end

function TestAll.test_fails_as_soon_as_one_has()
  support.needs_workers()
  local g <close> = gate.new()
  local held = exe:submit(gate.hold, g)
  gate.arrived(g)
  local f = lfut.all { held, exe:submit(raise, { code = 7 }) }
  lu.assertEquals(f:exception(), { code = 7 })
  lu.assertEquals(f:state(), "failed")
  lu.assertFalse(held:done())
end

function TestAll.test_cancelled_with_an_input()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local g <close> = support.held(one)
  local f = one:submit(add1, 1)
  local all = lfut.all { f, exe:submit(add1, 1) }
  f:cancel()
  support.fails_as("CancelledError", nil, all.result, all)
end

function TestAll.test_cancelling_it_leaves_the_others()
  support.needs_workers()
  local g <close> = gate.new()
  local held = exe:submit(gate.hold, g, 5)
  gate.arrived(g)
  local all = lfut.all { held }
  lu.assertEquals(all:state(), "pending")
  lu.assertTrue(all:cancel())
  gate.open(g)
  lu.assertEquals(held:result(), 5)
  lu.assertTrue(all:cancelled())
end

function TestAll.test_of_several_executors()
  local other <close> = lfut.ThreadPoolExecutor(1)
  local all = lfut.all { exe:submit(add1, 1), other:submit(add1, 2) }
  lu.assertEquals(all:result(), { 2, 3, n = 2 })
  local g = all:and_then(function(list) return list[1] + list[2], lfut.worker().kind end)
  lu.assertEquals({ g:result() }, { 5, support.is_async and "async" or "thread" })
end

function TestAll.test_goes_on()
  local g = lfut.all(squares(3)):and_then(function(list) return #list, list end)
  lu.assertEquals({ g:result() }, { 3, { 1, 4, 9, n = 3 } })
end

function TestAll.test_goes_to_tasks()
  local all = lfut.all(squares(3))
  lu.assertEquals(exe:submit(function(all) return all:result() end, all):result(), { 1, 4, 9, n = 3 })
end

function TestAll.test_in_a_task()
  local function run(exe)
    local list = {}
    for i = 1, 4 do
      list[i] = exe:submit(function(i) return i end, i)
    end
    local all, any = lfut.all(list), lfut.any(list)
    local i, r = any:result()
    return all:result().n, i == r, all:and_then(function(l) return l[4] end):result()
  end
  lu.assertEquals({ inside(run, exe) }, { 4, true, 4 })
end

-- On one worker: no task keeps it while it waits.
function TestAll.test_divide_and_conquer()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local function fib(exe, fib, n)
    if n < 2 then
      return n
    end
    local list = lfut.all { exe:submit(fib, exe, fib, n - 1), exe:submit(fib, exe, fib, n - 2) }:result()
    return list[1] + list[2]
  end
  lu.assertEquals(one:submit(fib, one, fib, 8):result(), 21)
end

function TestAll.test_many()
  local n = support.size(support.is_process and 2000 or 100000)
  support.relaxed()
  local list = squares(n)
  local all = lfut.all(list)
  while #list > 1 do
    local pairs = {}
    for i = 1, #list, 2 do
      pairs[#pairs + 1] = lfut.any { list[i], list[i + 1] }
    end
    list = pairs
  end
  lu.assertEquals(all:result().n, n)
  lu.assertEquals(list[1]:state(), "finished")
end

function TestAll.test_wrong_use()
  support.fails("bad argument #1 to 'all' (table expected, got no value)", function() return (lfut.all()) end)
end

TestAny = { setUp = set_up, tearDown = tear_down }

function TestAny.test_the_first_success()
  support.needs_workers()
  local g <close> = gate.new()
  local held = exe:submit(gate.hold, g)
  gate.arrived(g)
  local any = lfut.any { held, exe:submit(raise, "no"), exe:submit(function() return "yes", nil, 3, nil end) }
  lu.assertEquals(table.pack(any:result()), { 3, "yes", nil, 3, nil, n = 5 })
  lu.assertFalse(held:done())
end

function TestAny.test_of_those_that_are_done_the_first()
  local list = squares(3)
  lfut.wait(list)
  lu.assertEquals({ lfut.any(list):result() }, { 1, 1, "more" })
end

function TestAny.test_many_results()
  local f = exe:submit(function() return table.unpack({}, 1, 254) end)
  lu.assertEquals(select("#", lfut.any({ f }):result()), 255)
  local g = exe:submit(function() return table.unpack({}, 1, 400) end)
  lu.assertEquals(select("#", lfut.any({ g }):result()), 401)
end

function TestAny.test_objects()
  local f = exe:submit(function() local t = { 1 } return t, t, function() return t end end)
  local i, a, b, get = lfut.any({ f }):result()
  lu.assertEquals(i, 1)
  lu.assertIs(a, b)
  lu.assertIs(get(), a)
end

function TestAny.test_the_last_error()
  local list = { exe:submit(raise, "first"), exe:submit(raise, "second") }
  lfut.wait(list)
  local any = lfut.any(list)
  lu.assertEquals(support.raised(any.result, any), "second")
  lu.assertEquals(any:traceback(), list[2]:traceback())
end

function TestAny.test_goes_on()
  local any = lfut.any { exe:submit(add1, 1) }
  lu.assertEquals({ any:and_then(function(i, x) return i, x end):result() }, { 1, 2 })
end

function TestAny.test_wrong_use()
  support.fails("bad argument #1 to 'any' (at least one future expected)", function() return (lfut.any {}) end)
  support.fails("bad argument #1 to 'any' (future expected at index 2, got number)",
    function() return (lfut.any { exe:submit(add1, 1), 2 }) end)
  support.fails("bad argument #1 to 'all' (futures expected in a list or as keys, got a key that is a string)",
    function() return (lfut.all { first = exe:submit(add1, 1) }) end)
end

TestLoss = {}

function TestLoss.test_of_the_worker_passes_on()
  lu.skipIf(not support.is_process, "threads do not die alone")
  local own <close> = support.Executor(1)
  local f = own:submit(function() os.execute("kill -9 " .. lfut.getpid()) lfut.sleep(1e6) end)
  local g = f:and_then(add1)
  local e = support.raised(g.result, g)
  lu.assertEquals({ e.kind, e.signal, e.func }, { "WorkerLost", "SIGKILL", f:exception().func })
  lu.assertEquals(support.raised(lfut.all({ g }).result, lfut.all { g }).kind, "WorkerLost")
end

function TestLoss.test_broken_pool_passes_on()
  support.needs_workers()
  local own <close> = support.Executor { max_workers = 1, initializer = function() error("not today", 0) end }
  local ok, f = pcall(own.submit, own, add1, 1)
  if ok then
    local g_ok, g = pcall(f.and_then, f, add1)
    support.fails_as(support.broken_kind, nil, (g_ok and g or f).result, g_ok and g or f)
    local all = lfut.all { f }
    support.fails_as(support.broken_kind, nil, all.result, all)
  end
end

os.exit(support.run(TestAndThen, TestAll, TestAny, TestLoss))
