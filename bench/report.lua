-- SPDX-License-Identifier: MIT
-- From measured numbers to medians, ratios, the table, CSV and JSON.

local report = {}

-- Numbers -------------------------------------------------------------------

local function median(values)
  if #values == 0 then
    return nil
  end
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then
    return sorted[middle + 1]
  end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

report.median = median

-- How many times better (`better`) or costlier than the peer lfut is.
local function ratio(lfut, peer, direct)
  if not lfut or not peer then
    return nil
  end
  local over, under = peer, lfut
  if direct then
    over, under = lfut, peer
  end
  return under ~= 0 and over / under or nil
end

-- The least and the greatest ratio of two runs that followed each other.
local function extremes(lfut, peer, direct)
  local least, greatest
  for i = 1, math.min(#lfut, #peer) do
    local r = ratio(lfut[i], peer[i], direct)
    if r then
      least = math.min(least or r, r)
      greatest = math.max(greatest or r, r)
    end
  end
  return least, greatest
end

local function met(value, at_least, at_most)
  if not value or not (at_least or at_most) then
    return nil
  end
  return (not at_least or value >= at_least)
    and (not at_most or value <= at_most)
end

local function is_rate(unit)
  return unit:sub(-2) == "/s"
end

local function compare(lfut, program, peer, unit)
  -- A rate divides directly; a cost too where the target bounds the cost.
  local direct = is_rate(unit) or peer.at_most ~= nil
  local r = ratio(lfut.median, program.median, direct)
  local least, greatest = extremes(lfut.values, program.values, direct)
  return {
    peer = program.label, value = program.median, ratio = r, min = least,
    max = greatest, at_least = peer.at_least, at_most = peer.at_most,
    bound = peer.bound, met = met(r, peer.at_least, peer.at_most),
  }
end

-- programs[1] is lfut's, the others are those of the peers.
function report.summarise(figure, peers, size, programs)
  for _, program in ipairs(programs) do
    program.median = median(program.values)
  end
  local lfut = programs[1]
  local result = {
    name = figure.name, about = figure.about, unit = figure.unit,
    size = size, programs = programs, value = lfut.median,
    at_most = figure.at_most, met = met(lfut.median, nil, figure.at_most),
    comparisons = {},
  }
  for i, peer in ipairs(peers) do
    if peer.control then -- it is no measure of the same
      result.scaling = programs[i + 1].median
    else
      table.insert(result.comparisons, compare(lfut, programs[i + 1], peer, figure.unit))
    end
  end
  return result
end

-- The table -------------------------------------------------------------------

local function scaled(value, unit, steps)
  for _, step in ipairs(steps) do
    if math.abs(value) >= step[1] then
      return ("%.3g %s%s"):format(value / step[1], step[2], unit)
    end
  end
  return ("%.3g %s"):format(value, unit)
end

local LARGE = { { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } }
local SMALL = { { 1, "" }, { 1e-3, "m" }, { 1e-6, "µ" }, { 1e-9, "n" } }

local function show(value, unit)
  if not value then
    return "-"
  end
  -- %.3g turns to exponents from 1000 on; 999.6 must not become 1e+03.
  local rounded = tonumber(("%.3g"):format(value))
  -- What is counted stands in the list of figures: "9.5 M/s" will do.
  unit = unit:gsub("^%l+/s$", "/s")
  return scaled(rounded, unit, unit == "s" and SMALL or LARGE)
end

local function show_ratio(r)
  if not r then
    return ""
  elseif r >= 100 then
    return ("%.0f"):format(r)
  end
  return ("%.3g"):format(r)
end

local function show_range(least, greatest)
  return least and show_ratio(least) .. " – " .. show_ratio(greatest) or ""
end

local function show_target(at_least, at_most, text)
  if at_least then
    return "≥ " .. text(at_least)
  end
  return at_most and "≤ " .. text(at_most) or ""
end

local function show_met(flag)
  if flag == nil then
    return ""
  end
  return flag and "yes" or "NO"
end

local WIDTHS = { 22, 16, 16, 16, 7, 15, 9, 3 }

local function row(...)
  local cells = { ... }
  for i, width in ipairs(WIDTHS) do
    cells[i] = cells[i] .. (" "):rep(width - utf8.len(cells[i]))
  end
  return (table.concat(cells, " "):gsub("%s+$", ""))
end

function report.columns()
  return row("figure", "lfut", "peer", "peer's", "ratio", "min – max",
    "target", "met")
end

function report.rows(result)
  local name = result.name
  local value = show(result.value, result.unit)
  local lines = {}
  if result.at_most or #result.comparisons == 0 then
    local function text(limit)
      return show(limit, result.unit)
    end
    lines[1] = row(name, value, "", "", "", "",
      show_target(nil, result.at_most, text), show_met(result.met))
    name, value = "", ""
  end
  for _, c in ipairs(result.comparisons) do
    table.insert(lines, row(name, value, c.peer, show(c.value, result.unit),
      show_ratio(c.ratio), show_range(c.min, c.max),
      show_target(c.at_least, c.at_most, show_ratio), show_met(c.met)))
    name, value = "", ""
  end
  if result.scaling then
    table.insert(lines, row("", "", "(2 threads of C)", ("%.3g × one"):format(result.scaling), "", "", "", ""))
  end
  return table.concat(lines, "\n")
end

-- A table of what a task costs.
function report.curves(curve)
  local lines = { curve[1] }
  for i, what in ipairs { "tasks", "workers" } do
    for _, point in ipairs(curve[i + 1]) do
      table.insert(lines, ("  %8d %-8s %s a task"):format(point[1], what, show(point[2], "s")))
    end
  end
  return table.concat(lines, "\n")
end

-- The head: what was measured, where ----------------------------------------

local function read_first(path, pattern)
  local file = io.open(path)
  local text = file and file:read("a") or ""
  if file then
    file:close()
  end
  return text:match(pattern)
end

local function processors()
  local pipe = io.popen("nproc 2>/dev/null")
  local count = tonumber(pipe:read("a"))
  pipe:close()
  return count
end

-- "Debian GNU/Linux 12 (bookworm), x86_64"
local function system()
  local pipe = io.popen("uname -m 2>/dev/null")
  local machine = pipe:read("l") or "?"
  pipe:close()
  local name = read_first("/etc/os-release", 'PRETTY_NAME="?([^"\n]*)') or "Linux"
  return name .. ", " .. machine
end

function report.head(options, versions)
  return {
    date = os.date("!%Y-%m-%dT%H:%M:%SZ"), runs = options.runs,
    quick = options.quick or false, versions = versions,
    cpu = read_first("/proc/cpuinfo", "model name%s*:%s*([^\n]*)"),
    processors = processors(), system = system(),
    load = tonumber(read_first("/proc/loadavg", "^%S+")),
  }
end

function report.head_text(head)
  local lines = {}
  for _, name in ipairs { "lfut", "lua", "luv", "python", "node", "jit", "luajit", "c" } do
    table.insert(lines, head.versions[name])
  end
  table.insert(lines, ("%s processors, %s, %s; load %s at the start"):format(
    head.processors or "?", head.cpu or "unknown", head.system, head.load or "?"))
  table.insert(lines, ("medians of %d alternated run%s%s\n"):format(head.runs,
    head.runs == 1 and "" or "s",
    head.quick and ", small sizes: the ratios are rough" or ""))
  return table.concat(lines, "\n")
end

local function plain_name(cpu)
  return ((cpu or "unknown"):gsub("%([RTM]+%)", ""))
end

-- The same in a few lines, for a picture.
function report.caption(head)
  local versions = {}
  for _, name in ipairs { "lua", "luv", "python" } do
    table.insert(versions, head.versions[name]
      and head.versions[name]:match("^%a+ [%w.]+"))
  end
  return ("%s: %s processors, %s, %s\n%s; medians of %d run%s%s"):format(
    head.date:sub(1, 10), head.processors or "?",
    plain_name(head.cpu),
    head.system, table.concat(versions, ", "), head.runs,
    head.runs == 1 and "" or "s", head.quick and ", small sizes" or "")
end

-- Files -----------------------------------------------------------------------

local function csv_cell(value)
  if value == nil then
    return ""
  end
  local text = tostring(value)
  return text:find('[",\n]') and '"' .. text:gsub('"', '""') .. '"' or text
end

local FIELDS = { "figure", "unit", "size", "lfut", "peer", "peer_value",
  "ratio", "min", "max", "at_least", "at_most", "met", "bound" }

local function csv_row(values)
  local cells = {}
  for i, field in ipairs(FIELDS) do
    cells[i] = csv_cell(values[field])
  end
  return table.concat(cells, ",")
end

-- One row a comparison, and one for a limit that has no peer.
function report.csv(results)
  local lines = { table.concat(FIELDS, ",") }
  for _, r in ipairs(results) do
    if r.at_most or #r.comparisons == 0 then
      table.insert(lines, csv_row { figure = r.name, unit = r.unit,
        size = r.size, lfut = r.value, at_most = r.at_most, met = r.met })
    end
    for _, c in ipairs(r.comparisons) do
      table.insert(lines, csv_row { figure = r.name, unit = r.unit,
        size = r.size, lfut = r.value, peer = c.peer, peer_value = c.value,
        ratio = c.ratio, min = c.min, max = c.max, at_least = c.at_least,
        at_most = c.at_most, met = c.met, bound = c.bound })
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local encode

local function json_object(value, indent)
  local keys, lines = {}, {}
  for key in pairs(value) do
    table.insert(keys, key)
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    table.insert(lines, ("%s  %s: %s"):format(indent, json_string(key),
      encode(value[key], indent .. "  ")))
  end
  return "{\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "}"
end

local function json_list(value, indent)
  local items = {}
  for i, item in ipairs(value) do
    items[i] = encode(item, indent)
  end
  return "[" .. table.concat(items, ", ") .. "]"
end

function encode(value, indent)
  local kind = type(value)
  if kind == "table" then
    -- Every empty table here is a list of runs or comparisons.
    local is_list = value[1] ~= nil or next(value) == nil
    return (is_list and json_list or json_object)(value, indent)
  elseif kind == "string" then
    return json_string(value)
  end
  return kind == "number" and ("%.10g"):format(value) or tostring(value)
end

local function plain(result)
  local programs = {}
  for i, program in ipairs(result.programs) do
    programs[i] = { label = program.label, median = program.median,
      runs = program.values }
  end
  return { name = result.name, about = result.about, unit = result.unit,
    size = result.size, value = result.value, at_most = result.at_most,
    scaling = result.scaling, met = result.met, programs = programs, comparisons = result.comparisons }
end

function report.json(head, results)
  local list = {}
  for i, result in ipairs(results) do
    list[i] = plain(result)
  end
  return encode({ head = head, figures = list }, "") .. "\n"
end

return report
