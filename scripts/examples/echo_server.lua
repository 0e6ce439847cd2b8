#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- A server that sends back each line, and what puts it under load. Each
-- connection is a task; a socket that is sent to one is the task's from then on.
--
--   lfut echo_server.lua serve [PORT]                  until Ctrl-C
--   lfut echo_server.lua load PORT [CLIENTS [LINES]]
--   lfut echo_server.lua both [CLIENTS [LINES]]        in one program
--
-- Needs LuaSocket (Debian's lua-socket).
local lfut = require "lfut"
local socket = require "lfut.socket"

local function answer(client)
  local _ <close> = client
  repeat
    local line = client:receive()
  until not (line and client:send(line .. "\n"))
end

-- Accepts so many connections, or (nil) any number.
local function serve(exe, server, count)
  local accepted = 0
  while accepted ~= count do
    local client = assert(server:accept())
    exe:submit(answer, client)
    client:close() -- the task has its own
    accepted = accepted + 1
  end
end

local function ask(port, number, lines)
  local s <close> = assert(socket.connect("127.0.0.1", port))
  for i = 1, lines do
    local line = ("client %d, line %d"):format(number, i)
    assert(s:send(line .. "\n"))
    assert(assert(s:receive()) == line)
  end
  return lines
end

local function load(exe, port, clients, lines)
  local start = lfut.perf_counter()
  local futures = {}
  for i = 1, clients do
    futures[i] = exe:submit(ask, port, i, lines)
  end
  return function()
    local sum = 0
    for _, future in ipairs(futures) do
      sum = sum + future:result()
    end
    print(("%d clients have had %d answers"):format(clients, sum))
    io.stderr:write(("%.0f a second\n"):format(sum / (lfut.perf_counter() - start)))
  end
end

local what = arg[1]
local exe <close> = lfut.AsyncExecutor()
if what == "serve" then
  local server = assert(socket.bind("127.0.0.1", tonumber(arg[2] or 7007), 1024))
  print("listening on port " .. select(2, server:getsockname()))
  serve(exe, server)
elseif what == "load" then
  load(exe, tonumber(arg[2]), tonumber(arg[3] or 100), tonumber(arg[4] or 100))()
elseif what == "both" then
  local clients = tonumber(arg[2] or 100)
  local server <close> = assert(socket.bind("127.0.0.1", 0, 1024))
  local finish = load(exe, tonumber((select(2, server:getsockname()))), clients, tonumber(arg[3] or 100))
  serve(exe, server, clients)
  finish()
else
  error "usage: lfut echo_server.lua serve [PORT] | load PORT [CLIENTS [LINES]] | both [CLIENTS [LINES]]"
end
