-- SPDX-License-Identifier: MIT
-- Seconds of a pool of two workers: made, one task run, shut down.
local lfut = require "lfut"

local function task(x)
  return x
end

local function run(n)
  for i = 1, n do
    local exe <close> = lfut[arg[2]](2)
    assert(exe:submit(task, i):result() == i)
  end
end

local n = math.tointeger(arg[1])
run(n // 10)
local start = lfut.perf_counter()
run(n)
print((lfut.perf_counter() - start) / n)
