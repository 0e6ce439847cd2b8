-- SPDX-License-Identifier: MIT
-- tasks/s: N submits and their results, 10^5 at a time, while the collector
-- has futures to free.
local lfut = require "lfut"

local BATCH = 100000

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
run(exe, BATCH // 10)
local start = lfut.perf_counter()
for _ = 1, n // BATCH do
  run(exe, BATCH)
end
print(n / (lfut.perf_counter() - start))
