-- SPDX-License-Identifier: MIT
-- items/s: the loop of lfut/reduce.lua on one core.
local found, now = pcall(require, "benchclock")
now = found and now or os.clock

local function square(x)
  return x * x
end

local function add(a, b)
  return a + b
end

local function loop(fn, n, combine, acc)
  for i = 1, n do
    acc = combine(acc, fn(i))
  end
  return acc
end

local n = math.tointeger(arg[1])
loop(square, n // 10, add, 0)
local start = now()
local sum = loop(square, n, add, 0)
local seconds = now() - start
assert(sum == n * (n + 1) * (2 * n + 1) // 6)
print(n / seconds)
