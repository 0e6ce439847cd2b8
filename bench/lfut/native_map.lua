-- SPDX-License-Identifier: MIT
-- items/s: a C function of libm for each element of an array, the results in a
-- list: by map in the workers, or by a loop in the script.
local lfut = require "lfut"

local libm = lfut.load("m", "double fabs(double x);", { threads = "safe" })

local function loop(_, items, n)
  local fabs, list = libm.fabs, {}
  for i = 1, n do
    list[i] = fabs(items[i])
  end
  return list
end

local function map(exe, items)
  return exe:map(libm.fabs, items):list()
end

local n = math.tointeger(arg[1])
local run = arg[2] == "loop" and loop or map
local items = lfut.Array("double", n)
for i = 1, n do
  items[i] = -(i % 10)
end
local exe <close> = lfut.ThreadPoolExecutor(2)
run(exe, items, n)
collectgarbage()
local start = lfut.perf_counter()
local list = run(exe, items, n)
print(n / (lfut.perf_counter() - start))
assert(list[3] == 3 and #list == n)
