-- SPDX-License-Identifier: MIT
-- Seconds of one operation over N futures that are pending behind a busy
-- worker: cancel, wait, as_completed (both include running the tasks), or
-- cancelled_wait, cancelled_as_completed (all cancelled before).
local lfut = require "lfut"
local gate = dofile(arg[0]:gsub("[^/]*$", "") .. "gate.lua")

local FUTURES = 100000 -- in all rounds together

local function task(x)
  return x
end

local function submit(exe, n)
  local futures = {}
  for i = 1, n do
    futures[i] = exe:submit(task, i)
  end
  return futures
end

local function cancel(futures)
  for i = 1, #futures do
    assert(futures[i]:cancel())
  end
end

local function wait(futures)
  local done = lfut.wait(futures)
  assert(#done == #futures)
end

local function as_completed(futures)
  local count = 0
  for future in lfut.as_completed(futures) do
    assert(future:done())
    count = count + 1
  end
  assert(count == #futures)
end

local function clock(fn, ...)
  local start = lfut.perf_counter()
  fn(...)
  return lfut.perf_counter() - start
end

-- The worker is let go inside the measured time, so that most futures are
-- pending when the waiting begins.
local function after_opening(fn)
  return function(futures, open)
    return clock(function()
      open()
      fn(futures)
    end)
  end
end

local function after_cancelling(fn)
  return function(futures, open)
    cancel(futures)
    local seconds = clock(fn, futures)
    open()
    return seconds
  end
end

local operations = {
  cancel = function(futures, open)
    local seconds = clock(cancel, futures)
    open()
    return seconds
  end,
  wait = after_opening(wait),
  as_completed = after_opening(as_completed),
  cancelled_wait = after_cancelling(wait),
  cancelled_as_completed = after_cancelling(as_completed),
}

local function round(n, operation)
  local exe <close> = lfut.ThreadPoolExecutor(1)
  wait(submit(exe, 100))
  local open = gate.shut(exe)
  local futures = submit(exe, n)
  collectgarbage()
  return operation(futures, open)
end

local n, operation = math.tointeger(arg[1]), operations[arg[2]]
-- Few futures are over soon: more rounds of them, and one that warms up.
local rounds = math.max(1, FUTURES // n)
round(n, operation)
local seconds = 0
for _ = 1, rounds do
  seconds = seconds + round(n, operation)
end
print(seconds / rounds)
