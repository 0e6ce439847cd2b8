#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A ThreadPool: what a Pool does, in threads. Several maps are in the pool at
-- once; each result is there when it is.
local lfut = require "lfut"

local function word(letter, n)
  return letter:rep(n)
end

local function is_prime(n)
  for i = 2, math.floor(math.sqrt(n)) do
    if n % i == 0 then
      return false
    end
  end
  return n > 1
end

local pool <close> = lfut.ThreadPool{ processes = 2 }

local words = pool:starmap_async(word, { { "a", 1 }, { "b", 2 }, { "c", 3 } })
local primes = pool:map_async(is_prime, lfut.range(100), { chunksize = 25 })
pool:close() -- nothing more will come

print(table.concat(words:get(), " "))
local count = 0
for _, yes in ipairs(primes:get()) do
  count = count + (yes and 1 or 0)
end
print(count .. " primes below 100")
print(words:ready(), words:successful())
pool:join()
print(pool)
