-- SPDX-License-Identifier: MIT
-- A picture (SVG) of a short trace, as in docs/faster.md:
--   lfut --trace t.json script.lua && lfut bench/draw_trace.lua t.json > t.svg
-- A line for each thread, a box for each slice that can be seen. Of Lua's
-- libraries it needs lua-cjson.
local json = require "cjson"

local WIDTH, LEFT, LINE, TOP = 900, 90, 28, 10
local COLORS = { run = "#4e79a7", native = "#59a14f", pack = "#f28e2b", unpack = "#edc948", wait = "#d3d3d3" }

local file <close> = assert(io.open(arg[1]))
local lines, names, first, last = {}, {}, math.huge, 0
for _, e in ipairs(json.decode(file:read "a")) do
  local id = e.pid .. ":" .. (e.tid or 0)
  if e.ph == "M" and e.name == "thread_name" then
    names[id] = e.args.name
  elseif e.ph == "X" then
    if not lines[id] then
      lines[id] = {}
      lines[#lines + 1] = id
    end
    table.insert(lines[id], e)
    first, last = math.min(first, e.ts), math.max(last, e.ts + e.dur)
  end
end
table.sort(lines, function(a, b)
  local x, y = names[a] or a, names[b] or b
  if (x == "script") ~= (y == "script") then
    return x == "script"
  end
  return x < y
end)

local scale = (WIDTH - LEFT - 10) / (last - first)

local function put(format, ...)
  print(format:format(...))
end

local height = TOP + #lines * LINE + 24
put('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">', WIDTH,
  height)
put '<rect width="100%%" height="100%%" fill="white"/>'
for i, id in ipairs(lines) do
  local y = TOP + (i - 1) * LINE
  put('<text x="4" y="%d">%s</text>', y + 16, names[id] or id)
  for _, e in ipairs(lines[id]) do
    local width = e.dur * scale
    if width > 0.3 then
      local x = LEFT + (e.ts - first) * scale
      put('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="white" stroke-width="0.5"/>', x, y, width, LINE - 6, COLORS[e.cat])
      if width > 7 * #e.name then
        put('<text x="%.1f" y="%d" fill="%s">%s</text>', x + 4, y + 16, e.cat == "wait" and "black" or "white", e.name)
      end
    end
  end
end
for i = 0, 4 do
  put('<text x="%.0f" y="%d" fill="gray" text-anchor="%s">%.0f ms</text>', LEFT + i / 4 * (WIDTH - LEFT - 10), height - 6,
    i == 4 and "end" or "start", (last - first) * i / 4 / 1000)
end
print "</svg>"
