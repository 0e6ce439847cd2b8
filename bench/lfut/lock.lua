-- SPDX-License-Identifier: MIT
-- Seconds of a lock's acquire and release, uncontended; or of a call of an empty
-- C function.
local lfut = require "lfut"

local n, what = math.tointeger(arg[1]), arg[2]
local lock = lfut.Lock()
local empty = require "benchclock.empty"

local function pairs_of(n)
  for _ = 1, n do
    lock:acquire()
    lock:release()
  end
end

local function calls(n)
  for _ = 1, n do
    empty()
  end
end

local run = what == "call" and calls or pairs_of
run(n // 10)
local start = lfut.perf_counter()
run(n)
print((lfut.perf_counter() - start) / n)
