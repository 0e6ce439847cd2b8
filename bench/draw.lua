-- SPDX-License-Identifier: MIT
-- From a CSV file of results to a picture by gnuplot: a bar for each comparison,
-- to the right where lfut is better than the peer. Bounds ("C memcpy", "a
-- tenth") are left out: they are not what one would use instead.

local draw = {}

-- CSV -------------------------------------------------------------------------

-- The cells of the record that begins at 'at', and where the next one does.
local function read_record(text, at)
  local cells = {}
  repeat
    local cell, stop
    if text:sub(at, at) == '"' then
      stop = at
      repeat -- two quotes are one that belongs to the text
        stop = assert(text:find('"', stop + 1, true), "a quote is missing") + 1
      until text:sub(stop, stop) ~= '"'
      cell = text:sub(at + 1, stop - 2):gsub('""', '"')
    else
      stop = text:find("[,\n]", at) or #text + 1
      cell = text:sub(at, stop - 1)
    end
    table.insert(cells, cell)
    at = stop + 1
  until text:sub(stop, stop) ~= ","
  return cells, at
end

-- A list of records, each a table by the names in the first line.
function draw.read_csv(text)
  local names, at = read_record(text, 1)
  local records = {}
  while at <= #text do
    local cells, record = nil, {}
    cells, at = read_record(text, at)
    for i, name in ipairs(names) do
      record[name] = cells[i]
    end
    table.insert(records, record)
  end
  return records
end

-- Bars ------------------------------------------------------------------------

local function inverted(n)
  return n and 1 / n
end

-- How many times better than the peer, with the least and the greatest of it.
-- The ratio of a cost with a limit says how many times the peer's lfut takes.
local function bar(record)
  local ratio = tonumber(record.ratio)
  if not ratio or ratio <= 0 or record.bound == "true" then
    return nil
  end
  local least = tonumber(record.min) or ratio
  local greatest = tonumber(record.max) or ratio
  if record.at_most ~= "" then
    ratio, least, greatest = inverted(ratio), inverted(greatest), inverted(least)
  end
  return { label = record.figure .. " vs " .. record.peer, ratio = ratio,
    min = least, max = greatest }
end

-- The bars of some records; if there are names, of these figures.
function draw.bars(records, names)
  local wanted, bars = {}, {}
  for _, name in ipairs(names) do
    wanted[name] = true
  end
  for _, record in ipairs(records) do
    if #names == 0 or wanted[record.figure] then
      table.insert(bars, bar(record))
    end
  end
  return bars
end

-- gnuplot ---------------------------------------------------------------------

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end

local function show_ratio(r)
  return (r >= 10 and "%.0f ×" or r >= 1 and "%.1f ×" or "%.2g ×"):format(r)
end

-- Whole decades around all bars, and room for the numbers behind them.
local function decades(bars)
  local least, greatest = 1, 1
  for _, b in ipairs(bars) do
    least, greatest = math.min(least, b.min), math.max(greatest, b.max)
  end
  return 10 ^ math.floor(math.log(least, 10)),
    10 ^ math.ceil(math.log(greatest * 3, 10))
end

local function data(bars)
  local lines = {}
  for i, b in ipairs(bars) do
    lines[i] = table.concat({ i, b.ratio, b.min, b.max,
      b.label:gsub('[\t\n"]', "'"), show_ratio(b.ratio) }, "\t")
  end
  return table.concat(lines, "\n")
end

-- Titles are in the middle of the picture, not of what is right of the names.
local SCRIPT = [[
set terminal svg size 960,$height noenhanced \
  background "white" font "sans-serif,16"
set output $file
set label $title at screen 0.5,1 center offset 0,-1.5
set label $axis at screen 0.5,0 center offset 0,1.2
set lmargin at screen 0.38
set rmargin at screen 0.95
set tmargin 5
set bmargin 4
set key off
set border 1
set datafile separator tab
set datafile commentschars ""
set logscale x
set xrange [$from:$to]
set yrange [$count + 0.7:0.3]
set format x "%g ×"
set xtics nomirror
set ytics scale 0 nomirror
set grid xtics
set style fill solid
$bars << END
$data
END
set arrow from 1, graph 0 to 1, graph 1 nohead front linewidth 2
larger(a, b) = a > b ? a : b
smaller(a, b) = a < b ? a : b
color(ratio) = ratio >= 1 ? 0x4a90c4 : 0xd9893d
plot $bars using 2:1:(smaller($2, 1)):(larger($2, 1)):($1 - 0.36):($1 + 0.36)\
         :(color($2)) with boxxyerror linecolor rgb variable, \
     $bars using 2:1:3:4:ytic(5) with xerrorbars pointtype 0 \
         linecolor rgb "#333333", \
     $bars using (larger($4, 1)):1:6 with labels left offset 0.6,0
]]

function draw.script(bars, caption, file)
  local from, to = decades(bars)
  local values = {
    height = tostring(226 + 26 * #bars), count = tostring(#bars),
    file = quote(file), data = data(bars),
    from = ("%g"):format(from), to = ("%g"):format(to),
    title = quote("lfut beside what one would use instead"
      .. (caption and "\n" .. caption or "")),
    axis = quote("how many times faster, or smaller, lfut is;"
      .. " thin lines: the least and the greatest of the runs"),
  }
  -- Names that are not ours are gnuplot's: $bars, and $1, $2, ...
  return (SCRIPT:gsub("%$(%a+)", values))
end

-- Two pictures side by side: what a task costs by their number, and by that of
-- the workers; a line for each executor.
local CURVES = [[
set terminal svg size 960,420 noenhanced background "white" font "sans-serif,16"
set output $file
set multiplot layout 1,2 title $title
set border 3
set logscale xy
set xtics nomirror
set ytics nomirror
set grid
set key top right
set format x "%g"
set format y "%g"
$blocks
set xlabel "tasks (2 workers)"
set ylabel "µs a task"
plot $tasks
set xlabel "workers (20 000 tasks)"
plot $workers
]]

local function block(name, points)
  local lines = { "$" .. name .. " << END" }
  for _, point in ipairs(points) do
    table.insert(lines, point[1] .. "\t" .. point[2] * 1e6)
  end
  return table.concat(lines, "\n") .. "\nEND"
end

local function curves_script(curves, caption, file)
  local blocks, tasks, workers = {}, {}, {}
  for i, curve in ipairs(curves) do
    for kind, lines in pairs { tasks = tasks, workers = workers } do
      local name = kind .. i
      table.insert(blocks, block(name, curve[kind == "tasks" and 2 or 3]))
      table.insert(lines, ("$%s using 1:2 with linespoints title %s"):format(name, quote(curve[1])))
    end
  end
  return (CURVES:gsub("%$(%a+)", { file = quote(file),
    title = quote("What a task costs" .. (caption and "\n" .. caption or "")),
    blocks = table.concat(blocks, "\n"), tasks = table.concat(tasks, ", "),
    workers = table.concat(workers, ", ") }))
end

-- Draws by the script that make(file) returns; true, or nil and why not.
local function run_gnuplot(file, make)
  local gnuplot = os.getenv("GNUPLOT") or "gnuplot"
  if not os.execute("command -v " .. gnuplot .. " >/dev/null 2>&1") then
    return nil, "gnuplot is missing"
  end
  local out, message = io.open(file, "w") -- gnuplot would draw to our output
  if not out then
    return nil, message
  end
  out:close()
  local pipe = assert(io.popen(gnuplot, "w"))
  pipe:write(make(file))
  if not pipe:close() then
    return nil, "gnuplot has failed"
  end
  return true
end

-- Draws; returns true, or nil and why not.
function draw.write(bars, caption, file)
  if #bars == 0 then
    return nil, "there is nothing to draw"
  end
  return run_gnuplot(file, function() return draw.script(bars, caption, file) end)
end

-- The same of curves: each an executor's name, and two lists of points: tasks,
-- and workers, with the seconds that a task takes.
function draw.curves(curves, caption, file)
  return run_gnuplot(file, function() return curves_script(curves, caption, file) end)
end

return draw
