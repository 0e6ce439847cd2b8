-- SPDX-License-Identifier: MIT
-- B/s: the sum of an array of N doubles, a half in each of two workers, by the
-- plugin vec.
local lfut = require "lfut"

local ROUNDS = 20

local n = math.tointeger(arg[1])
local vec = lfut.plugin(arg[2] .. "/vec.so")
local array = lfut.Array("double", n)
array:fill(1)
local halves = array:chunks((n + 1) // 2)
local exe <close> = lfut.ThreadPoolExecutor(2)

local function run()
  local futures, sum = {}, 0
  for i, half in ipairs(halves) do
    futures[i] = exe:submit(vec.sum, half, #half)
  end
  for _, future in ipairs(futures) do
    sum = sum + future:result()
  end
  assert(sum == n)
end

run()
local start = lfut.perf_counter()
for _ = 1, ROUNDS do
  run()
end
print(ROUNDS * array:bytes() / (lfut.perf_counter() - start))
