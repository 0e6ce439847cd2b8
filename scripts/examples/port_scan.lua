#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Which ports of this machine answer: a task for each, a few hundred at a time.
--
--   lfut port_scan.lua [FIRST [LAST]]
local lfut = require "lfut"
local socket = require "lfut.socket"

local first, last = tonumber(arg[1] or 1), tonumber(arg[2] or 1024)
assert(first and last, "usage: lfut port_scan.lua [FIRST [LAST]]")

local function is_open(port)
  local s = assert(socket.tcp())
  s:settimeout(1)
  local open = s:connect("127.0.0.1", port)
  s:close()
  return open ~= nil
end

local exe <close> = lfut.AsyncExecutor { max_running = 200 }
local open = 0
for i, answers in exe:map(is_open, lfut.range(first, last)) do
  if answers then
    open = open + 1
    print(("port %d is open"):format(first + i - 1))
  end
end
print(("%d of %d ports are open"):format(open, last - first + 1))
