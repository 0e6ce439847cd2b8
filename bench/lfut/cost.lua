-- SPDX-License-Identifier: MIT
-- Seconds for each of N tasks, submitted and waited for, in a pool of so many
-- workers.
local lfut = require "lfut"

local function task(x)
  return x
end

local function run(exe, n)
  local futures = {}
  for i = 1, n do
    futures[i] = exe:submit(task, i)
  end
  lfut.wait(futures)
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](math.tointeger(arg[3]))
lfut.wait(exe:broadcast(task, 1))
run(exe, n // 10)
collectgarbage()
local start, rounds = lfut.perf_counter(), 0
repeat -- few tasks alone are over too soon
  run(exe, n)
  rounds = rounds + 1
until rounds * n >= 10000
print((lfut.perf_counter() - start) / n / rounds)
