#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Visits web pages, and those of the same hosts that they link to, from all hosts of
-- a cluster: first the pages that are named, then all that these link to, and so on.
-- Lists them in this order, with status, size and title.
--
--   lfut cluster_crawl.lua [-t SECONDS] [-n PAGES] URL...
--       -t   for a whole page (default 10)
--       -n   the most pages to visit (default 100)
--   LFUT_CLUSTER=redis://:PASSWORD@HOST lfut cluster_crawl.lua http://www.lua.org/
--
-- It needs LuaSocket, here and on each member; the script sends the name of the
-- module only. A page has a deadline, and is tried again twice if it has passed, or
-- if the member that fetched it has died: fetching a page twice does no harm. What
-- must not be done twice needs retries = 0. Without LFUT_CLUSTER, the cluster is
-- this machine alone, for as long as the script runs.
local lfut = require "lfut"

local there, http = pcall(require, "socket.http")
if not there then
  print("skipped: cannot load 'socket.http'")
  return
end
local url = require "socket.url"

-- In a worker: gets a page, and returns its status, size, title and links.
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
  if options[arg[i]] then
    options[arg[i]] = assert(tonumber(arg[i + 1]), "a number is missing after " .. arg[i])
    i = i + 1
  else
    table.insert(starts, arg[i])
  end
  i = i + 1
end
if #starts == 0 then
  io.stderr:write("usage: cluster_crawl.lua [-t SECONDS] [-n PAGES] URL...\n")
  os.exit(1)
end

local hosts, seen, count = {}, {}, 0
for _, link in ipairs(starts) do
  hosts[assert(url.parse(link).authority, "not the URL of a page: " .. link)] = true
end

-- Adds the page to the next round, if it is to be visited and was not yet.
local function add(round, link)
  link = link:gsub("#.*", "")
  if not seen[link] and count < options["-n"] and hosts[url.parse(link).authority] then
    seen[link], count = true, count + 1
    table.insert(round, link)
  end
end

-- Visits the pages of a round at the same time; returns those of the next one.
local function visit_all(exe, round)
  local next_round, good = {}, true
  for n, ok, page in exe:map(visit, round, { protected = true }) do
    if ok then
      print(("%s\t%d\t%d bytes\t%s"):format(round[n], page.status, page.size, page.title))
      for _, link in ipairs(page.links) do
        add(next_round, link)
      end
    else
      print(("%s\tfailed: %s"):format(round[n], page))
      good = false
    end
  end
  return next_round, good
end

local cluster <close> = lfut.ClusterExecutor()
local exe = cluster:options{ timeout = options["-t"], retries = 2, grace = 0.1, name = "visit" }

local round, all_good = {}, true
for _, link in ipairs(starts) do
  add(round, link)
end
while #round > 0 do
  local good
  round, good = visit_all(exe, round)
  all_good = all_good and good
end
cluster:shutdown()
os.exit(all_good)
