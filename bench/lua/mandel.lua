-- SPDX-License-Identifier: MIT
-- One row of the Mandelbrot set of size × size points: how many points of it
-- did not escape. Shared by lua/mandelbrot.lua and lfut/mandelbrot.lua. Rows
-- differ much in cost, so they show how well the work is balanced.
local LIMIT = 200

return function(y, size)
  local ci, inside = 2 * y / size - 1, 0
  for x = 1, size do
    local cr, zr, zi, n = 3 * x / size - 2, 0.0, 0.0, 0
    while n < LIMIT and zr * zr + zi * zi <= 4 do
      zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
      n = n + 1
    end
    if n == LIMIT then
      inside = inside + 1
    end
  end
  return inside
end
