-- SPDX-License-Identifier: MIT
--
-- lfut.socket: LuaSocket's objects in tasks that wait, the descriptors of
-- lfut.wait_fd while others close them or wait for them (API §12).
local lu = require "luaunit"
local lfut = require "lfut"
local found, socket = pcall(require, "lfut.socket")
local support = require "support"

local FAR = 1000 -- seconds: nobody waits for that

local exe

local function set_up()
  lu.skipIf(not found, "no LuaSocket")
  exe = lfut.AsyncExecutor(2)
end

local function tear_down() exe:shutdown() end

local function listen()
  local server = assert(socket.bind("127.0.0.1", 0, 1024))
  return server, (select(2, server:getsockname()))
end

-- Sends back what it receives, line by line.
local function serve(client)
  while true do
    local line, err = client:receive()
    if not line then
      client:close()
      return err
    end
    assert(client:send(line .. "\n"))
  end
end

-- --- Descriptors ---

TestDescriptors = { setUp = set_up, tearDown = tear_down }

local function is_parked(n)
  while exe:stats().parked < n do
  end
end

function TestDescriptors.test_busy()
  local server, port = listen()
  local fd = server:getfd()
  local f = exe:submit(function(fd) return lfut.wait_fd(fd, "r") end, fd)
  is_parked(1)
  for _, way in ipairs { "r", "rw" } do
    local ok, e = pcall(lfut.wait_fd, fd, way)
    lu.assertFalse(ok)
    lu.assertStrContains(e, "busy")
    lu.assertStrContains(exe:submit(function(fd, way) return lfut.wait_fd(fd, way) end, fd, way):exception(), "busy")
  end
  lu.assertEquals({ lfut.wait_fd(fd, "w", 0) }, { nil, "timeout" }) -- the other direction
  local client = assert(socket.connect("127.0.0.1", port))
  lu.assertEquals(f:result(), "r")
  client:close()
  server:close()
end

function TestDescriptors.test_both_directions_at_once()
  local server, port = listen()
  local client = assert(socket.connect("127.0.0.1", port))
  local peer = assert(server:accept())
  local text = ("x"):rep(1 << 24)
  local sender = exe:submit(function(s, text) return s:send(text) end, client, text)
  local receiver = exe:submit(function(s) return s:receive(5) end, client)
  is_parked(2)
  peer:send "hello"
  lu.assertEquals(receiver:result(), "hello")
  lu.assertEquals(#peer:receive(1 << 24), 1 << 24)
  lu.assertEquals(sender:result(), 1 << 24)
  for _, s in ipairs { client, peer, server } do
    s:close()
  end
end

-- By who says so, and by who does not.
function TestDescriptors.test_closed_while_waited_for()
  for _, quietly in ipairs { false, os.getenv "LFUT_SANITIZER" ~= "thread" or nil } do
    local server = listen()
    local fd = server:getfd()
    local f = exe:submit(function(fd) return lfut.wait_fd(fd, "r") end, fd)
    is_parked(1)
    if quietly then
      server.raw:close()
    else
      server:close()
    end
    lu.assertEquals({ f:result(FAR) }, { nil, "closed" })
  end
end

-- The number is another file's before that was noticed.
function TestDescriptors.test_closed_and_opened_again()
  lu.skipIf(os.getenv "LFUT_SANITIZER" == "thread", "TSan sees a descriptor closed that is waited for")
  local server = listen()
  local fd = server:getfd()
  local f = exe:submit(function(fd) return lfut.wait_fd(fd, "r") end, fd)
  is_parked(1)
  server.raw:close()
  local other
  local others = {}
  repeat
    other = listen()
    others[#others + 1] = other
  until other:getfd() == fd or #others > 100
  local g = exe:submit(function(fd) return lfut.wait_fd(fd, "r", 0.05) end, fd)
  lu.assertEquals({ g:result() }, { nil, "timeout" })
  lu.assertEquals({ f:result(FAR) }, { nil, "closed" })
  for _, s in ipairs(others) do
    s:close()
  end
end

-- --- TCP ---

TestTcp = { setUp = set_up, tearDown = tear_down }

function TestTcp.test_many_connections()
  local n = support.size(200)
  local server, port = listen()
  local clients, served = {}, {}
  for i = 1, n do
    clients[i] = exe:submit(function()
      local socket = require "lfut.socket"
      local s = assert(socket.connect("127.0.0.1", port))
      local got = {}
      for k = 1, 5 do
        assert(s:send(("%d %d\n"):format(i, k)))
        got[k] = assert(s:receive())
      end
      s:close()
      return table.concat(got, ",")
    end)
  end
  for i = 1, n do
    local client = assert(server:accept())
    served[i] = exe:submit(serve, client)
    client:close() -- the task has its own
  end
  for i = 1, n do
    lu.assertEquals(clients[i]:result(), ("%d 1,%d 2,%d 3,%d 4,%d 5"):format(i, i, i, i, i))
    lu.assertEquals(served[i]:result(), "closed")
  end
  server:close()
end

local function pair()
  local server, port = listen()
  local a = assert(socket.connect("127.0.0.1", port))
  local b = assert(server:accept())
  server:close()
  return a, b
end

function TestTcp.test_patterns()
  local a, b = pair()
  a:send "line\r\n12345678rest of it"
  lu.assertEquals(b:receive(), "line")
  lu.assertEquals(b:receive(4), "1234")
  lu.assertEquals(b:receive(6, "ab"), "ab5678")
  lu.assertEquals(b:receive(2, "abc"), "abc")
  b:settimeout(0.01)
  lu.assertEquals({ b:receive "*l" }, { nil, "timeout", "rest of it" })
  a:send " and more"
  a:close()
  lu.assertEquals(b:receive("*a", "so: "), "so:  and more")
  lu.assertEquals({ b:receive "*a" }, { nil, "closed", "" })
  b:close()
  lu.assertEquals({ b:receive() }, { nil, "closed", "" })
  lu.assertEquals({ b:send "x" }, { nil, "closed", 0 })
end

-- The end comes after the text has.
function TestTcp.test_all_until_the_end()
  local a, b = pair()
  local f = exe:submit(function(s) return s:receive "*a" end, b)
  b:close()
  is_parked(1)
  a:send "some"
  a:send " text"
  a:close()
  lu.assertEquals({ f:result() }, { "some text" })
end

-- Each value of it is the connection.
function TestTcp.test_sent_more_than_once()
  local a, b = pair()
  local f = exe:submit(support.echo, b)
  local one, two = f:result(), f:result()
  for i, s in ipairs { one, two, b } do
    lu.assertEquals(s:send("x" .. i .. "\n"), 3)
    lu.assertEquals(a:receive(), "x" .. i)
    s:close()
  end
  a:close()
end

function TestTcp.test_unread_input_is_not_lost()
  local a, b = pair()
  a:send "one\ntwo\n"
  lu.assertEquals(b:receive(), "one")
  lu.assertErrorMsgContains("has not been read", exe.submit, exe, support.echo, b)
  lu.assertEquals(b:receive(), "two")
  lu.assertEquals(exe:submit(function(s) return s:send "x\n" end, b):result(), 2)
  a:close()
  b:close()
end

function TestTcp.test_parts_of_a_text()
  local a, b = pair()
  lu.assertEquals(a:send("abcdef", 3, 4), 4)
  lu.assertEquals(a:send("abcdef", -1), 6)
  lu.assertEquals(b:receive(3), "cdf")
  a:close()
  b:close()
end

function TestTcp.test_timeouts()
  local a, b = pair()
  lu.assertEquals(a:settimeout(0.02), 1)
  lu.assertEquals({ a:gettimeout() }, { 0.02, -1 })
  lu.assertEquals({ a:receive() }, { nil, "timeout", "" })
  a:settimeout(nil)
  a:settimeout(0.02, "t")
  lu.assertEquals({ a:receive() }, { nil, "timeout", "" })
  local text = ("x"):rep(1 << 25)
  local sent, err, at = a:send(text) -- more than all buffers hold
  lu.assertNil(sent)
  lu.assertEquals(err, "timeout")
  lu.assertTrue(at > 0 and at < #text)
  a:settimeout(0)
  lu.assertEquals({ a:receive() }, { nil, "timeout", "" })
  lu.assertErrorMsgContains("settimeout", a.settimeout, a, "1")
  lu.assertErrorMsgContains("settimeout", a.settimeout, a, 1, "x")
  a:close()
  b:close()
end

function TestTcp.test_half_closed()
  local a, b = pair()
  a:send "request\n"
  a:shutdown "send"
  lu.assertEquals(b:receive "*a", "request\n")
  b:send "answer"
  b:close()
  lu.assertEquals(a:receive "*a", "answer")
  a:close()
end

function TestTcp.test_refused_and_not_found()
  local server, port = listen()
  server:close()
  lu.assertEquals({ socket.connect("127.0.0.1", port) }, { nil, "connection refused" })
  lu.assertEquals({ exe:submit(function(port) return require("lfut.socket").connect("127.0.0.1", port) end, port):result() },
    { nil, "connection refused" })
  local s, err = socket.connect("no.such.host.invalid", 80)
  lu.assertNil(s)
  lu.assertIsString(err)
end

function TestTcp.test_names()
  local server, port = listen()
  local client = assert(socket.connect("localhost", port))
  lu.assertEquals(client:getpeername(), "127.0.0.1")
  lu.assertIsString(socket.dns.gethostname())
  lu.assertEquals(socket.dns.toip "127.0.0.1", "127.0.0.1")
  client:close()
  server:close()
end

function TestTcp.test_accept_in_time()
  local server = listen()
  server:settimeout(0.01)
  lu.assertEquals({ server:accept() }, { nil, "timeout" })
  server:close()
end

-- A task that is ended leaves its socket to be closed.
function TestTcp.test_ends_with_its_task()
  local a, b = pair()
  local f = exe:submit(function(s)
    local guard <close> = s
    return s:receive()
  end, b)
  b:close()
  is_parked(1)
  lu.assertTrue(f:cancel(true))
  lu.assertEquals({ a:receive() }, { nil, "closed", "" })
  a:close()
end

function TestTcp.test_cannot_cross_into_a_process()
  local a, b = pair()
  local processes <close> = lfut.ProcessPoolExecutor(1)
  support.fails_as("TransferError", nil, processes.submit, processes, function(s) return s end, a)
  a:close()
  b:close()
end

function TestTcp.test_nothing_leaks()
  local function count()
    collectgarbage()
    return #support.descriptors(lfut.getpid())
  end
  local function some()
    local server, port = listen()
    for _ = 1, 20 do
      local f = exe:submit(function(port)
        local s = assert(require("lfut.socket").connect("127.0.0.1", port))
        s:send "x\n"
        local line = s:receive()
        s:close()
        return line
      end, port)
      local client = assert(server:accept())
      local g = exe:submit(serve, client)
      client:close()
      lu.assertEquals(f:result(), "x")
      g:result()
      require("socket").select(nil, nil, 0)
    end
    server:close()
    exe:broadcast(function() collectgarbage() end)
    exe:shutdown()
    exe = lfut.AsyncExecutor(2)
  end
  some()
  local before = count()
  some()
  lu.assertTrue(count() <= before)
end

-- --- UDP ---

TestUdp = { setUp = set_up, tearDown = tear_down }

function TestUdp.test_datagrams()
  local a, b = assert(socket.udp4()), assert(socket.udp4())
  assert(a:setsockname("127.0.0.1", 0))
  assert(b:setsockname("127.0.0.1", 0))
  local _, port = a:getsockname()
  a:settimeout(0.01)
  lu.assertEquals({ a:receive() }, { nil, "timeout" })
  a:settimeout()
  lu.assertTrue(b:sendto("hello", "127.0.0.1", port) and true)
  local text, ip, from = a:receivefrom()
  lu.assertEquals({ text, ip, from }, { "hello", "127.0.0.1", tonumber((select(2, b:getsockname()))) })
  assert(a:setpeername("127.0.0.1", from))
  lu.assertTrue(a:send "back" and true)
  lu.assertEquals(b:receive(), "back")
  a:close()
  b:close()
end

-- --- HTTP, TLS ---

TestHttp = { setUp = set_up, tearDown = tear_down }

-- Against a real server.
function TestHttp.test_request()
  lu.skipIf(not os.execute "command -v python3 >/dev/null", "no python3")
  local p <close> = lfut.Popen { "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", cwd = os.getenv "srcdir" .. "/tests", stderr = "null" }
  local port = p:read():match "port (%d+)"
  local url = ("http://127.0.0.1:%s/README.md"):format(port)
  local fs = {}
  local few <close> = lfut.AsyncExecutor { max_running = 4 } -- that server's queue is short
  for i = 1, 20 do
    fs[i] = few:submit(function(url)
      local body, code = require("lfut.socket").http.request(url)
      return code, #body
    end, url)
  end
  local f <close> = assert(io.open(os.getenv "srcdir" .. "/tests/README.md"))
  local size = #f:read "a"
  for i = 1, 20 do
    lu.assertEquals({ fs[i]:result() }, { 200, size })
  end
  lu.assertEquals(select(2, socket.http.request(url .. ".none")), 404)
  local ok, code = socket.http.request { url = url, method = "HEAD" }
  lu.assertEquals({ ok, code }, { 1, 200 })
  p:terminate()
end

-- A real client.
function TestHttp.test_server()
  lu.skipIf(not os.execute "command -v curl >/dev/null", "no curl")
  local server, port = listen()
  local f = exe:submit(function(port) return lfut.run { "curl", "-s", "-d", "x=1", "http://127.0.0.1:" .. port } end, port)
  local client = assert(server:accept())
  local length
  repeat
    local line = client:receive()
    length = tonumber(line:match "^Content%-Length: (%d+)") or length
  until line == ""
  lu.assertEquals(client:receive(length), "x=1")
  client:send "HTTP/1.0 200 OK\r\n\r\nhello"
  client:close()
  lu.assertEquals(f:result(), { code = 0, stdout = "hello", stderr = "" })
  server:close()
end

function TestHttp.test_tls()
  lu.skipIf(not pcall(require, "ssl"), "no LuaSec")
  lu.skipIf(not os.execute "command -v openssl >/dev/null", "no openssl")
  local directory = require("gate").filename()
  assert(os.execute("mkdir " .. directory))
  local key, certificate = directory .. "/key", directory .. "/certificate"
  local made = lfut.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
    "-keyout", key, "-out", certificate }
  lu.assertEquals(made.code, 0)
  local server, port = listen()
  local f = exe:submit(function(port)
    local s = assert(require("lfut.socket").connect("127.0.0.1", port))
    assert(s:dohandshake { mode = "client", protocol = "any", verify = "none", options = "all" })
    s:send "hello\n"
    local line = s:receive()
    s:close()
    return line
  end, port)
  local client = assert(server:accept())
  assert(client:wrap { mode = "server", protocol = "any", key = key, certificate = certificate, verify = "none", options = "all" })
  lu.assertTrue(client:dohandshake())
  lu.assertEquals(client:receive(), "hello")
  client:send(("x"):rep(100000) .. "\n")
  lu.assertEquals(#f:result(), 100000)
  client:close()
  server:close()
end

os.exit(support.run(TestDescriptors, TestTcp, TestUdp, TestHttp))
