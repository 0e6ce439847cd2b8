-- SPDX-License-Identifier: MIT
--
-- Tasks that wait for what is shared: they keep their worker from new tasks, but
-- not from those that it has begun.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestSharedWaits = {}

-- For each primitive: what waits (and returns true), and what ends that.
local primitives = {
  event = function()
    local e = lfut.Event()
    return function() return e:wait() end, function() e:set() end
  end,
  get = function()
    local q = lfut.Queue()
    return function() return q:get() end, function() q:put(true) end
  end,
  iter = function()
    local q = lfut.Queue()
    return function() return q:iter()() end, function() q:put(true) end
  end,
  put = function()
    local q = lfut.Queue(1)
    q:put(0)
    return function()
      q:put(1)
      return true
    end, function() q:get() end
  end,
  join = function()
    local q = lfut.Queue(1)
    q:put(0)
    return function() return q:join() end, function() q:task_done() end
  end,
  semaphore = function()
    local s = lfut.Semaphore(0)
    return function() return s:acquire() end, function() s:release() end
  end,
  with = function()
    local s = lfut.Semaphore(0)
    return function() return (s:with(function(x) return x end, true)) end, function() s:release() end
  end,
  lock = function() -- held by the script until a task says
    local lock, free = lfut.Lock(), lfut.Event()
    local holder = lfut.Thread { target = function()
      lock:with(function()
        free:set()
        free:clear()
        free:wait()
      end)
    end }
    free:clear()
    holder:start()
    while not lock:locked() do end
    return function() return (lock:with(function() return true end)) end, function() free:set() end
  end,
  condition = function()
    local c, there = lfut.Condition(), lfut.Value("int32", 0)
    return function()
      return (c:with(function() return c:wait_for(function() return there:get() == 1 end) end))
    end, function()
      c:with(function()
        there:set(1)
        c:notify_all()
      end)
    end
  end,
  barrier = function()
    local b = lfut.Barrier(2)
    return function() return b:wait() >= 0 end, function() b:wait() end
  end,
  loop = function() -- over a queue, in the task
    local q = lfut.Queue()
    return function()
      local inner <close> = lfut.ThreadPoolExecutor(1)
      for _, v in inner:map(function(x) return x end, q) do
        return v
      end
    end, function() q:put(true) end
  end,
}

-- One task waits for a future, and then ends the wait of another, which the same
-- worker has begun meanwhile.
local function meet(workers, make, inside)
  local exe <close> = support.Executor(workers)
  local other <close> = lfut.ThreadPoolExecutor(1)
  local gate, first_begun, second_begun = lfut.Event(), lfut.Event(), lfut.Event()
  local wait, wake = make()
  local slow = other:submit(function() gate:wait() end)
  local first = exe:submit(function()
    first_begun:set()
    slow:result()
    wake()
    return "woken"
  end)
  first_begun:wait()
  local second = exe:submit(function()
    second_begun:set()
    return inside(wait)
  end)
  second_begun:wait()
  gate:set()
  lu.assertEquals(first:result(), "woken")
  lu.assertEquals(second:result(), true)
end

local ways = {
  task = function(wait) return wait() end,
  coroutine = function(wait)
    return coroutine.wrap(function() return (select(2, pcall(wait))) end)()
  end,
  comparator = function(wait)
    local there
    table.sort({ 1, 2 }, function()
      there = wait()
      return false
    end)
    return there
  end,
}

for name, make in pairs(primitives) do
  for way, inside in pairs(ways) do
    TestSharedWaits[("test_%s_in_a_%s"):format(name, way)] = function()
      support.needs_workers()
      support.needs_processes()
      for _, workers in ipairs { 1, 2, 4 } do
        if not (support.is_process and name == "lock") then
          meet(workers, make, inside)
        end
      end
    end
  end
end

function TestSharedWaits.test_they_count_against_max_workers()
  support.needs_workers()
  local exe <close> = support.narrow(2)
  local event, begun = lfut.Event(), lfut.Semaphore(0)
  local futures = {}
  for i = 1, 5 do
    futures[i] = exe:submit(function()
      begun:release()
      return event:wait()
    end)
  end
  lu.assertTrue(begun:acquire())
  lu.assertTrue(begun:acquire())
  lu.assertFalse(begun:acquire(0.1))
  lu.assertEquals(exe:stats().queued, 3)
  event:set()
  for _, f in ipairs(futures) do
    lu.assertTrue(f:result())
  end
end

function TestSharedWaits.test_timeouts()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local lock, event, queue = lfut.Lock(), lfut.Event(), lfut.Queue(1)
  lock:acquire()
  local f = exe:submit(function()
    local condition = lfut.Condition()
    local got = { lock:acquire(0.01), event:wait(0.01), queue:join(0.01), lfut.Semaphore(0):acquire(0.01) }
    got[5] = condition:with(function() return condition:wait(0.01) end)
    got[6] = lfut.is_error(select(2, pcall(queue.get, queue, 0.01)), "Empty")
    queue:put(1)
    got[7] = lfut.is_error(select(2, pcall(queue.put, queue, 1, 0.01)), "Full")
    local barrier = lfut.Barrier(2)
    got[8] = lfut.is_error(select(2, pcall(barrier.wait, barrier, 0.01)), "BrokenBarrier")
    return got
  end)
  lu.assertEquals(f:result(), { false, false, true, false, false, true, true, true })
end

-- However full the stack is when it waits, and grows while it does.
function TestSharedWaits.test_many_waits_of_one_call()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local condition = lfut.Condition()
  lu.assertEquals(exe:submit(function()
    local right = 0
    for pad = 0, 60 do
      coroutine.wrap(function(...)
        condition:with(function()
          local n = 0
          right = right + (condition:wait_for(function()
            n = n + 1
            local t = {}
            for i = 1, 50 do
              t[i] = { {} }
            end
            return n > 3
          end, 0.001) and 1 or 0)
        end, ...)
      end)(table.unpack({}, 1, pad))
    end
    return right >= 0
  end):result(), true)
end

function TestSharedWaits.test_the_order_of_those_who_wait()
  support.needs_workers()
  local exe <close> = support.Executor(3)
  local queue, begun = lfut.Queue(), lfut.Queue()
  local futures = {}
  for i = 1, 3 do
    futures[i] = exe:submit(function()
      begun:put(i)
      return queue:get()
    end)
    begun:get()
  end
  for _ = 1, 3 do
    queue:put(true)
  end
  for _, f in ipairs(futures) do
    lu.assertTrue(f:result())
  end
end

os.exit(support.run_on_one_machine(TestSharedWaits))
