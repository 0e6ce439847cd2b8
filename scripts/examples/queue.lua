#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A producer and two consumers, with a queue between them that has room for four
-- items: the producer waits while it is full, the consumers while it is empty.
-- The same queue works between threads and between processes.
--
--   lfut queue.lua [--processes] [n]      (default 12)
local lfut = require "lfut"

local Party = lfut.Thread
if arg[1] == "--processes" then
  Party = lfut.Process
  table.remove(arg, 1)
end
local n = math.tointeger(tonumber(arg[1] or 12))
assert(n and n >= 0, "n must be an integer >= 0")

local numbers = lfut.Queue(4)
local results = lfut.Queue()

local function produce()
  for i = 1, n do
    numbers:put(i)
  end
  numbers:close() -- that was all
end

local function consume()
  for i in numbers:iter() do -- until it is closed and empty
    local divisors = {}
    for d = 1, i do
      if i % d == 0 then
        divisors[#divisors + 1] = d
      end
    end
    results:put{ number = i, divisors = divisors }
  end
end

local parties = {}
for i, target in ipairs{ produce, consume, consume } do
  parties[i] = Party{ target = target }
  parties[i]:start()
end
for _, party in ipairs(parties) do
  party:join()
end
results:close()

-- Who has consumed what differs from run to run.
local all = {}
for r in results:iter() do
  all[r.number] = r.divisors
end
for i, divisors in ipairs(all) do
  print(i, table.concat(divisors, " "))
end
