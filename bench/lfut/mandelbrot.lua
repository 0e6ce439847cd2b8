-- SPDX-License-Identifier: MIT
-- Seconds of all rows, mapped over the given number of workers.
local lfut = require "lfut"
local row = dofile(arg[0]:gsub("[^/]*$", "") .. "../lua/mandel.lua")

local function run(exe, size)
  return exe:map(function(y)
    return row(y, size)
  end, lfut.range(size)):list()
end

local size = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](math.tointeger(arg[3]))
run(exe, size // 4)
local start = lfut.perf_counter()
local rows = run(exe, size)
local seconds = lfut.perf_counter() - start
assert(rows.n == size)
assert(rows[size // 2] == row(size // 2, size))
print(seconds)
