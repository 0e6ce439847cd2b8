#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- How far things are: a bar for a loop (on standard error), another for futures,
-- and what a task tells of itself.
--
--   lfut progress.lua         loops over 2000 numbers
--   lfut progress.lua 50000
local lfut = require "lfut"

local n = assert(math.tointeger(tonumber(arg[1] or 2000)), "the number must be an integer")

local function steps(i)
  local count = 0
  while i ~= 1 do
    i = i % 2 == 0 and i // 2 or 3 * i + 1
    count = count + 1
  end
  return count
end

-- One task that takes longer, and says where it is.
local function longest(last)
  local best = 0
  for i = 1, last do
    best = math.max(best, steps(i))
    lfut.report(i / last, "at " .. i)
  end
  return best
end

local exe <close> = lfut.ThreadPoolExecutor()

local most = exe:reduce(steps, lfut.range(n), math.max, 0, { progress = "steps" })
print("by a loop: " .. most)

local futures = {}
for i = 1, 10 do
  futures[i] = exe:submit(longest, i * n // 10)
end
for _ in lfut.as_completed(futures, { progress = "tasks" }) do
end
local share, text = futures[10]:progress()
print(("by a task: %d, %d%% done, %s"):format(futures[10]:result(), share * 100 // 1, text))
