#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Requests to somebody who allows only so many of them: four at once, then one
-- per unit of time. A semaphore has the permits; a thread adds one per unit. The
-- workers that wait for a permit use no processor time.
--
--   lfut rate_limit.lua [seconds per unit]      (default 0.2)
local lfut = require "lfut"

local unit = assert(tonumber(arg[1] or 0.2), "the unit must be a number")
local n, at_once = 12, 4

local permits = lfut.BoundedSemaphore(at_once)
local stop = lfut.Event()

local clock = lfut.Thread{
  target = function()
    while not stop:wait(unit) do -- false: the time has run out
      pcall(permits.release, permits) -- an error if nobody has taken any
    end
  end,
}

local function request(i)
  permits:acquire()
  return ("answer to request %d"):format(i)
end

local exe <close> = lfut.ThreadPoolExecutor(3)
local start = lfut.perf_counter()
clock:start()
for _, answer in exe:map(request, lfut.range(n), { chunksize = 1 }) do
  print(answer)
end
local units = (lfut.perf_counter() - start) / unit
stop:set()
clock:join()

print(("%d requests took %d units or more: %s"):format(n, n - at_once, units >= n - at_once))
