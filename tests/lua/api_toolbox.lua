-- SPDX-License-Identifier: MIT
--
-- Queues, locks and the like in tasks, and queues as sources of loops.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local concurrent = require "concurrent"

TestToolbox = {}

local function double(x) return x * 2 end

-- A closed queue with these items.
local function queue_of(...)
  local q = lfut.Queue()
  for _, v in ipairs { ... } do
    q:put(v)
  end
  q:close()
  return q
end

function TestToolbox.test_producer_and_consumer()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local q, out = lfut.Queue(3), lfut.Queue()
  local consumer = exe:submit(function()
    local n = 0
    for v in q:iter() do
      n = n + v
    end
    out:put "consumed"
    return n
  end)
  local producer = exe:submit(function()
    for i = 1, 100 do
      q:put(i)
    end
    q:close()
  end)
  lu.assertEquals(out:get(), "consumed")
  producer:result()
  lu.assertEquals(consumer:result(), 5050)
end

function TestToolbox.test_between_tasks_and_the_script()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local there, back = lfut.Queue(), lfut.Queue()
  local f = exe:submit(function()
    for v in there:iter() do
      back:put(v + 1)
    end
  end)
  for i = 1, 50 do
    there:put(i)
    lu.assertEquals(back:get(), i + 1)
  end
  there:close()
  f:result()
end

function TestToolbox.test_errors_in_tasks()
  lu.skipIf(support.is_cluster, "cluster: nothing is shared")
  local exe <close> = support.Executor(1)
  local q = queue_of()
  local e = support.raised(function() exe:submit(function() q:put(1) end):result() end)
  support.is_error(e, "Closed", "the queue is closed")
  e = support.raised(function() exe:submit(function() lfut.Queue():get(0) end):result() end)
  support.is_error(e, "Empty", "the queue is empty")
  e = support.raised(function() exe:submit(function() lfut.Barrier(2):wait(0) end):result() end)
  support.is_error(e, "BrokenBarrier")
  support.works(exe)
end

function TestToolbox.test_counting()
  local exe <close> = support.Executor(2)
  local v, d, l = lfut.Value "int64", lfut.Dict(), lfut.Lock()
  exe:for_each(function(i)
    v:add(i)
    d:incr(i % 3)
    l:with(function() d:set("last", (d:get "last" or 0) + 1) end)
  end, lfut.range(300))
  lu.assertEquals(v:get(), 300 * 301 // 2)
  lu.assertEquals({ d:get(0), d:get(1), d:get(2), d:get "last" }, { 100, 100, 100, 300 })
end

-- A lock is the task's, across a wait in it.
function TestToolbox.test_a_lock_across_a_wait()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local l = lfut.Lock()
  local f = exe:submit(function()
    l:acquire()
    local other = lfut.ThreadPoolExecutor(1)
    local r = other:submit(function() return 5 end):result()
    other:shutdown()
    l:release()
    return r
  end)
  lu.assertEquals(f:result(), 5)
  lu.assertFalse(l:locked())
end

-- The task that has the lock was parked, and can go on only on this worker.
function TestToolbox.test_a_lock_of_a_parked_task()
  support.needs_threads()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = lfut.ThreadPoolExecutor(1)
  local l, g = lfut.Lock(), lfut.Event()
  local first = exe:submit(function()
    return l:with(function() return other:submit(function() return g:wait() end):result() end)
  end)
  concurrent.await(function() return l:locked() end)
  local second = exe:submit(function() return l:with(function() return "second" end) end)
  g:set()
  lu.assertTrue(first:result())
  lu.assertEquals(second:result(), "second")
end

-- A task that goes on while another waits on the same worker: each has its own
-- captured globals, and the call is for who looks.
function TestToolbox.test_another_task_on_top()
  support.needs_threads()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = lfut.ThreadPoolExecutor(1)
  local q, parked, waits, go = lfut.Queue(), lfut.Event(), lfut.Event(), lfut.Event()
  local function task(wait)
    return wait(), NAME
  end
  NAME = "below"
  local below = exe:submit(task, function()
    local f = other:submit(function() return go:wait() end)
    parked:set()
    return f:result() and NAME
  end)
  parked:wait()
  NAME = "above"
  local above = exe:submit(task, function()
    waits:set()
    return q:get()
  end)
  waits:wait()
  go:set()
  lu.assertEquals({ below:result() }, { "below", "below" })
  q:put "item"
  lu.assertEquals({ above:result() }, { "item", "above" })
  NAME = nil
end

function TestToolbox.test_a_barrier_of_tasks()
  support.needs_workers()
  local exe <close> = support.Executor(3)
  local b = lfut.Barrier(3)
  local futs = {}
  for i = 1, 3 do
    futs[i] = exe:submit(function() return b:wait() end)
  end
  local sum = 0
  for i = 1, 3 do
    sum = sum + futs[i]:result()
  end
  lu.assertEquals(sum, 0 + 1 + 2)
end

function TestToolbox.test_an_event_for_all()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local e = lfut.Event()
  local a, b = exe:submit(function() return e:wait() end), exe:submit(function() return e:wait(1e6) end)
  e:set()
  lu.assertTrue(a:result())
  lu.assertTrue(b:result())
end

-- Methods travel by name.
function TestToolbox.test_methods_as_tasks()
  local exe <close> = support.Executor(1)
  local q = lfut.Queue()
  exe:submit(q.put, q, { 5 }):result()
  lu.assertEquals(exe:submit(q.get, q):result(), { 5 })
  lu.assertEquals(exe:submit(q.qsize, q):result(), 0)
  local v, a = lfut.Value("int32", 3), lfut.Array("int32", { 1, 2 })
  lu.assertEquals(exe:submit(v.add, v, 4):result(), 3)
  lu.assertEquals({ exe:submit(a.get, a):result() }, { 1, 2 })
  lu.assertEquals(v:get(), 7)
end

-- --- Queues as sources ---

function TestToolbox.test_map_over_a_queue()
  local exe <close> = support.Executor(2)
  local it = exe:map(double, queue_of(1, 2, 3, 4, 5))
  lu.assertEquals(it:list(), { 2, 4, 6, 8, 10, n = 5 })
  lu.assertNil(it())
  lu.assertEquals(exe:map(double, queue_of()):list(), { n = 0 })
end

-- Small and large ones, also with what they refer to.
function TestToolbox.test_all_kinds_of_items()
  local exe <close> = support.Executor(2)
  local function length(x, n) return #x + (n or 0) end
  local items = { "small", ("x"):rep(1000), { 1, { 2 } }, lfut.Array("int8", 7), { lfut.Queue(), ("y"):rep(300), 3 } }
  local want = { 5, 1000, 2, 7, 3, n = 5 }
  lu.assertEquals(exe:map(length, queue_of(table.unpack(items))):list(), want)
  local zipped = exe:map(length, lfut.zip(queue_of(table.unpack(items)), { 10, 10, 10, 10, 10 })):list()
  lu.assertEquals(zipped, { 15, 1010, 12, 17, 13, n = 5 })
  lu.assertEquals(exe:for_each(length, queue_of(table.unpack(items))), 5)
end

function TestToolbox.test_other_loops_over_a_queue()
  local exe <close> = support.Executor(2)
  lu.assertEquals(exe:for_each(double, queue_of(1, 2, 3)), 3)
  lu.assertEquals(exe:reduce(double, queue_of(1, 2, 3), math.max), 6)
  lu.assertEquals(exe:starmap(math.max, queue_of({ 1, 5 }, { 7, 2 })):list(), { 5, 7, n = 2 })
  lu.assertEquals(exe:map(math.max, lfut.zip(queue_of(1, 9), { 5, 5, 5 })):list(), { 5, 9, n = 2 })
end

-- Results come as items come; the queue is still open.
function TestToolbox.test_as_items_come()
  local exe <close> = support.Executor(2)
  local q = lfut.Queue()
  local it = exe:map(double, q)
  for i = 1, 20 do
    q:put(i)
    local k, r = it()
    lu.assertEquals({ k, r }, { i, 2 * i })
  end
  q:close()
  lu.assertNil(it())
end

function TestToolbox.test_a_producer_elsewhere()
  local exe <close> = support.Executor(2)
  local q = lfut.Queue(4)
  local t = lfut.Thread { target = function()
    for i = 1, 200 do
      q:put(i)
    end
    q:close()
  end }
  t:start()
  local sum = 0
  for _, r in exe:map(double, q, { ordered = false }) do
    sum = sum + r
  end
  lu.assertEquals(sum, 200 * 201)
  t:join()
end

function TestToolbox.test_a_queue_that_stays_empty()
  local exe <close> = support.Executor(1)
  local q = lfut.Queue()
  q:put(1)
  local it = exe:map(double, q, { timeout = 0.05 })
  lu.assertEquals({ it() }, { 1, 2 })
  support.fails_as("TimeoutError", nil, it)
  lu.assertNil(it())
end

-- It is pulled from no further than is needed.
function TestToolbox.test_buffersize()
  local exe <close> = support.Executor(1)
  local q = lfut.Queue()
  for i = 1, 10 do
    q:put(i)
  end
  local it = exe:map(double, q, { buffersize = 2 })
  it()
  lu.assertTrue(q:qsize() >= 7)
  it:close()
end

function TestToolbox.test_a_loop_over_a_queue_in_a_task()
  support.needs_threads()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local q = queue_of(1, 2, 3)
  lu.assertEquals(exe:submit(function() return exe:map(double, q):list() end):result(), { 2, 4, 6, n = 3 })
end

function TestToolbox.test_shutdown_before_the_first_item()
  local exe = support.Executor(1)
  local q = lfut.Queue()
  local it = exe:map(double, q)
  exe:shutdown()
  q:put(1)
  lu.assertErrorMsgContains("cannot schedule new futures after shutdown", it)
  lu.assertEquals(q:qsize(), 1)
end

function TestToolbox.test_shutdown_while_the_queue_is_open()
  local exe = support.Executor(1)
  local q = lfut.Queue()
  q:put(1)
  local it = exe:map(double, q)
  lu.assertEquals({ it() }, { 1, 2 })
  exe:shutdown()
  q:put(2)
  lu.assertErrorMsgContains("cannot schedule new futures after shutdown", it)
  lu.assertEquals(q:qsize(), 1)
end

os.exit(support.run(TestToolbox))
