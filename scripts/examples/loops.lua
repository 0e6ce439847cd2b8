#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A for loop, and its parallel forms over a range of numbers. The range is
-- never made into a table.
--
--   lfut loops.lua [n]
local lfut = require "lfut"

local n = assert(math.tointeger(tonumber(arg[1] or 100000)), "n must be an integer")

local function f(i)
  return i * i % 7
end

local function add(a, b)
  return a + b
end

-- The loop that everybody knows.
local sum = 0
for i = 1, n do
  sum = sum + f(i)
end
print("for", sum)

local exe <close> = lfut.ThreadPoolExecutor()

-- map: f(i) in the workers, the rest of the body here.
sum = 0
for _, r in exe:map(f, lfut.range(n)) do
  sum = sum + r
end
print("map", sum)

-- reduce: the sums are made in the workers, too.
print("reduce", exe:reduce(f, lfut.range(n), add, 0))

-- for_each: for what the body does, not for what it returns. Here each worker
-- writes one line, in whatever order.
local items = exe:for_each(function(i)
  print("multiple of 1000", i)
end, lfut.range(1000, math.min(n, 5000), 1000))
print("for_each", items)
