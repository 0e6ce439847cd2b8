-- SPDX-License-Identifier: MIT
-- s: an image of N x N by the plugin mandelbrot, in blocks of rows by two
-- workers.
local lfut = require "lfut"

local ROWS = 16

local n = math.tointeger(arg[1])
local plugin = lfut.plugin(arg[2] .. "/mandelbrot.so")
local exe <close> = lfut.ThreadPoolExecutor(2)

local function render()
  local pixels = lfut.Array("uint8", n * n)
  local futures = {}
  for first = 0, n - 1, ROWS do
    local rows = math.min(ROWS, n - first)
    futures[#futures + 1] = exe:submit(plugin.mandelbrot_rows,
      pixels:slice(first * n + 1, (first + rows) * n), n, n, first, rows)
  end
  for _, future in ipairs(futures) do
    future:result()
  end
  return pixels
end

render()
local start = lfut.perf_counter()
local pixels = render()
print(lfut.perf_counter() - start)
assert(pixels[1] < 255)
