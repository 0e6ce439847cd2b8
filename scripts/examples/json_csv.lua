#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- JSON records, one a line, as CSV: the columns that are named, in the order of the
-- lines. The workers read, decode and format; the script only writes what they
-- return, as it comes, whatever the size of the file. A line that is no record is
-- told on standard error, and the exit status is 1.
--
--   lfut json_csv.lua FILE COLUMN...
--   lfut json_csv.lua people.json name born.year
--
-- It needs lua-cjson. The module is a local variable like any other: a worker that
-- gets a function which uses it loads it for itself.
local lfut = require "lfut"

local there, json = pcall(require, "cjson")
if not there then
  print("skipped: cannot load 'cjson'")
  return
end

local function split(text, separator)
  local parts = {}
  for part in text:gmatch("[^" .. separator .. "]+") do
    parts[#parts + 1] = part
  end
  return parts
end

-- The value in record[path[1]][path[2]]...; nil where something is missing.
local function look_up(record, path)
  local value = record
  for _, name in ipairs(path) do
    if type(value) ~= "table" then
      return nil
    end
    value = value[name]
  end
  return value
end

local function cell(value)
  if value == nil or value == json.null then
    return ""
  elseif type(value) == "table" then
    value = json.encode(value)
  elseif type(value) == "number" then
    value = math.tointeger(value) or value -- some versions read 7 as 7.0
  end
  local text = tostring(value)
  return text:find('[",\r\n]') and '"' .. text:gsub('"', '""') .. '"' or text
end

local function csv_line(values)
  return table.concat(values, ",") .. "\n"
end

-- The CSV of some lines, how many they were, and what is wrong: { line, message }.
local function convert(text, paths)
  local out, wrong, n = {}, {}, 0
  for line in text:gmatch("[^\n]+") do
    n = n + 1
    local ok, record = pcall(json.decode, line)
    if ok and type(record) == "table" then
      local cells = {}
      for i, path in ipairs(paths) do
        cells[i] = cell(look_up(record, path))
      end
      out[#out + 1] = csv_line(cells)
    else
      wrong[#wrong + 1] = { n, ok and "no record" or record }
    end
  end
  return table.concat(out), n, wrong
end

local columns = table.move(arg, 2, #arg, 1, {})
if #columns == 0 then
  io.stderr:write("usage: json_csv.lua FILE COLUMN...\n")
  os.exit(1)
end
local header, paths = {}, {}
for i, column in ipairs(columns) do
  header[i], paths[i] = cell(column), split(column, ".")
end

io.stdout:write(csv_line(header))
local exe <close> = lfut.ThreadPoolExecutor()
local records, failed = 0, false
for _, csv, n, wrong in exe:map(function(text) return convert(text, paths) end, lfut.text(arg[1])) do
  io.stdout:write(csv)
  for _, w in ipairs(wrong) do
    io.stderr:write(("json_csv: record %d: %s\n"):format(records + w[1], w[2]))
    failed = true
  end
  records = records + n
end
exe:shutdown()
os.exit(not failed)
