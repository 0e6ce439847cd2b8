-- SPDX-License-Identifier: MIT
-- tasks/s: N submits of a C function, or of a Lua function that does as little,
-- then all results.
local lfut = require "lfut"

local libc = lfut.load("c", "long labs(long x);", { threads = "safe" })
local tasks = {
  native = libc.labs,
  lua = function(x) return x end,
}

local function run(exe, task, n)
  local futures, sum = {}, 0
  for i = 1, n do
    futures[i] = exe:submit(task, i)
  end
  for i = 1, n do
    sum = sum + futures[i]:result()
  end
  assert(sum == n * (n + 1) // 2)
end

local n = math.tointeger(arg[1])
local task = tasks[arg[3]]
local exe <close> = lfut[arg[2]](2)
run(exe, task, n // 10)
collectgarbage()
local start = lfut.perf_counter()
run(exe, task, n)
print(n / (lfut.perf_counter() - start))
