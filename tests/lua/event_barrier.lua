-- SPDX-License-Identifier: MIT
--
-- lfut.Event and lfut.Barrier, between threads and processes.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local concurrent = require "concurrent"

TestEvent = {}

function TestEvent.test_set_and_clear()
  local e = lfut.Event()
  lu.assertFalse(e:is_set())
  lu.assertEquals(tostring(e), "lfut.Event(not set)")
  lu.assertFalse(e:wait(0))
  lu.assertFalse(e:wait(0.001))
  e:set()
  e:set()
  lu.assertTrue(e:is_set())
  lu.assertTrue(e:wait())
  lu.assertEquals(tostring(e), "lfut.Event(set)")
  e:clear()
  lu.assertFalse(e:is_set())
  lu.assertFalse(e:wait(0))
  lu.assertErrorMsgContains("number expected", e.wait, e, "x")
end

concurrent.add(TestEvent, "wakes_all", function(start)
  local e, out = lfut.Event(), lfut.Queue()
  local list = {}
  for i = 1, 4 do
    list[i] = start(function()
      out:put "waits"
      out:put(e:wait())
    end)
  end
  for _ = 1, 4 do
    lu.assertEquals(out:get(), "waits")
  end
  e:set()
  concurrent.join(list)
  for _ = 1, 4 do
    lu.assertTrue(out:get())
  end
end)

-- Who waits is woken also if it is cleared at once.
concurrent.add(TestEvent, "set_and_cleared", function(start)
  local e, out = lfut.Event(), lfut.Queue()
  for _ = 1, 20 do
    local p = start(function()
      out:put "waits"
      out:put(e:wait())
    end)
    out:get()
    local got
    repeat
      e:set()
      e:clear()
      got = pcall(out.get, out, 0.001)
    until got
    p:join()
  end
end)

function TestEvent.test_killed_while_waiting()
  local e = lfut.Event()
  concurrent.killed(function(ready)
    ready:set()
    e:wait()
  end)
  e:set()
  lu.assertTrue(e:wait())
end

TestBarrier = {}

function TestBarrier.test_alone()
  local n = 0
  local b = lfut.Barrier(1, function() n = n + 1 end)
  lu.assertEquals({ b.parties, b.n_waiting, b.broken }, { 1, 0, false })
  for _ = 1, 3 do
    lu.assertEquals(b:wait(), 0)
  end
  lu.assertEquals(n, 3)
end

function TestBarrier.test_in_vain()
  local b = lfut.Barrier(2)
  support.fails_as("BrokenBarrier", "the barrier is broken", b.wait, b, 0.001)
  lu.assertTrue(b.broken)
  support.fails_as("BrokenBarrier", nil, b.wait, b)
  b:reset()
  lu.assertFalse(b.broken)
  b:abort()
  lu.assertTrue(b.broken)
  support.fails_as("BrokenBarrier", nil, b.wait, b)
end

function TestBarrier.test_bad_arguments()
  lu.assertErrorMsgContains("at least 1", lfut.Barrier, 0)
  lu.assertErrorMsgContains("number expected", lfut.Barrier)
  lu.assertErrorMsgContains("function expected", lfut.Barrier, 2, 3)
  local e = support.fails_as("TransferError", nil, function()
    local file = io.tmpfile()
    lfut.Barrier(2, function() file:write "x" end)
  end)
  lu.assertStrContains(e.message, "upvalue 'file'")
end

function TestBarrier.test_failing_action()
  local b = lfut.Barrier(1, function() error { "action" } end)
  lu.assertEquals(support.raised(b.wait, b), { "action" })
  lu.assertTrue(b.broken)
end

concurrent.add(TestBarrier, "many_rounds", function(start)
  local n, rounds = 5, support.size(1000)
  local b, sum, actions = lfut.Barrier(n), lfut.Value "int64", lfut.Value "int64"
  local list = {}
  for i = 1, n do
    list[i] = start(function()
      for r = 1, rounds do
        sum:add(1)
        local index = b:wait()
        assert(index >= 0 and index < n)
        assert(sum:get() >= r * n)
        if index == 0 then
          actions:add(1)
        end
      end
    end)
  end
  concurrent.join(list)
  lu.assertEquals(sum:get(), n * rounds)
  lu.assertEquals(actions:get(), rounds) -- one of each round was the first
end)

concurrent.add(TestBarrier, "action", function(start)
  local n, done = 3, lfut.Value "int64"
  local function action() done:add(1) end
  local b, out = lfut.Barrier(n, action), lfut.Queue()
  local list = {}
  for i = 1, n do
    list[i] = start(function()
      for r = 1, 10 do
        b:wait()
        assert(done:get() >= r)
      end
      out:put(i)
    end)
  end
  concurrent.join(list)
  lu.assertEquals(done:get(), 10)
  lu.assertEquals(out:qsize(), n)
end)

local function await_breaking(start, breaking)
  local b, out = lfut.Barrier(3), lfut.Queue()
  local list = {}
  for i = 1, 2 do
    list[i] = start(function()
      local ok, e = pcall(b.wait, b)
      out:put(not ok and e.kind)
    end)
  end
  concurrent.await(function() return b.n_waiting == 2 end)
  breaking(b)
  concurrent.join(list)
  lu.assertEquals({ out:get(), out:get() }, { "BrokenBarrier", "BrokenBarrier" })
  return b
end

concurrent.add(TestBarrier, "abort", function(start)
  lu.assertTrue(await_breaking(start, function(b) b:abort() end).broken)
end)

concurrent.add(TestBarrier, "reset", function(start)
  lu.assertFalse(await_breaking(start, function(b) b:reset() end).broken)
end)

-- Who gives up breaks it for all.
concurrent.add(TestBarrier, "timeout", function(start)
  local b = lfut.Barrier(3)
  local list = {}
  for i = 1, 2 do
    list[i] = start(function()
      local ok, e = pcall(b.wait, b, i == 1 and 0.05 or nil)
      assert(not ok and e.kind == "BrokenBarrier")
    end)
  end
  concurrent.join(list)
  lu.assertTrue(b.broken)
end)

function TestBarrier.test_a_death_breaks_it()
  local b = lfut.Barrier(3)
  local t = lfut.Thread { target = function() return pcall(b.wait, b) end }
  t:start()
  local p = lfut.Process { target = function() b:wait() end }
  p:start()
  concurrent.await(function() return b.n_waiting == 2 end)
  p:kill()
  local ok, e = t:result()
  lu.assertFalse(ok)
  lu.assertTrue(lfut.is_error(e, "BrokenBarrier"))
  lu.assertTrue(b.broken)
end

os.exit(support.run(TestEvent, TestBarrier))
