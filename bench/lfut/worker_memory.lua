-- SPDX-License-Identifier: MIT
-- Bytes of an idle worker that has run a task: what the process grows by
-- with N of them. Another pool has run before, so that shared code and the
-- first worker's one-time costs are not counted.
local lfut = require "lfut"
local memory = dofile(arg[0]:gsub("[^/]*$", "") .. "memory.lua")

local function task(x)
  return x
end

local function warm(exe)
  for _, future in ipairs(exe:broadcast(task, 1)) do
    assert(future:result() == 1)
  end
end

local n = math.tointeger(arg[1])
local first <close> = lfut.ThreadPoolExecutor(1)
warm(first)
local before = memory.own()
local exe <close> = lfut.ThreadPoolExecutor(n)
warm(exe)
assert(exe:stats().workers == n)
lfut.sleep(0.1) -- idle, whatever a worker does after its last task
print((memory.own() - before) / n)
