-- SPDX-License-Identifier: MIT
-- Seconds of one submit and its result, nothing else under way.
local lfut = require "lfut"

local function task(x)
  return x
end

local function run(exe, n)
  for i = 1, n do
    assert(exe:submit(task, i):result() == i)
  end
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](2)
run(exe, n // 10)
local start = lfut.perf_counter()
run(exe, n)
print((lfut.perf_counter() - start) / n)
