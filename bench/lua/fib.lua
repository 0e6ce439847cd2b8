-- SPDX-License-Identifier: MIT
-- Seconds of fib(n) by plain calls.
local found, now = pcall(require, "benchclock")
now = found and now or os.clock

local REPEAT = 20 -- one is over too soon to be measured

local function fib(n)
  if n < 2 then
    return n
  end
  return fib(n - 1) + fib(n - 2)
end

local n = math.tointeger(arg[1])
fib(n)
local start = now()
for _ = 1, REPEAT do
  fib(n)
end
print((now() - start) / REPEAT)
