-- SPDX-License-Identifier: MIT
-- s: a worker process that hangs in C is killed after a grace of 0 s, and
-- another one has run a task in its place; the median of N. With "pool": a
-- pool of one is made, and has run a task.
local lfut = require "lfut"

local function hang(begun)
  begun:set()
  -- A pattern that takes for ever, inside of one call of C.
  return ("a"):rep(40):find(("a*"):rep(40) .. "b")
end

local function start()
  local from = lfut.perf_counter()
  local exe <close> = lfut.ProcessPoolExecutor(1)
  assert(exe:submit(math.abs, -1):result() == 1)
  return lfut.perf_counter() - from
end

local exe <close> = lfut.ProcessPoolExecutor(1)
local view = exe:options { grace = 0 }

local function replace()
  local begun = lfut.Event()
  local f = view:submit(hang, begun)
  begun:wait()
  local from = lfut.perf_counter()
  f:cancel(true)
  assert(exe:submit(math.abs, -1):result() == 1)
  return lfut.perf_counter() - from
end

local n = math.tointeger(arg[1])
local measure = arg[2] == "pool" and start or replace
local times = {}
for i = 1, n do
  times[i] = measure()
end
table.sort(times)
print(times[n // 2 + 1])
