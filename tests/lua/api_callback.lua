-- SPDX-License-Identifier: MIT
--
-- f:add_done_callback (API §3).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestCallback = {}

function TestCallback.test_done_already_runs_at_once()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 5)
  f:result()
  local seen
  lu.assertEquals(select("#", f:add_done_callback(function(...) seen = table.pack(...) end)), 0)
  lu.assertEquals(seen.n, 1)
  lu.assertTrue(rawequal(seen[1], f))
end

function TestCallback.test_states_in_the_callback()
  local exe <close> = support.Executor(1)
  local seen = {}
  local function note(f)
    seen[#seen + 1] = f:state()
    seen[#seen + 1] = tostring(f:exception())
  end
  local good, bad = exe:submit(echo, 5), exe:submit(error, "bad", 0)
  good:add_done_callback(note)
  good:result()
  bad:add_done_callback(note)
  bad:exception()
  lfut.poll()
  lu.assertEquals(seen, { "finished", "nil", "failed", "bad" })
end

function TestCallback.test_pending_runs_in_the_next_call()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local f = exe:submit(echo, 5)
  local seen
  f:add_done_callback(function(f) seen = f:result() end)
  lfut.poll()
  lu.assertNil(seen)
  gate.open(g)
  f:result()
  lfut.poll()
  lu.assertEquals(seen, 5)
end

function TestCallback.test_ways_to_be_in_a_call()
  support.needs_workers()
  for _, call in ipairs {
    function(f) f:result() end,
    function(f) f:exception() end,
    function(f) lfut.wait { f } end,
    function(f) for _ in lfut.as_completed { f } do end end,
    function(f, exe) exe:submit(echo):result() end,
    function(f, exe) exe:map(echo, { 1 }):list() end,
    function(f, exe) exe:shutdown() end,
    function(f, exe) f:result() lfut.sleep(0) end,
    function(f, exe) while not f:done() do end lfut.poll() end,
  } do
    local exe = support.Executor(1)
    local g <close> = support.held(exe)
    local f = exe:submit(echo, 5)
    local seen
    f:add_done_callback(function(f) seen = f:result() end)
    gate.open(g)
    call(f, exe)
    lfut.poll()
    lu.assertEquals(seen, 5)
    exe:shutdown()
  end
end

function TestCallback.test_cancelled_ones_are_called()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local f = exe:submit(echo)
  local seen
  f:add_done_callback(function(f) seen = f:state() end)
  lu.assertNil(seen)
  f:cancel()
  lfut.poll()
  lu.assertEquals(seen, "cancelled")
  local late
  f:add_done_callback(function(f) late = f:cancelled() end)
  lu.assertTrue(late)
end

function TestCallback.test_cancelled_by_shutdown()
  support.needs_workers()
  local exe = support.Executor(1)
  local g <close> = support.held(exe)
  local seen = {}
  for i = 1, 5 do
    exe:submit(echo):add_done_callback(function(f) seen[i] = f:state() end)
  end
  exe:shutdown(false, true)
  lfut.poll()
  lu.assertEquals(seen, { "cancelled", "cancelled", "cancelled", "cancelled", "cancelled" })
  gate.open(g)
  exe:shutdown()
end

function TestCallback.test_order_of_completion_then_of_adding()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local a, b, c = exe:submit(echo), exe:submit(echo), exe:submit(echo)
  local order = {}
  local function note(text)
    return function() order[#order + 1] = text end
  end
  c:add_done_callback(note "c1")
  a:add_done_callback(note "a1")
  b:add_done_callback(note "b1")
  a:add_done_callback(note "a2")
  c:add_done_callback(note "c2")
  b:add_done_callback(note "b2")
  a:add_done_callback(note "a3")
  gate.open(g)
  lfut.wait { a, b, c }
  lfut.poll()
  lu.assertEquals(order, { "a1", "a2", "a3", "b1", "b2", "c1", "c2" })
end

function TestCallback.test_order_of_cancelling()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local order, futures = {}, {}
  for i = 1, 5 do
    futures[i] = exe:submit(echo)
    futures[i]:add_done_callback(function() order[#order + 1] = i end)
  end
  for _, i in ipairs { 3, 1, 5, 2, 4 } do
    futures[i]:cancel()
  end
  lfut.poll()
  lu.assertEquals(order, { 3, 1, 5, 2, 4 })
end

function TestCallback.test_several_of_one_future()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo)
  local n = 0
  local function count() n = n + 1 end
  for _ = 1, 10 do
    f:add_done_callback(count)
  end
  f:result()
  lfut.poll()
  lu.assertEquals(n, 10)
end

function TestCallback.test_never_nested()
  local exe <close> = support.Executor(1)
  local log, depth = {}, 0
  local function note(name, inner)
    return function()
      depth = depth + 1
      lu.assertEquals(depth, 1)
      log[#log + 1] = name .. " begins"
      if inner then
        inner()
      end
      log[#log + 1] = name .. " ends"
      depth = depth - 1
    end
  end
  local f, h = exe:submit(echo), exe:submit(echo)
  lfut.wait { f, h }
  f:add_done_callback(note("first", function()
    h:add_done_callback(note "second")
    lfut.poll()
    h:result()
    exe:submit(echo):result()
  end))
  lfut.poll()
  lu.assertEquals(log, { "first begins", "first ends", "second begins", "second ends" })
end

function TestCallback.test_never_nested_through_a_coroutine()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo)
  f:result()
  local inside, nested
  f:add_done_callback(function()
    inside = true
    coroutine.wrap(function()
      f:add_done_callback(function() nested = nested or inside end)
      lfut.poll()
    end)()
    inside = false
  end)
  lfut.poll()
  lu.assertEquals(nested, false)
end

function TestCallback.test_a_wait_in_a_callback()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 1)
  local seen
  f:add_done_callback(function(f)
    seen = f:result() + exe:submit(echo, 2):result()
    lfut.wait { exe:submit(echo) }
    seen = seen + #exe:map(echo, { 1, 2, 3 }):list()
  end)
  f:result()
  lfut.poll()
  lu.assertEquals(seen, 6)
end

function TestCallback.test_an_error_stops_nothing()
  local script = [[
    local lfut = require "lfut"
    local exe <close> = %s(1)
    local f = exe:submit(function() end)
    local Bad = setmetatable({}, { __tostring = function() error "no" end })
    for i, e in ipairs { "first problem", { "table" }, false, Bad } do
      f:add_done_callback(function() error(e) end)
      f:add_done_callback(function() print("after", i) end)
    end
    f:add_done_callback(function() error() end)
    f:result()
    lfut.poll()
    print("end", f:state())
  ]]
  local out, err, status = support.program(script:format(support.constructor))
  lu.assertEquals(out, "after\t1\nafter\t2\nafter\t3\nafter\t4\nend\tfinished\n")
  lu.assertStrContains(err, "script.lua:6: first problem")
  lu.assertEquals(status, 0)
end

function TestCallback.test_at_exit()
  local script = [[
    local lfut = require "lfut"
    local exe = %s(1)
    exe:submit(function() return "result" end):add_done_callback(function(f)
      print("called", f:result())
      exe:submit(function() return "second" end):add_done_callback(function(f) print(f:result()) end)
    end)
  ]]
  local out, err, status = support.program(script:format(support.constructor))
  lu.assertEquals(err, "")
  lu.assertEquals(out, "called\tresult\nsecond\n")
  lu.assertEquals(status, 0)
end

function TestCallback.test_in_the_state_that_added_it()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local f = exe:submit(function(other)
    local lfut = require "lfut"
    other = require "support".receive_executor(other)
    local where
    local f = other:submit(function() end)
    f:add_done_callback(function() where = lfut.worker().name end)
    f:result()
    lfut.poll()
    return where, lfut.worker().name
  end, support.send_executor(other))
  local where, mine = f:result()
  lu.assertEquals(where, mine)
end

function TestCallback.test_the_future_is_kept_by_it()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local seen
  exe:submit(echo, { "kept" }):add_done_callback(function(f) seen = f:result()[1] end)
  collectgarbage()
  collectgarbage()
  gate.open(g)
  exe:submit(echo):result()
  lfut.poll()
  lu.assertEquals(seen, "kept")
end

function TestCallback.test_it_is_dropped_after_it_ran()
  local exe <close> = support.Executor(1)
  local weak = setmetatable({}, { __mode = "k" })
  do
    local f = exe:submit(echo)
    local function callback() return f end
    weak[f], weak[callback] = true, true
    f:add_done_callback(callback)
    f:result()
    lfut.poll()
  end
  collectgarbage()
  collectgarbage()
  lu.assertNil(next(weak))
end

function TestCallback.test_long_chains()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local trips = support.trips(20000)
  local left, latest, sum = trips, nil, 0
  local function go_on(f)
    sum = sum + f:result()
    left = left - 1
    if left > 0 then
      latest = exe:submit(echo, 1)
      latest:add_done_callback(go_on)
    end
  end
  latest = exe:submit(echo, 1)
  latest:add_done_callback(go_on)
  while left > 0 do
    latest:result()
    lfut.poll()
  end
  lu.assertEquals(sum, trips)
end

function TestCallback.test_many()
  support.needs_workers()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local n, order = 0, true
  local last
  for i = 1, 10000 do
    last = exe:submit(echo, i)
    last:add_done_callback(function(f)
      n = n + 1
      order = order and f:result() == n
    end)
  end
  gate.open(g)
  last:result()
  lfut.poll()
  lu.assertEquals(n, 10000)
  lu.assertTrue(order or support.is_cluster) -- whose tasks go in several ways
end

function TestCallback.test_added_in_a_coroutine_that_is_gone()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local f = exe:submit(echo, 3)
  local seen
  coroutine.wrap(function() f:add_done_callback(function(f) seen = f:result() end) end)()
  collectgarbage()
  gate.open(g)
  coroutine.wrap(function()
    f:result()
    lfut.poll()
  end)()
  lu.assertEquals(seen, 3)
end

function TestCallback.test_a_callback_that_yields_is_an_error_of_its_own()
  local script = [[
    local lfut = require "lfut"
    local exe <close> = %s(1)
    local f = exe:submit(function() end)
    f:result()
    coroutine.wrap(function()
      f:add_done_callback(function() coroutine.yield() end)
      print "not yielded"
    end)()
  ]]
  local out, err, status = support.program(script:format(support.constructor))
  lu.assertEquals(out, "not yielded\n")
  lu.assertStrContains(err, "yield")
  lu.assertEquals(status, 0)
end

local rc = support.run(TestCallback)
if rc ~= 0 then
  os.exit(rc)
end
