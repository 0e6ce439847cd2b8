#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- How many primes there are up to n: the numbers are cut into blocks, each
-- worker sieves a block at a time. The small primes with which it does so
-- travel along as an upvalue, once per worker.
--
--   lfut primes.lua [n]      (default 2000000)
local lfut = require "lfut"

local n = math.tointeger(tonumber(arg[1] or 2000000))
assert(n and n >= 0, "n must be an integer")
local size = 100000

-- The primes up to 'last', in order.
local function sieve(last)
  local composite, primes = {}, {}
  for i = 2, last do
    if not composite[i] then
      primes[#primes + 1] = i
      for j = i * i, last, i do
        composite[j] = true
      end
    end
  end
  return primes
end

local small = sieve(math.floor(math.sqrt(n)))

-- The number of primes in first ... first + size - 1, up to n.
local function count(first)
  local last = math.min(first + size - 1, n)
  local composite = {}
  for _, p in ipairs(small) do
    if p * p > last then
      break
    end
    for j = math.max(p * p, (first + p - 1) // p * p), last, p do
      composite[j - first + 1] = true
    end
  end
  local primes = 0
  for i = 1, last - first + 1 do
    if not composite[i] then
      primes = primes + 1
    end
  end
  return primes
end

local function add(a, b)
  return a + b
end

local exe <close> = lfut.ThreadPoolExecutor()
print(exe:reduce(count, lfut.range(2, n, size), add, 0))
