#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- What is in the access log of a web server: the requests by their status, the
-- slowest pages, who was sent most. The file may be larger than memory: the
-- workers read it in pieces that end at a line, count, and merge what they have
-- counted.
--
--   lfut access_log.lua FILE...                 in a pool
--   lfut access_log.lua --serial FILE...        in a plain loop, for comparison
--   lfut access_log.lua --make LINES > FILE     a log to try it with
--
-- Both print the same on standard output; the time goes to standard error. The
-- lines are as nginx writes them with $request_time in seconds at the end:
--
--   10.0.0.7 - - [01/Mar/2026:09:00:00 +0000] "GET /a HTTP/1.1" 200 5120 0.043
local lfut = require "lfut"

local function new_total()
  return { lines = 0, bad = 0, status = {}, bytes = {}, pages = {} }
end

local pattern = '^(%S+) %S+ %S+ %b[] "%u+ (%S+)[^"]*" (%d%d%d) (%d+) (%d+)%.(%d%d%d)$'

-- Adds a line to what is counted. Times are in whole milliseconds: a sum of
-- fractions would depend on where the pieces of the file begin.
local function count_line(total, line)
  total.lines = total.lines + 1
  local host, url, status, bytes, seconds, thousandths = line:match(pattern)
  if not host then
    total.bad = total.bad + 1
    return
  end
  total.status[status] = (total.status[status] or 0) + 1
  total.bytes[host] = (total.bytes[host] or 0) + math.tointeger(bytes)
  local path = url:match("^[^?]*")
  local page = total.pages[path]
  if not page then
    page = { count = 0, time = 0 }
    total.pages[path] = page
  end
  page.count = page.count + 1
  page.time = page.time + 1000 * math.tointeger(seconds) + math.tointeger(thousandths)
end

local function count_text(text)
  local total, first = new_total(), 1
  while first <= #text do
    local last = text:find("\n", first, true) or #text + 1 -- the file's last line may have none
    count_line(total, text:sub(first, last - 1))
    first = last + 1
  end
  return total
end

local function merge_counts(a, b)
  for key, n in pairs(b) do
    a[key] = (a[key] or 0) + n
  end
end

-- Adds b to a.
local function merge(a, b)
  a.lines = a.lines + b.lines
  a.bad = a.bad + b.bad
  merge_counts(a.status, b.status)
  merge_counts(a.bytes, b.bytes)
  for path, page in pairs(b.pages) do
    if a.pages[path] then
      merge_counts(a.pages[path], page)
    else
      a.pages[path] = page
    end
  end
  return a
end

local function parallel(names)
  local exe <close> = lfut.ThreadPoolExecutor()
  return exe:reduce(count_text, lfut.text(names), merge, new_total())
end

local function serial(names)
  local total = new_total()
  for _, name in ipairs(names) do
    for line in io.lines(name) do
      count_line(total, line)
    end
  end
  return total
end

-- The keys of the n greatest values; equal ones in the order of their names.
local function greatest(values, n)
  local keys = {}
  for key in pairs(values) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return values[a] > values[b] or values[a] == values[b] and a < b
  end)
  return table.move(keys, 1, n, 1, {})
end

local function report(total)
  print(("%d lines, %d of them are something else"):format(total.lines, total.bad))
  for _, status in ipairs(greatest(total.status, 5)) do
    print(("%10d  %s"):format(total.status[status], status))
  end
  print("the slowest pages, in ms")
  local means = {}
  for path, page in pairs(total.pages) do
    means[path] = page.time / page.count
  end
  for _, path in ipairs(greatest(means, 5)) do
    print(("%10.1f  %s"):format(means[path], path))
  end
  print("sent most, in bytes")
  for _, host in ipairs(greatest(total.bytes, 5)) do
    print(("%10d  %s"):format(total.bytes[host], host))
  end
end

local function make(lines)
  math.randomseed(1)
  local statuses = { 200, 200, 200, 200, 200, 200, 304, 301, 404, 500 }
  for i = 1, lines do
    local page = math.random(100)
    print(('10.0.%d.%d - - [01/Mar/2026:%02d:%02d:%02d +0000] "GET /page/%d?id=%d HTTP/1.1" %d %d %.3f')
      :format(math.random(4), math.random(250), i // 3600 % 24, i // 60 % 60, i % 60, page, i,
        statuses[math.random(10)], math.random(100000), math.random(page) / 100))
  end
end

local run, names = parallel, table.move(arg, 1, #arg, 1, {})
if names[1] == "--make" then
  return make(assert(math.tointeger(names[2]), "the number of lines must be an integer"))
elseif names[1] == "--serial" then
  run = serial
  table.remove(names, 1)
end
if #names == 0 then
  io.stderr:write("usage: access_log.lua [--serial] FILE... | --make LINES\n")
  os.exit(1)
end

local start = lfut.perf_counter()
local total = run(names)
local seconds = lfut.perf_counter() - start
report(total)
io.stderr:write(("%.2f s\n"):format(seconds))
