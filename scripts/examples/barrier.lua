#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Heat in a rod: hot at its left end, cold at its right end. In each step every
-- point comes nearer to the mean of its neighbours. Several threads have a part
-- of the rod each; a barrier keeps them in step, as each needs what its neighbours
-- have computed in the step before. At last the result is compared with that of
-- one thread.
--
--   lfut barrier.lua [--processes] [threads [steps]]      (default 3, 2000)
local lfut = require "lfut"

local Party = lfut.Thread
if arg[1] == "--processes" then
  Party = lfut.Process
  table.remove(arg, 1)
end
local parties = math.tointeger(tonumber(arg[1] or 3))
local steps = math.tointeger(tonumber(arg[2] or 2000))
assert(parties and parties >= 1 and steps and steps >= 0, "a number is wrong")
local points = 101

local function rod()
  local a = lfut.Array("double", points)
  a[1] = 100
  return a
end

-- Moves points first ... last from 'old' to 'new'.
local function step(old, new, first, last)
  for i = first, last do
    new[i] = old[i] + (old[i - 1] - 2 * old[i] + old[i + 1]) / 4
  end
end

local function run(old, new, first, last, barrier)
  for _ = 1, steps do
    step(old, new, first, last)
    old, new = new, old
    barrier:wait() -- until all have made the step
  end
end

local a, b = rod(), rod()
local barrier = lfut.Barrier(parties)
local list = {}
for i = 1, parties do
  local first = 2 + (points - 2) * (i - 1) // parties
  local last = 1 + (points - 2) * i // parties
  list[i] = Party{ target = run, args = { a, b, first, last, barrier } }
  list[i]:start()
end
for _, party in ipairs(list) do
  party:join()
end

local c, d = rod(), rod()
run(c, d, 2, points - 1, lfut.Barrier(1))

local ours, theirs = steps % 2 == 0 and a or b, steps % 2 == 0 and c or d
for i = 1, points, 10 do
  print(i, ("%.1f"):format(ours[i]))
end
print("as with one thread", ours:tostring() == theirs:tostring())
