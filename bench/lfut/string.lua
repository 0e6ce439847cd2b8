-- SPDX-License-Identifier: MIT
-- B/s: 1 MiB strings to a worker, one after the other, the length back.
-- With one string the source stays in the cache, with many it does not.
local lfut = require "lfut"

local SIZE = 1 << 20

local function length(s)
  return #s
end

local function strings(count)
  local list = {}
  for i = 1, count do
    list[i] = string.char(i):rep(SIZE)
  end
  return list
end

local function run(exe, list, n)
  for i = 1, n do
    assert(exe:submit(length, list[i % #list + 1]):result() == SIZE)
  end
end

local n = math.tointeger(arg[1])
local list = strings(math.tointeger(arg[3]))
local exe <close> = lfut[arg[2]](2)
run(exe, list, n // 10)
local start = lfut.perf_counter()
run(exe, list, n)
print(n * SIZE / (lfut.perf_counter() - start))
