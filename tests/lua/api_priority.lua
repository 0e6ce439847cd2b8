-- SPDX-License-Identifier: MIT
--
-- Priorities (exe:options): in which order tasks begin.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

TestPriority = {}

local function note(log, x)
  log:put(x)
end

-- The tasks of a list of priorities, and in which order they have begun.
local function order(exe, g, log, priorities)
  local futures, begun = {}, {}
  for i, p in ipairs(priorities) do
    futures[i] = exe:options({ priority = p }):submit(note, log, i)
  end
  gate.open(g)
  for _, f in ipairs(futures) do
    f:result()
  end
  for i = 1, #priorities do
    begun[i] = log:get()
  end
  return begun
end

function TestPriority.test_higher_ones_come_first()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local log = lfut.Queue()
  lu.assertEquals(
    order(exe, g, log, { 0, -1, 5, 0, math.maxinteger, -7, 5, math.mininteger, 0, 1 }),
    { 5, 3, 7, 10, 1, 4, 9, 2, 6, 8 }
  )
end

-- Brief tasks are sent ahead to a process that is busy.
function TestPriority.test_what_was_sent_ahead_is_taken_back()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local log = lfut.Queue()
  for _ = 1, 50 do
    exe:submit(note, log, 0):result()
    log:get()
  end
  local g <close> = support.held(exe)
  lu.assertEquals(order(exe, g, log, { -2, -1, 0, 1, 2, 3, -3, 3 }), { 6, 8, 5, 4, 3, 2, 1, 7 })
end

function TestPriority.test_of_what_a_task_submits()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = gate.new()
  local log = lfut.Queue()
  local f = exe:submit(function(exe, log, g)
    for i, p in ipairs { 0, -1, 5, -9, 7 } do
      exe:options({ priority = p }):submit(function() log:put(i) end)
    end
    require "gate".hold(g)
  end, exe, log, g)
  gate.arrived(g)
  gate.open(g)
  f:result()
  local begun = {}
  for i = 1, 5 do
    begun[i] = log:get()
  end
  lu.assertEquals(begun, { 5, 3, 1, 2, 4 })
end

function TestPriority.test_of_loops()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local log = lfut.Queue()
  local low = exe:options({ priority = -1 }):map(note, lfut.zip({ log, log }, { "low", "low" }), { chunksize = 1 })
  local usual = exe:map(note, lfut.zip({ log, log }, { 0, 0 }), { chunksize = 1 })
  local high = exe:options({ priority = 1 }):map(note, lfut.zip({ log, log }, { "high", "high" }), { chunksize = 1 })
  gate.open(g)
  for _, it in ipairs { low, usual, high } do
    it:list()
  end
  local begun = {}
  for i = 1, 6 do
    begun[i] = log:get()
  end
  lu.assertEquals(begun, { "high", "high", 0, 0, "low", "low" })
end

-- A worker process sends a few chunks at a time, so the first ones may come
-- before those that are more urgent.
function TestPriority.test_of_a_tasks_loops()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = gate.new()
  local log = lfut.Queue()
  local function loop(exe, log, priority, name)
    return exe:options({ priority = priority }):map(function(x) log:put(x) end, { name, name }, { chunksize = 1 })
  end
  local f = exe:submit(function(exe, log, g)
    local low, usual, high = loop(exe, log, -1, "low"), loop(exe, log, 0, 0), loop(exe, log, 1, "high")
    require "gate".hold(g)
    for _, it in ipairs { low, usual, high } do
      it:list()
    end
  end, exe, log, g)
  gate.arrived(g)
  gate.open(g)
  f:result()
  local last = {}
  for i = 1, 6 do
    last[log:get()] = i
  end
  lu.assertTrue(last.high < last[0], last.high)
end

function TestPriority.test_what_it_may_be()
  local exe <close> = support.Executor(1)
  for _, p in ipairs { 0, 1.0, math.maxinteger, math.mininteger } do
    lu.assertEquals(exe:options({ priority = p }):submit(support.echo, p):result(), p)
  end
  for _, p in ipairs { "1", true, print } do
    local e = support.raised(function() exe:options { priority = p } end)
    lu.assertStrContains(e, "bad option 'priority' (integer expected, got " .. type(p))
  end
  local e = support.raised(function() exe:options { priority = 1.5 } end)
  lu.assertStrContains(e, "bad option 'priority' (number has no integer representation)")
end

-- It is of the task that has limits, too, and views of views add up.
function TestPriority.test_with_limits()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local view = exe:options({ priority = 2 }):options { timeout = 60, queue_timeout = 60 }
  local g <close> = support.held(exe)
  local log = lfut.Queue()
  local first, second = exe:submit(note, log, 2), view:submit(note, log, 1)
  gate.open(g)
  first:result()
  second:result()
  lu.assertEquals({ log:get(), log:get() }, { 1, 2 })
end

function TestPriority.test_of_a_broadcast()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  for _, f in ipairs(exe:options({ priority = -1 }):broadcast(support.echo, 1)) do
    lu.assertEquals(f:result(), 1)
  end
end

function TestPriority.test_cancelling()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local futures = {}
  for i = 1, 10 do
    futures[i] = exe:options({ priority = i % 3 - 1 }):submit(support.echo, i)
  end
  lu.assertEquals(exe:stats().queued, 10)
  for i = 1, 10, 2 do
    lu.assertTrue(futures[i]:cancel())
  end
  lu.assertEquals(exe:stats().queued, 5)
  gate.open(g)
  for i = 2, 10, 2 do
    lu.assertEquals(futures[i]:result(), i)
  end
  local h <close> = support.held(exe)
  for i = 1, 6 do
    futures[i] = exe:options({ priority = i % 3 - 1 }):submit(support.echo, i)
  end
  exe:shutdown { wait = false, cancel_futures = true }
  for i = 1, 6 do
    lu.assertEquals(futures[i]:state(), "cancelled")
  end
  gate.open(h)
end

local rc = support.run(TestPriority)
if rc ~= 0 then
  os.exit(rc)
end
