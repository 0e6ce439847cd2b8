-- SPDX-License-Identifier: MIT
--
-- What a script adds to the standard libraries is captured like its globals
-- (API §5).
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestAdditions = {}

local prefix = ">"

function string:frame() -- luacheck: ignore
  return prefix .. self .. "<"
end

function table.total(list) -- luacheck: ignore
  local sum = 0
  for _, x in ipairs(list) do
    sum = sum + x
  end
  return sum
end

function string.twice(s) -- luacheck: ignore
  return s:frame() .. s:frame()
end

local fields = table

function TestAdditions.test_as_methods_and_fields()
  local exe <close> = support.Executor(2)
  lu.assertEquals(exe:submit(function(s) return s:frame() end, "a"):result(), ">a<")
  lu.assertEquals(exe:submit(function(s) return string.frame(s) end, "a"):result(), ">a<")
  lu.assertEquals(exe:submit(function(t) return fields.total(t) end, { 1, 2, 3 }):result(), 6)
  lu.assertEquals(exe:submit(string.frame, "a"):result(), ">a<")
  lu.assertEquals(exe:map(function(s) return s:frame() end, { "a", "b" }):list(), { ">a<", ">b<", n = 2 })
  lu.assertEquals(exe:reduce(function(x) return table.total { x, x } end, { 1, 2 }, math.max), 4)
end

function TestAdditions.test_those_that_others_name()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(function(s) return s:twice() end, "a"):result(), ">a<>a<")
  local function inner()
    return function(s) return s:frame() end
  end
  lu.assertEquals(exe:submit(function(s) return inner()(s) end, "a"):result(), ">a<")
end

function TestAdditions.test_anew_at_every_submit()
  local exe <close> = support.Executor(1)
  local function frame(s) return s:frame() end
  local old = string.frame
  lu.assertEquals(exe:submit(frame, "a"):result(), ">a<")
  string.frame = function(s) return "[" .. s .. "]" end -- luacheck: ignore
  lu.assertEquals(exe:submit(frame, "a"):result(), "[a]")
  string.frame = old -- luacheck: ignore
  lu.assertEquals(exe:submit(frame, "a"):result(), ">a<")
end

function TestAdditions.test_values()
  local exe <close> = support.Executor(1)
  math.tau = 2 * math.pi -- luacheck: ignore
  lu.assertEquals(exe:submit(function() return math.tau end):result(), 2 * math.pi)
  math.tau = nil -- luacheck: ignore
end

function TestAdditions.test_after_a_wait()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local function task(own)
    local before = ("a"):frame()
    require "lfut".ThreadPoolExecutor(1):submit(function() end):result()
    return own, before, ("a"):frame()
  end
  local old, futures = string.frame, {}
  for i = 1, 10 do
    string.frame = function() return i end -- luacheck: ignore
    futures[i] = exe:submit(task, i)
  end
  string.frame = old -- luacheck: ignore
  for i = 1, 10 do
    lu.assertEquals({ futures[i]:result() }, { i, i, i })
  end
end

function TestAdditions.test_in_tasks_of_tasks()
  local exe <close> = support.Executor(1)
  local function task()
    local inner = require "lfut".ThreadPoolExecutor(1)
    return inner:submit(function() return ("a"):frame() end):result()
  end
  lu.assertEquals(exe:submit(function() return ("a"):frame() .. task() end):result(), ">a<>a<")
end

function TestAdditions.test_one_that_cannot_travel()
  local exe <close> = support.Executor(1)
  string.bad = coroutine.wrap(print) -- luacheck: ignore
  local e = support.fails_as("TransferError", nil, exe.submit, exe, function(s) return s:bad() end, "a")
  lu.assertStrContains(e.message, "cannot send 'string.bad' of function <")
  string.bad = nil -- luacheck: ignore
  support.works(exe)
end

function TestAdditions.test_names_that_are_no_additions()
  local exe <close> = support.Executor(1)
  local object = { frame = 1, total = 2 }
  lu.assertEquals({ exe:submit(function(o) return o.frame, o.total, o.missing end, object):result() }, { 1, 2 })
  lu.assertNil(getmetatable "".__index.missing)
end

local rc = support.run(TestAdditions)
if rc ~= 0 then
  os.exit(rc)
end
