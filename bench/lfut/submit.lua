-- SPDX-License-Identifier: MIT
-- tasks/s: N submits, then all results; or so many of them at a time, while the
-- collector has the futures of those before to free.
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
local batch = math.tointeger(arg[3]) or n
local exe <close> = lfut[arg[2]](2)
run(exe, batch // 10)
collectgarbage()
local start = lfut.perf_counter()
for _ = 1, n // batch do
  run(exe, batch)
end
print(n / (lfut.perf_counter() - start))
