-- SPDX-License-Identifier: MIT
-- s: from f:cancel(true) until who waits for the task, which computes for ever,
-- is woken; the median of N.
local lfut = require "lfut"

local function forever(begun)
  begun:set()
  while true do
  end
end

local n = math.tointeger(arg[1])
local exe <close> = lfut[arg[2]](1)
local times = {}
for i = 1, n do
  local begun = lfut.Event()
  local f = exe:submit(forever, begun)
  begun:wait()
  local start = lfut.perf_counter()
  assert(f:cancel(true))
  assert(not pcall(f.result, f))
  times[i] = lfut.perf_counter() - start
  assert(f:cancelled())
end
table.sort(times)
print(times[n // 2 + 1])
