-- SPDX-License-Identifier: MIT
-- Bytes that an idle forked worker has for itself after one trivial task: the
-- pages that it shares with no other process. The mean of N workers.
local lfut = require "lfut"
local memory = dofile(arg[0]:gsub("[^/]*$", "") .. "memory.lua")

local function task()
  return lfut.getpid()
end

local function workers(exe)
  local pids = {}
  for i, future in ipairs(exe:broadcast(task)) do
    pids[i] = future:result()
  end
  return pids
end

local n = math.tointeger(arg[1])
local exe <close> = lfut.ProcessPoolExecutor(n)
local pids, sum = workers(exe), 0
lfut.sleep(0.1) -- idle, whatever a worker does after its last task
for _, pid in ipairs(pids) do
  assert(pid ~= lfut.getpid())
  sum = sum + memory.private(pid)
end
assert(#pids == n)
print(sum / n)
