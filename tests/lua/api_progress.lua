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

--- The option 'progress'

TestProgress = {}

-- A function that notes what it is told, and the list of that: done, total,
-- label as texts.
local function recorder()
  local told = {}
  return function(...)
    lu.assertEquals(select("#", ...), 3)
    local done, total, label = ...
    lu.assertEquals(math.type(done), "integer")
    told[#told + 1] = { done, total, label }
  end, told
end

-- Done never goes back; done == total is told once, at the end, of n.
local function check_told(told, n, label)
  local last = 0
  for i, t in ipairs(told) do
    lu.assertTrue(t[1] > last or (i == #told and t[1] >= last), "it goes back")
    lu.assertTrue(t[2] == nil or t[2] >= t[1], "more than all")
    lu.assertEquals(t[1] == t[2], i == #told)
    lu.assertEquals(t[3], label)
    last = t[1]
  end
  lu.assertEquals({ told[#told][1], told[#told][2] }, { n, n })
end

function TestProgress.test_map()
  local exe <close> = support.Executor(2)
  local tell, told = recorder()
  for i in exe:map(echo, { "a", "b", "c" }, { progress = tell }) do
    lu.assertEquals(told[#told], { i, 3 }) -- told before it is seen
  end
  lu.assertEquals(told, { { 1, 3 }, { 2, 3 }, { 3, 3 } })
end

function TestProgress.test_starmap_unordered()
  local exe <close> = support.Executor(2)
  local tell, told = recorder()
  for _ in exe:starmap(echo, { { 1 }, { 2 }, { 3 } }, { progress = tell, ordered = false }) do
    told.seen = (told.seen or 0) + 1
    lu.assertEquals(told[#told], { told.seen, 3 })
  end
  check_told(told, 3)
end

function TestProgress.test_each_kind_of_source()
  local exe <close> = support.Executor(2)
  local function counter(n)
    local i = 0
    return function()
      if i < n then
        i = i + 1
        return i
      end
    end
  end
  for _, items in ipairs { { 1, 2, 3, 4 }, lfut.range(4), lfut.zip({ 1, 2, 3, 4 }, lfut.range(9)) } do
    local tell, told = recorder()
    exe:map(echo, items, { progress = tell }):list()
    check_told(told, 4)
    lu.assertEquals(told[1][2], 4)
  end
  local tell, told = recorder()
  for _ in exe:map(echo, counter(4), { progress = tell }) do
  end
  lu.assertEquals(told, { { 1 }, { 2 }, { 3 }, { 4 }, { 4, 4 } })
  tell, told = recorder()
  lu.assertEquals(exe:for_each(echo, counter(1000), { progress = tell, buffersize = 10 }), 1000)
  check_told(told, 1000)
  for i = 1, #told - 1 do
    lu.assertNil(told[i][2])
  end
end

function TestProgress.test_a_queue()
  local exe <close> = support.Executor(2)
  local tell, told = recorder()
  local q = lfut.Queue()
  for i = 1, 5 do
    q:put(i)
  end
  q:close()
  for _ in exe:map(echo, q, { progress = tell }) do
  end
  check_told(told, 5)
end

function TestProgress.test_blocking_ones()
  local exe <close> = support.Executor(2)
  local add = function(a, b) return a + b end
  local tell, told = recorder()
  lu.assertEquals(exe:for_each(echo, lfut.range(1000), { progress = tell, chunksize = 10 }), 1000)
  check_told(told, 1000)
  tell, told = recorder()
  lu.assertEquals(exe:reduce(echo, lfut.range(100), add, 0, { progress = tell, chunksize = 7 }), 5050)
  check_told(told, 100)
  tell, told = recorder()
  local list = exe:map(echo, lfut.range(100), { progress = tell, chunksize = 7 }):list()
  lu.assertEquals(list.n, 100)
  check_told(told, 100)
end

-- The first item is held: that others are done is told all the same.
function TestProgress.test_what_is_done_out_of_turn()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local told = {}
  local function work(i, g)
    if i == 1 then
      gate.hold(g)
    end
  end
  local calls = {}
  for i = 1, 8 do
    calls[i] = { i, g }
  end
  local n = exe:for_each(function(t) work(t[1], t[2]) end, calls, {
    chunksize = 1,
    progress = function(done, total)
      told[#told + 1] = { done, total }
      if done == 7 then
        gate.open(g)
      end
    end,
  })
  lu.assertEquals(n, 8)
  check_told(told, 8)
  lu.assertEquals(told[#told - 1], { 7, 8 })
end

function TestProgress.test_nothing_to_do()
  local exe <close> = support.Executor(1)
  local tell, told = recorder()
  for _ in exe:map(echo, {}, { progress = tell }) do
  end
  for _ in exe:map(echo, function() end, { progress = tell }) do
  end
  exe:map(echo, {}, { progress = tell }):list()
  exe:for_each(echo, {}, { progress = tell })
  exe:reduce(echo, {}, math.max, nil, { progress = tell })
  for _ in lfut.as_completed({}, { progress = tell }) do
  end
  lu.assertEquals(told, { { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } })
end

function TestProgress.test_the_end_is_told_once()
  local exe <close> = support.Executor(1)
  local tell, told = recorder()
  local it = exe:map(echo, { 1, 2 }, { progress = tell })
  for _ = 1, 5 do
    it()
  end
  it:close()
  lu.assertEquals(told, { { 1, 2 }, { 2, 2 } })
end

function TestProgress.test_the_label_is_the_name_of_the_options()
  local exe <close> = support.Executor(1)
  local tell, told = recorder()
  local named = exe:options { name = "squares" }
  named:for_each(echo, { 1 }, { progress = tell })
  for _ in named:map(echo, { 1 }, { progress = tell }) do
  end
  lu.assertEquals(told, { { 1, 1, "squares" }, { 1, 1, "squares" } })
end

function TestProgress.test_a_callable_table()
  local exe <close> = support.Executor(1)
  local told = setmetatable({}, { __call = function(self, ...) self[#self + 1] = { ... } end })
  exe:for_each(echo, { 1 }, { progress = told })
  lu.assertEquals(told[1], { 1, 1 })
end

function TestProgress.test_as_completed()
  local exe <close> = support.Executor(2)
  local tell, told = recorder()
  local fs = {}
  for i = 1, 4 do
    fs[i] = exe:submit(echo, i)
  end
  local sum = 0
  for f in lfut.as_completed(fs, { progress = tell, timeout = 1000 }) do
    sum = sum + f:result()
  end
  lu.assertEquals(sum, 10)
  check_told(told, 4)
  lu.assertEquals(#told, 4)
end

-- What is added counts, and all is told once.
function TestProgress.test_as_completed_with_more_of_them()
  local exe <close> = support.Executor(1)
  local tell, told = recorder()
  local it = lfut.as_completed({ exe:submit(echo, 1) }, { progress = tell })
  local n = 0
  for _ in it do
    n = n + 1
    if n < 3 then
      it:add(exe:submit(echo, n))
    end
  end
  lu.assertEquals(n, 3)
  check_told(told, 3)
end

-- Protected ones count; an error ends a loop, and nothing more is told.
function TestProgress.test_items_that_fail()
  local exe <close> = support.Executor(1)
  local tell, told = recorder()
  local function fail(i)
    if i == 2 then
      error "boom"
    end
  end
  for _ in exe:map(fail, { 1, 2, 3 }, { progress = tell, protected = true }) do
  end
  lu.assertEquals(told, { { 1, 3 }, { 2, 3 }, { 3, 3 } })
  tell, told = recorder()
  lu.assertFalse((pcall(exe.for_each, exe, fail, { 1, 2, 3 }, { progress = tell, chunksize = 1 })))
  for _, t in ipairs(told) do
    lu.assertTrue(t[1] < t[2])
  end
end

function TestProgress.test_a_source_that_fails()
  local exe <close> = support.Executor(1)
  local tell, told = recorder()
  local n = 0
  local function source()
    n = n + 1
    return n < 3 and n or error("no more", 0)
  end
  local e = support.raised(function()
    for _ in exe:map(echo, source, { progress = tell }) do
    end
  end)
  lu.assertEquals(e, "no more")
  lu.assertEquals(told, { { 1 }, { 2 } })
end

function TestProgress.test_its_errors_pass_on()
  local exe <close> = support.Executor(1)
  local e = {}
  local function tell() error(e) end
  for _, call in ipairs {
    function() exe:for_each(echo, { 1, 2 }, { progress = tell }) end,
    function() exe:reduce(echo, { 1, 2 }, math.max, 0, { progress = tell }) end,
    function() exe:map(echo, { 1, 2 }, { progress = tell }):list() end,
    function() exe:map(echo, { 1, 2 }, { progress = tell })() end,
    function()
      for _ in exe:map(echo, {}, { progress = tell }) do
      end
    end,
    function() lfut.as_completed({ exe:submit(echo, 1), exe:submit(echo, 2) }, { progress = tell })() end,
    function() lfut.as_completed({}, { progress = tell })() end,
  } do
    lu.assertIs(support.raised(call), e)
  end
  support.works(exe)
end

-- The loop is closed then: nothing more of it is begun, and it is at its end.
function TestProgress.test_its_errors_close_the_loop()
  local exe <close> = support.Executor(1)
  local it = exe:map(echo, lfut.range(1e6), { progress = function() error("enough", 0) end })
  lu.assertEquals(support.raised(it), "enough")
  lu.assertNil(it())
  lu.assertEquals(it:list(), { n = 1 })
  local fs = { exe:submit(echo, 1), exe:submit(echo, 2) }
  local completed = lfut.as_completed(fs, { progress = function() error("enough", 0) end })
  lu.assertEquals(support.raised(completed), "enough")
  support.works(exe)
end

function TestProgress.test_in_a_task()
  local exe <close> = support.Executor(2)
  local function work(exe)
    exe = support.receive_executor(exe, 2)
    local told = {}
    exe:for_each(function() end, lfut.range(10), { progress = function(...) told[#told + 1] = { ... } end })
    return told[#told]
  end
  lu.assertEquals(exe:submit(work, support.send_executor(exe)):result(), { 10, 10 })
end

-- It may use lfut, also the loop itself.
function TestProgress.test_it_may_call_anything()
  local exe <close> = support.Executor(1)
  local results, it = {}, nil
  it = exe:map(echo, { "a", "b", "c", "d" }, {
    progress = function()
      results[#results + 1] = exe:submit(echo, "x"):result()
      results[#results + 1] = select(2, it())
    end,
  })
  lu.assertEquals(select(2, it()), "a")
  lu.assertEquals(results, { "x", "b" })
end

function TestProgress.test_false_is_none()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:for_each(echo, { 1, 2 }, { progress = false }), 2)
end

function TestProgress.test_wrong_ones()
  local exe <close> = support.Executor(1)
  for _, wrong in ipairs { 1, {} } do
    local message = ("bad option 'progress' (boolean, string or function expected, got %s)"):format(type(wrong))
    local o = { progress = wrong }
    support.fails(message, function() exe:map(echo, { 1 }, o) end)
    support.fails(message, function() exe:starmap(echo, { { 1 } }, o) end)
    support.fails(message, function() exe:for_each(echo, { 1 }, o) end)
    support.fails(message, function() exe:reduce(echo, { 1 }, math.max, 0, o) end)
    support.fails(message, function() lfut.as_completed({}, o) end)
  end
end

function TestProgress.test_past_a_timeout_nothing_is_told()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local tell, told = recorder()
  support.fails_as("TimeoutError", nil, exe.for_each, exe, echo, { 1, 2 }, { progress = tell, timeout = 0 })
  local e = support.raised(lfut.as_completed({ exe:submit(echo, 1) }, { progress = tell, timeout = 0 }))
  lu.assertEquals(e.kind, "TimeoutError")
  lu.assertEquals(told, {})
  gate.open(g)
end

local rc = support.run(TestReport, TestProgress)
if rc ~= 0 then
  os.exit(rc)
end
