#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Ten thousand tasks that wait at the same time, on two threads.
--
--   lfut sleepers.lua [COUNT [SECONDS]]
local lfut = require "lfut"

local count, seconds = tonumber(arg[1] or 10000), tonumber(arg[2] or 1)
assert(count and seconds, "usage: lfut sleepers.lua [COUNT [SECONDS]]")

local function sleep(seconds)
  lfut.sleep(seconds)
  return 1
end

local start = lfut.perf_counter()
local exe <close> = lfut.AsyncExecutor(2)
local futures = {}
for i = 1, count do
  futures[i] = exe:submit(sleep, seconds)
end
local sum = 0
for _, future in ipairs(futures) do
  sum = sum + future:result()
end
local took = lfut.perf_counter() - start

print(("%d tasks have slept for %g s each"):format(sum, seconds))
io.stderr:write(("one after the other: %g s; here: %.1f s\n"):format(count * seconds, took))
