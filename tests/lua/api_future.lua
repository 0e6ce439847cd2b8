-- SPDX-License-Identifier: MIT
--
-- submit and the future it returns (API §2, §3).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestFuture = {}

local function here(offset)
  return ("%s:%d"):format(arg[0], debug.getinfo(2, "l").currentline + (offset or 0))
end

function TestFuture.test_results()
  local exe <close> = support.Executor(2)
  lu.assertEquals(table.pack(exe:submit(function() end):result()), { n = 0 })
  lu.assertEquals(table.pack(exe:submit(function() return nil end):result()), { n = 1 })
  lu.assertEquals(table.pack(exe:submit(echo, 1, nil, "x", nil):result()), { 1, nil, "x", nil, n = 4 })
end

function TestFuture.test_result_again_and_again()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function() return { 1 } end)
  local a, b = f:result(), f:result()
  lu.assertEquals(a, { 1 })
  lu.assertEquals(b, { 1 })
  lu.assertFalse(rawequal(a, b))
  a[1] = "changed"
  lu.assertEquals(f:result(), { 1 })
end

function TestFuture.test_errors_again_and_again()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function() error { 1 } end)
  local a, b = support.raised(f.result, f), f:exception()
  lu.assertEquals(a, { 1 })
  lu.assertEquals(b, { 1 })
  lu.assertFalse(rawequal(a, b))
  lu.assertFalse(rawequal(a, support.raised(f.result, f)))
end

function TestFuture.test_a_finished_one()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 1)
  f:result()
  lu.assertEquals(f:state(), "finished")
  lu.assertEquals({ f:done(), f:running(), f:cancelled(), f:cancel() }, { true, false, false, false })
  lu.assertEquals(table.pack(f:exception()), { n = 1 })
  lu.assertNil(f:traceback())
  lu.assertEquals(f:state(), "finished")
end

function TestFuture.test_a_failed_one()
  local exe <close> = support.Executor(1)
  local line = here(1)
  local f = exe:submit(function() error "boom" end)
  lu.assertEquals(table.pack(f:exception()), { line .. ": boom", true, n = 2 })
  lu.assertEquals(support.raised(f.result, f), line .. ": boom")
  lu.assertEquals(f:state(), "failed")
  lu.assertEquals({ f:done(), f:running(), f:cancelled(), f:cancel() }, { true, false, false, false })
end

function TestFuture.test_pending_running_finished()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = gate.new()
  local f = exe:submit(gate.hold, g, "passed")
  gate.arrived(g)
  local p = exe:submit(echo, "second")
  lu.assertEquals({ f:state(), f:running(), f:done(), f:cancelled() }, { "running", true, false, false })
  lu.assertEquals({ p:state(), p:running(), p:done(), p:cancelled() }, { "pending", false, false, false })
  lu.assertNil(f:traceback())
  lu.assertNil(p:traceback())
  lu.assertFalse(f:cancel())
  lu.assertEquals(f:state(), "running")
  gate.open(g)
  lu.assertEquals(f:result(), "passed")
  lu.assertEquals(p:result(), "second")
  lu.assertEquals({ f:state(), p:state() }, { "finished", "finished" })
end

function TestFuture.test_cancel()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local name = gate.filename()
  local f = exe:submit(function() assert(io.open(name, "w")):close() end)
  lu.assertTrue(f:cancel())
  lu.assertEquals({ f:state(), f:running(), f:done(), f:cancelled() }, { "cancelled", false, true, true })
  lu.assertTrue(f:cancel())
  support.fails_as("CancelledError", nil, f.result, f)
  support.fails_as("CancelledError", nil, f.result, f, 0)
  support.fails_as("CancelledError", nil, f.exception, f)
  lu.assertNil(f:traceback())
  lu.assertEquals(tostring(f), "Future(cancelled)")
  gate.open(g)
  support.works(exe)
  lu.assertNil(io.open(name))
  lu.assertEquals(exe:stats().cancelled, 1)
end

function TestFuture.test_cancelled_errors_are_not_shared()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local f = exe:submit(echo)
  f:cancel()
  local a, b = support.raised(f.result, f), support.raised(f.result, f)
  lu.assertFalse(rawequal(a, b))
end

function TestFuture.test_cancelling_many()
  support.needs_workers()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local futures, all = {}, support.trips(100000)
  for i = 1, all do
    futures[i] = exe:submit(echo, i)
  end
  lu.assertEquals(exe:stats().queued, all)
  for i = 1, all do
    if i % 1000 ~= 0 then
      assert(futures[i]:cancel())
    end
  end
  lu.assertEquals(exe:stats().cancelled, all - all // 1000)
  lu.assertEquals(exe:stats().queued, all // 1000)
  gate.open(g)
  for i = 1000, all, 1000 do
    lu.assertEquals(futures[i]:result(), i)
  end
end

function TestFuture.test_many_tasks()
  support.relaxed()
  local exe <close> = support.Executor(2)
  local futures = {}
  for i = 1, 50000 do
    futures[i] = exe:submit(echo, i)
  end
  local sum = 0
  for i = 1, 50000 do
    sum = sum + futures[i]:result()
  end
  lu.assertEquals(sum, 50000 * 50001 // 2)
  lu.assertEquals(exe:stats().finished, 50000)
end

function TestFuture.test_timeouts()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g, f = support.held(exe)
  local _ <close> = g
  local p = exe:submit(echo, "p")
  for _, future in ipairs { f, p } do
    for _, t in ipairs { 0, -1, -math.huge, 0.001, 1e-9 } do
      support.fails_as("TimeoutError", nil, future.result, future, t)
      support.fails_as("TimeoutError", nil, future.exception, future, t)
    end
  end
  local a, b = support.raised(f.result, f, 0), support.raised(f.result, f, 0)
  lu.assertFalse(rawequal(a, b))
  lu.assertEquals({ f:state(), p:state() }, { "running", "pending" })
  gate.open(g)
  lu.assertEquals(p:result(1e9), "p")
  lu.assertEquals(p:result(math.huge), "p")
  lu.assertEquals(p:result(nil), "p")
  lu.assertEquals(p:result(0), "p")
end

function TestFuture.test_first_come_first_served()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "order = {}" }
  local g <close> = support.held(exe)
  for i = 1, 100 do
    exe:submit(function() order[#order + 1] = i end)
  end
  gate.open(g)
  local order = exe:submit(function() return order end):result()
  for i = 1, 100 do
    lu.assertEquals(order[i], i)
  end
end

function TestFuture.test_dropped_futures_still_run()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "ran = 0" }
  local g <close> = gate.new()
  exe:submit(gate.hold, g)
  gate.arrived(g)
  for _ = 1, 10 do
    exe:submit(function() ran = ran + 1 end)
  end
  collectgarbage()
  collectgarbage()
  gate.open(g)
  lu.assertEquals(exe:submit(function() return ran end):result(), 10)
end

function TestFuture.test_futures_are_collected()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local kept = exe:submit(echo, "kept")
  local weak = setmetatable({}, { __mode = "v" })
  for i = 1, 10 do
    weak[i] = exe:submit(echo, i)
    weak[i]:result()
  end
  collectgarbage()
  collectgarbage()
  lu.assertNil(next(weak))
  lu.assertEquals(kept:result(), "kept")
end

-- Errors of tasks

function TestFuture.test_error_values_of_any_type()
  local exe <close> = support.Executor(1)
  for _, e in ipairs { 42, 1.5, true, "text", { code = 1 }, { { { "deep" } } }, print } do
    local f = exe:submit(function() error(e, 0) end)
    local value, failed = f:exception()
    lu.assertEquals(value, e)
    lu.assertTrue(failed)
    lu.assertEquals(support.raised(f.result, f), e)
  end
  for _, e in ipairs { { nil }, { false } } do
    local f = exe:submit(function() error(e[1]) end)
    local value = e[1] == nil and support.nil_error or e[1]
    lu.assertEquals(table.pack(f:exception()), { value, true, n = 2 })
    lu.assertEquals(table.pack(pcall(f.result, f)), { false, value, n = 2 })
    lu.assertEquals(f:state(), "failed")
  end
end

function TestFuture.test_strings_keep_their_position()
  local exe <close> = support.Executor(1)
  local line = here(3)
  local function task(how)
    if how == "index" then
      local t; return t.x
    elseif how == "call" then
      undefined_function()
    end
  end
  lu.assertStrContains(exe:submit(task, "index"):exception(), line .. ": attempt to index a nil value (local 't')")
  lu.assertStrContains(exe:submit(task, "call"):exception(),
    "attempt to call a nil value (global 'undefined_function')")
end

function TestFuture.test_errors_of_c_functions_as_tasks()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(error, "plain", 0):exception(), "plain")
  lu.assertStrContains(exe:submit(string.rep):exception(), "string expected, got no value")
  lu.assertStrContains(exe:submit(setmetatable, 1, 2):exception(), "table expected, got number")
end

function TestFuture.test_a_stack_overflow_is_an_error()
  local exe <close> = support.Executor(1)
  local function down(n) return 1 + down(n + 1) end
  lu.assertStrContains(tostring(exe:submit(down, 1):exception()), "stack overflow")
  support.works(exe)
  local function c_down(n) return (("x"):gsub("x", function() c_down(n + 1) end)) end
  lu.assertStrContains(tostring(exe:submit(c_down, 1):exception()), "overflow")
  support.works(exe)
end

function TestFuture.test_tracebacks()
  local exe <close> = support.Executor(1)
  local function thrower() error "x" end
  local line = here(1)
  local f = exe:submit(function() thrower() end)
  lu.assertStrContains(f:exception(), ": x")
  lu.assertStrContains(f:traceback(), "stack traceback:")
  lu.assertStrContains(f:traceback(), "in upvalue 'thrower'")
  lu.assertStrContains(f:traceback(), line)
  f = exe:submit(function() error { 1 } end)
  f:exception()
  lu.assertStrContains(f:traceback(), here(-2))
  f = exe:submit(function() error() end)
  f:exception()
  lu.assertStrContains(f:traceback(), here(-2))
  f = exe:submit(function()
    coroutine.wrap(function() thrower() end)()
  end)
  f:exception()
  lu.assertStrContains(f:traceback(), here(-3))
end

function TestFuture.test_a_tostring_that_raises()
  local exe <close> = support.Executor(1)
  local Bad = { __tostring = function() error "tostring called" end, __name = "Bad" }
  local f = exe:submit(function() error(setmetatable({ 1 }, Bad)) end)
  local e = f:exception()
  lu.assertTrue(rawequal(getmetatable(e), Bad))
  lu.assertIsString(tostring(f))
  lu.assertStrContains(tostring(f), "Future(failed")
  lu.assertTrue(f:traceback() == nil or type(f:traceback()) == "string")
  lu.assertTrue(rawequal(getmetatable(support.raised(f.result, f)), Bad))
  support.works(exe)
end

function TestFuture.test_a_tostring_that_returns_no_string()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function() error(setmetatable({}, { __tostring = function() return 5 end })) end)
  f:exception()
  lu.assertIsString(tostring(f))
  support.works(exe)
end

function TestFuture.test_an_error_in_a_close()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function()
    local c <close> = setmetatable({}, { __close = function(_, e) error("closing after " .. tostring(e), 0) end })
    error("first", 0)
  end)
  lu.assertEquals(f:exception(), "closing after first")
  f = exe:submit(function()
    local c <close> = setmetatable({}, { __close = function() closed = true end })
    error("first", 0)
  end)
  lu.assertEquals(f:exception(), "first")
  lu.assertEquals(exe:submit(function() return closed end):result(), true)
end

-- tostring

function TestFuture.test_tostring()
  local exe <close> = support.Executor(1)
  local function shown(...)
    local f = exe:submit(...)
    f:exception()
    return tostring(f)
  end
  lu.assertEquals(shown(echo, 1), "Future(finished: number)")
  lu.assertEquals(shown(echo, "text"), "Future(finished: string)")
  lu.assertEquals(shown(echo, {}), "Future(finished: table)")
  lu.assertEquals(shown(echo, nil), "Future(finished: nil)")
  lu.assertStrMatches(shown(echo, 1, "x"), "Future%(finished: number.*…%)")
  lu.assertStrMatches(shown(echo, nil, "x", "y"), "Future%(finished: nil.*…%)")
  lu.assertStrMatches(shown(echo), "Future%(finished.*%)")
  local line = here(1)
  lu.assertEquals(shown(function() error "boom" end), "Future(failed: " .. line .. ": boom)")
  lu.assertEquals(shown(error, 42), "Future(failed: 42)")
  lu.assertEquals(shown(error), ("Future(failed: %s)"):format(support.nil_error))
  lu.assertEquals(shown(function()
    error(setmetatable({}, { __tostring = function() return "shown so" end }))
  end), "Future(failed: shown so)")
end

function TestFuture.test_tostring_of_what_is_not_done()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g, f = support.held(exe)
  local _ <close> = g
  lu.assertEquals(tostring(f), "Future(running)")
  lu.assertEquals(tostring(exe:submit(echo)), "Future(pending)")
end

-- Wrong use

function TestFuture.test_wrong_submits()
  local exe <close> = support.Executor(1)
  support.fails("bad argument #1 to 'submit' (function expected, got nil)", function() exe:submit(nil) end)
  support.fails("bad argument #1 to 'submit' (function expected, got nil)", function() exe:submit(nil, 1, 2) end)
  support.fails("bad argument #1 to 'submit' (function expected, got no value)", function() exe:submit() end)
  support.fails("bad argument #1 to 'submit' (function expected, got number)", function() exe:submit(42) end)
  support.fails("bad argument #1 to 'submit' (function expected, got string)", function() exe:submit "print" end)
  support.fails("bad argument #1 to 'submit' (function expected, got table)", function() exe:submit {} end)
  support.fails("bad argument #1 to 'submit' (function expected, got thread)",
    function() exe:submit(coroutine.create(print)) end)
  support.fails_like("bad argument #1 to 'submit' (function expected, got ", "FILE*)",
    function() exe:submit(io.stdout) end)
  support.fails_like("bad argument #1 to 'submit' (", "got table)", function() exe.submit({}, print) end)
  lu.assertEquals(exe:stats().failed + exe:stats().queued, 0)
  support.works(exe)
end

function TestFuture.test_wrong_methods()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 1)
  support.fails("bad argument #1 to 'result' (number expected, got string)", function() f:result "x" end)
  support.fails("bad argument #1 to 'result' (number expected, got table)", function() f:result {} end)
  support.fails("bad argument #1 to 'exception' (number expected, got boolean)", function() f:exception(true) end)
  support.fails("bad argument #1 to 'add_done_callback' (function expected, got nil)",
    function() f:add_done_callback(nil) end)
  support.fails("bad argument #1 to 'add_done_callback' (function expected, got no value)",
    function() f:add_done_callback() end)
  support.fails("bad argument #1 to 'add_done_callback' (function expected, got string)",
    function() f:add_done_callback "x" end)
  for _, name in ipairs { "result", "exception", "traceback", "cancel", "cancelled", "running", "done", "state" } do
    local e = support.raised(function() f[name]({}) end)
    lu.assertStrContains(e, "got table)")
    e = support.raised(function() f[name](exe) end)
    lu.assertStrContains(e, "bad argument #1 to")
    e = support.raised(function() f[name]() end)
    lu.assertStrContains(e, "got no value)")
  end
  lu.assertFalse(pcall(function() f.x = 1 end))
  lu.assertFalse(pcall(function() return f() end))
  lu.assertFalse(pcall(function() return #f end))
  lu.assertFalse(pcall(setmetatable, f, {}))
  lu.assertEquals(f:result(), 1)
  support.works(exe)
end

local rc = support.run(TestFuture)
if rc ~= 0 then
  os.exit(rc)
end
