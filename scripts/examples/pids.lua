#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A pool of processes: each task tells the process that has run it.
local lfut = require "lfut"

local function task(n)
  return ("task %d: process %d"):format(n, lfut.getpid())
end

print(("script: process %d"):format(lfut.getpid()))

local exe <close> = lfut.ProcessPoolExecutor{ max_workers = 3 }

local futures = {}
for n = 1, 5 do
  futures[n] = exe:submit(task, n)
end
for _, future in ipairs(futures) do
  print(future:result())
end
