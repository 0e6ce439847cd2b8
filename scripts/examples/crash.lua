#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A task whose process dies: it is lost, and says so. The worker is replaced,
-- and the others go on. (In a pool of threads the whole program would end.)
local lfut = require "lfut"

local function work(n)
  if n == 3 then
    os.execute("kill -KILL " .. lfut.getpid())
  end
  return n * n
end

local exe <close> = lfut.ProcessPoolExecutor(2)

local futures = {}
for n = 1, 6 do
  futures[n] = exe:submit(work, n)
end

for n, future in ipairs(futures) do
  local ok, result = pcall(future.result, future)
  if ok then
    print(n, result)
  elseif lfut.is_error(result, "WorkerLost") then
    print(n, "lost: " .. result.signal .. " in " .. result.func)
  else
    error(result)
  end
end
