-- SPDX-License-Identifier: MIT
-- s: N tasks, most of them parked in a wait and two that compute, are cancelled
-- while they run, and all are waited for.
local lfut = require "lfut"

local function park(never, begun)
  begun:release()
  never:result()
end

local function compute(begun)
  begun:release()
  while true do
  end
end

local function measure(n)
  local exe <close> = lfut.ThreadPoolExecutor(4)
  local other <close> = lfut.ThreadPoolExecutor(1)
  local event = lfut.Event()
  local never = other:submit(event.wait, event)
  local begun = lfut.Semaphore(0)
  local futures = {}
  for i = 1, n - 2 do
    futures[i] = exe:submit(park, never, begun)
  end
  futures[n - 1] = exe:submit(compute, begun)
  futures[n] = exe:submit(compute, begun)
  for _ = 1, n do
    begun:acquire()
  end
  local start = lfut.perf_counter()
  for i = 1, n do
    assert(futures[i]:cancel(true))
  end
  lfut.wait(futures)
  local time = lfut.perf_counter() - start
  for i = 1, n do
    assert(futures[i]:cancelled())
  end
  event:set()
  return time
end

local n = math.tointeger(arg[1])
measure(n)
local times = {}
for i = 1, 11 do
  times[i] = measure(n)
end
table.sort(times)
print(times[6])
