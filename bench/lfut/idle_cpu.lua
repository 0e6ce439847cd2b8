-- SPDX-License-Identifier: MIT
-- Seconds of CPU time that the whole process takes while its pool is idle.
-- os.clock is the CPU time of all threads, in microseconds;
-- /proc/self/stat would count in hundredths of a second.
local lfut = require "lfut"

local SETTLE = 0.2 -- workers may spin a moment before they go to sleep

local function task(x)
  return x
end

local function warm(exe)
  local futures = {}
  for i = 1, 1000 do
    futures[i] = exe:submit(task, i)
  end
  lfut.wait(futures)
  lfut.wait(exe:broadcast(task, 0))
end

local seconds = tonumber(arg[1])
local exe <close> = lfut.ThreadPoolExecutor(2)
warm(exe)
lfut.sleep(SETTLE)
local start = os.clock()
lfut.sleep(seconds)
print((os.clock() - start) / seconds)
