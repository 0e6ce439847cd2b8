#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Ten processes, started in one loop and joined in another. (Joined in the
-- first, they would run one after the other.) A process has no result, but an
-- exit code.
--
--   lfut processes.lua [seconds per unit]
local lfut = require "lfut"

local unit = assert(tonumber(arg[1] or 1), "the unit must be a number")

local function work(n)
  lfut.sleep(unit)
  os.exit(n % 3)
end

local processes = {}
for n = 1, 10 do
  processes[n] = lfut.Process{ target = work, args = { n } }
  processes[n]:start()
end

for n, process in ipairs(processes) do
  process:join()
  print(n, process.name, process.exitcode)
end
