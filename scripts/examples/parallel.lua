#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Runs a command for each file, several at a time, as GNU parallel and xargs do.
-- What the commands print comes in the order of the files, each one's whole. One
-- that fails is told on standard error, the others go on, and the exit status is
-- 1. No shell is between: names may have blanks and quotes in them.
--
--   lfut parallel.lua [-j N] [-t SECONDS] COMMAND [ARGUMENT]... -- FILE...
--   lfut parallel.lua sha256sum -- *.lua
--   lfut parallel.lua -j 2 gzip -k -- *.log        at most two at a time
--   lfut parallel.lua -t 10 sh slow.sh -- *.txt    each is ended after 10 seconds
local lfut = require "lfut"

local function usage()
  io.stderr:write("usage: parallel.lua [-j N] [-t SECONDS] COMMAND [ARGUMENT]... -- FILE...\n")
  os.exit(1)
end

-- Takes the options from the words, then the command; files are what is left.
local function parse(words)
  local options, command = {}, {}
  while words[1] == "-j" or words[1] == "-t" do
    local name = table.remove(words, 1)
    options[name] = tonumber(table.remove(words, 1)) or usage()
  end
  while words[1] and words[1] ~= "--" do
    command[#command + 1] = table.remove(words, 1)
  end
  if #command == 0 or table.remove(words, 1) ~= "--" then
    usage()
  end
  return options["-j"], options["-t"], command, words
end

local workers, timeout, command, files = parse(table.move(arg, 1, #arg, 1, {}))

local function commands()
  local list = {}
  for i, file in ipairs(files) do
    list[i] = table.move(command, 1, #command, 1, { timeout = timeout })
    table.insert(list[i], file)
  end
  return list
end

-- What went wrong, if anything did: 'r' is a result of lfut.run, or its error.
local function trouble(ok, r)
  if not ok then
    return tostring(r) -- there is no such command, or its time is over
  elseif r.signal then
    return "ended by " .. r.signal
  elseif r.code ~= 0 then
    return "exit status " .. r.code
  end
end

-- A worker waits for the command that it runs: so many workers, so many commands.
local exe <close> = lfut.ThreadPoolExecutor{ max_workers = workers or lfut.cpu_count() }

local failed = 0
for i, ok, r in exe:map(lfut.run, commands(), { chunksize = 1, protected = true }) do
  if ok then
    io.stdout:write(r.stdout)
    io.stderr:write(r.stderr)
  end
  local message = trouble(ok, r)
  if message then
    failed = failed + 1
    io.stderr:write(("parallel: %s %s: %s\n"):format(command[1], files[i], message))
  end
end
exe:shutdown()
os.exit(failed == 0)
