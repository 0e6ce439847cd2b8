-- SPDX-License-Identifier: MIT
--
-- Native tasks (API §8): by whom they are run and how many at once, those that
-- wait their turn, loops, and crashes.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local libraries = require "libraries"
local support = require "support"
local Array = lfut.Array
local echo = support.echo

local misbehave, misbehave_path = libraries.misbehave, libraries.misbehave_path
local v = libraries.values "safe"

TestThreads = {}

-- A call that is held at the gate.
local function hold(exe, g, fn)
  return exe:submit(fn, g.bell, g.way)
end

function TestThreads.test_serial_is_the_default_and_parks_no_worker()
  support.needs_workers()
  support.needs_threads()
  local lib = lfut.load(misbehave_path, libraries.misbehave_text)
  local watch = misbehave "safe"
  watch.forget()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local first = hold(exe, g, lib.hold_serial)
  gate.arrived(g)
  local more = {}
  for i = 1, 5 do
    more[i] = hold(exe, g, i % 2 == 0 and lib.hold_serial or lib.hold_safe)
  end
  -- The other worker has seen them all when it comes to these.
  for i = 1, 10 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  for _, f in ipairs(more) do
    lu.assertEquals(f:state(), "pending")
  end
  lu.assertTrue(first:running())
  gate.open(g)
  for _, f in ipairs(more) do
    f:result()
  end
  lu.assertEquals(watch.overlap(-1), 1)
end

function TestThreads.test_serial_with_one_worker()
  local lib = misbehave "serial"
  local exe <close> = support.Executor(1)
  local futures = {}
  for i = 1, 100 do
    futures[i] = exe:submit(lib.hold_serial, nil, nil)
  end
  for _, f in ipairs(futures) do
    lu.assertEquals(f:result(), 0)
  end
end

function TestThreads.test_serial_among_pools_loops_tasks_and_calls()
  support.needs_workers()
  support.needs_threads()
  local lib, watch = misbehave "serial", misbehave "safe"
  watch.forget()
  local a <close> = support.Executor(3)
  local b <close> = support.Executor(2)
  local futures = {}
  for i = 1, support.size(500) do
    futures[i] = (i % 2 == 0 and a or b):submit(lib.hold_serial, nil, nil)
  end
  local calls = {}
  for i = 1, support.size(1000) do
    calls[i] = {}
  end
  local it = a:starmap(lib.hold_safe, calls)
  local inner = b:submit(function(lib)
    for _ = 1, 100 do
      lib.hold_serial(nil, nil)
    end
  end, lib)
  lu.assertStrContains(support.raised(it), "2 arguments expected, got 0")
  it:close()
  for i = 1, #calls do
    calls[i] = { n = 2 }
  end
  it = a:starmap(lib.hold_safe, calls)
  for _ = 1, 100 do
    lib.hold_safe(nil, nil)
  end
  lu.assertEquals(it:list().n, #calls)
  for _, f in ipairs(futures) do
    f:result()
  end
  inner:result()
  lu.assertEquals(watch.overlap(-1), 1)
end

function TestThreads.test_serial_however_often_it_is_loaded()
  support.needs_workers()
  support.needs_threads()
  local one = lfut.load(misbehave_path, "int hold_serial(const char *bell, const char *way);")
  local other = lfut.load(misbehave_path, "int hold_safe(const char *bell, const char *way);")
  local exe <close> = support.Executor(3)
  local g <close> = gate.new()
  local first = hold(exe, g, one.hold_serial)
  gate.arrived(g)
  local second = hold(exe, g, other.hold_safe)
  for i = 1, 10 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  lu.assertEquals({ first:state(), second:state() }, { "running", "pending" })
  gate.open(g)
  first:result()
  second:result()
end

function TestThreads.test_serial_is_for_each_process_by_itself()
  lu.skipIf(not support.is_process, "threads: there is one process")
  local lib = misbehave "serial"
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local futures = { hold(exe, g, lib.hold_serial), hold(exe, g, lib.hold_serial) }
  gate.arrived(g, 2)
  gate.open(g)
  for _, f in ipairs(futures) do
    f:result()
  end
end

-- In a task: while a call is held at the gate, does another executor of this
-- process begin one? Opens the gate.
local function look_inside(fn, g)
  local bell <close> = assert(io.open(g.bell))
  bell:read "l"
  local exe <close> = require "lfut".ThreadPoolExecutor(1)
  local f = exe:submit(fn, nil, nil)
  exe:submit(echo):result()
  local state = f:state()
  gate.open(g)
  f:result()
  return state
end

-- A path as what loops pass without an interpreter.
local function in_array(name)
  return Array("uint8", { (name .. "\0"):byte(1, -1) })
end

function TestThreads.test_calls_tasks_and_loops_keep_threads_of_their_process_out()
  local calls = {
    call = function(exe, fn, g) exe:submit(function(fn, g) fn(g.bell, g.way) end, fn, g):result() end,
    task = function(exe, fn, g) hold(exe, g, fn):result() end,
    loop = function(exe, fn, g) exe:starmap(fn, { { in_array(g.bell), in_array(g.way) } }):list() end,
  }
  local exe <close> = support.Executor(1)
  for _, threads in ipairs { "serial", "affine" } do
    local lib = lfut.load(misbehave_path, "int hold_safe(const uint8_t *bell, const uint8_t *way);",
      { threads = threads })
    for name, call in pairs(calls) do
      local g <close> = gate.new()
      exe:submit(function(fn, g)
        G_seen = require "lfut".ThreadPoolExecutor(1):submit(look_inside, fn, g)
      end, lib.hold_safe, g):result()
      call(exe, lib.hold_safe, g)
      local state = exe:submit(function() return G_seen:result() end):result()
      lu.assertEquals(state, "pending", threads .. ", " .. name)
    end
  end
end

-- The older task is of a pool whose worker is busy.
function TestThreads.test_serial_tasks_of_an_idle_pool_come_first()
  support.needs_workers()
  support.needs_threads()
  local lib = misbehave "serial"
  local a <close> = support.Executor(1)
  local b <close> = support.Executor(1)
  local c <close> = support.Executor(1)
  local inside <close> = gate.new()
  local first = hold(c, inside, lib.hold_serial)
  gate.arrived(inside)
  local older = a:submit(lib.hold_serial, nil, nil)
  lu.assertEquals(a:submit(echo, 1):result(), 1)
  local g <close>, busy = support.held(a)
  local newer = b:submit(lib.hold_serial, nil, nil)
  lu.assertEquals(b:submit(echo, 1):result(), 1)
  gate.open(inside)
  lu.assertEquals({ first:result(), newer:result() }, { 0, 0 })
  lu.assertEquals(older:state(), "pending")
  gate.open(g)
  lu.assertEquals(older:result(), 0)
  busy:result()
end

function TestThreads.test_safe_calls_overlap()
  support.needs_workers()
  local lib = misbehave "safe"
  local exe <close> = support.Executor(3)
  local g <close> = gate.new()
  local futures = {}
  for i = 1, 3 do
    futures[i] = hold(exe, g, lib.hold_safe)
  end
  gate.arrived(g, 3)
  gate.open(g)
  for _, f in ipairs(futures) do
    f:result()
  end
end

function TestThreads.test_affine_is_always_the_same_worker()
  support.needs_workers()
  local lib = lfut.load("c", "int gettid(void);", { threads = "affine" })
  local exe <close> = support.Executor(3)
  -- All workers are there, and idle.
  for _, f in ipairs(exe:broadcast(echo)) do
    f:result()
  end
  local first = exe:submit(lib.gettid):result()
  local futures = {}
  for i = 1, 200 do
    futures[i] = exe:submit(lib.gettid)
  end
  for _, f in ipairs(futures) do
    lu.assertEquals(f:result(), first)
  end
  for _, id in exe:starmap(lib.gettid, { {}, {}, {}, {}, {}, {}, {}, {} }, { chunksize = 1 }) do
    lu.assertEquals(id, first)
  end
end

function TestThreads.test_affine_leaves_the_others_alone()
  support.needs_workers()
  local lib = misbehave "affine"
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local held = { hold(exe, g, lib.hold_serial), hold(exe, g, lib.hold_serial) }
  gate.arrived(g)
  for i = 1, 20 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  lu.assertEquals(held[2]:state(), "pending")
  gate.open(g)
  held[2]:result()
end

function TestThreads.test_affine_loops_of_a_task()
  support.needs_workers()
  local lib, held = lfut.load("c", "int gettid(void);", { threads = "affine" }), misbehave "affine"
  local exe <close> = support.Executor(2)
  local home = exe:submit(lib.gettid):result()
  local g <close> = gate.new()
  local busy = hold(exe, g, held.hold_safe)
  gate.arrived(g)
  local f = exe:submit(function(exe, fn, g)
    local calls = {}
    for i = 1, 20 do
      calls[i] = {}
    end
    local it = exe:starmap(fn, calls, { chunksize = 1 })
    gate.ring(g)
    return it:list()
  end, exe, lib.gettid, g)
  gate.arrived(g)
  -- The other worker has nothing else to do.
  for i = 1, 10 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  gate.open(g)
  for _, id in ipairs(f:result()) do
    lu.assertEquals(id, home)
  end
  busy:result()
end

function TestThreads.test_affine_is_not_for_broadcast()
  local lib = lfut.load("c", "int gettid(void);", { threads = "affine" })
  local exe <close> = support.Executor(2)
  support.fails("gettid may only run in one worker (threads = 'affine')", function() exe:broadcast(lib.gettid) end)
  support.works(exe)
end

function TestThreads.test_for_processes_only()
  local lib = lfut.load("c", "int getpid(void);", { threads = "process" })
  local exe <close> = support.Executor(1)
  local message = "getpid of libc.so.6 may only run in worker processes (threads = 'process'): " ..
    "submit it to a ProcessPoolExecutor"
  support.fails(message, function() local _ = lib.getpid() end)
  if support.is_process then
    local pid = exe:submit(lfut.getpid):result()
    lu.assertEquals(exe:submit(lib.getpid):result(), pid)
    lu.assertEquals(exe:submit(function(lib) return lib.getpid() + 0 end, lib):result(), pid)
    lu.assertEquals(exe:starmap(lib.getpid, { {}, {} }):list(), { pid, pid, n = 2 })
  else
    support.fails(message, function() exe:submit(lib.getpid) end)
    support.fails(message, function() exe:map(lib.getpid, { 1 }) end)
    lu.assertStrContains(exe:submit(function(lib) return lib.getpid() + 0 end, lib):exception(), message)
  end
  support.works(exe)
end

-- Cancelling what waits for a serial library

function TestThreads.test_cancel_a_task_that_waits_its_turn()
  support.needs_workers()
  support.needs_threads()
  local lib = misbehave "serial"
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local first = hold(exe, g, lib.hold_serial)
  gate.arrived(g)
  local second, third = exe:submit(lib.hold_serial, nil, nil), exe:submit(lib.hold_serial, nil, nil)
  lu.assertEquals(exe:submit(echo, 1):result(), 1)
  lu.assertTrue(second:cancel())
  lu.assertTrue(second:cancelled())
  support.fails_as("CancelledError", nil, second.result, second)
  lu.assertFalse(first:cancel())
  lu.assertEquals(third:state(), "pending")
  gate.open(g)
  lu.assertEquals({ first:result(), third:result() }, { 0, 0 })
  support.works(exe)
  lu.assertEquals(exe:stats().cancelled, 1)
end

function TestThreads.test_shutdown_cancels_tasks_that_wait_their_turn()
  support.needs_workers()
  support.needs_threads()
  local lib = misbehave "serial"
  local exe = support.Executor(2)
  local g <close> = gate.new()
  local first = hold(exe, g, lib.hold_serial)
  gate.arrived(g)
  local waiting = {}
  for i = 1, 10 do
    waiting[i] = exe:submit(lib.hold_serial, nil, nil)
  end
  lu.assertEquals(exe:submit(echo, 1):result(), 1)
  exe:shutdown(false, true)
  for _, f in ipairs(waiting) do
    lu.assertTrue(f:cancelled())
  end
  gate.open(g)
  lu.assertEquals(first:result(), 0)
  exe:shutdown()
  lu.assertEquals(exe:stats().cancelled, 10)
end

function TestThreads.test_shutdown_waits_for_tasks_that_wait_their_turn()
  support.needs_workers()
  local lib = misbehave "serial"
  local exe = support.Executor(2)
  local g <close> = gate.new()
  local futures = { hold(exe, g, lib.hold_serial) }
  gate.arrived(g)
  for i = 2, 10 do
    futures[i] = exe:submit(lib.hold_serial, nil, nil)
  end
  exe:shutdown(false)
  gate.open(g)
  exe:shutdown()
  for _, f in ipairs(futures) do
    lu.assertEquals(f:state(), "finished")
  end
end

function TestThreads.test_loops_that_wait_their_turn()
  support.needs_workers()
  support.needs_threads()
  local lib = misbehave "serial"
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local first = hold(exe, g, lib.hold_serial)
  gate.arrived(g)
  local calls = { { n = 2 }, { n = 2 }, { n = 2 }, { n = 2 } }
  local left, kept = exe:starmap(lib.hold_safe, calls, { chunksize = 1 }), exe:starmap(lib.hold_safe, calls)
  for i = 1, 10 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  support.fails_as("TimeoutError", nil, exe:starmap(lib.hold_safe, calls, { timeout = 0 }))
  left:close()
  lu.assertNil(left())
  lu.assertEquals(exe:submit(echo, 1):result(), 1)
  gate.open(g)
  lu.assertEquals(kept:list(), { 2, 2, 2, 2, n = 4 })
  lu.assertEquals(first:result(), 0)
end

function TestThreads.test_tasks_that_wait_for_native_ones()
  local lib = misbehave "serial"
  local exe <close> = support.Executor(1)
  local n = exe:submit(function(exe, lib)
    exe = require "support".receive_executor(exe)
    local futures = {}
    for i = 1, 10 do
      futures[i] = exe:submit(lib.hold_serial, nil, nil)
    end
    for _, f in ipairs(futures) do
      f:result()
    end
    return exe:starmap(lib.hold_safe, { { n = 2 }, { n = 2 } }):list().n
  end, support.send_executor(exe), lib):result()
  lu.assertEquals(n, 2)
end

-- Loops

TestLoops = {}

function TestLoops.test_over_all_sources()
  local exe <close> = support.Executor(2)
  local function check(want, items, options)
    lu.assertEquals(exe:map(v.same_double, items, options):list(), want)
  end
  for _, chunksize in ipairs { 1, 3, 100 } do
    local o = { chunksize = chunksize }
    check({ 1.0, 2.0, 3.0, n = 3 }, lfut.range(3), o)
    check({ 0.5, 1.0, 1.5, n = 3 }, lfut.range(0.5, 1.5, 0.5), o)
    check({ 5.0, 3.0, 1.0, n = 3 }, lfut.range(5, 1, -2), o)
    check({ 1.0, 0.5, n = 2 }, { 1, 0.5 }, o)
    check({ n = 0 }, {}, o)
    check({ 7.0, 8.0, n = 2 }, Array("int16", { 7, 8 }), o)
    check({ 0.5, -1.0, n = 2 }, Array("double", { 0.5, -1 }), o)
    check({ 2.0, 4.0, n = 2 }, lfut.zip { 2, 4 }, o)
    local i = 0
    check({ 1.0, 2.0, 3.0, 4.0, n = 4 }, function() i = i + 1 return i < 5 and i or nil end, o)
  end
end

function TestLoops.test_strings_arrays_booleans()
  local exe <close> = support.Executor(2)
  lu.assertEquals(exe:map(v.measure, { "", "a", "bcd", ("x"):rep(1000) }):list(), { 0, 1, 3, 1000, n = 4 })
  lu.assertEquals(exe:map(v.same_text, { "a", "bc" }):list(), { "a", "bc", n = 2 })
  lu.assertEquals(exe:map(v.measure, { nil, "a", nil, n = 3 }):list(), { -1, 1, -1, n = 3 })
  lu.assertEquals(exe:map(v.same_bool, { true, false }):list(), { true, false, n = 2 })
  local arrays = Array("uint8", { 1, 2, 3, 4, 5 }):chunks(2)
  lu.assertEquals(exe:map(v.sum_bytes, lfut.zip(arrays, { 2, 2, 1 })):list(), { 3, 7, 5, n = 3 })
end

function TestLoops.test_large_ones()
  local exe <close> = support.Executor(3)
  local n = support.size(200000)
  local seen = 0
  for i, r in exe:map(v.same_int64_t, lfut.range(n)) do
    seen = seen + 1
    if r ~= i then
      lu.assertEquals(r, i)
    end
  end
  lu.assertEquals(seen, n)
  local a = Array("int64", n)
  for i = 1, n do
    a[i] = -i
  end
  lu.assertEquals(exe:reduce(v.same_int64_t, a, function(x, y) return x + y end, 0), -n * (n + 1) // 2)
  lu.assertEquals(exe:reduce(v.same_double, lfut.range(n), math.max), n + 0.0)
  lu.assertEquals(exe:for_each(v.same_double, lfut.range(n)), n)
end

function TestLoops.test_in_the_order_of_completion()
  local exe <close> = support.Executor(3)
  local seen = {}
  for i, r in exe:map(v.same_int32_t, lfut.range(1000), { ordered = false }) do
    lu.assertEquals(r, i)
    lu.assertNil(seen[i])
    seen[i] = true
  end
  lu.assertEquals(#seen, 1000)
end

function TestLoops.test_items_that_are_refused()
  local exe <close> = support.Executor(2)
  local good, bad = {}, {}
  for i, ok, r in exe:map(v.same_int8_t, { 1, 200, 3, "x", 5 }, { protected = true, chunksize = 2 }) do
    (ok and good or bad)[i] = r
  end
  lu.assertEquals(good, { [1] = 1, [3] = 3, [5] = 5 })
  lu.assertStrContains(bad[2], "same_int8_t: argument 1 'x': 200 does not fit int8_t")
  lu.assertStrContains(bad[4], "same_int8_t: argument 1 'x': int8_t expected, got string")
  local it = exe:map(v.same_uint8_t, lfut.range(250, 260))
  for i = 1, 6 do
    lu.assertEquals({ it() }, { i, 249 + i })
  end
  lu.assertStrContains(support.raised(it), "256 does not fit uint8_t")
  it:close()
  lu.assertStrContains(support.raised(exe.for_each, exe, v.sum_bytes, { "x" }), "2 arguments expected, got 1 (s, n)")
end

-- The library is locked for what needs no interpreter, and for each other item.
function TestLoops.test_items_of_serial_functions_that_need_an_interpreter()
  local s = libraries.values "serial"
  local exe <close> = support.Executor(2)
  local function add(a, b) return a + b end
  for _, chunksize in ipairs { 1, 3 } do
    local o = { chunksize = chunksize, protected = true }
    lu.assertEquals(exe:map(s.measure, { nil, "a", "bc", nil, n = 4 }, { chunksize = chunksize }):list(),
      { -1, 1, 2, -1, n = 4 })
    local results = {}
    for i, ok, r in exe:map(s.same_int8_t, { 1, "x", 3 }, o) do
      results[i] = ok and r or "refused"
    end
    lu.assertEquals(results, { 1, "refused", 3 })
    lu.assertEquals(exe:reduce(s.same_int32_t, lfut.range(10), add, nil, { chunksize = chunksize }), 55)
    lu.assertEquals(exe:for_each(s.measure, { "a", "b" }, { chunksize = chunksize }), 2)
    lu.assertStrContains(support.raised(exe.for_each, exe, s.same_int8_t, { 1, "x" }), "int8_t expected, got string")
  end
  support.works(exe)
end

function TestLoops.test_handles_as_items()
  for _, threads in ipairs { "serial", "safe" } do
    local s = libraries.values(threads)
    local exe <close> = support.Executor(1) -- whose they are
    local things = exe:map(s.get_thing, { 0, 1, 2, 3 }):list()
    lu.assertEquals(exe:map(s.get_number, things):list(), { 0, 1, 2, -1, n = 4 })
  end
end

function TestLoops.test_messages_of_items_are_those_of_calls()
  local exe <close> = support.Executor(1)
  for text, call in pairs {
    ["same_int8_t: argument 1 'x': 200 does not fit int8_t"] = { v.same_int8_t, 200 },
    ["same_int8_t: argument 1 'x': int8_t expected, got string"] = { v.same_int8_t, "200" },
    ["sum_bytes: 2 arguments expected, got 1 (s, n)"] = { v.sum_bytes, "x" },
    ["raise_int8_t: argument 1 'x': the array is read-only"] = { v.raise_int8_t, Array("int8", 1):readonly(), 1 },
    ["measure: argument 1 's': string contains '\\0'; pass a length and use const uint8_t *"] = { v.measure, "\0" },
    ["apply: argument 1 'f': Lua callbacks cannot be passed to native tasks"] = { v.apply, echo, 1 },
  } do
    local _, ok, e = exe:starmap(call[1], { { table.unpack(call, 2) } }, { protected = true })()
    lu.assertEquals({ ok, e }, { false, text })
  end
end

function TestLoops.test_broadcast()
  support.needs_workers()
  local exe <close> = support.Executor(3)
  local lib = lfut.load("c", "int gettid(void);", { threads = "safe" })
  local seen, n = {}, 0
  for _, f in ipairs(exe:broadcast(lib.gettid)) do
    lu.assertNil(seen[f:result()])
    seen[f:result()] = true
    n = n + 1
  end
  lu.assertEquals(n, 3)
end

-- Crashes

TestCrashes = {}

local function assert_lost(e, signal, func)
  support.is_error(e, "WorkerLost")
  lu.assertEquals(e.signal, signal)
  lu.assertStrContains(e.func, func)
  lu.assertStrContains(e.message, ("died of %s while running %s"):format(signal, e.func))
end

function TestCrashes.test_cost_a_worker_process_its_task()
  lu.skipIf(not support.is_process, "threads: the program would end")
  lu.skipIf((os.getenv "LFUT_SANITIZER" or "no") ~= "no", "a sanitizer reports and exits")
  local lib = misbehave "safe"
  local exe <close> = support.Executor(1)
  for _, signal in ipairs { "SIGSEGV", "SIGABRT", "SIGFPE" } do
    local f, after = exe:submit(lib.crash, signal), exe:submit(echo, signal)
    assert_lost(f:exception(), signal, "crash of misbehave.so")
    lu.assertEquals(after:result(), signal)
  end
  local e = exe:submit(lib.quit, 7):exception()
  support.is_error(e, "WorkerLost")
  lu.assertEquals(e.exitcode, 7)
  lu.assertStrContains(e.func, "quit of misbehave.so")
  support.works(exe)
end

function TestCrashes.test_in_a_loop()
  lu.skipIf(not support.is_process, "threads: the program would end")
  lu.skipIf((os.getenv "LFUT_SANITIZER" or "no") ~= "no", "a sanitizer reports and exits")
  local lib = misbehave "safe"
  local exe <close> = support.Executor(2)
  local items = { "none", "none", "SIGSEGV", "none" }
  local results = {}
  for i, ok, e in exe:map(lib.crash, items, { chunksize = 1, protected = true }) do
    results[i] = ok
    if not ok then
      assert_lost(e, "SIGSEGV", "crash of misbehave.so")
    end
  end
  lu.assertEquals(results, { true, true, false, true })
  support.works(exe)
end

local rc = support.run_on_one_machine(TestThreads, TestLoops, TestCrashes)
if rc ~= 0 then
  os.exit(rc)
end
