-- SPDX-License-Identifier: MIT
-- commands.lua N: N short commands, up to 64 at once: commands a second.
local lfut = require "lfut"
local n = tonumber(arg[1])

local exe = lfut.AsyncExecutor { max_running = 64 }
local start = lfut.perf_counter()
local futures = {}
for i = 1, n do
  futures[i] = exe:submit(lfut.run, { "true" })
end
for i = 1, n do
  assert(futures[i]:result().code == 0)
end
print(n / (lfut.perf_counter() - start))
