#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Three workers, three tasks: the smallest use of a pool. Each task tells who
-- has run it.
local lfut = require "lfut"

local function task(letter)
  return letter:upper(), lfut.worker().name
end

local exe <close> = lfut.ThreadPoolExecutor{ max_workers = 3, name = "letters" }

local a = exe:submit(task, "a")
local b = exe:submit(task, "b")
local c = exe:submit(task, "c")

-- A result is waited for: the order of these lines is always the same. Which
-- worker has run what is not.
print(a:result())
print(b:result())
print(c:result())
