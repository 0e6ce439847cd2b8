-- SPDX-License-Identifier: MIT
-- tasks/s: N work items queued, each result to a callback. There are no
-- futures here; the callback takes the result.
local uv = require "luv"

local sum
local work = uv.new_work(function(x)
  return x
end, function(x)
  sum = sum + x
end)

local function run(n)
  sum = 0
  for i = 1, n do
    work:queue(i)
  end
  uv.run()
  assert(sum == n * (n + 1) // 2)
end

local n = math.tointeger(arg[1])
run(n // 10)
collectgarbage()
local start = uv.hrtime()
run(n)
print(n / ((uv.hrtime() - start) / 1e9))
