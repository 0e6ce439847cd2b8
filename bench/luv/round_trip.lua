-- SPDX-License-Identifier: MIT
-- Seconds of one work item and its callback, nothing else under way.
local uv = require "luv"

local back
local work = uv.new_work(function(x)
  return x
end, function(x)
  back = x
end)

local function run(n)
  for i = 1, n do
    work:queue(i)
    uv.run()
    assert(back == i)
  end
end

local n = math.tointeger(arg[1])
run(n // 10)
local start = uv.hrtime()
run(n)
print((uv.hrtime() - start) / 1e9 / n)
