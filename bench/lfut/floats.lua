-- SPDX-License-Identifier: MIT
-- floats/s: a table of 10^5 floats to a worker, its length back.
local lfut = require "lfut"

local FLOATS = 100000

local function length(t)
  return #t
end

local function floats()
  local list = {}
  for i = 1, FLOATS do
    list[i] = i + 0.5
  end
  return list
end

local function run(exe, list, n)
  for _ = 1, n do
    assert(exe:submit(length, list):result() == FLOATS)
  end
end

local n = math.tointeger(arg[1])
local list = floats()
local exe <close> = lfut[arg[2]](2)
run(exe, list, n // 10)
local start = lfut.perf_counter()
run(exe, list, n)
print(n * FLOATS / (lfut.perf_counter() - start))
