#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Pi by throwing darts. The option 'seed' of map seeds math.random for each
-- item from the item's position: the same numbers come out for any number of
-- workers, and in every run.
--
--   lfut montecarlo.lua [seed [batches]]      (default 42, 100)
local lfut = require "lfut"

local seed = math.tointeger(tonumber(arg[1] or 42))
assert(seed, "seed must be an integer")
local batches = math.tointeger(tonumber(arg[2] or 100))
assert(batches and batches > 0, "batches must be an integer > 0")
local darts = 10000

-- How many of the darts of a batch hit the quarter of a circle.
local function batch()
  local hits = 0
  for _ = 1, darts do
    local x, y = math.random(), math.random()
    if x * x + y * y < 1 then
      hits = hits + 1
    end
  end
  return hits
end

local function add(a, b)
  return a + b
end

local exe <close> = lfut.ThreadPoolExecutor()
local hits = exe:reduce(batch, lfut.range(batches), add, 0, { seed = seed })
print(("%d of %d darts hit, pi is about %.6f"):format(hits, batches * darts,
  4 * hits / (batches * darts)))
