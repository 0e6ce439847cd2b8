#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Visits web pages, and those of the same hosts that they link to; lists them with
-- status, size and title. Each page has a deadline: one that hangs, or never ends,
-- fails with TaskTimeout, and the others are visited all the same.
--
--   lfut crawl.lua [-t SECONDS] [-s SECONDS] [-n PAGES] URL...
--       -t   for a whole page (default 10)
--       -s   for each wait for the network (default: LuaSocket's, 60)
--       -n   the most pages to visit (default 100)
--   python3 -m http.server --bind 127.0.0.1 &
--   lfut crawl.lua http://127.0.0.1:8000/
--
-- It needs LuaSocket. The polite way is to tell the library how long to wait (-s):
-- the task then ends by itself, with an error of its own. But that is for each
-- wait, and a page that comes byte by byte may take for ever; and what hangs inside
-- of a C function cannot be stopped from outside (LuaSocket goes on waiting when a
-- signal comes). Hence the deadline, and processes: one that does not stop is
-- killed and replaced. A thread could only be left behind, with its socket and its
-- memory, until the library comes back.
local lfut = require "lfut"

local there, http = pcall(require, "socket.http")
if not there then
  print("skipped: cannot load 'socket.http'")
  return
end
local url = require "socket.url"

-- In the worker: gets a page, and returns its status, size, title and links.
local function visit(link)
  local body, status, headers = http.request(link)
  if not body then
    error(status, 0) -- LuaSocket's message
  end
  local links = {}
  if status == 200 and (headers["content-type"] or ""):find("^text/html") then
    for href in body:gmatch("[hH][rR][eE][fF]%s*=%s*[\"']?([^\"'%s>]+)") do
      links[#links + 1] = url.absolute(link, href)
    end
  end
  local title = body:match("<[tT][iI][tT][lL][eE]>%s*(.-)%s*</")
  return { status = status, size = #body, title = title or "", links = links }
end

local options, starts = { ["-t"] = 10, ["-n"] = 100 }, {}
local i = 1
while arg[i] do
  if arg[i]:find("^%-[tsn]$") then
    options[arg[i]] = assert(tonumber(arg[i + 1]), "a number is missing after " .. arg[i])
    i = i + 1
  else
    table.insert(starts, arg[i])
  end
  i = i + 1
end
if #starts == 0 then
  io.stderr:write("usage: crawl.lua [-t SECONDS] [-s SECONDS] [-n PAGES] URL...\n")
  os.exit(1)
end

-- A setting of a module does not travel: each worker makes it in its own.
local exe <close> = lfut.ProcessPoolExecutor{
  max_workers = 8,
  initializer = function(seconds) http.TIMEOUT = seconds or http.TIMEOUT end,
  initargs = { options["-s"] },
}
local limited = exe:options{ timeout = options["-t"], grace = 0.1, name = "visit" }

local hosts, seen, count = {}, {}, 0
local pages, link_of = lfut.as_completed{}, {}

local function add(link)
  link = link:gsub("#.*", "")
  if not seen[link] and count < options["-n"] and hosts[url.parse(link).authority] then
    seen[link], count = true, count + 1
    local page = limited:submit(visit, link)
    link_of[page] = link
    pages:add(page)
  end
end

for _, link in ipairs(starts) do
  hosts[assert(url.parse(link).authority, "not the URL of a page: " .. link)] = true
end
for _, link in ipairs(starts) do
  add(link)
end

local lines, failed = {}, false
for page in pages do
  local link, failure = link_of[page], page:exception()
  if failure then
    failed = true
    table.insert(lines, ("%s\tfailed: %s"):format(link, failure))
  else
    local r = page:result()
    table.insert(lines, ("%s\t%d\t%d bytes\t%s"):format(link, r.status, r.size, r.title))
    for _, next_link in ipairs(r.links) do
      add(next_link)
    end
  end
end
table.sort(lines) -- they have come in any order
for _, line in ipairs(lines) do
  print(line)
end
exe:shutdown()
os.exit(not failed)
