-- SPDX-License-Identifier: MIT
--
-- lfut.scope (API §10): leaving it waits for its tasks, and the first error
-- cancels the others.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

local function add1(x) return x + 1 end

local function raise(value) error(value, 0) end

local function forever() while true do end end

local exe

TestScope = {}

function TestScope.setUp() exe = support.Executor(2) end

function TestScope.tearDown() exe:shutdown() end

function TestScope.test_returns_what_its_function_does()
  local f
  lu.assertEquals(table.pack(lfut.scope(function(scope)
    f = scope:submit(exe, add1, 1)
    return 1, nil, f:result(), nil
  end)), { 1, nil, 2, nil, n = 4 })
  lu.assertEquals(select("#", lfut.scope(function() end)), 0)
end

function TestScope.test_waits_for_its_tasks()
  support.needs_workers()
  local g <close> = gate.new()
  local f
  lfut.scope(function(scope)
    f = scope:submit(exe, gate.hold, g, "done")
    gate.arrived(g)
    gate.open(g)
  end)
  lu.assertEquals(f:state(), "finished")
end

function TestScope.test_raises_the_first_error_of_a_task()
  local e, f = nil, nil
  e = support.raised(lfut.scope, function(scope)
    f = scope:submit(exe, raise, { code = 3 })
    return "not this"
  end)
  lu.assertEquals(e, { code = 3 })
  lu.assertEquals(f:state(), "failed")
end

function TestScope.test_a_failure_cancels_the_others()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local others = {}
  local g <close> = gate.new()
  local e = support.raised(lfut.scope, function(scope)
    scope:submit(one, gate.hold, g)
    gate.arrived(g)
    for i = 1, 3 do
      others[i] = scope:submit(one, add1, i)
    end
    scope:submit(exe, raise, "stop")
  end)
  lu.assertEquals(e, "stop")
  for i = 1, 3 do
    lu.assertTrue(others[i]:cancelled())
  end
end

function TestScope.test_a_failure_stops_those_that_run()
  support.needs_workers()
  local other <close> = support.Executor(1)
  local f
  local e = support.raised(lfut.scope, function(scope)
    f = scope:submit(other, forever)
    lfut.wait({ f }, 0)
    scope:submit(exe, raise, "stop")
  end)
  lu.assertEquals(e, "stop")
  lu.assertTrue(f:cancelled())
end

function TestScope.test_its_own_error_cancels_all()
  lu.skipIf(os.getenv "LFUT_SANITIZER" == "thread", "TSan holds signals back")
  support.needs_workers()
  local one <close> = support.Executor(1)
  local others = {}
  local e = support.raised(lfut.scope, function(scope)
    others[1] = scope:submit(one, forever)
    for i = 2, 4 do
      others[i] = scope:submit(one, add1, i)
    end
    error { own = true }
  end)
  lu.assertEquals(e, { own = true })
  for i = 1, 4 do
    lu.assertTrue(others[i]:cancelled())
  end
  support.works(one)
end

-- What it waits for has been cancelled, as another had failed before.
function TestScope.test_the_error_of_a_task_comes_first()
  support.needs_workers()
  local other <close> = support.Executor(1)
  local e = support.raised(lfut.scope, function(scope)
    local f = scope:submit(other, forever)
    scope:submit(exe, raise, "first")
    f:result()
  end)
  lu.assertEquals(e, "first")
end

function TestScope.test_an_error_that_was_handled_fails_it_all_the_same()
  local e = support.raised(lfut.scope, function(scope)
    local f = scope:submit(exe, raise, "handled")
    pcall(f.result, f)
  end)
  lu.assertEquals(e, "handled")
end

function TestScope.test_submitting_after_a_failure_raises_it()
  local after = false
  local e = support.raised(lfut.scope, function(scope)
    local f = scope:submit(exe, raise, "early")
    lfut.wait { f }
    lfut.poll()
    scope:submit(exe, add1, 1)
    after = true
  end)
  lu.assertEquals(e, "early")
  lu.assertFalse(after)
end

function TestScope.test_a_cancelled_task_is_no_error()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local g <close> = gate.new()
  local n = lfut.scope(function(scope)
    scope:submit(one, gate.hold, g)
    gate.arrived(g)
    local f = scope:submit(one, add1, 1)
    f:cancel()
    gate.open(g)
    return 5
  end)
  lu.assertEquals(n, 5)
end

function TestScope.test_scopes_within_scopes()
  local order = {}
  local e = support.raised(lfut.scope, function(outer)
    outer:submit(exe, add1, 1)
    local ok, inner = pcall(lfut.scope, function(scope)
      scope:submit(exe, raise, "inner")
    end)
    order[#order + 1] = not ok and inner
    lfut.scope(function(scope)
      scope:submit(exe, raise, "second")
    end)
    order[#order + 1] = "not reached"
  end)
  lu.assertEquals(order, { "inner" })
  lu.assertEquals(e, "second")
end

function TestScope.test_of_several_executors()
  local other <close> = lfut.ThreadPoolExecutor(1)
  lu.assertEquals(lfut.scope(function(scope)
    local a, b = scope:submit(exe, add1, 1), scope:submit(other, add1, 2)
    return a:result() + b:result()
  end), 5)
end

function TestScope.test_in_a_task()
  support.needs_workers()
  local one <close> = support.Executor(1)
  local function run(exe, add1)
    return require "lfut".scope(function(scope)
      local fs = {}
      for i = 1, 5 do
        fs[i] = scope:submit(exe, add1, i)
      end
      return lfut.all(fs):result()[5]
    end)
  end
  lu.assertEquals(one:submit(run, one, add1):result(), 6)
end

function TestScope.test_a_failure_in_a_task()
  support.needs_workers()
  support.needs_threads() -- a worker process cannot stop what runs in another
  local function fail(exe)
    return lfut.scope(function(scope)
      scope:submit(exe, function() while true do end end)
      scope:submit(exe, error, "in a task", 0)
    end)
  end
  local two <close> = support.Executor(2)
  lu.assertEquals(two:submit(fail, two):exception(), "in a task")
end

function TestScope.test_callbacks_may_submit()
  local got = {}
  lfut.scope(function(scope)
    local f = scope:submit(exe, add1, 1)
    f:add_done_callback(function(f)
      scope:submit(exe, add1, f:result()):add_done_callback(function(g) got[1] = g:result() end)
    end)
  end)
  lfut.poll()
  lu.assertEquals(got, { 3 })
end

function TestScope.test_many()
  local n = support.size(support.is_process and 500 or 10000)
  support.relaxed()
  local sum = 0
  lfut.scope(function(scope)
    for i = 1, n do
      scope:submit(exe, add1, i):add_done_callback(function(f) sum = sum + f:result() end)
    end
  end)
  lfut.poll()
  lu.assertEquals(sum, n * (n + 3) // 2)
end

function TestScope.test_wrong_use()
  support.fails("bad argument #1 to 'scope' (function expected, got no value)", function() return (lfut.scope()) end)
  local escaped
  lfut.scope(function(scope)
    escaped = scope
    support.fails("bad argument #1 to 'submit' (executor expected, got nil)", function() return (scope:submit()) end)
    support.fails("bad argument #1 to 'submit' (executor expected, got function)",
      function() return (scope:submit(add1, 1)) end)
    support.fails("bad argument #2 to 'submit' (function expected, got nil)", function() return (scope:submit(exe)) end)
    local closed = support.Executor(1)
    closed:shutdown()
    support.fails("cannot schedule new futures after shutdown", function() return (scope:submit(closed, add1, 1)) end)
  end)
  support.fails("the scope is over", function() return (escaped:submit(exe, add1, 1)) end)
end

function TestScope.test_a_copy_of_it_is_none()
  local ok = lfut.scope(function(scope)
    return pcall(function()
      return exe:submit(function(scope) return scope:submit(nil, print) end, scope):result()
    end)
  end)
  lu.assertFalse(ok)
end

TestEnds = {}

function TestEnds.test_the_traceback_is_told()
  local out, err, status = support.program(([[
    local lfut = require "lfut"
    local exe = %s(1)
    local function fail(x) error("failing " .. x) end
    lfut.scope(function(scope)
      scope:submit(exe, fail, 1)
    end)]]):format(support.constructor))
  lu.assertEquals({ out, status }, { "", 1 })
  lu.assertStrContains(err, "failing 1")
  lu.assertStrContains(err, "script.lua:3: in ")
end

function TestEnds.test_os_exit_does_not_wait()
  support.needs_workers()
  local _, err, status = support.program(([[
    local lfut = require "lfut"
    local exe = %s(1)
    lfut.scope(function(scope)
      scope:submit(exe, math.abs, 1):result()
      scope:submit(exe, lfut.sleep, 1e6)
      os.exit(3)
    end)]]):format(support.constructor))
  lu.assertEquals({ err, status }, { "", 3 })
end

function TestEnds.test_ctrl_c_goes_through()
  lu.skipIf(os.getenv "LFUT_SANITIZER" == "thread", "TSan holds signals back")
  support.needs_workers()
  local out, err, status = support.program(([[
    local lfut = require "lfut"
    local exe = %s(1)
    local ok, e = pcall(lfut.scope, function(scope)
      scope:submit(exe, function() while true do end end)
      os.execute("kill -INT " .. lfut.getpid())
      while true do end
    end)
    print(ok, e)
    print(exe:submit(math.max, 1, 2):result())]]):format(support.constructor))
  lu.assertStrContains(out, "interrupted!")
  lu.assertStrContains(out, "\n2\n")
  lu.assertEquals({ err, status }, { "", 0 })
end

os.exit(support.run(TestScope, TestEnds))
