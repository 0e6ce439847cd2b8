#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A large table for all workers. What the script has loaded before it makes a
-- pool of forked processes is in each of them already. The function below uses
-- the table like any other, and is sent without it, as long as the script has
-- not changed the table.
--
--   lfut preloaded.lua [size]       (default 1000000)
local lfut = require "lfut"

local size = assert(math.tointeger(tonumber(arg[1] or 1000000)),
  "size must be an integer")

-- smallest[n] is the smallest prime factor of n: the sieve of Eratosthenes.
local smallest = {}
for n = 1, size do
  smallest[n] = n
end
for p = 2, math.floor(math.sqrt(size)) do
  if smallest[p] == p then
    for n = p * p, size, p do
      if smallest[n] == n then
        smallest[n] = p
      end
    end
  end
end

-- n = 12 gives "2 * 2 * 3".
local function factors(n)
  local list = {}
  while n > 1 do
    list[#list + 1] = smallest[n]
    n = n // smallest[n]
  end
  return table.concat(list, " * ")
end

-- The table is there, so now the workers.
local exe <close> = lfut.ProcessPoolExecutor()
for i, list in exe:map(factors, lfut.range(size - 4, size)) do
  print(size - 5 + i, list)
end
