-- SPDX-License-Identifier: MIT
-- s: one submit of an array of N bytes to a worker process, and its result,
-- again and again.
local lfut = require "lfut"

local ROUNDS = 5000

local function length(array)
  return #array
end

local n = math.tointeger(arg[1])
local array = lfut.Array("double", n // 8)
local exe <close> = lfut.ProcessPoolExecutor(2)

local function run(rounds)
  for _ = 1, rounds do
    assert(exe:submit(length, array):result() == n // 8)
  end
end

run(ROUNDS // 10)
local start = lfut.perf_counter()
run(ROUNDS)
print((lfut.perf_counter() - start) / ROUNDS)
