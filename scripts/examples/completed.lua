#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Futures in the order in which they complete. An error in a task is no error
-- of the loop: it is raised where the result is asked for.
--
--   lfut completed.lua [seconds per unit]
local lfut = require "lfut"

local unit = assert(tonumber(arg[1] or 1), "the unit must be a number")

local function invert(x)
  lfut.sleep(x * unit)
  if x == 2 then
    error("no " .. x .. ", please")
  end
  return 1 / x
end

local exe <close> = lfut.ThreadPoolExecutor(5)

-- Futures are good keys: this one tells which item a future stands for.
local item = {}
local futures = {}
for i, x in ipairs{ 4, 2, 1 } do
  futures[i] = exe:submit(invert, x)
  item[futures[i]] = x
end

for future in lfut.as_completed(futures) do
  local ok, result = pcall(future.result, future)
  if ok then
    print(item[future], result)
  else
    print(item[future], "failed: " .. result)
  end
end
