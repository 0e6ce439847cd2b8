-- SPDX-License-Identifier: MIT
-- sleeper_memory.lua N: what a task that sleeps takes, with its future: bytes.
local lfut = require "lfut"
local n = tonumber(arg[1])

local function resident()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s*(%d+)"
    if kb then
      return tonumber(kb) * 1024
    end
  end
end

local function sleep() lfut.sleep(1e6) end

local exe = lfut.AsyncExecutor(2)
local futures = {}
for i = 1, 100 do
  futures[i] = exe:submit(sleep)
end
local before = resident()
for i = 1, n do
  futures[i] = exe:submit(sleep)
end
while exe:stats().parked < n do
  lfut.sleep(0.01)
end
collectgarbage()
print((resident() - before) / n)
exe:shutdown(false)
os.exit(0, false)
