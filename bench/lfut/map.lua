-- SPDX-License-Identifier: MIT
-- items/s: map over a table or a range, all results into a list. For any Lua.
local lfut = require "lfut"

local function square(x)
  return x * x
end

local function numbers(n)
  local list = {}
  for i = 1, n do
    list[i] = i
  end
  return list
end

local function run(exe, items, n)
  local list = exe:map(square, items):list()
  assert(list.n == n and list[1] == 1 and list[n] == n * n)
end

local n = tonumber(arg[1])
local make = arg[3] == "table" and numbers or lfut.range
local exe = lfut[arg[2]](2)
run(exe, make(n), n)
local items = make(n)
collectgarbage()
local start = lfut.perf_counter()
run(exe, items, n)
local seconds = lfut.perf_counter() - start
exe:shutdown()
print(n / seconds)
