-- SPDX-License-Identifier: MIT
-- Seconds of processor time that the script's own thread takes for each of N
-- tasks, submitted in bulk to a pool of so many workers.
local lfut = require "lfut"

local function task(x)
  return x
end

-- Of the thread that asks, in seconds.
local function used()
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
lfut.wait(exe:broadcast(task))
run(exe, n // 10)
collectgarbage()
lfut.sleep(0.1)
local before = used()
run(exe, n)
print((used() - before) / n)
