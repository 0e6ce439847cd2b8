#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Tasks of two arguments in a pool of processes: the last digits of large
-- powers.
local lfut = require "lfut"

local modulus = 1000000

-- The last six digits of base ^ exponent, by repeated squaring.
local function power(base, exponent)
  local result = 1
  while exponent > 0 do
    if exponent % 2 == 1 then
      result = result * base % modulus
    end
    base = base * base % modulus
    exponent = exponent // 2
  end
  return result
end

local exe <close> = lfut.ProcessPoolExecutor()

-- One task: submit passes on whatever follows the function.
local future = exe:submit(power, 2, 64)
print(("2 ^ 64 ends in %06d"):format(future:result()))

-- Many: from two lists side by side.
local bases, exponents = { 2, 3, 7, 13 }, { 100, 200, 300, 400 }
for i, digits in exe:map(power, lfut.zip(bases, exponents)) do
  print(("%d ^ %d ends in %06d"):format(bases[i], exponents[i], digits))
end
