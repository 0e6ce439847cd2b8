#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- map gives results in the order of the items, however long each takes: the
-- last of these five is done first, and comes last. With ordered = false they
-- come as they are done.
--
--   lfut map.lua [seconds per unit]
local lfut = require "lfut"

local unit = assert(tonumber(arg[1] or 1), "the unit must be a number")
local items = { 5, 4, 3, 2, 1 }

local function nap(x)
  lfut.sleep(x * unit)
  return "slept " .. x
end

local exe <close> = lfut.ThreadPoolExecutor(5)

print("in order")
for i, r in exe:map(nap, items) do
  print(i, r)
end

print("as they are done")
for i, r in exe:map(nap, items, { ordered = false }) do
  print(i, r)
end
