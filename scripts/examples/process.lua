#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Two processes, started and joined by hand: they sleep for two units each, at
-- the same time, so it takes two units and not four.
--
--   lfut process.lua [seconds per unit]
local lfut = require "lfut"

local unit = assert(tonumber(arg[1] or 1), "the unit must be a number")

local function nap(name, units)
  print(name .. " sleeps")
  lfut.sleep(units * unit)
  print(name .. " is awake")
end

local start = lfut.perf_counter()

local a = lfut.Process{ target = nap, args = { "a", 2 } }
local b = lfut.Process{ target = nap, args = { "b", 2 } }
a:start()
b:start()
a:join()
b:join()

local units = (lfut.perf_counter() - start) / unit
print(("finished in %.1f units"):format(units))
print("exit codes " .. a.exitcode .. " and " .. b.exitcode)
