-- SPDX-License-Identifier: MIT
--
-- max_queue and try_submit (API §10): how many tasks may wait.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestQueueLimits = {}

local function open_and_shut_down(full)
  gate.open(full.g)
  full.exe:shutdown()
end

-- An executor with one worker, which is held, and n tasks that wait.
local function new_full(n)
  local exe = support.Executor { max_workers = 1, max_queue = n }
  local g = support.held(exe)
  local waiting = {}
  for i = 1, n do
    waiting[i] = exe:submit(echo, i)
  end
  return setmetatable({ exe = exe, g = g, waiting = waiting }, { __close = open_and_shut_down })
end

-- Opens the gate as soon as the calling thread waits: by a callback.
local function open_soon(g)
  local other = lfut.ThreadPoolExecutor(1)
  other:submit(echo):add_done_callback(function()
    gate.open(g)
    other:shutdown()
  end)
end

local function results(futures)
  local r = {}
  for i, f in ipairs(futures) do
    r[i] = f:result()
  end
  return r
end

function TestQueueLimits.test_wrong_options()
  for _, n in ipairs { 0, -1, 1.5, 0 / 0, math.huge, math.mininteger } do
    support.fails("bad option 'max_queue' (must be an integer >= 1)", function() support.Executor { max_queue = n } end)
  end
  for _, n in ipairs { "1", true, print } do
    local e = support.raised(function() support.Executor { max_queue = n } end)
    lu.assertStrContains(e, "bad option 'max_queue' (integer expected, got " .. type(n))
  end
  for _, n in ipairs { 1, 2.0, math.maxinteger } do
    local exe <close> = support.Executor { max_workers = 1, max_queue = n }
    lu.assertEquals(exe:submit(echo, n):result(), n)
  end
end

function TestQueueLimits.test_try_submit_without_a_limit()
  local exe <close> = support.Executor(1)
  lu.assertEquals({ exe:try_submit(echo, 1, nil, 3):result() }, { 1, nil, 3 })
  support.fails("bad argument #1 to 'try_submit' (function expected, got number)", function() exe:try_submit(1) end)
  exe:shutdown()
  support.fails("cannot schedule new futures after shutdown", function() exe:try_submit(echo) end)
end

function TestQueueLimits.test_inline_is_never_full()
  lu.skipIf(not support.is_inline, "of inline executors")
  local exe <close> = support.Executor { max_queue = 1 }
  for i = 1, 5 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
    lu.assertEquals(exe:try_submit(echo, i):result(), i)
  end
end

function TestQueueLimits.test_try_submit_says_full()
  support.needs_workers()
  local full <close> = new_full(2)
  local exe, g, waiting = full.exe, full.g, full.waiting
  for _ = 1, 3 do
    lu.assertEquals({ exe:try_submit(echo) }, { nil, "full" })
  end
  gate.open(g)
  lu.assertEquals(results(waiting), { 1, 2 })
  local f, why = exe:try_submit(echo, 3)
  lu.assertNil(why)
  lu.assertEquals(f:result(), 3)
end

function TestQueueLimits.test_what_runs_does_not_wait()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 2, max_queue = 1 }
  local first <close> = support.held(exe)
  local second <close> = support.held(exe)
  local f = exe:try_submit(echo, 1)
  lu.assertEquals({ exe:try_submit(echo, 2) }, { nil, "full" })
  gate.open(first)
  lu.assertEquals(f:result(), 1)
  lu.assertEquals(exe:try_submit(echo, 2):result(), 2)
end

function TestQueueLimits.test_cancelled_ones_do_not_count()
  support.needs_workers()
  local full <close> = new_full(3)
  local exe, g, waiting = full.exe, full.g, full.waiting
  for i = 1, 3 do
    lu.assertTrue(waiting[i]:cancel())
    waiting[i] = exe:try_submit(echo, 10 + i)
    lu.assertEquals({ exe:try_submit(echo) }, { nil, "full" })
  end
  gate.open(g)
  lu.assertEquals(results(waiting), { 11, 12, 13 })
end

function TestQueueLimits.test_what_cannot_travel_takes_no_place()
  support.needs_workers()
  local full <close> = new_full(1)
  local exe, g = full.exe, full.g
  gate.open(g)
  exe:submit(echo):result()
  for _ = 1, 3 do
    support.fails_as("TransferError", nil, function() exe:try_submit(echo, coroutine.create(print)) end)
    support.fails_as("TransferError", nil, function() exe:submit(echo, coroutine.create(print)) end)
  end
  lu.assertEquals(exe:try_submit(echo, 1):result(), 1)
end

-- Nobody opens the gate but a callback that runs in the waiting submit.
function TestQueueLimits.test_submit_waits_and_runs_callbacks()
  support.needs_workers()
  local full <close> = new_full(2)
  local exe, g, waiting = full.exe, full.g, full.waiting
  local x = { 3 }
  open_soon(g)
  waiting[3] = exe:submit(echo, x)
  x[1] = 4
  lu.assertEquals(waiting[3]:result(), { 3 })
  lu.assertEquals(results { waiting[1], waiting[2] }, { 1, 2 })
end

function TestQueueLimits.test_never_more_than_so_many_wait()
  support.needs_workers()
  for _, n in ipairs { 1, 3 } do
    local exe <close> = support.Executor { max_workers = 2, max_queue = n }
    local futures, most = {}, 0
    for i = 1, support.size(300) do
      futures[i] = exe:submit(echo, i)
      local pending = 0
      for k = math.max(1, i - 10), i do
        pending = pending + (futures[k]:state() == "pending" and 1 or 0)
      end
      most = math.max(most, pending)
    end
    lu.assertTrue(most <= n, most)
    for i, f in ipairs(futures) do
      lu.assertEquals(f:result(), i)
    end
  end
end

function TestQueueLimits.test_map_and_its_family_feed_themselves()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 2, max_queue = 1 }
  local held <close> = support.held(exe)
  local items = {}
  for i = 1, 100 do
    items[i] = i
  end
  lu.assertEquals(exe:map(echo, items, { chunksize = 1 }):list(), { n = 100, table.unpack(items) })
  lu.assertEquals(exe:for_each(echo, items), 100)
  lu.assertEquals(exe:reduce(echo, items, function(a, b) return a + b end), 5050)
  gate.open(held)
  lu.assertEquals(#exe:broadcast(echo), 2)
end

function TestQueueLimits.test_tasks_of_the_executor_are_not_held_up()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, max_queue = 1 }
  local function sum(exe, n)
    local futures, total = {}, 0
    for i = 1, n do
      futures[2 * i - 1] = exe:submit(function() return i end)
      futures[2 * i] = exe:try_submit(function() return i end)
    end
    for _, f in ipairs(futures) do
      total = total + f:result()
    end
    return total
  end
  lu.assertEquals(exe:submit(sum, exe, 20):result(), 420)
  lu.assertEquals(exe:try_submit(echo, 1):result(), 1)
end

-- The tasks of views wait in the same places, whatever else is said of them.
function TestQueueLimits.test_views()
  support.needs_workers()
  local full <close> = new_full(1)
  local exe, g, waiting = full.exe, full.g, full.waiting
  local urgent = exe:options { priority = 1, queue_timeout = 60 }
  lu.assertEquals({ urgent:try_submit(echo) }, { nil, "full" })
  waiting[1]:cancel()
  local f = exe:options({ queue_timeout = 0.01 }):submit(echo)
  support.fails_as("TaskTimeout", nil, f.result, f)
  f = urgent:try_submit(echo, 2)
  lu.assertEquals({ urgent:try_submit(echo) }, { nil, "full" })
  gate.open(g)
  lu.assertEquals(f:result(), 2)
end

-- What they submit waits, too.
function TestQueueLimits.test_tasks_of_the_executor_fill_it()
  lu.skipIf(support.is_cluster, "cluster: they are their member's")
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, max_queue = 2 }
  local g <close> = gate.new()
  local f = exe:submit(function(exe, g)
    local a, b = exe:submit(function() return 1 end), exe:submit(function() return 2 end)
    require "gate".hold(g)
    return a, b
  end, exe, g)
  gate.arrived(g)
  while exe:stats().queued < 2 do end -- what a process submits comes when it is looked for
  lu.assertEquals({ exe:try_submit(echo) }, { nil, "full" })
  gate.open(g)
  local inner = { f:result() }
  lu.assertEquals(results(inner), { 1, 2 })
  lu.assertEquals(exe:try_submit(echo, 3):result(), 3)
end

function TestQueueLimits.test_shutdown_ends_the_wait()
  support.needs_workers()
  for _, cancel in ipairs { false, true } do
    local full <close> = new_full(1)
    local exe, g = full.exe, full.g
    local other <close> = lfut.ThreadPoolExecutor(1)
    other:submit(echo):add_done_callback(function() exe:shutdown { wait = false, cancel_futures = cancel } end)
    support.fails("cannot schedule new futures after shutdown", function() exe:submit(echo) end)
    gate.open(g)
  end
end

function TestQueueLimits.test_a_broken_pool_ends_the_wait()
  support.needs_workers()
  local g <close> = gate.new()
  local exe <close> = support.Executor {
    max_workers = 1,
    max_queue = 1,
    initializer = function(g)
      require "gate".hold(g)
      error "no luck"
    end,
    initargs = { g },
  }
  local f = exe:submit(echo)
  open_soon(g)
  support.fails_as(support.broken_kind, nil, function()
    for _ = 1, 10 do
      exe:submit(echo)
    end
  end)
  support.fails_as(support.broken_kind, nil, f.result, f)
end

-- The only worker of the other executor is free meanwhile.
function TestQueueLimits.test_a_task_of_another_executor_is_parked()
  support.needs_workers()
  support.needs_threads()
  local full <close> = new_full(1)
  local exe, g = full.exe, full.g
  local other <close> = lfut.ThreadPoolExecutor(1)
  local f = other:submit(function(exe)
    local f = exe:submit(function() return "done" end)
    return f:result()
  end, exe)
  other:submit(function(g) require "gate".open(g) end, g):result()
  lu.assertEquals(f:result(), "done")
end

function TestQueueLimits.test_many_submit_at_once()
  support.needs_workers()
  support.needs_threads()
  local exe <close> = support.Executor { max_workers = 2, max_queue = 2 }
  local other <close> = lfut.ThreadPoolExecutor(4)
  local futures = {}
  for i = 1, 40 do
    futures[i] = other:submit(function(exe, i)
      local all, total = {}, 0
      for k = 1, 20 do
        all[k] = exe:submit(function() return i end)
      end
      for _, f in ipairs(all) do
        total = total + f:result()
      end
      return total
    end, exe, i)
  end
  for i, f in ipairs(futures) do
    lu.assertEquals(f:result(), 20 * i)
  end
  lu.assertEquals(exe:try_submit(echo, 1):result(), 1)
end

-- With the task of a worker that dies its place is not lost.
function TestQueueLimits.test_a_lost_worker()
  lu.skipIf(not support.is_process, "of processes")
  local exe <close> = support.Executor { max_workers = 1, max_queue = 1 }
  for _ = 1, 3 do
    local f = exe:submit(function() os.execute("kill -9 " .. require "lfut".getpid()) end)
    support.fails_as("WorkerLost", nil, f.result, f)
    lu.assertEquals(exe:submit(echo, 1):result(), 1)
  end
  lu.assertEquals(exe:try_submit(echo, 2):result(), 2)
end

local rc = support.run(TestQueueLimits)
if rc ~= 0 then
  os.exit(rc)
end
