-- SPDX-License-Identifier: MIT
-- Seconds of every second row, from the one with the given number (0 or 1) on:
-- what two of them at once take is the best that two workers can reach. For any
-- Lua.
local found, now = pcall(require, "benchclock")
now = found and now or os.clock
local row = dofile(arg[0]:gsub("[^/]*$", "") .. "mandel.lua")

local function run(size, first)
  local rows = {}
  for y = first, size, 2 do
    rows[#rows + 1] = row(y, size)
  end
  return rows
end

local size, first = tonumber(arg[1]), tonumber(arg[2]) + 1
run(math.floor(size / 4), first)
local start = now()
assert(#run(size, first) == math.floor(size / 2))
print(now() - start)
