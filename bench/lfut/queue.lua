-- SPDX-License-Identifier: MIT
-- items/s: N integers through a queue for 1000, to a thread or a process.
local lfut = require "lfut"

local n, kind = math.tointeger(arg[1]), arg[2]

local function run(n)
  local q, ready = lfut.Queue(1000), lfut.Event()
  local consumer = lfut[kind] { target = function()
    ready:set()
    for i = 1, n do
      assert(q:get() == i)
    end
  end }
  consumer:start()
  ready:wait()
  local start = lfut.perf_counter()
  for i = 1, n do
    q:put(i)
  end
  consumer:join()
  return lfut.perf_counter() - start
end

run(n // 10)
print(n / run(n))
