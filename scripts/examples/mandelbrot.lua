#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- The Mandelbrot set as a grey image (PGM), to a file or to standard output. A
-- row is an item; map keeps the rows in order, though some cost a hundred times
-- more than others.
--
--   lfut mandelbrot.lua [size [file]]      (default 400)
--   lfut mandelbrot.lua 800 | display
local lfut = require "lfut"

local size = math.tointeger(tonumber(arg[1] or 400))
assert(size and size >= 1, "size must be an integer > 0")
local limit = 255

-- Row y as a string of 'size' bytes: how fast each point escapes.
local function row(y)
  local bytes = {}
  local ci = 2.5 * (y - 0.5) / size - 1.25
  for x = 1, size do
    local cr = 2.5 * (x - 0.5) / size - 2
    local zr, zi, n = 0.0, 0.0, 0
    while n < limit and zr * zr + zi * zi < 4 do
      zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
      n = n + 1
    end
    bytes[x] = string.char(limit - n)
  end
  return table.concat(bytes)
end

local out = arg[2] and assert(io.open(arg[2], "wb")) or io.stdout
out:write(("P5\n%d %d\n%d\n"):format(size, size, limit))

local exe <close> = lfut.ThreadPoolExecutor()
for _, bytes in exe:map(row, lfut.range(size)) do
  out:write(bytes)
end
out:flush()
