-- SPDX-License-Identifier: MIT
--
-- Debug hooks of the script see the tasks that it runs inline (API §2).
local lu = require "luaunit"
local lfut = require "lfut"

TestHooks = {}

function TestHooks:tearDown()
  debug.sethook()
end

local function task(x)
  local y = x + 1 -- the second line of the task
  return y
end

local first = debug.getinfo(task, "S").linedefined

-- A hook that counts the lines of this file.
local function counter()
  local counts = {}
  return counts, function(_, line)
    local info = debug.getinfo(2, "Sl")
    if info.source == "@" .. arg[0] and info.currentline == line then
      counts[line - first] = (counts[line - first] or 0) + 1
    end
  end
end

function TestHooks.test_lines_of_tasks()
  local exe <close> = lfut.InlineExecutor()
  local counts, hook = counter()
  debug.sethook(hook, "l")
  local result = exe:submit(task, 1):result()
  exe:map(task, { 1, 2, 3 }):list()
  exe:submit(function() return coroutine.wrap(task)(1) end):result()
  debug.sethook()
  exe:submit(task, 1):result()
  lu.assertEquals(result, 2)
  lu.assertEquals({ counts[1], counts[2] }, { 5, 5 })
end

function TestHooks.test_calls()
  local exe <close> = lfut.InlineExecutor()
  local calls = {}
  debug.sethook(function()
    local info = debug.getinfo(2, "S")
    calls[info.linedefined] = true
  end, "c")
  exe:submit(task, 1):result()
  debug.sethook()
  lu.assertTrue(calls[first])
end

function TestHooks.test_a_hook_that_raises_and_ends()
  local exe <close> = lfut.InlineExecutor()
  debug.sethook(function(_, line)
    if line == first + 1 then
      debug.sethook()
      error("stop", 0)
    end
  end, "l")
  local f = exe:submit(task, 1)
  lu.assertNil(debug.gethook())
  lu.assertEquals(f:exception(), "stop")
  lu.assertEquals(exe:submit(task, 1):result(), 2)
end

function TestHooks.test_other_executors_have_none()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local counts, hook = counter()
  debug.sethook(hook, "l")
  exe:submit(task, 1):result()
  debug.sethook()
  lu.assertNil(counts[1])
end

-- As a debugger would list them at a breakpoint.
local function locals(level)
  local all, i = {}, 1
  while true do
    local name, value = debug.getlocal(level + 1, i)
    if not name then
      return all
    end
    all[name] = value
    i = i + 1
  end
end

function TestHooks.test_variables_of_tasks()
  local exe <close> = lfut.InlineExecutor()
  local seen
  debug.sethook(function(_, line)
    if line == first + 2 then
      seen = locals(2)
    end
  end, "l")
  exe:submit(task, 1):result()
  lu.assertEquals(seen, { x = 1, y = 2 })
  local function odd(t, f, co)
    local y = 1
    return y, t, f, co
  end
  first = debug.getinfo(odd, "S").linedefined
  exe:submit(function(odd) return odd({ 1, { 2 } }, print, coroutine.create(print)) end, odd)
  debug.sethook()
  first = debug.getinfo(task, "S").linedefined
  lu.assertEquals(seen.t, { 1, { 2 } })
  lu.assertEquals(seen.f, print)
  lu.assertStrMatches(seen.co, "thread: 0x%x+")
end

function TestHooks.test_getlocal_is_as_before()
  local a = 5
  lu.assertEquals({ debug.getlocal(1, 1) }, { "a", a })
  lu.assertEquals(debug.getlocal(task, 1), "x")
  lu.assertErrorMsgContains("level out of range", debug.getlocal, 1000, 1)
end

function TestHooks.test_getinfo_is_as_before()
  lu.assertEquals(debug.getinfo(1, "l").currentline, debug.getinfo(1).currentline)
  lu.assertEquals(debug.getinfo(print).what, "C")
  lu.assertNil(debug.getinfo(1000))
end

os.exit(require "support".run(TestHooks))
