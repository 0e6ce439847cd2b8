-- SPDX-License-Identifier: MIT
--
-- lfut's own errors (API §4).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestError = {}

local kinds = {
  "TimeoutError", "CancelledError", "TransferError", "DeadlockError", "BrokenExecutor", "BrokenThreadPool",
  "BrokenProcessPool", "WorkerLost", "TaskTimeout", "MemoryLimit", "NativeError", "Empty", "Full", "Closed",
  "BrokenBarrier",
}

-- One error of each kind that can be had, by its kind.
local function samples()
  local list = {}
  local exe <close> = support.Executor(1)
  list.TransferError = support.raised(exe.submit, exe, echo, coroutine.create(print))
  local broken <close> = support.Executor { max_workers = 1, initializer = "error 'b'" }
  local _, e = pcall(function() broken:submit(echo):result() end)
  list[support.broken_kind] = e
  if not support.is_inline then
    local g, f = support.held(exe)
    local _ <close> = g
    list.TimeoutError = support.raised(f.result, f, 0)
    local p = exe:submit(echo)
    p:cancel()
    list.CancelledError = support.raised(p.result, p)
  end
  return list
end

function TestError.test_fields_and_text()
  for kind, e in pairs(samples()) do
    support.is_error(e, kind)
    lu.assertNotEquals(e.message, "")
  end
end

function TestError.test_is_error_follows_the_tree()
  local parents = { BrokenThreadPool = "BrokenExecutor", BrokenProcessPool = "BrokenExecutor" }
  for kind, e in pairs(samples()) do
    lu.assertTrue(lfut.is_error(e))
    for _, other in ipairs(kinds) do
      lu.assertEquals(lfut.is_error(e, other), other == kind or other == parents[kind], kind .. " as " .. other)
    end
    lu.assertFalse(lfut.is_error(e, "NoSuchKind"))
    lu.assertFalse(lfut.is_error(e, ""))
  end
end

function TestError.test_is_error_of_other_values()
  for _, v in ipairs { "TimeoutError", 5, true, false, {}, print, { kind = "TimeoutError", message = "x" }, lfut,
    setmetatable({ kind = "TimeoutError", message = "x" }, { __tostring = function() return "TimeoutError: x" end }) } do
    lu.assertEquals(lfut.is_error(v), false)
    lu.assertEquals(lfut.is_error(v, "TimeoutError"), false)
  end
  lu.assertEquals(lfut.is_error(nil), false)
  lu.assertEquals(lfut.is_error(nil, "TimeoutError"), false)
end

function TestError.test_wrong_use()
  support.fails_like("bad argument #1 to 'is_error' (", ")", function() lfut.is_error() end)
  support.fails_like("bad argument #2 to 'is_error' (string expected, got table)", "",
    function() lfut.is_error("x", {}) end)
end

function TestError.test_a_task_s_own_errors_are_never_wrapped()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function() error { kind = "TimeoutError", message = "mine" } end)
  local e = f:exception()
  lu.assertEquals(e, { kind = "TimeoutError", message = "mine" })
  lu.assertFalse(lfut.is_error(e))
end

function TestError.test_errors_of_lfut_pass_through_tasks()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function()
    local other = require "lfut".InlineExecutor()
    other:submit(print, coroutine.create(print))
  end)
  local e = f:exception()
  support.is_error(e, "TransferError", "cannot send argument 1 (thread) to a worker")
  local rethrown = exe:submit(function(e) error(e) end, e):exception()
  support.is_error(rethrown, "TransferError", e.message)
end

function TestError.test_an_error_can_be_raised_again()
  for kind, e in pairs(samples()) do
    local again = support.raised(error, e)
    lu.assertTrue(rawequal(again, e))
    support.is_error(again, kind)
  end
end

function TestError.test_uncaught_from_a_task()
  local script = [[
    local lfut = require "lfut"
    local exe <close> = %s(1)
    local function in_the_task() error "of the task" end
    local f = exe:submit(function() in_the_task() end)
    f:result()
  ]]
  local out, err, status = support.program(script:format(support.constructor))
  lu.assertEquals(status, 1)
  lu.assertEquals(out, "")
  lu.assertStrContains(err, "script.lua:3: of the task")
  lu.assertStrContains(err, "in_the_task") -- the worker's traceback
  lu.assertStrContains(err, "script.lua:5: in main chunk") -- and the caller's
end

function TestError.test_uncaught_ones_of_lfut()
  local script = [[
    local lfut = require "lfut"
    local exe <close> = %s(1)
    exe:submit(print, coroutine.create(print))
  ]]
  local _, err, status = support.program(script:format(support.constructor))
  lu.assertEquals(status, 1)
  lu.assertStrContains(err, "lfut: script.lua:3: TransferError: cannot send argument 1 (thread) to a worker\n")
  lu.assertStrContains(err, "script.lua:3: in main chunk")
end

function TestError.test_uncaught_ones_of_lfut_in_functions()
  local script = [[
    local lfut = require "lfut"
    local exe <close> = %s(1)
    local function inner()
      local r = exe:submit(function() return coroutine.create(print) end):result()
      return r
    end
    local function outer()
      local r = inner()
      return r
    end
    outer()
  ]]
  local _, err, status = support.program(script:format(support.constructor))
  lu.assertEquals(status, 1)
  lu.assertStrContains(err, "lfut: script.lua:4: TransferError: cannot send result 1 (thread) back")
  lu.assertStrContains(err, "script.lua:8: in local 'outer'")
end

local rc = support.run(TestError)
if rc ~= 0 then
  os.exit(rc)
end
