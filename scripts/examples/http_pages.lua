#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Fetches pages, so many at a time; each has five seconds.
--
--   lfut http_pages.lua AT_ONCE URL...
--   lfut http_pages.lua AT_ONCE < urls.txt
--
-- Needs LuaSocket (Debian's lua-socket).
local lfut = require "lfut"
local socket = require "lfut.socket"

local at_once = math.tointeger(tonumber(arg[1]))
assert(at_once, "usage: lfut http_pages.lua AT_ONCE [URL...]")
local urls = table.move(arg, 2, #arg, 1, {})
if #urls == 0 then
  for line in io.lines() do
    urls[#urls + 1] = line
  end
end

local function fetch(url)
  local body, code = socket.http.request(url)
  return body and code, body and #body or code
end

local exe <close> = lfut.AsyncExecutor { max_running = at_once }
local bytes, good = 0, 0
for i, ok, code, size in exe:options({ timeout = 5, name = "page" }):map(fetch, urls, { protected = true }) do
  if ok and code == 200 then
    good, bytes = good + 1, bytes + size
  else
    print(("%s: %s"):format(urls[i], ok and tostring(code or size) or tostring(code)))
  end
end
print(("%d of %d pages, %d bytes"):format(good, #urls, bytes))
