-- SPDX-License-Identifier: MIT
-- s: what a limit of time costs a task: submit and result of N tasks with and
-- without one, in turn; the median of the differences, for one task.
local lfut = require "lfut"

local function task(x)
  return x
end

local function run(exe, n)
  local futures = {}
  local start = lfut.perf_counter()
  for i = 1, n do
    futures[i] = exe:submit(task, i)
  end
  for i = 1, n do
    futures[i]:result()
  end
  return lfut.perf_counter() - start
end

local ROUNDS = 41
local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](2)
local limited = exe:options { timeout = 1000 }
run(exe, n)
run(limited, n)
local more = {}
for i = 1, ROUNDS do
  collectgarbage()
  local without = run(exe, n)
  collectgarbage()
  more[i] = (run(limited, n) - without) / n
end
table.sort(more)
print(more[ROUNDS // 2 + 1])
