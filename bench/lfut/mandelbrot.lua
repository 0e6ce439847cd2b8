-- SPDX-License-Identifier: MIT
-- Seconds of all rows, mapped over the given number of workers. For any Lua.
local lfut = require "lfut"
local row = dofile(arg[0]:gsub("[^/]*$", "") .. "../lua/mandel.lua")

local function run(exe, size)
  return exe:map(function(y)
    return row(y, size)
  end, lfut.range(size)):list()
end

local size = tonumber(arg[1])
local exe = lfut[arg[2]](tonumber(arg[3]))
run(exe, math.floor(size / 4))
local start = lfut.perf_counter()
local rows = run(exe, size)
local seconds = lfut.perf_counter() - start
assert(rows.n == size)
local middle = math.floor(size / 2)
assert(rows[middle] == row(middle, size))
exe:shutdown()
print(seconds)
