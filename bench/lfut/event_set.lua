-- SPDX-License-Identifier: MIT
-- Seconds of processor time from Event:set until N tasks that wait for it, each
-- in a worker of its own, have gone on.
local lfut = require "lfut"

local n = math.tointeger(arg[1])
local exe <close> = lfut.ThreadPoolExecutor(n)
local event, here = lfut.Event(), lfut.Value("int64", 0)
local futures = {}
for i = 1, n do
  futures[i] = exe:submit(function()
    here:add(1)
    event:wait()
  end)
end
while here:get() < n do
  lfut.sleep(0.01)
end
lfut.sleep(0.2) -- until all sleep
local start = os.clock()
event:set()
lfut.wait(futures)
print(os.clock() - start)
