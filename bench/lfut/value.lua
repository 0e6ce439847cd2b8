-- SPDX-License-Identifier: MIT
-- additions/s: two processes add to one value at once.
local lfut = require "lfut"

local n = math.tointeger(arg[1])
local v = lfut.Value "int64"
local barrier = lfut.Barrier(3)

local function add()
  barrier:wait()
  for _ = 1, n // 2 do
    v:add(1)
  end
  barrier:wait()
end

local list = {}
for i = 1, 2 do
  list[i] = lfut.Process { target = add }
  list[i]:start()
end
barrier:wait()
local start = lfut.perf_counter()
barrier:wait()
local seconds = lfut.perf_counter() - start
for i = 1, 2 do
  list[i]:join()
end
assert(v:get() == n // 2 * 2)
print(n / seconds)
