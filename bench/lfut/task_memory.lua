-- SPDX-License-Identifier: MIT
-- Bytes of a queued task with two small arguments, its future included:
-- what the process grows by while N of them wait behind a busy worker.
local lfut = require "lfut"
local folder = arg[0]:gsub("[^/]*$", "")
local gate = dofile(folder .. "gate.lua")
local memory = dofile(folder .. "memory.lua")

local function task(a, b)
  return a + b
end

local n = math.tointeger(arg[1])
local exe <close> = lfut.ThreadPoolExecutor(1)
assert(exe:submit(task, 1, 0.5):result() == 1.5)
local open = gate.shut(exe)
-- The list is the script's own: it has its full size beforehand.
local futures = {}
for i = 1, n do
  futures[i] = false
end
local before = memory.own()
for i = 1, n do
  futures[i] = exe:submit(task, i, 0.5)
end
local after = memory.own()
open()
assert(futures[n]:result() == n + 0.5)
print((after - before) / n)
