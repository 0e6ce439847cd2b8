-- SPDX-License-Identifier: MIT
-- items/s: the sum of f(i) over a range.
local lfut = require "lfut"

local function square(x)
  return x * x
end

local function add(a, b)
  return a + b
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](2)
exe:reduce(square, lfut.range(n // 10), add)
local start = lfut.perf_counter()
local sum = exe:reduce(square, lfut.range(n), add, 0)
local seconds = lfut.perf_counter() - start
assert(sum == n * (n + 1) * (2 * n + 1) // 6)
print(n / seconds)
