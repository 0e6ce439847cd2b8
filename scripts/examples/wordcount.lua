#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Counts the words in all files under some directories, and prints the ten
-- most frequent. A word is a run of ASCII letters, in any case.
--
--   lfut wordcount.lua DIR...               in a pool
--   lfut wordcount.lua --serial DIR...      in a plain loop, for comparison
--
-- Both print the same on standard output; the time goes to standard error.
local lfut = require "lfut"

-- The name as one word of a shell command, and never as an option of find.
local function quote(name)
  if not name:find("^[/.]") then
    name = "./" .. name
  end
  return "'" .. name:gsub("'", "'\\''") .. "'"
end

-- The names of all files under the directories. Names may hold any byte but
-- zero, so find separates them by that.
local function list(directories)
  local words = {}
  for i, directory in ipairs(directories) do
    words[i] = quote(directory)
  end
  local find = assert(io.popen(
    "exec find -H " .. table.concat(words, " ") .. " -type f -print0"))
  local files = {}
  for name in find:read("a"):gmatch("[^\0]+") do
    files[#files + 1] = name
  end
  find:close() -- it has told what it could not read
  return files
end

-- Counts the words of one file: { words = { word = count }, files = 1,
-- unreadable = 0 }.
local function count(name)
  local file = io.open(name, "rb")
  local text = file and file:read("a")
  if file then
    file:close()
  end
  if not text then
    return { words = {}, files = 0, unreadable = 1 }
  end
  local words = {}
  for match in text:gmatch("[A-Za-z]+") do
    local word = match:lower()
    words[word] = (words[word] or 0) + 1
  end
  return { words = words, files = 1, unreadable = 0 }
end

-- Adds the counts b to a.
local function merge(a, b)
  local words = a.words
  for word, n in pairs(b.words) do
    words[word] = (words[word] or 0) + n
  end
  a.files = a.files + b.files
  a.unreadable = a.unreadable + b.unreadable
  return a
end

local function serial(files)
  local total = { words = {}, files = 0, unreadable = 0 }
  for _, name in ipairs(files) do
    merge(total, count(name))
  end
  return total
end

-- The same loop in the workers: each counts and merges a chunk of the files,
-- then the chunks are merged here.
local function parallel(files)
  local exe <close> = lfut.ThreadPoolExecutor()
  return exe:reduce(count, files, merge,
    { words = {}, files = 0, unreadable = 0 })
end

local function report(total)
  local top, words, different = {}, 0, 0
  for word, n in pairs(total.words) do
    top[#top + 1] = word
    words = words + n
    different = different + 1
  end
  table.sort(top, function(a, b)
    local m, n = total.words[a], total.words[b]
    return m > n or m == n and a < b
  end)
  for i = 1, math.min(10, #top) do
    print(("%9d %s"):format(total.words[top[i]], top[i]))
  end
  print(("%d words, %d different, in %d files (%d unreadable)"):format(
    words, different, total.files, total.unreadable))
end

local directories = table.move(arg, 1, #arg, 1, {})
local run = parallel
if directories[1] == "--serial" then
  table.remove(directories, 1)
  run = serial
end
if #directories == 0 then
  io.stderr:write("usage: wordcount.lua [--serial] DIR...\n")
  os.exit(1)
end

local files = list(directories)
local start = lfut.perf_counter()
local total = run(files)
local seconds = lfut.perf_counter() - start
report(total)
io.stderr:write(("%.2f s\n"):format(seconds))
