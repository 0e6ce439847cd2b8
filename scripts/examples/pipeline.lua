#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A pipeline of queues: words are read, counted by several tasks, and added up,
-- all at the same time. Full queues hold up who is too fast.
--
--   lfut pipeline.lua [FILE...]          or standard input
local lfut = require "lfut"

local COUNTERS = 8

local lines, counts = lfut.Queue(100), lfut.Queue(100)

local function count_words(lines, counts)
  for line in function() return lines:get() or nil end do
    local n = 0
    for _ in line:gmatch "%S+" do
      n = n + 1
    end
    counts:put(n)
  end
  lines:put(false) -- the end, for whoever is next, too
end

local function add_up(counts)
  local sum, lines = 0, 0
  for n in function() return counts:get() or nil end do
    sum, lines = sum + n, lines + 1
  end
  return sum, lines
end

local function feed(file)
  for line in file:lines() do
    lines:put(line)
  end
end

-- Where a file cannot be read, the tasks end with the scope.
local function run(scope)
  local exe = lfut.AsyncExecutor(2)
  local counters = {}
  for i = 1, COUNTERS do
    counters[i] = scope:submit(exe, count_words, lines, counts)
  end
  local total = scope:submit(exe, add_up, counts)
  if #arg == 0 then
    feed(io.stdin)
  end
  for _, name in ipairs(arg) do
    local file <close> = assert(io.open(name))
    feed(file)
  end
  lines:put(false)
  lfut.wait(counters)
  counts:put(false)
  return total:result()
end

print(("%d words in %d lines"):format(lfut.scope(run)))
