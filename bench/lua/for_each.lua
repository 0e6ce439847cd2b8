-- SPDX-License-Identifier: MIT
-- items/s: the loop of lfut/for_each.lua on one core.
local found, now = pcall(require, "benchclock")
now = found and now or os.clock

local function square(x)
  return x * x
end

local function loop(fn, n)
  for i = 1, n do
    fn(i)
  end
end

local n = math.tointeger(arg[1])
loop(square, n // 10)
local start = now()
loop(square, n)
print(n / (now() - start))
