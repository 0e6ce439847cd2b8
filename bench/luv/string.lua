-- SPDX-License-Identifier: MIT
-- B/s: the same as lfut/string.lua by luv's new_work: one at a time, the
-- length comes back to a callback.
local uv = require "luv"

local SIZE = 1 << 20

local function strings(count)
  local list = {}
  for i = 1, count do
    list[i] = string.char(i):rep(SIZE)
  end
  return list
end

local back
local work = uv.new_work(function(s)
  return #s
end, function(size)
  back = size
end)

local function run(list, n)
  for i = 1, n do
    back = nil
    work:queue(list[i % #list + 1])
    uv.run()
    assert(back == SIZE)
  end
end

local n = math.tointeger(arg[1])
local list = strings(math.tointeger(arg[2]))
run(list, n // 10)
local start = uv.hrtime()
run(list, n)
print(n * SIZE / ((uv.hrtime() - start) / 1e9))
