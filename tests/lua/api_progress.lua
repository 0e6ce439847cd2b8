-- SPDX-License-Identifier: MIT
--
-- What tasks report, and how far loops are (API §11).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

-- Waits until the future's progress is that.
local function await_progress(f, fraction, text)
  local a, b
  repeat
    a, b = f:progress()
  until a == fraction and b == text
end

--- lfut.report, f:progress

TestReport = {}

function TestReport.test_nothing_was_said()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 1)
  f:result()
  lu.assertEquals(table.pack(f:progress()), { n = 1 })
end

function TestReport.test_the_last_one_stays()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function()
    for i = 0, 1000 do
      lfut.report(i / 1000, "step " .. i)
    end
    return select("#", lfut.report(1, "all"))
  end)
  lu.assertEquals(f:result(), 0)
  lu.assertEquals(table.pack(f:progress()), { 1.0, "all", n = 2 })
end

function TestReport.test_a_text_goes_when_none_is_given()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function()
    lfut.report(0.25, "words\0and more")
    lfut.report(1 / 2)
  end)
  f:result()
  lu.assertEquals(table.pack(f:progress()), { 0.5, nil, n = 2 })
  f = exe:submit(lfut.report, 1, "words\0and more")
  f:result()
  lu.assertEquals(table.pack(f:progress()), { 1.0, "words\0and more", n = 2 })
end

function TestReport.test_while_it_runs()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local a <close> = gate.new()
  local b <close> = gate.new()
  local function work(g, text)
    lfut.report(0.125, text)
    lfut.report(0.25, text)
    gate.hold(g)
    lfut.report(0.75)
    lfut.report(0.875)
    gate.hold(g)
  end
  local f, g = exe:submit(work, a, "a"), exe:submit(work, b, "b")
  await_progress(f, 0.25, "a") -- though it says nothing more
  await_progress(g, 0.25, "b")
  gate.open(a)
  await_progress(f, 0.875)
  lu.assertEquals({ g:progress() }, { 0.25, "b" })
  gate.open(b)
  g:result()
  lu.assertEquals({ g:progress() }, { 0.875 })
end

function TestReport.test_of_one_that_fails()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function()
    lfut.report(0.5, "so far")
    error "boom"
  end)
  f:exception()
  lu.assertEquals({ f:progress() }, { 0.5, "so far" })
end

function TestReport.test_while_others_of_the_worker_wait()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local function work(exe)
    exe = support.receive_executor(exe)
    lfut.report(0.25, "outer")
    exe:submit(function() lfut.report(0.5, "inner") end):result()
    lfut.report(0.75, "outer")
    return true
  end
  local f = exe:submit(work, support.send_executor(exe))
  lu.assertTrue(f:result())
  lu.assertEquals({ f:progress() }, { 0.75, "outer" })
end

-- A task of a task, which another worker runs.
function TestReport.test_of_a_task_of_a_task()
  local exe <close> = support.Executor(2)
  local f = exe:submit(function(exe)
    local g = exe:submit(function() lfut.report(0.5, "inner") end)
    g:result()
    return g:progress()
  end, exe)
  lu.assertEquals({ f:result() }, { 0.5, "inner" })
  lu.assertNil((f:progress()))
end

function TestReport.test_shares_are_cut()
  local exe <close> = support.Executor(1)
  for given, seen in pairs { [-1] = 0.0, [7] = 1.0, [math.huge] = 1.0, [-math.huge] = 0.0 } do
    local f = exe:submit(lfut.report, given)
    f:result()
    lu.assertEquals(f:progress(), seen)
  end
end

function TestReport.test_long_texts_are_cut()
  local exe <close> = support.Executor(1)
  local f = exe:submit(lfut.report, 0, ("x"):rep(1e6))
  f:result()
  lu.assertEquals({ f:progress() }, { 0.0, ("x"):rep(1000) })
  f = exe:submit(lfut.report, 0, ("€"):rep(1000))
  f:result()
  lu.assertEquals({ f:progress() }, { 0.0, ("€"):rep(333) })
end

function TestReport.test_outside_of_tasks()
  lu.assertEquals(select("#", lfut.report(0.5, "nobody listens")), 0)
  local exe <close> = support.Executor(1)
  local report = function(i) lfut.report(i / 10) return i end
  lu.assertEquals(exe:map(report, { 1, 2, 3 }):list(), { 1, 2, 3, n = 3 })
end

function TestReport.test_wrong_arguments()
  for _, where in ipairs {
    function(...) lfut.report(...) end,
    function(...)
      local exe <close> = support.Executor(1)
      exe:submit(lfut.report, ...):result()
    end,
  } do
    for message, arguments in pairs {
      ["#1 to 'report' (number expected, got no value)"] = {},
      ["#1 to 'report' (number expected, got string)"] = { "0.5" },
      ["#1 to 'report' (number expected, got nil)"] = { nil, "text", n = 2 },
      ["#1 to 'report' (number expected, got NaN)"] = { 0 / 0 },
      ["#2 to 'report' (string expected, got table)"] = { 1, {} },
    } do
      local e = support.raised(where, table.unpack(arguments, 1, arguments.n))
      lu.assertStrContains(e:gsub("lfut%.report", "report"), "bad argument " .. message)
    end
  end
end

local rc = support.run(TestReport)
if rc ~= 0 then
  os.exit(rc)
end
