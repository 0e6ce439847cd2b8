#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- In how many ways can n queens stand on a board of n x n so that none attacks
-- another? Tasks that submit tasks to their own pool and wait for them: a task
-- that waits leaves its worker to others, so this works with one worker, too.
--
--   lfut nqueens.lua [n [depth]]      depth: rows placed by tasks (default 2)
local lfut = require "lfut"

local n = math.tointeger(tonumber(arg[1] or 8))
local depth = math.tointeger(tonumber(arg[2] or 2))
assert(n and n >= 1, "n must be an integer > 0")

local exe <close> = lfut.ThreadPoolExecutor()

-- May a queen stand in the next row's column c? queens[r] is row r's column.
local function free(queens, c)
  local row = #queens + 1
  for r, q in ipairs(queens) do
    if q == c or math.abs(q - c) == row - r then
      return false
    end
  end
  return true
end

-- The number of ways to place the rest; in this task.
local function count(queens)
  if #queens == n then
    return 1
  end
  local ways = 0
  for c = 1, n do
    if free(queens, c) then
      queens[#queens + 1] = c
      ways = ways + count(queens)
      queens[#queens] = nil
    end
  end
  return ways
end

-- The same, a task for each place in the next row. A task gets a copy of the
-- board, so there is nothing to take back. It names the executor as an upvalue
-- and so submits to the pool that runs it.
local function fork(queens)
  if #queens >= math.min(depth, n) then
    return count(queens)
  end
  local futures = {}
  for c = 1, n do
    if free(queens, c) then
      queens[#queens + 1] = c
      futures[#futures + 1] = exe:submit(fork, queens)
      queens[#queens] = nil
    end
  end
  local ways = 0
  for _, future in ipairs(futures) do
    ways = ways + future:result()
  end
  return ways
end

print(n, exe:submit(fork, {}):result())
