-- SPDX-License-Identifier: MIT
-- Seconds for each of N tasks, submitted and waited for, in a pool of so many
-- workers; with a fourth argument, of processor time of the script's own thread.
local lfut = require "lfut"

local function task(x)
  return x
end

-- Of the thread that asks.
local function processor_time()
  local file <close> = io.open "/proc/thread-self/schedstat"
  return file:read "n" / 1e9
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
local clock = arg[4] and processor_time or lfut.perf_counter
lfut.wait(exe:broadcast(task, 1))
run(exe, n // 10)
collectgarbage()
lfut.sleep(0.1) -- until all are idle
local start, rounds = clock(), 0
repeat -- few tasks alone are over too soon
  run(exe, n)
  rounds = rounds + 1
until rounds * n >= 10000
print((clock() - start) / n / rounds)
