#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Counting together. Each worker has its own copy of a local variable; an
-- lfut.Value is the same number for all. It can be added to in one step; for
-- several steps that belong together, there is a lock.
--
--   lfut counter.lua [n]      (default 10000)
local lfut = require "lfut"

local n = math.tointeger(tonumber(arg[1] or 10000))
assert(n and n >= 0, "n must be an integer >= 0")

local exe <close> = lfut.ThreadPoolExecutor(4)

local copied = 0
exe:for_each(function()
  copied = copied + 1 -- in the worker's copy
end, lfut.range(n))
print("variable", copied)

local added = lfut.Value "int64"
exe:for_each(function()
  added:add(1)
end, lfut.range(n))
print("add", added:get())

-- Between get and set another one might count; the lock keeps it away.
local count, lock = lfut.Value "int64", lfut.Lock()
exe:for_each(function()
  lock:with(function()
    count:set(count:get() + 1)
  end)
end, lfut.range(n))
print("lock", count:get())

-- Many counters, by name.
local names = lfut.Dict()
exe:for_each(function(i)
  names:incr(i % 2 == 0 and "even" or "odd")
end, lfut.range(n))
print("even, odd", names:get "even" or 0, names:get "odd" or 0)
