#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Two ways to find a divisor of a number: upwards from 2, and as a difference of
-- squares (Fermat's). Which is quicker depends on the number. Both are tried at
-- once; the first that has one wins, and the other is stopped.
--
--   lfut race.lua [numbers]      (default: one for each of the two)
local lfut = require "lfut"

local function upwards(n)
  for d = 2, math.maxinteger do
    if n % d == 0 then
      return d
    elseif d * d > n then
      return n
    end
  end
end

-- n is a * a - b * b: the nearer its divisors are to each other, the sooner.
local function fermat(n)
  if n % 2 == 0 then
    return 2
  end
  local a = math.ceil(math.sqrt(n))
  while true do
    local b = math.floor(math.sqrt(a * a - n))
    if b * b == a * a - n then
      return a - b
    end
    a = a + 1
  end
end

local ways = { upwards, fermat }
local exe <close> = lfut.ThreadPoolExecutor(#ways)

local function race(n)
  local runners = {}
  for i, way in ipairs(ways) do
    runners[i] = exe:submit(way, n)
  end
  local winner, divisor = lfut.any(runners):result()
  for i, f in ipairs(runners) do
    if i ~= winner then
      f:cancel(true)
    end
  end
  return divisor
end

local numbers = #arg > 0 and arg or { 3 * 333333333367, 999983 * 1000003 }
for _, n in ipairs(numbers) do
  n = assert(math.tointeger(n), "an integer expected")
  assert(n > 1 and n < 2 ^ 52, "the number must be greater than 1 and less than 2^52")
  local d = race(n)
  print(("%d = %d * %d"):format(n, math.min(d, n // d), math.max(d, n // d)))
end
