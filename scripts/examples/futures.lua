#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Futures kept in a list, then their results, in the order of the list.
local lfut = require "lfut"

local function square(x)
  return x * x
end

local exe <close> = lfut.ThreadPoolExecutor()

local futures = {}
for i = 1, 10 do
  futures[i] = exe:submit(square, i)
end
print("submitted " .. #futures)

for i, future in ipairs(futures) do
  print(i, future:result())
end
print(futures[1])
