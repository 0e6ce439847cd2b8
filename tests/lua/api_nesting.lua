-- SPDX-License-Identifier: MIT
--
-- Waiting inside of tasks inside of tasks, in every way (API §3): a task that
-- waits does not occupy its worker, so everything ends, however few there are.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestNesting = {}

local ways = {}

-- What a task does: the rest of the path from here on, or nothing.
local function descend(exe, path, depth, x)
  local way = path[depth]
  return way and ways[way](exe, path, depth + 1, x) or x
end

local function submit_both(exe, path, depth, x)
  local futures = {}
  for i = 1, 2 do
    futures[i] = exe:submit(descend, exe, path, depth, 2 * x + i)
  end
  return futures
end

function ways.submit(exe, path, depth, x)
  local a, b = table.unpack(submit_both(exe, path, depth, x))
  return a:result() + b:result()
end

function ways.wait(exe, path, depth, x)
  local sum = 0
  for _, future in ipairs(lfut.wait(submit_both(exe, path, depth, x))) do
    sum = sum + future:result()
  end
  return sum
end

function ways.as_completed(exe, path, depth, x)
  local sum = 0
  for future in lfut.as_completed(submit_both(exe, path, depth, x)) do
    sum = sum + future:result()
  end
  return sum
end

-- Parallel loops: with chunks of one item, and as they come.
local function add_loops(prefix, opts)
  ways[prefix .. "map"] = function(exe, path, depth, x)
    local sum = 0
    for _, r in exe:map(function(i) return descend(exe, path, depth, 2 * x + i) end, { 1, 2 }, opts) do
      sum = sum + r
    end
    return sum
  end

  ways[prefix .. "starmap"] = function(exe, path, depth, x)
    local sum = 0
    local function both(i, j) return descend(exe, path, depth, 2 * j + i) end
    for _, r in exe:starmap(both, { { 1, x }, { 2, x } }, opts) do
      sum = sum + r
    end
    return sum
  end

  ways[prefix .. "for_each"] = function(exe, path, depth, x)
    local sum = lfut.Value("int64", 0)
    exe:for_each(function(i) sum:add(descend(exe, path, depth, 2 * x + i)) end, lfut.range(2), opts)
    return sum:get()
  end

  ways[prefix .. "reduce"] = function(exe, path, depth, x)
    return exe:reduce(function(i) return descend(exe, path, depth, 2 * x + i) end, { 1, 2 },
      function(a, b) return a + b end, 0, opts)
  end
end

add_loops("", nil)
add_loops("single ", { chunksize = 1 })

local function expected(depth, x)
  return depth == 0 and x or expected(depth - 1, 2 * x + 1) + expected(depth - 1, 2 * x + 2)
end

-- The same where Lua cannot yield, so that the wait blocks.
for _, name in ipairs { "submit", "wait", "as_completed", "map", "reduce" } do
  ways["blocked " .. name] = function(...)
    local arguments, sum = table.pack(...), nil
    string.gsub("x", "x", function() sum = ways[name](table.unpack(arguments)) end)
    return sum
  end
end

local function check(exe, path)
  local future = exe:submit(descend, exe, path, 1, 1)
  lu.assertEquals(future:result(), expected(#path, 1), table.concat(path, ", "))
end

local function check_all(workers, names, depth)
  local exe <close> = support.Executor(workers)
  local path = {}
  local function go()
    if #path == depth then
      return check(exe, path)
    end
    for _, name in ipairs(names) do
      path[#path + 1] = name
      go()
      path[#path] = nil
    end
  end
  go()
end

local usual = { "submit", "wait", "as_completed", "map", "single starmap", "single for_each", "reduce" }
local loops = { "map", "single map", "starmap", "single starmap", "for_each", "single for_each", "reduce",
  "single reduce" }
local blocked = { "submit", "single map", "blocked submit", "blocked wait", "blocked as_completed",
  "blocked map", "blocked reduce" }

local three = support.size(100) == 100 and 3 or 2 -- sanitizers make it slow

for workers = 1, 3 do
  TestNesting["test_all_ways_on_" .. workers] = function() check_all(workers, usual, three) end
  TestNesting["test_loops_on_" .. workers] = function() check_all(workers, loops, 2) end
  TestNesting["test_blocked_on_" .. workers] = function() check_all(workers, blocked, 2) end

  TestNesting["test_deeper_than_workers_on_" .. workers] = function()
    local exe <close> = support.Executor(workers)
    for _, name in ipairs { "single map", "single reduce", "submit", "as_completed" } do
      local path = {}
      for i = 1, 6 do
        path[i] = name
      end
      check(exe, path)
    end
  end
end

-- Items that wait for one that comes after them.
function TestNesting.test_waiting_items_do_not_hold_up_the_loop()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local function outer(exe, n)
    local last = lfut.Event()
    local follower = exe:submit(function() return 1 end)
    local sum = 0
    local opts = { chunksize = 1 }
    for _, r in exe:map(function(i)
      if i == n then
        last:set()
      end
      -- Submitted behind the loop's parts; then the loop has to go on.
      local inner = exe:submit(function() return i end)
      return inner:result(i % 2 == 0 and 3600 or nil) + follower:result()
    end, lfut.range(n), opts) do
      sum = sum + r
    end
    return sum, last:is_set()
  end
  local sum, set = exe:submit(outer, exe, 20):result()
  lu.assertEquals(sum, 230)
  lu.assertTrue(set)
end

os.exit(lu.LuaUnit.run())
