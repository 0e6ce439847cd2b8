-- SPDX-License-Identifier: MIT
-- sleepers.lua N [SECONDS [DISTINCT]]: N tasks that sleep for a second each, all
-- at once, or for as many different times around it: seconds to the end.
local lfut = require "lfut"
local n, seconds, distinct = tonumber(arg[1]), tonumber(arg[2] or 1), arg[3] == "distinct"

local function sleep(s)
  lfut.sleep(s)
end

local exe = lfut.AsyncExecutor(2)
local start = lfut.perf_counter()
local futures = {}
for i = 1, n do
  futures[i] = exe:submit(sleep, distinct and seconds * (0.5 + 0.5 * (i * 7919 % n) / n) or seconds)
end
for i = 1, n do
  futures[i]:result()
end
print(lfut.perf_counter() - start)
