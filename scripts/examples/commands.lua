#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Runs commands of the shell, one of each line, so many at a time, as
-- xargs -P does; what they write comes whole, in the order of the lines.
--
--   lfut commands.lua [AT_ONCE] < commands.txt
local lfut = require "lfut"

local at_once = math.tointeger(tonumber(arg[1] or lfut.cpu_count()))
assert(at_once, "usage: lfut commands.lua [AT_ONCE] < commands.txt")

local function run(line)
  return lfut.run { "sh", "-c", line }
end

local commands = {}
for line in io.lines() do
  commands[#commands + 1] = line
end

local exe <close> = lfut.AsyncExecutor { max_running = at_once }
local failed = 0
for i, result in exe:map(run, commands) do
  io.stdout:write(result.stdout)
  io.stderr:write(result.stderr)
  if result.code ~= 0 then
    failed = failed + 1
    io.stderr:write(("%s: %s\n"):format(commands[i], result.code and "status " .. result.code or result.signal))
  end
end
if failed > 0 then
  io.stderr:write(("%d of %d commands have failed\n"):format(failed, #commands))
  os.exit(1)
end
