-- SPDX-License-Identifier: MIT
--
-- lfut.Queue between threads and processes.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local concurrent = require "concurrent"

TestQueue = {}

local function raises(kind, message, fn, ...)
  return support.fails_as(kind, message, fn, ...)
end

function TestQueue.test_first_in_first_out()
  local q = lfut.Queue()
  for i = 1, 1000 do
    q:put(i)
  end
  lu.assertEquals(q:qsize(), 1000)
  for i = 1, 1000 do
    lu.assertEquals(q:get(), i)
  end
  lu.assertTrue(q:empty())
  lu.assertFalse(q:full())
end

function TestQueue.test_nothing_to_get()
  local q = lfut.Queue()
  raises("Empty", "the queue is empty", q.get_nowait, q)
  raises("Empty", "the queue is empty", q.get, q, 0)
  raises("Empty", "the queue is empty", q.get, q, -1)
  raises("Empty", "the queue is empty", q.get, q, 1e-6)
end

function TestQueue.test_no_room()
  local q = lfut.Queue(2)
  q:put(1)
  q:put(2)
  lu.assertTrue(q:full())
  lu.assertEquals(q.maxsize, 2)
  raises("Full", "the queue is full", q.put_nowait, q, 3)
  raises("Full", "the queue is full", q.put, q, 3, 0)
  raises("Full", "the queue is full", q.put, q, { 3 }, 1e-6)
  lu.assertEquals(q:get(), 1)
  q:put_nowait(3)
  lu.assertEquals({ q:get(), q:get() }, { 2, 3 })
end

function TestQueue.test_unbounded()
  for _, n in ipairs { 0, -5 } do
    local q = lfut.Queue(n)
    lu.assertEquals(q.maxsize, 0)
    q:put(1)
    lu.assertFalse(q:full())
  end
end

function TestQueue.test_closed()
  local q = lfut.Queue()
  q:put(1)
  lu.assertFalse(q.closed)
  q:close()
  q:close()
  lu.assertTrue(q.closed)
  raises("Closed", "the queue is closed", q.put, q, 2)
  lu.assertEquals(q:get(), 1)
  raises("Closed", "the queue is closed", q.get, q)
  raises("Closed", nil, q.get_nowait, q)
end

function TestQueue.test_iter()
  local q = lfut.Queue()
  for i = 1, 10 do
    q:put(i % 2 == 0 and i or false)
  end
  q:close()
  local got = {}
  for v in q:iter() do
    got[#got + 1] = v
  end
  lu.assertEquals(got, { false, 2, false, 4, false, 6, false, 8, false, 10 })
end

function TestQueue.test_any_value()
  local q = lfut.Queue()
  local up = 10
  local function f(x) return x + up end
  local cycle = { name = "cycle" }
  cycle.self = cycle
  for _, v in ipairs { 1, 1.0, -0.0, true, false, "", "a\0b", math.mininteger } do
    q:put(v)
    local back = q:get()
    lu.assertEquals(math.type(back), math.type(v))
    lu.assertEquals(back, v)
  end
  q:put(f)
  lu.assertEquals(q:get()(5), 15)
  q:put(cycle)
  local back = q:get()
  lu.assertIs(back.self, back)
  lu.assertFalse(back == cycle)
  q:put(string.format)
  lu.assertIs(q:get(), string.format)
  local a = lfut.Array("int32", { 1, 2, 3 })
  q:put { a, a:slice(2, 3), q }
  local arrays = q:get()
  arrays[2][1] = 20
  lu.assertEquals(a[2], 20)
  lu.assertTrue(arrays[3] == q)
end

function TestQueue.test_any_size()
  local q = lfut.Queue()
  for _, n in ipairs { 0, 1, 255, 256, 65535, 65536, 65537, support.size(20000000) } do
    local s = ("x"):rep(n)
    q:put(s)
    q:put { s }
    lu.assertTrue(q:get() == s)
    lu.assertTrue(q:get()[1] == s)
  end
end

function TestQueue.test_is_a_copy()
  local q = lfut.Queue()
  local t = { 1 }
  q:put(t)
  t[1] = 2
  lu.assertEquals(q:get(), { 1 })
end

function TestQueue.test_refused()
  local q = lfut.Queue()
  local e = support.raised(q.put, q, nil)
  lu.assertStrContains(e, "nil cannot be put into a queue")
  e = raises("TransferError", nil, q.put, q, { log = io.tmpfile() })
  lu.assertEquals(e.message, "cannot send argument 1.log (userdata FILE*) to a queue")
  raises("TransferError", nil, q.put, q, coroutine.create(print))
  lu.assertTrue(q:empty())
end

function TestQueue.test_bad_arguments()
  local q = lfut.Queue()
  lu.assertErrorMsgContains("number expected", q.put, q, 1, "soon")
  lu.assertErrorMsgContains("number expected", q.get, q, "soon")
  lu.assertErrorMsgContains("number expected", lfut.Queue, "large")
  lu.assertErrorMsgContains("lfut.Queue expected", q.put, {}, 1)
  lu.assertErrorMsgContains("lfut.Queue expected", q.get, io.stdout)
  lu.assertErrorMsgContains("lfut.Queue expected", q.get, lfut.Lock())
end

function TestQueue.test_tostring()
  lu.assertEquals(tostring(lfut.Queue()), "lfut.Queue(0 items)")
  local q = lfut.Queue(3)
  q:put(1)
  q:close()
  lu.assertEquals(tostring(q), "lfut.Queue(1 item of 3, closed)")
end

function TestQueue.test_task_done()
  local q = lfut.Queue()
  support.fails("task_done() called too many times", function() q:task_done() end)
  q:put(1)
  lu.assertFalse(q:join(0))
  q:get()
  lu.assertFalse(q:join(1e-6))
  q:task_done()
  lu.assertTrue(q:join())
  support.fails("task_done() called too many times", function() q:task_done() end)
end

-- Futures and executors stay in their process.
function TestQueue.test_futures()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local q = lfut.Queue()
  q:put { exe, exe:submit(function() return 42 end) }
  local t = q:get()
  lu.assertTrue(t[1] == exe)
  lu.assertEquals(t[2]:result(), 42)
  q:put(exe:submit(function() return 43 end)) -- left in it
end

function TestQueue.test_a_process_refuses_foreign_objects()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local q, out = lfut.Queue(), lfut.Queue()
  q:put(exe:submit(function() return 1 end))
  local p = lfut.Process { target = function()
    local ok, e = pcall(q.get, q)
    out:put { ok, e.kind, e.message }
  end }
  p:start()
  lu.assertEquals(out:get(), { false, "TransferError",
    "cannot take the next item of the queue here: it refers to objects of another process" })
  p:join()
  lu.assertEquals(q:get():result(), 1) -- it is still there
end

function TestQueue.test_what_is_shared_takes_no_futures()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local q, go = lfut.Queue(), lfut.Event()
  local p = lfut.Process { target = function() go:wait() end }
  p:start()
  local e = raises("TransferError", nil, q.put, q, exe:submit(print))
  lu.assertStrContains(e.message, "cannot cross into another process")
  go:set()
  p:join()
end

-- A callback that is due runs while its interpreter waits for a queue.
function TestQueue.test_what_came_through_a_queue_takes_no_futures()
  local exe <close> = lfut.ProcessPoolExecutor(1)
  exe:submit(type, 1):result() -- the worker is there before the queues
  local mail, inner = lfut.Queue(), lfut.Queue()
  mail:put(inner)
  local taken, e = exe:submit(function()
    local threads <close> = lfut.ThreadPoolExecutor(1)
    local here = mail:get()
    return pcall(here.put, here, threads:submit(type, 1))
  end):result()
  lu.assertFalse(taken)
  lu.assertStrContains(tostring(e), "cannot cross into another process")
  lu.assertTrue(inner:empty())
end

function TestQueue.test_callbacks_run_meanwhile()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local q = lfut.Queue()
  exe:submit(function() return 7 end):add_done_callback(function(f) q:put(f:result()) end)
  lu.assertEquals(q:get(), 7)
end

function TestQueue.test_memory_comes_back()
  local q = lfut.Queue()
  support.relaxed()
  for _ = 1, 20 do
    for _ = 1, 50 do
      q:put(("y"):rep(100000))
    end
    for _ = 1, 50 do
      q:get()
    end
  end
  lu.assertTrue(q:empty())
end

-- --- Several parties ---

concurrent.add(TestQueue, "producers_and_consumers", function(start)
  local work, done = lfut.Queue(10), lfut.Queue()
  local list = {}
  for i = 1, 3 do
    list[#list + 1] = start(function()
      for k = 1, 200 do
        work:put { i, k, ("z"):rep(k) }
      end
    end)
  end
  local consumers = {}
  for i = 1, 2 do
    consumers[i] = start(function()
      local n, sum = 0, 0
      for item in work:iter() do
        n, sum = n + 1, sum + item[2]
        assert(#item[3] == item[2])
      end
      done:put { n, sum }
    end)
  end
  concurrent.join(list)
  work:close()
  concurrent.join(consumers)
  local a, b = done:get(), done:get()
  lu.assertEquals(a[1] + b[1], 600)
  lu.assertEquals(a[2] + b[2], 3 * 200 * 201 // 2)
end)

concurrent.add(TestQueue, "each_in_its_order", function(start)
  local q = lfut.Queue(3)
  local list = {}
  for i = 1, 3 do
    list[i] = start(function()
      for k = 1, 100 do
        q:put { i, k }
      end
    end)
  end
  local last = { 0, 0, 0 }
  for _ = 1, 300 do
    local item = q:get()
    lu.assertEquals(item[2], last[item[1]] + 1)
    last[item[1]] = item[2]
  end
  concurrent.join(list)
end)

concurrent.add(TestQueue, "close_wakes_who_gets", function(start)
  local q, out = lfut.Queue(), lfut.Queue()
  local list = {}
  for i = 1, 3 do
    list[i] = start(function()
      out:put "here"
      local ok, e = pcall(q.get, q)
      out:put(not ok and e.kind)
    end)
  end
  for _ = 1, 3 do
    out:get()
  end
  q:close()
  concurrent.join(list)
  lu.assertEquals({ out:get(), out:get(), out:get() }, { "Closed", "Closed", "Closed" })
end)

concurrent.add(TestQueue, "close_wakes_who_puts", function(start)
  local q, out = lfut.Queue(1), lfut.Queue()
  q:put "first"
  local list = {}
  for i = 1, 3 do
    list[i] = start(function()
      out:put "here"
      local ok, e = pcall(q.put, q, { "second" })
      out:put(not ok and e.kind)
    end)
  end
  for _ = 1, 3 do
    out:get()
  end
  q:close()
  concurrent.join(list)
  lu.assertEquals({ out:get(), out:get(), out:get() }, { "Closed", "Closed", "Closed" })
  lu.assertEquals(q:get(), "first")
end)

concurrent.add(TestQueue, "join_waits_for_all", function(start)
  local q, n = lfut.Queue(), lfut.Value "int64"
  for i = 1, 50 do
    q:put(i)
  end
  local list = {}
  for i = 1, 2 do
    list[i] = start(function()
      for _ in q:iter() do
        n:add(1)
        q:task_done()
      end
    end)
  end
  lu.assertTrue(q:join())
  lu.assertEquals(n:get(), 50)
  q:close()
  concurrent.join(list)
end)

concurrent.add(TestQueue, "functions_and_classes", function(start)
  local there, back = lfut.Queue(), lfut.Queue()
  local Point = {}
  Point.__index = Point
  function Point.norm(p) return p.x * p.x + p.y * p.y end
  local p = start(function()
    local f, v = there:get(), there:get()
    back:put { f(20), v:norm(), v }
  end)
  local k = 1
  there:put(function(x) return x * 2 + k end)
  there:put(setmetatable({ x = 3, y = 4 }, Point))
  local t = back:get()
  lu.assertEquals({ t[1], t[2] }, { 41, 25 })
  lu.assertIs(getmetatable(t[3]), Point)
  p:join()
end)

concurrent.add(TestQueue, "arrays_and_queues", function(start)
  local q, more = lfut.Queue(), lfut.Queue()
  local p = start(function()
    local reply = q:get()
    local a = lfut.Array("double", 1000)
    a:fill(1.5)
    reply:put(a)
    reply:put(lfut.Queue())
    local own = more:get()
    own[1] = 99
    reply:put "done"
  end)
  local reply = lfut.Queue()
  q:put(reply)
  local a = reply:get()
  lu.assertEquals(a[1000], 1.5)
  local other = reply:get()
  other:put(1)
  lu.assertEquals(other:get(), 1)
  more:put(a)
  p:join()
  lu.assertEquals(reply:get(), "done")
  lu.assertEquals(a[1], 99)
end)

function TestQueue.test_what_a_process_has_put_outlives_it()
  local q = lfut.Queue()
  local p = lfut.Process { target = function()
    for i = 1, 10 do
      local a = lfut.Array("int32", 100)
      a:fill(i)
      q:put { a, i, lfut.Lock() }
    end
  end }
  p:start()
  p:join()
  for i = 1, 10 do
    local t = q:get()
    lu.assertEquals({ t[1][100], t[2] }, { i, i })
    lu.assertTrue(t[3]:acquire(0))
  end
end

function TestQueue.test_killed_getters()
  local q = lfut.Queue()
  for _ = 1, 20 do
    concurrent.killed(function(ready)
      ready:set()
      q:get()
    end)
  end
  q:put "still there"
  lu.assertEquals(q:get(), "still there")
end

function TestQueue.test_killed_putters()
  local q = lfut.Queue(5)
  for _ = 1, 20 do
    concurrent.killed(function(ready)
      for i = 1, math.huge do
        q:put(("k"):rep(i))
        ready:set()
      end
    end)
    while not q:empty() do
      local v = q:get()
      lu.assertEquals(v, ("k"):rep(#v))
    end
  end
end

-- The same with workers of a pool, which begin otherwise than other processes.
for _, method in ipairs { "fork", "spawn" } do
  TestQueue["test_killed_workers_" .. method] = function()
    support.needs_processes()
    local exe <close> = support.new_processes(method, { max_workers = 2 })
    local q, d, ready = lfut.Queue(50), lfut.Dict(), lfut.Semaphore(0)
    for round = 1, support.size(60) do
      local pids = lfut.Queue()
      local futs = {}
      for i = 1, 2 do
        futs[i] = exe:submit(function()
          pids:put(lfut.getpid())
          for k = 1, math.huge do
            pcall(q.put_nowait, q, ("k"):rep(k * round % 5000))
            pcall(q.get_nowait, q)
            d:set(k % 5, ("v"):rep(k % 3000))
            ready:release()
          end
        end)
      end
      local first, second = pids:get(), pids:get()
      for _ = 1, round do
        ready:acquire()
      end
      os.execute(("kill -KILL %d %d"):format(first, second))
      for i = 1, 2 do
        lu.assertTrue(lfut.is_error(futs[i]:exception(), "WorkerLost"))
      end
      while not q:empty() do
        local v = q:get()
        lu.assertTrue(v == ("k"):rep(#v))
      end
      for k, v in pairs(d) do
        lu.assertTrue(v == ("v"):rep(#v), k)
      end
    end
  end
end

function TestQueue.test_killed_in_a_long_put()
  support.needs_processes()
  local exe <close> = lfut.ProcessPoolExecutor(1)
  local q = lfut.Queue()
  local f = exe:submit(function()
    q:put "first"
    local large = ("x"):rep(support.size(100000000))
    while true do
      q:put(large)
    end
  end)
  lu.assertEquals(q:get(), "first")
  exe:kill_workers()
  lu.assertTrue(lfut.is_error(f:exception(), "WorkerLost"))
  while not q:empty() do
    lu.assertEquals(#q:get(), support.size(100000000))
  end
  q:put "still usable"
  lu.assertEquals(q:get(), "still usable")
end

-- One look may have answered two calls: nobody goes on sleeping.
concurrent.add(TestQueue, "no_call_is_lost", function(start)
  local q, out = lfut.Queue(), lfut.Queue()
  local s = lfut.Semaphore(0)
  local list = {}
  for i = 1, 2 do
    list[2 * i - 1] = start(function()
      for v in q:iter() do
        out:put(v)
      end
    end)
    list[2 * i] = start(function()
      while s:acquire() do
        if q.closed then
          break
        end
        out:put "permit"
      end
    end)
  end
  for _ = 1, support.size(3000) do
    q:put(1)
    q:put(2)
    s:release()
    s:release()
    for _ = 1, 4 do
      out:get()
    end
  end
  q:close()
  s:release(2)
  concurrent.join(list)
end)

-- Many different arrays, while one stays there: places are used again.
function TestQueue.test_many_arrays_one_after_the_other()
  local q, d, hold = lfut.Queue(), lfut.Dict(), {}
  support.relaxed()
  d:set("stays", lfut.Array("int8", { 1 }))
  for i = 1, support.size(40000) do
    hold[i] = lfut.Array("int8", { i % 100 })
    q:put(hold[i])
    lu.assertEquals(q:get()[1], i % 100)
  end
  lu.assertEquals(d:get "stays"[1], 1)
end

-- What lies in a queue of a process that has ended, which nobody has, goes.
function TestQueue.test_queues_of_the_dead()
  for _ = 1, 10 do
    local p = lfut.Process { target = function()
      local own = lfut.Queue()
      own:put(lfut.Array("double", 100000):fill(1))
      own:put { lfut.Lock(), lfut.Queue() }
    end }
    p:start()
    p:join()
    lu.assertEquals(p.exitcode, 0)
  end
end

-- A worker takes an array of a process that lives, returns it, and ends.
function TestQueue.test_relayed_arrays()
  support.needs_processes()
  local q, own, go, out = lfut.Queue(), lfut.Queue(), lfut.Event(), lfut.Queue()
  local p = lfut.Process { target = function()
    local mine = lfut.Queue()
    for i = 1, 100 do
      mine:put { lfut.Array("int32", 10):fill(i), ("m"):rep(i) }
    end
    q:put(lfut.Array("int32", 1000):fill(7))
    go:wait()
    collectgarbage()
    local others = {}
    for i = 1, 100 do
      others[i] = lfut.Array("int32", 1000):fill(666)
    end
    out:put "reused"
    own:get()
    for i = 1, 100 do
      local t = mine:get()
      assert(t[1][10] == i and t[2] == ("m"):rep(i))
    end
  end }
  p:start()
  local a
  do
    local exe <close> = lfut.ProcessPoolExecutor(1)
    a = exe:submit(function() return q:get() end):result()
  end
  go:set()
  out:get()
  lu.assertEquals({ a[1], a[1000] }, { 7, 7 })
  a = nil
  collectgarbage()
  own:put "go on"
  p:join()
  lu.assertEquals(p.exitcode, 0)
end

-- One process drops what it has of a dead one, another has it still.
function TestQueue.test_a_queue_of_the_dead_that_another_has()
  support.needs_processes()
  local q, go, out = lfut.Queue(), lfut.Event(), lfut.Queue()
  local other = lfut.Process { target = function()
    local c = q:get()
    out:put "has it"
    go:wait()
    for i = 1, 50 do
      local t = c:get()
      assert(t[1] == i and #t[2] == 2000)
    end
    c:put "still usable"
    assert(c:get() == "still usable")
  end }
  other:start()
  local c
  do
    local exe <close> = lfut.ProcessPoolExecutor(1)
    c = exe:submit(function()
      local c = lfut.Queue()
      for i = 1, 50 do
        c:put { i, ("c"):rep(2000) }
      end
      q:put(c)
      return c
    end):result()
    out:get()
  end
  lu.assertEquals(c:qsize(), 50)
  c = nil
  collectgarbage()
  collectgarbage()
  go:set()
  other:join()
  lu.assertEquals(other.exitcode, 0)
end

os.exit(support.run(TestQueue))
