#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A Pool as in Python's multiprocessing: worker processes, and maps that return
-- lists. Its block's end ends the workers, so what was begun is waited for first.
local lfut = require "lfut"

local function square(n)
  return n * n
end

local function area(width, height)
  return width * height
end

local pool <close> = lfut.Pool(4)

print("apply", pool:apply(square, { 20 }))
print("map", table.concat(pool:map(square, { 1, 2, 3, 4, 5 }), " "))
print("starmap", table.concat(pool:starmap(area, { { 1, 2 }, { 3, 4 }, { 5, 6 } }), " "))

-- One by one, in order, each as soon as it is there.
for i, r in pool:imap(square, lfut.range(3)) do
  print("imap", i, r)
end

-- In the background. Callbacks are called while the script is in a call of lfut,
-- here in get.
local result = pool:apply_async(area, { 6, 7 }, {
  callback = function(r) print("callback", r) end,
})
print("get", result:get())

-- An error in an item is raised when all are done.
print("error", select(2, pcall(pool.map, pool, function(n)
  if n == 3 then
    error("cannot do " .. n, 0)
  end
  return n
end, { 1, 2, 3, 4 })))

pool:close()
pool:join()
