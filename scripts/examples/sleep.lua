#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Ten tasks that only wait, one after the other and then in a pool.
--
--   lfut sleep.lua           a unit is a second
--   lfut sleep.lua 0.1       a unit is a tenth of a second
local lfut = require "lfut"

local unit = assert(tonumber(arg[1] or 1), "the unit must be a number")
local tasks = 10

local function work(n)
  lfut.sleep(unit)
  return n
end

-- Calls fn; returns how many units of time it took.
local function units(fn)
  local start = lfut.perf_counter()
  fn()
  return (lfut.perf_counter() - start) / unit
end

local serial = units(function()
  for n = 1, tasks do
    work(n)
  end
end)

local exe <close> = lfut.ThreadPoolExecutor()
local sum = 0
local pool = units(function()
  local futures = {}
  for n = 1, tasks do
    futures[n] = exe:submit(work, n)
  end
  for _, future in ipairs(futures) do
    sum = sum + future:result()
  end
end)

print(("one after the other: %4.1f units"):format(serial))
print(("%d workers:           %4.1f units"):format(exe.max_workers, pool))
print("sum of the results: " .. sum)
