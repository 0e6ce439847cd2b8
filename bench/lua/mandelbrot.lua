-- SPDX-License-Identifier: MIT
-- Seconds of all rows on one core. For any Lua.
local found, now = pcall(require, "benchclock")
now = found and now or os.clock
local row = dofile(arg[0]:gsub("[^/]*$", "") .. "mandel.lua")

local function run(size)
  local rows = {}
  for y = 1, size do
    rows[y] = row(y, size)
  end
  return rows
end

local size = tonumber(arg[1])
run(math.floor(size / 4))
local start = now()
assert(#run(size) == size)
print(now() - start)
