-- SPDX-License-Identifier: MIT
-- Seconds of fib(n) where each call hands one branch to the pool it runs in:
-- about fib(n) tasks that wait for each other on two workers.
local lfut = require "lfut"

local REPEAT = 3

local function fib(exe, n)
  if n < 2 then
    return n
  end
  local branch = exe:submit(fib, exe, n - 1)
  local other = fib(exe, n - 2)
  return branch:result() + other
end

local function serial(n)
  return n < 2 and n or serial(n - 1) + serial(n - 2)
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](2)
exe:submit(fib, exe, n // 2):result()
local start = lfut.perf_counter()
for _ = 1, REPEAT do
  assert(exe:submit(fib, exe, n):result() == serial(n))
end
print((lfut.perf_counter() - start) / REPEAT)
