#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Orders of parts that are made at the same time and then fitted to each other:
-- each waits for all others. If one cannot be made, they would wait for ever; the
-- scope stops them, and raises the reason.
--
--   lfut scope.lua [part that cannot be made]      (default: desk)
local lfut = require "lfut"

local missing = arg[1] or "desk"

local function make(part, missing, together)
  if part == missing then
    error("there is no " .. part, 0)
  end
  together:wait()
  return "a " .. part
end

local exe <close> = lfut.ThreadPoolExecutor(4)

local function order(parts)
  local together = lfut.Barrier(#parts)
  return lfut.scope(function(scope)
    local made = {}
    for i, part in ipairs(parts) do
      made[i] = scope:submit(exe, make, part, missing, together)
    end
    return table.concat(lfut.all(made):result(), ", ")
  end)
end

for _, parts in ipairs{ { "table", "lamp" }, { "chair", "desk", "shelf" }, { "bed" } } do
  local ok, what = pcall(order, parts)
  print(ok and "made:" or "not made:", what)
end
