-- SPDX-License-Identifier: MIT
--
-- Failed futures that nobody has asked are reported (API §3).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

TestUnasked = {}

-- What a script writes on stderr that begins with an executor.
local function errors_of(text)
  local script = ("local lfut = require 'lfut'\nlocal exe <close> = %s(1)\n%s"):format(support.constructor, text)
  local out, err, status = support.program(script)
  lu.assertEquals(status, 0, err)
  lu.assertEquals(out, "")
  return err
end

local function count(text, what)
  local _, n = text:gsub(what, "")
  return n
end

function TestUnasked.test_reported_at_the_end()
  for _, text in ipairs {
    "exe:submit(function() error 'lost' end)",
    "kept = exe:submit(function() error 'lost' end)",
    "kept = exe:submit(function() error 'lost' end) kept:done() kept:state() tostring(kept)",
    "exe:submit(function() error 'lost' end) for i = 1, 5 do collectgarbage() lfut.poll() end",
    "local f = exe:submit(function() error 'lost' end) f = nil collectgarbage() exe:submit(print):result()",
    "exe:broadcast(function() error 'lost' end)",
    "exe:shutdown() ; (function(t) kept = t end)(lfut.ThreadPoolExecutor(1):submit(function() error 'lost' end))",
  } do
    local err = errors_of(text:gsub("exe:submit%(print%)", "exe:submit(function() end)"))
    lu.assertEquals(count(err, "lost"), 1, text .. "\n" .. err)
    lu.assertStrContains(err, "lfut: nobody has asked for the error of function <script.lua:3>: script.lua:3: lost\n")
    lu.assertStrContains(err, "worker's stack traceback:\n")
  end
end

function TestUnasked.test_those_that_were_asked()
  for _, text in ipairs {
    "pcall(f.result, f)",
    "f:exception()",
    "f:traceback()",
    "lfut.wait { f }",
    "for _ in lfut.as_completed { f } do end",
    "f:add_done_callback(function() end)",
    "exe:shutdown(true)\nf:cancel()\npcall(f.result, f, 0)",
  } do
    lu.assertEquals(errors_of("local f = exe:submit(function() error 'lost' end)\n" .. text), "", text)
  end
end

function TestUnasked.test_nothing_else_is_reported()
  lu.assertEquals(errors_of "exe:submit(function() end) kept = exe:submit(function() return 1 end)", "")
  lu.assertEquals(errors_of "local f = exe:submit(function() end) f:cancel()", "")
  lu.assertEquals(errors_of "pcall(function() exe:map(error, { 'x' }):list() end)", "")
  lu.assertEquals(errors_of "for _ = 1, 100 do exe:submit(function() end) end collectgarbage()", "")
end

function TestUnasked.test_other_values()
  lu.assertStrContains(errors_of "exe:submit(function() error {} end)", ": (error object is a table value)\n")
  lu.assertStrContains(errors_of "exe:submit(function() return coroutine.create(print) end)",
    ": TransferError: cannot send result 1 (thread) back\n")
end

function TestUnasked.test_passed_to_others()
  support.needs_threads()
  local text = [[
    local f = exe:submit(function() error 'lost' end)
    exe:submit(function(g) return (pcall(g.result, g)) end, f):result()
  ]]
  lu.assertEquals(errors_of(text), "")
end

function TestUnasked.test_in_a_task()
  local err = errors_of [[
    exe:submit(function()
      require "lfut".ThreadPoolExecutor(1):submit(function() error "lost" end)
    end):result()
  ]]
  lu.assertTrue(count(err, "lost") <= 1, err)
end

-- lfut.on_unasked, in this script

local function fail_unseen(exe, value)
  exe:submit(function(v) error(v, 0) end, value)
end

-- Until the one worker has done what was submitted before.
local function wait_for(exe, list, n)
  repeat
    exe:submit(support.echo):result()
    collectgarbage()
    lfut.poll()
  until #list >= n
end

function TestUnasked.test_taken_by_the_script()
  local exe <close> = support.Executor(1)
  local taken = {}
  lfut.on_unasked(function(e, trace) taken[#taken + 1] = { e, trace } end)
  fail_unseen(exe, "one")
  wait_for(exe, taken, 1)
  fail_unseen(exe, { 2 })
  wait_for(exe, taken, 2)
  lfut.on_unasked(nil)
  lu.assertEquals(taken[1][1], "one")
  lu.assertStrContains(taken[1][2], "stack traceback:")
  lu.assertEquals(taken[2][1], { 2 })
  lu.assertEquals(#taken, 2)
end

function TestUnasked.test_dropped()
  lu.assertEquals(errors_of "lfut.on_unasked(nil) exe:submit(function() error 'lost' end)", "")
end

function TestUnasked.test_an_error_of_the_function()
  local err = errors_of "lfut.on_unasked(function(e) error('again ' .. e, 0) end) exe:submit(function() error('lost', 0) end)"
  lu.assertEquals(err, "lfut: error in lfut.on_unasked: again lost\n")
end

function TestUnasked.test_wrong_use()
  support.fails_like("bad argument #1 to 'on_unasked' (", ")", function() lfut.on_unasked() end)
  support.fails("bad argument #1 to 'on_unasked' (function expected, got number)", function() lfut.on_unasked(5) end)
end

function TestUnasked.test_collected_while_it_runs()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local taken = {}
  lfut.on_unasked(function(e) taken[#taken + 1] = e end)
  local g = gate.new()
  exe:submit(function(held)
    require "gate".hold(held)
    error("late", 0)
  end, g)
  gate.arrived(g)
  collectgarbage()
  collectgarbage()
  gate.open(g)
  wait_for(exe, taken, 1)
  lfut.on_unasked(nil)
  lu.assertEquals(taken, { "late" })
end

local rc = support.run(TestUnasked)
if rc ~= 0 then
  os.exit(rc)
end
