-- SPDX-License-Identifier: MIT
-- items/s: a parallel loop over a range.
local lfut = require "lfut"

local function square(x)
  return x * x
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](2)
exe:for_each(square, lfut.range(n // 10))
local start = lfut.perf_counter()
assert(exe:for_each(square, lfut.range(n)) == n)
print(n / (lfut.perf_counter() - start))
