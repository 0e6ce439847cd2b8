#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Pi by throwing darts, on all hosts of a cluster. The option 'seed' seeds
-- math.random for each item from the item's position: the same number comes out
-- whatever the hosts, their workers, and which of them dies on the way.
--
--   lfut cluster_pi.lua [batches [seed]]      (default 100, 42)
--   LFUT_CLUSTER=redis://:PASSWORD@HOST lfut cluster_pi.lua 100000
--
-- Without LFUT_CLUSTER, the cluster is this machine alone, for as long as the
-- script runs. How many batches each host has had goes to standard error.
local lfut = require "lfut"

local batches = math.tointeger(tonumber(arg[1] or 100))
assert(batches and batches > 0, "batches must be an integer > 0")
local seed = math.tointeger(tonumber(arg[2] or 42))
assert(seed, "seed must be an integer")
local darts = 10000

-- In a worker: how many darts of a batch hit the quarter of a circle, and where
-- that was.
local function batch()
  local hits = 0
  for _ = 1, darts do
    local x, y = math.random(), math.random()
    if x * x + y * y < 1 then
      hits = hits + 1
    end
  end
  return hits, host
end

-- Once in each worker: a global of the worker.
local function look_around()
  local file <close> = io.open("/proc/sys/kernel/hostname")
  host = file and file:read("l") or "?"
end

local exe <close> = lfut.ClusterExecutor{ initializer = look_around }
local hits, share = 0, {}
for _, n, where in exe:map(batch, lfut.range(batches), { seed = seed, ordered = false }) do
  hits = hits + n
  share[where] = (share[where] or 0) + 1
end

print(("%d of %d darts hit, pi is about %.6f"):format(hits, batches * darts,
  4 * hits / (batches * darts)))
for where, n in pairs(share) do
  io.stderr:write(("%s: %d batches\n"):format(where, n))
end
