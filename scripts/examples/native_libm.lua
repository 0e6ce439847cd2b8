#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A C function in a parallel loop: the gamma function of the C library's
-- mathematics, compared with what plain Lua makes of its definition. No Lua
-- runs in the workers.
local lfut = require "lfut"

-- The whole of a header's text may stand here; these are the lines needed.
local m = lfut.load("m", "double tgamma(double x);", { threads = "safe" })

-- gamma(x + 1) = x * gamma(x), from gamma(1) = 1 and gamma(1/2) = sqrt(pi) on.
local function gamma(x)
  local y, result = x % 1, x % 1 == 0 and 1.0 or math.sqrt(math.pi)
  for k = y == 0 and 1 or y, x - 1 do
    result = result * k
  end
  return result
end

local exe <close> = lfut.ThreadPoolExecutor()

local first, last, step = 0.5, 20.0, 0.5
local worst = 0
for i, y in exe:map(m.tgamma, lfut.range(first, last, step)) do
  local x = first + (i - 1) * step
  worst = math.max(worst, math.abs(y / gamma(x) - 1))
  if x % 5 == 0 then
    print(("gamma(%d) = %.0f"):format(x, y))
  end
end
assert(worst < 1e-14, "tgamma and Lua differ")
print "tgamma and Lua agree"
