-- SPDX-License-Identifier: MIT
--
-- lfut.socket: LuaSocket's objects, whose calls wait by lfut.wait_fd instead of
-- blocking the thread. Each is a table with LuaSocket's own object, which never
-- blocks, in 'raw'. Its globals are the standard ones.
local own = ...
local lfut = require "lfut"
local wait_fd, blocking, now = own.wait_after, lfut.blocking, lfut.perf_counter

local found, socket = pcall(require, "socket")
if not found then
  error("lfut.socket needs LuaSocket (Debian's lua-socket): " .. tostring(socket), 0)
end

local M = setmetatable({}, { __index = socket })

-- --- Waiting ---

-- When a call that begins now is to end: LuaSocket's total timeout.
local function total_of(self)
  return self.total and now() + self.total
end

-- Waits for the object, in the direction that 'err' of its last call asks for:
-- true, or nil and why not. Each wait is limited by the block timeout, all of
-- a call by the total one.
local function wait_for(self, err, way, total)
  local limit = self.block
  if total then
    local left = total - now()
    limit = limit and limit < left and limit or left
  end
  way = err == "wantread" and "r" or err == "wantwrite" and "w" or way
  local ready, why = wait_fd(self.raw, way, limit)
  if not ready then
    return nil, why
  end
  return true
end

-- TLS says in which direction it waits.
local waits = { timeout = true, wantread = true, wantwrite = true }

-- What the call returns that waits, in the direction 'way', instead of failing
-- where LuaSocket's would block.
local function insist(self, total, way, name, ...)
  local a, b, c = self.raw[name](self.raw, ...)
  while not a and waits[b] do
    local ready, why = wait_for(self, b, way, total)
    if not ready then
      return nil, why
    end
    a, b, c = self.raw[name](self.raw, ...)
  end
  return a, b, c
end

-- --- What all have ---

local Tcp, Udp = { __name = "lfut.socket.tcp" }, { __name = "lfut.socket.udp" }
local tcp, udp = {}, {}

-- Whatever else LuaSocket has is called as it is.
local function index(methods)
  return function(self, name)
    local method = methods[name]
    if method then
      return method
    end
    local raw = rawget(self, "raw")
    if type(raw and raw[name]) ~= "function" then
      return nil
    end
    return function(object, ...)
      return object.raw[name](object.raw, ...)
    end
  end
end

Tcp.__index, Udp.__index = index(tcp), index(udp)

local function wrap(raw, Class)
  raw:settimeout(0)
  return setmetatable({ raw = raw }, Class)
end

local function new(Class, raw, err)
  if not raw then
    return nil, err
  end
  return wrap(raw, Class)
end

-- What has been made of objects to send them.
local handles = setmetatable({}, { __mode = "k" })

local function close(self)
  own.closing(self.raw)
  if handles[self.raw] then
    own.release(handles[self.raw])
    handles[self.raw] = nil
  end
  return self.raw:close()
end

-- seconds, or nil: for ever, as a negative number.
local function settimeout(self, value, mode)
  if value ~= nil and type(value) ~= "number" then
    error(("bad argument #1 to 'settimeout' (number expected, got %s)"):format(type(value)), 2)
  end
  value = value and value >= 0 and value or nil
  if mode == "t" or mode == "r" then
    self.total = value
  elseif mode == nil or mode == "b" then
    self.block = value
  else
    error("bad argument #2 to 'settimeout' (invalid timeout mode)", 2)
  end
  return 1
end

local function gettimeout(self)
  return self.block or -1, self.total or -1
end

local function tostring_of(self)
  return own.settled((tostring(self.raw):gsub("^(%a+)", "lfut %1", 1)))
end

for _, methods in ipairs { tcp, udp } do
  methods.close, methods.settimeout, methods.gettimeout = close, settimeout, gettimeout
end
for _, Class in ipairs { Tcp, Udp } do
  Class.__tostring, Class.__close, Class.__gc = tostring_of, close, nil
end

-- --- Names ---

local function is_address(host)
  return host == "*" or host:match "^%d+%.%d+%.%d+%.%d+$" or host:find(":", 1, true)
end

-- The addresses of a host; looked up while another worker goes on.
local function addresses(host)
  if type(host) ~= "string" or is_address(host) then
    return { host }
  end
  local list, err = blocking(socket.dns.getaddrinfo, host)
  if not list then
    return nil, err
  end
  local all = {}
  for i, entry in ipairs(list) do
    all[i] = entry.addr
  end
  return all
end

-- What a function of an address returns for the first for which it is not nil.
local function first_of(host, fn)
  local all, err = addresses(host)
  local result
  for _, address in ipairs(all or {}) do
    result, err = fn(address)
    if result then
      return result
    end
  end
  return nil, err
end

M.dns = setmetatable({}, {
  __index = function(_, name)
    local f = socket.dns[name]
    return f and function(...)
      return blocking(f, ...)
    end
  end,
})

-- --- TCP ---

-- One address: true, or nil and why not.
local function connect_to(self, address, port, total)
  local ok, err = self.raw:connect(address, port)
  while not ok and waits[err] do
    local ready, why = wait_for(self, err, "w", total)
    if not ready then
      return nil, why
    end
    ok, err = self.raw:connect(address, port)
    if err == "already connected" then
      ok = 1
    elseif err == "Operation already in progress" then
      err = "timeout"
    end
  end
  return ok, err
end

function tcp:connect(host, port)
  local total = total_of(self)
  local all, ok, err = addresses(host)
  for _, address in ipairs(all or {}) do
    ok, err = connect_to(self, address, port, total)
    if ok or err == "timeout" then
      break
    end
  end
  if not all then
    return nil, ok
  end
  return ok, err
end

function tcp:accept()
  return new(Tcp, insist(self, total_of(self), "r", "accept"))
end

-- What is there so far is in parts, as LuaSocket would copy its prefix each time.
function tcp:receive(pattern, prefix)
  local total = total_of(self)
  local parts = { prefix ~= nil and tostring(prefix) or nil }
  local wanted = tonumber(pattern)
  local left = wanted and wanted - #(parts[1] or "")
  if left and left <= 0 and parts[1] then
    return parts[1]
  end
  local all, had = pattern == "*a" or pattern == "a", #parts
  while true do
    local data, err, part = self.raw:receive(left or pattern)
    parts[#parts + 1] = data or (part ~= "" and part or nil)
    if data or (all and err == "closed" and #parts > had) then
      return table.concat(parts)
    end
    local ready, why = waits[err], err
    if ready then
      left = left and left - #part
      ready, why = wait_for(self, err, "r", total)
    end
    if not ready then
      return nil, why, table.concat(parts)
    end
  end
end

function tcp:send(data, first, last)
  local total = total_of(self)
  local sent, err, at = self.raw:send(data, first, last)
  while not sent and waits[err] do
    local ready, why = wait_for(self, err, "w", total)
    if not ready then
      return nil, why, at
    end
    sent, err, at = self.raw:send(data, at + 1, last)
  end
  return sent, err, at
end

-- By LuaSec: from now on what is sent is encrypted.
function tcp:wrap(parameters)
  local there, ssl = pcall(require, "ssl")
  if not there then
    error("TLS needs LuaSec (Debian's lua-sec): " .. tostring(ssl), 2)
  end
  local raw, err = ssl.wrap(self.raw, parameters)
  if not raw then
    return nil, err
  end
  raw:settimeout(0)
  self.raw = raw
  return self
end

function tcp:dohandshake(parameters)
  if parameters then
    local ok, err = self:wrap(parameters)
    if not ok then
      return nil, err
    end
  end
  local done, err = insist(self, total_of(self), "r", "dohandshake")
  return done, err
end

-- --- UDP ---

for _, name in ipairs { "receive", "receivefrom" } do
  udp[name] = function(self, ...)
    return insist(self, total_of(self), "r", name, ...)
  end
end

for _, name in ipairs { "send", "sendto" } do
  udp[name] = function(self, data, host, port)
    local total = total_of(self)
    local function send(address)
      local ok, err = insist(self, total, "w", name, data, address, port)
      return ok, err
    end
    if name == "send" then
      return send(host)
    end
    return first_of(host, send)
  end
end

function udp:setpeername(host, port)
  if host == "*" then
    return self.raw:setpeername(host)
  end
  return first_of(host, function(address) return self.raw:setpeername(address, port) end)
end

-- --- Making them ---

for name, Class in pairs { tcp = Tcp, tcp4 = Tcp, tcp6 = Tcp, udp = Udp, udp4 = Udp, udp6 = Udp } do
  local make = socket[name]
  M[name] = make and function()
    return new(Class, make())
  end
end

function M.connect(host, port, local_host, local_port, family)
  local make = family == "inet" and M.tcp4 or family == "inet6" and M.tcp6 or M.tcp
  local s, err = make()
  if not s then
    return nil, err
  end
  local ok = not local_host or s.raw:bind(local_host, local_port or 0)
  if ok then
    ok, err = s:connect(host, port)
  else
    err = "cannot bind to " .. tostring(local_host)
  end
  if not ok then
    s:close()
    return nil, err
  end
  return s
end

function M.connect4(host, port, ...)
  return M.connect(host, port, select(1, ...), select(2, ...), "inet")
end

function M.connect6(host, port, ...)
  return M.connect(host, port, select(1, ...), select(2, ...), "inet6")
end

function M.bind(host, port, backlog)
  return new(Tcp, first_of(host, function(address) return socket.bind(address, port, backlog) end))
end

M.sleep = lfut.sleep

-- An object of LuaSocket's that is there already.
function M.wrap(raw, parameters)
  local Class = getmetatable(raw)
  local ours = Class == Tcp or Class == Udp
  local s = ours and raw or wrap(raw, tostring(raw):find "^udp" and Udp or Tcp)
  if parameters then
    return s:wrap(parameters)
  end
  return s
end

-- --- Connections travel ---

-- To another worker of this process, as the same connection; who sends one closes
-- its own. LuaSocket has no way to make one of a descriptor: the connection takes
-- the place of one that has begun to connect, to nowhere.
local function unpack_client(packed)
  local raw = packed.family == "inet6" and socket.tcp6() or socket.tcp4()
  raw:settimeout(0)
  raw:connect(packed.family == "inet6" and "::1" or "127.0.0.1", 0)
  own.take(raw:getfd(), packed.descriptor)
  own.release(packed.descriptor) -- not at some time of the collector's choice
  return raw
end

M.unpack_client = unpack_client

local function teach()
  local raw = socket.tcp4()
  raw:settimeout(0)
  raw:connect("127.0.0.1", 0)
  local meta = getmetatable(raw)
  raw:close()
  meta.__lfut_unpack = unpack_client
  function meta.__lfut_pack(u)
    if u:dirty() then
      error("a connection that has received what has not been read cannot be sent", 0)
    end
    local _, _, family = u:getsockname()
    handles[u] = handles[u] or own.hold(u:getfd())
    return { descriptor = handles[u], family = family }
  end
end

teach()
M.Tcp, M.Udp = Tcp, Udp -- for those that travel: found by their names

-- --- HTTP ---

-- One that speaks TLS once it is connected, with LuaSec's usual parameters.
local function tls_tcp()
  local s = assert(M.tcp())
  local connect = s.connect
  function s.connect(self, host, port)
    local ok, err = connect(self, host, port)
    if ok then
      ok, err = self:wrap { mode = "client", protocol = "any", verify = "none",
        options = { "all", "no_sslv2", "no_sslv3" } }
    end
    if ok then
      self.raw:sni(host)
      ok, err = self:dohandshake()
    end
    return ok and 1, err
  end
  return s
end

local function create_of(url)
  return type(url) == "string" and url:lower():find "^https:" and tls_tcp or M.tcp
end

local function with_create(request)
  local copy = {}
  for key, value in pairs(request) do
    copy[key] = value
  end
  copy.create = copy.create or (copy.scheme == "https" and tls_tcp) or create_of(copy.url)
  return copy
end

-- As socket.http's two forms.
local function request(url, body)
  local http, ltn12 = require "socket.http", require "ltn12"
  if type(url) == "table" then
    return http.request(with_create(url))
  end
  local text = {}
  local wanted = { url = url, sink = ltn12.sink.table(text), create = create_of(url) }
  if body then
    wanted.method, wanted.source = "POST", ltn12.source.string(body)
    wanted.headers = { ["content-length"] = #body, ["content-type"] = "application/x-www-form-urlencoded" }
  end
  local ok, code, headers, status = http.request(wanted)
  if not ok then
    return nil, code
  end
  return table.concat(text), code, headers, status
end

M.http = setmetatable({ request = request }, {
  __index = function(_, name)
    return require("socket.http")[name]
  end,
  __newindex = function(_, name, value)
    require("socket.http")[name] = value
  end,
})

return M
