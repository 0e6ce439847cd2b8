-- SPDX-License-Identifier: MIT
-- tasks/s: N submits, then all results; or so many of them at a time, while the
-- collector has the futures of those before to free. For any Lua.
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
  assert(sum == n * (n + 1) / 2)
end

local n = tonumber(arg[1])
local batch = tonumber(arg[3]) or n
local exe = lfut[arg[2]](2)
run(exe, math.floor(batch / 10))
collectgarbage()
local start = lfut.perf_counter()
for _ = 1, math.floor(n / batch) do
  run(exe, batch)
end
local seconds = lfut.perf_counter() - start
exe:shutdown()
print(n / seconds)
