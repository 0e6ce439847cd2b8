#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Tasks of two arguments, in the three ways there are.
local lfut = require "lfut"

local function area(width, height)
  return width * height
end

local exe <close> = lfut.ThreadPoolExecutor()

-- One task: submit passes on whatever follows the function.
print("submit", exe:submit(area, 6, 7):result())

-- Many, from two lists side by side.
local widths, heights = { 1, 2, 3 }, { 10, 20, 30 }
for i, r in exe:map(area, lfut.zip(widths, heights)) do
  print("zip", widths[i], heights[i], r)
end

-- Many, from one list with the arguments of each.
for i, r in exe:starmap(area, { { 4, 5 }, { 8, 9 } }) do
  print("starmap", i, r)
end
