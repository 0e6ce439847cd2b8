#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A histogram: how many steps numbers take to reach 1, if an even one is halved
-- and of an odd one thrice and one more is taken. All workers write into the
-- same two arrays: each into its own part of the one, and all of them to the
-- other, where 'add' loses no count. Nothing is sent back.
--
--   lfut array.lua [n]      (default 300000)
local lfut = require "lfut"

local n = math.tointeger(tonumber(arg[1] or 300000))
assert(n and n > 0, "n must be an integer > 0")
local width = 50 -- steps per line

local steps = lfut.Array("uint16", n)
local histogram = lfut.Array("int64", 65535 // width + 1)

local function count(first)
  for i = first, math.min(first + 9999, n) do
    local x, k = i, 0
    while x ~= 1 do
      x = x % 2 == 0 and x // 2 or 3 * x + 1
      k = k + 1
    end
    steps[i] = k
    histogram:add(k // width + 1, 1)
  end
end

local exe <close> = lfut.ThreadPoolExecutor()
exe:for_each(count, lfut.range(1, n, 10000))

local longest = 1
for i = 1, n do
  if steps[i] > steps[longest] then
    longest = i
  end
end
for i, hits in ipairs(histogram:slice(1, steps[longest] // width + 1)) do
  print(("%3d ... %3d %7d %s"):format((i - 1) * width, i * width - 1, hits,
    ("*"):rep(hits * 60 // n)))
end
print(("%d takes longest: %d steps"):format(longest, steps[longest]))
