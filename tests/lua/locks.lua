-- SPDX-License-Identifier: MIT
--
-- lfut.Lock, RLock, Semaphore, BoundedSemaphore, Condition, between threads and
-- processes.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local concurrent = require "concurrent"

TestLock = {}

for name, new in pairs { lock = lfut.Lock, rlock = lfut.RLock, condition = lfut.Condition } do
  TestLock["test_acquire_release_" .. name] = function()
    local l = new()
    lu.assertFalse(l:locked())
    lu.assertEquals({ l:acquire() }, { true })
    lu.assertTrue(l:locked())
    l:release()
    lu.assertFalse(l:locked())
    lu.assertEquals({ l:acquire(0) }, { true })
    l:release()
  end

  TestLock["test_release_what_is_not_held_" .. name] = function()
    local l = new()
    local message = "cannot release a lock that the caller does not hold"
    support.fails(message, function() l:release() end)
    l:acquire()
    local t = lfut.Thread { target = function() l:release() end }
    t:start()
    lu.assertStrContains(support.raised(t.result, t), message)
    l:release()
    support.fails(message, function() l:release() end)
  end

  TestLock["test_with_" .. name] = function()
    local l = new()
    lu.assertEquals({ l:with(function(...) return l:locked(), ... end, 1, nil, 3) }, { true, 1, nil, 3 })
    lu.assertFalse(l:locked())
    lu.assertEquals(support.raised(l.with, l, error, { 1 }), { 1 })
    lu.assertFalse(l:locked())
    lu.assertErrorMsgContains("function expected", l.with, l, 5)
  end

  TestLock["test_a_death_frees_" .. name] = function()
    local l = new()
    concurrent.killed(function(ready)
      l:acquire()
      ready:set()
      lfut.Event():wait()
    end)
    lu.assertFalse(l:locked())
    lu.assertEquals({ l:acquire() }, { true, "abandoned" })
    l:release()
    lu.assertEquals({ l:acquire() }, { true })
    l:release()
  end

  concurrent.add(TestLock, "excludes_" .. name, function(start)
    local l, v = new(), lfut.Value "int64"
    local list = {}
    for i = 1, 3 do
      list[i] = start(function()
        for k = 1, 300 do
          if k % 2 == 0 then
            l:with(function() v:set(v:get() + 1) end)
          else
            assert(l:acquire(100))
            v:set(v:get() + 1)
            l:release()
          end
        end
      end)
    end
    concurrent.join(list)
    lu.assertEquals(v:get(), 900)
  end)

  concurrent.add(TestLock, "timeout_" .. name, function(start)
    local l, out, go = new(), lfut.Queue(), lfut.Event()
    local p = start(function()
      l:acquire()
      out:put "held"
      go:wait()
      l:release()
    end)
    out:get()
    lu.assertFalse(l:acquire(0))
    lu.assertFalse(l:acquire(-1))
    lu.assertFalse(l:acquire(1e-6))
    lu.assertFalse(l:acquire(0.01))
    go:set()
    lu.assertTrue(l:acquire())
    l:release()
    p:join()
  end)
end

function TestLock.test_a_second_time()
  local l = lfut.Lock()
  l:acquire()
  lu.assertFalse(l:acquire(0))
  lu.assertFalse(l:acquire(0.001))
  support.fails_as("DeadlockError", "waiting would never end: the caller has the lock", l.acquire, l)
  support.fails_as("DeadlockError", nil, l.with, l, print)
  l:release()
end

function TestLock.test_recursive()
  local l = lfut.RLock()
  for _ = 1, 3 do
    lu.assertTrue(l:acquire())
  end
  lu.assertEquals(l:with(function() return l:with(function() return 1 end) end), 1)
  for _ = 1, 3 do
    local t = lfut.Thread { target = function() return l:acquire(0) end }
    t:start()
    lu.assertFalse(t:result())
    l:release()
  end
  support.fails("cannot release a lock that the caller does not hold", function() l:release() end)
end

-- Its count is the dead one's.
function TestLock.test_recursive_and_abandoned()
  local l = lfut.RLock()
  concurrent.killed(function(ready)
    l:acquire()
    l:acquire()
    ready:set()
    lfut.Event():wait()
  end)
  lu.assertEquals({ l:acquire() }, { true, "abandoned" })
  l:release()
  lu.assertFalse(l:locked())
end

-- Who waits when the holder dies is woken.
function TestLock.test_a_death_wakes_who_waits()
  local l, ready, out = lfut.Lock(), lfut.Event(), lfut.Queue()
  local p = lfut.Process { target = function()
    l:acquire()
    ready:set()
    lfut.Event():wait()
  end }
  p:start()
  ready:wait()
  local t = lfut.Thread { target = function()
    out:put "waits"
    return l:acquire()
  end }
  t:start()
  out:get()
  p:kill()
  lu.assertEquals({ t:result() }, { true, "abandoned" })
end

-- The holder is the task, not the worker under it.
function TestLock.test_held_by_the_task()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local l = lfut.Lock()
  local first = exe:submit(function()
    l:acquire()
    local inner = exe:submit(function() return l:acquire(0), pcall(l.release, l) end)
    local got, released = inner:result() -- on the same worker, meanwhile
    l:release()
    return got, released
  end)
  lu.assertEquals({ first:result() }, { false, false })
  lu.assertFalse(l:locked())
end

function TestLock.test_a_task_that_ends_keeps_it()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local l = lfut.Lock()
  exe:submit(function() l:acquire() end):result()
  lu.assertFalse(exe:submit(function() return l:acquire(0) end):result())
end

function TestLock.test_bad_arguments()
  lu.assertErrorMsgContains("number expected", lfut.Lock().acquire, lfut.Lock(), "x")
  lu.assertErrorMsgContains("number expected", lfut.Lock().acquire, lfut.Lock(), true)
  lu.assertErrorMsgContains("lfut.Lock expected", lfut.Lock().acquire, lfut.RLock())
  lu.assertErrorMsgContains("lfut.Lock expected", lfut.Lock().release)
  lu.assertErrorMsgContains("lfut.Lock or lfut.RLock expected", lfut.Condition, 5)
  lu.assertErrorMsgContains("at least 0", lfut.Semaphore, -1)
  lu.assertErrorMsgContains("number expected", lfut.BoundedSemaphore, {})
end

-- --- Semaphores ---

TestSemaphore = {}

function TestSemaphore.test_counts()
  for _, new in ipairs { lfut.Semaphore, lfut.BoundedSemaphore } do
    local s = new(2)
    lu.assertEquals(s:value(), 2)
    lu.assertTrue(s:acquire())
    lu.assertTrue(s:acquire(0))
    lu.assertFalse(s:acquire(0))
    lu.assertFalse(s:acquire(0.001))
    s:release()
    s:release()
    lu.assertEquals(s:value(), 2)
  end
  lu.assertEquals(lfut.Semaphore():value(), 1)
  lu.assertFalse(lfut.Semaphore(0):acquire(0))
end

function TestSemaphore.test_released_too_often()
  local s = lfut.Semaphore(1)
  s:release(5)
  lu.assertEquals(s:value(), 6)
  lu.assertErrorMsgContains("at least 1", s.release, s, 0)
  local b = lfut.BoundedSemaphore(2)
  support.fails("semaphore released too many times", function() b:release() end)
  b:acquire()
  support.fails("semaphore released too many times", function() b:release(2) end)
  b:release()
end

function TestSemaphore.test_with()
  local s = lfut.BoundedSemaphore(1)
  lu.assertEquals({ s:with(function(x) return s:value(), x end, 7) }, { 0, 7 })
  lu.assertEquals(support.raised(s.with, s, error, "e", 0), "e")
  lu.assertEquals(s:value(), 1)
end

concurrent.add(TestSemaphore, "lets_so_many_in", function(start)
  local s, inside, most = lfut.Semaphore(2), lfut.Value "int32", lfut.Value "int32"
  local list = {}
  for i = 1, 5 do
    list[i] = start(function()
      for _ = 1, 50 do
        s:acquire()
        local n = inside:add(1) + 1
        while true do
          local m = most:get()
          if n <= m or most:cas(m, n) then
            break
          end
        end
        inside:add(-1)
        s:release()
      end
    end)
  end
  concurrent.join(list)
  lu.assertTrue(most:get() <= 2)
  lu.assertEquals(s:value(), 2)
end)

concurrent.add(TestSemaphore, "release_wakes_as_many", function(start)
  local s, out = lfut.Semaphore(0), lfut.Queue()
  local list = {}
  for i = 1, 4 do
    list[i] = start(function()
      s:acquire()
      out:put(i)
    end)
  end
  s:release(2)
  out:get()
  out:get()
  lu.assertEquals(s:value(), 0)
  lu.assertTrue(out:empty())
  s:release(2)
  concurrent.join(list)
end)

-- --- Conditions ---

TestCondition = {}

function TestCondition.test_needs_its_lock()
  local c = lfut.Condition()
  local message = "the caller does not hold the condition's lock"
  support.fails(message, function() c:wait() end)
  support.fails(message, function() c:wait_for(print) end)
  support.fails(message, function() c:notify() end)
  support.fails(message, function() c:notify_all() end)
end

function TestCondition.test_wait_in_vain()
  for _, l in ipairs { lfut.Lock(), lfut.RLock() } do
    local c = lfut.Condition(l)
    lu.assertFalse(c:with(function() return c:wait(0.001) end))
    lu.assertFalse(c:with(function() return c:wait(0) end))
    lu.assertFalse(l:locked())
  end
end

-- All of a recursive lock is given away, and had again.
function TestCondition.test_recursive()
  local l = lfut.RLock()
  local c = lfut.Condition(l)
  l:acquire()
  l:acquire()
  l:acquire()
  local t = lfut.Thread { target = function()
    c:acquire()
    c:notify()
    c:release()
  end }
  t:start()
  lu.assertTrue(c:wait())
  t:result()
  for _ = 1, 3 do
    l:release()
  end
  lu.assertFalse(l:locked())
end

function TestCondition.test_shares_its_lock()
  local l = lfut.Lock()
  local c, d = lfut.Condition(l), lfut.Condition(l)
  c:acquire()
  lu.assertTrue(l:locked())
  lu.assertFalse(d:acquire(0))
  d:release()
end

concurrent.add(TestCondition, "wait_for", function(start)
  local c, v, out = lfut.Condition(), lfut.Value "int32", lfut.Queue()
  local p = start(function()
    c:acquire()
    out:put(c:wait_for(function() return v:get() >= 3 and "three" end))
    c:release()
  end)
  for i = 1, 3 do
    c:with(function()
      v:set(i)
      c:notify_all()
    end)
  end
  lu.assertEquals(out:get(), "three")
  p:join()
  lu.assertFalse(c:with(function() return c:wait_for(function() return false end, 0.01) end))
end)

-- As many are woken as are notified, and a notice is for those who wait.
concurrent.add(TestCondition, "notify_so_many", function(start)
  local c, waiting, woken = lfut.Condition(), lfut.Value "int32", lfut.Queue()
  c:with(function() c:notify(10) end)
  local list = {}
  for i = 1, 5 do
    list[i] = start(function()
      c:with(function()
        waiting:add(1)
        assert(c:wait())
        woken:put(i)
      end)
    end)
  end
  concurrent.await(function() return waiting:get() == 5 end)
  c:with(function() c:notify(2) end)
  woken:get()
  woken:get()
  lu.assertFalse(pcall(woken.get, woken, 0.02))
  c:with(function() c:notify() end)
  woken:get()
  lu.assertFalse(pcall(woken.get, woken, 0.02))
  c:with(function() c:notify_all() end)
  concurrent.join(list)
  lu.assertEquals(woken:qsize(), 2)
end)

function TestCondition.test_killed_while_waiting()
  local c, out = lfut.Condition(), lfut.Queue()
  local p = lfut.Process { target = function()
    c:acquire()
    out:put "waits"
    c:wait()
  end }
  p:start()
  out:get()
  c:acquire()
  p:kill()
  p:join()
  c:notify_all()
  lu.assertFalse(c:wait(0.001))
  c:release()
end

-- guard

function TestLock.test_guard()
  for _, lock in ipairs { lfut.Lock(), lfut.RLock(), lfut.Condition() } do
    do
      local g <close> = lock:guard()
      lu.assertIsUserdata(g)
      lu.assertTrue(lock:locked())
    end
    lu.assertFalse(lock:locked())
    lu.assertFalse((pcall(function()
      local _ <close> = lock:guard(1)
      error "out"
    end)))
    lu.assertFalse(lock:locked())
  end
  local lock = lfut.Lock()
  local _ <close> = lock:guard()
  lu.assertNil(lock:guard(0))
  support.fails_as("DeadlockError", nil, lock.guard, lock)
end

function TestLock.test_guard_among_tasks()
  for _, Executor in ipairs { lfut.ThreadPoolExecutor, lfut.ProcessPoolExecutor } do
    local exe <close> = Executor(4)
    local lock, n = lfut.Lock(), lfut.Value "int64"
    exe:for_each(function()
      for _ = 1, 50 do
        local _ <close> = lock:guard()
        n:set(n:get() + 1)
      end
    end, lfut.range(8))
    lu.assertEquals(n:get(), 400)
    local e = exe:submit(function()
      local _ <close> = lock:guard()
      os.exit(3)
    end):exception()
    lu.assertStrContains(tostring(e), "os.exit(3)")
    lu.assertFalse(lock:locked())
  end
end

function TestSemaphore.test_guard()
  local s = lfut.Semaphore(1)
  do
    local g <close> = s:guard()
    lu.assertIsUserdata(g)
    lu.assertEquals(s:value(), 0)
    lu.assertNil(s:guard(0))
  end
  lu.assertEquals(s:value(), 1)
end

os.exit(support.run(TestLock, TestSemaphore, TestCondition))
