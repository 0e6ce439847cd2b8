#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Two threads, started and joined by hand. A pool is less to write; a thread of
-- its own is for what lives as long as the program.
local lfut = require "lfut"

local function square(n)
  return n * n
end

local function cube(n)
  return n * n * n
end

local a = lfut.Thread{ target = square, args = { 10 } }
local b = lfut.Thread{ target = cube, args = { 10 }, name = "cubes" }
print(a:is_alive(), b:is_alive())

a:start()
b:start()
a:join()
b:join()
print(a:is_alive(), b:is_alive())

-- Unlike Python's, a thread has a result. result() waits, too: join is not
-- needed for it.
print("square", a:result())
print("cube", b:result())
