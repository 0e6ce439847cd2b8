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

function TestHooks.test_getinfo_is_as_before()
  lu.assertEquals(debug.getinfo(1, "l").currentline, debug.getinfo(1).currentline)
  lu.assertEquals(debug.getinfo(print).what, "C")
  lu.assertNil(debug.getinfo(1000))
end

os.exit(require "support".run(TestHooks))
