#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Blurs an image (PGM or PPM): each pixel becomes the mean of the square around
-- it. The pixels are in arrays that all workers share, so no pixel is sent to a
-- worker or back: a task is a band of rows, reads one array and writes its rows
-- of the other.
--
--   lfut mandelbrot.lua 800 sharp.pgm
--   lfut blur.lua sharp.pgm soft.pgm [radius]      (default 3)
local lfut = require "lfut"

local rows_per_task = 16

-- Reads the image: its kind (P5 is grey, P6 red, green and blue), size, pixels.
local function read_image(name)
  local file <close> = assert(io.open(name, "rb"))
  local kind, width, height, most = file:read("l", "n", "n", "n")
  assert((kind == "P5" or kind == "P6") and most == 255, "P5 or P6 with 8 bits is expected")
  file:read(1) -- the end of the line
  local pixels = lfut.Array("uint8", width * height * (kind == "P5" and 1 or 3))
  assert(pixels:read(file) == #pixels, "the image is too short")
  return { kind = kind, width = width, height = height, pixels = pixels }
end

local function write_image(name, image)
  local file <close> = assert(io.open(name, "wb"))
  file:write(("%s\n%d %d\n255\n"):format(image.kind, image.width, image.height))
  assert(image.pixels:write(file))
end

-- Element k of 'to' becomes the mean of those of 'from' whose distance along one
-- line is at most 'radius': a line has n elements, 'step' apart, the first one at
-- 'first'. The window moves on: what enters is added, what leaves is taken away.
local function blur_line(from, to, first, step, n, radius)
  local sum, count = 0, 0
  for i = 0, math.min(radius, n) - 1 do
    sum, count = sum + from[first + i * step], count + 1
  end
  for i = 0, n - 1 do
    if i + radius < n then
      sum, count = sum + from[first + (i + radius) * step], count + 1
    end
    if i - radius > 0 then
      sum, count = sum - from[first + (i - radius - 1) * step], count - 1
    end
    to[first + i * step] = sum // count
  end
end

-- The mean of a square is that of its rows' means: first along the rows, then,
-- when all rows are done, along the columns.
local function blur(exe, image, radius)
  local channels = image.kind == "P5" and 1 or 3
  local stride = image.width * channels
  local height, pixels = image.height, image.pixels
  local between = lfut.Array("uint8", #pixels)

  local function rows(top)
    for y = top, math.min(top + rows_per_task, height) - 1 do
      for c = 1, channels do
        blur_line(pixels, between, y * stride + c, channels, image.width, radius)
      end
    end
  end
  local function columns(left)
    for x = left, math.min(left + rows_per_task, stride) - 1 do
      blur_line(between, pixels, x + 1, stride, height, radius)
    end
  end
  exe:for_each(rows, lfut.range(0, height - 1, rows_per_task))
  exe:for_each(columns, lfut.range(0, stride - 1, rows_per_task))
end

assert(arg[2], "usage: lfut blur.lua IN OUT [radius]")
local radius = math.tointeger(tonumber(arg[3] or 3))
assert(radius and radius >= 0, "the radius must be an integer >= 0")

local image = read_image(arg[1])
local exe <close> = lfut.ThreadPoolExecutor()
blur(exe, image, radius)
write_image(arg[2], image)
