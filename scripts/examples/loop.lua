#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- lfut in the loop of another library: luv's (Debian's lua-luv), or cqueues'
-- (lua-cqueues). The loop has a timer of its own, and is told when futures are
-- done.
--
--   lfut loop.lua [luv | cqueues]
local lfut = require "lfut"
local which = arg[1] or "luv"

local exe <close> = lfut.ThreadPoolExecutor(2)
local left, sum = 10, 0
local function done(future)
  left, sum = left - 1, sum + future:result()
end
for i = 1, left do
  exe:submit(function(n) return n * n end, i):add_done_callback(done)
end

local loops = {}

function loops.luv()
  local uv = require "luv"
  local poll, timer = uv.new_poll(lfut.fileno()), uv.new_timer()
  local function look()
    lfut.poll()
    if left == 0 and not poll:is_closing() then
      poll:close()
      timer:close()
    end
  end
  timer:start(0, 0, look) -- some may be done already
  poll:start("r", look)
  uv.run()
end

function loops.cqueues()
  local cqueues = require "cqueues"
  local loop = cqueues.new()
  loop:wrap(function()
    while left > 0 do
      cqueues.poll { pollfd = lfut.fileno(), events = "r" }
      lfut.poll()
    end
  end)
  assert(loop:loop())
end

assert(loops[which], "usage: lfut loop.lua [luv | cqueues]")()
print(which .. ": the sum of the squares is " .. sum)
