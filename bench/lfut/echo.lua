-- SPDX-License-Identifier: MIT
-- echo.lua CONNECTIONS ROUNDS: so many clients send 64 bytes to a server in the
-- same program, and wait for them to come back, ROUNDS times each: requests a
-- second.
local lfut = require "lfut"
local socket = require "lfut.socket"
local connections, rounds = tonumber(arg[1]), tonumber(arg[2])

local function serve(client)
  repeat
    local text = client:receive(64)
    if text then
      client:send(text)
    end
  until not text
  client:close()
end

local function ask(port, rounds)
  local s = assert(require("lfut.socket").connect("127.0.0.1", port))
  local text = ("x"):rep(64)
  for _ = 1, rounds do
    s:send(text)
    assert(s:receive(64) == text)
  end
  s:close()
end

local exe = lfut.AsyncExecutor(2)
local server = assert(socket.bind("127.0.0.1", 0, 4096))
local port = select(2, server:getsockname())
local start = lfut.perf_counter()
local clients = {}
for i = 1, connections do
  clients[i] = exe:submit(ask, port, rounds)
end
for _ = 1, connections do
  local client = assert(server:accept())
  exe:submit(serve, client)
  client:close()
end
for i = 1, connections do
  clients[i]:result()
end
print(connections * rounds / (lfut.perf_counter() - start))
