-- SPDX-License-Identifier: MIT
-- tasks/s: N submits, then all results.
local lfut = require "lfut"

local function task(x)
  return x
end

local function run(exe, n)
  local futures, sum = {}, 0
  for i = 1, n do
    futures[i] = exe:submit(task, i)
  end
  for i = 1, n do
    sum = sum + futures[i]:result()
  end
  assert(sum == n * (n + 1) // 2)
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](2)
run(exe, n // 10)
collectgarbage()
local start = lfut.perf_counter()
run(exe, n)
print(n / (lfut.perf_counter() - start))
