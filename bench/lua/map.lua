-- SPDX-License-Identifier: MIT
-- items/s: the loop of lfut/map.lua on one core, from a table to a table.
local found, now = pcall(require, "benchclock")
now = found and now or os.clock

local function square(x)
  return x * x
end

local function numbers(n)
  local list = {}
  for i = 1, n do
    list[i] = i
  end
  return list
end

local function map(fn, items)
  local list = {}
  for i = 1, #items do
    list[i] = fn(items[i])
  end
  return list
end

local n = math.tointeger(arg[1])
map(square, numbers(n))
local items = numbers(n)
collectgarbage()
local start = now()
local list = map(square, items)
local seconds = now() - start
assert(#list == n and list[n] == n * n)
print(n / seconds)
