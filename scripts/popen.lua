-- SPDX-License-Identifier: MIT
--
-- lfut.Popen: a command that runs beside the script, and pipes to it. What is
-- known of it lies here and not in the object, so that a copy, in another
-- interpreter, is none. Its globals are the standard ones.
local own = ...
local lfut = require "lfut"
local wait_fd = own.wait_after

local Popen = { __name = "lfut.Popen", __metatable = "lfut" }
local methods = {}
Popen.__index = methods

-- Of each: 'command', own's; 'text', what has been read and not taken, from
-- 'at'; 'over', no more will come; 'closed', its input is; 'status', once ended.
local states = setmetatable({}, { __mode = "k" })

local PATIENCE = 2 -- seconds from SIGTERM to SIGKILL
local BLIND = 0.01 -- between looks, where there is no descriptor that tells

local function state_of(p, method)
  local state = states[p]
  if not state then
    error(("calling '%s' on what is no command of this interpreter"):format(method), 3)
  elseif not own.is_here(state.command) then
    error(("'%s': the command belongs to another process"):format(method), 3)
  end
  return state
end

-- --- Reading ---

-- More text; false: there is no more.
local function fill(state)
  while not state.over do
    local text = own.read(state.command)
    if text then
      state.text, state.at = state.text:sub(state.at) .. text, 1
      return true
    elseif text == false then
      state.over = true
    else
      wait_fd(own.fd(state.command, "stdout"), "r")
    end
  end
  return false
end

-- All that there is now.
local function take(state)
  local text = state.text:sub(state.at)
  state.text, state.at = "", 1
  return text
end

local function read_line(state, keep)
  local parts = {}
  while true do
    local last = state.text:find("\n", state.at, true)
    if last then
      parts[#parts + 1] = state.text:sub(state.at, keep and last or last - 1)
      state.at = last + 1
      return table.concat(parts)
    end
    parts[#parts + 1] = take(state)
    if not fill(state) then
      local rest = table.concat(parts)
      return rest ~= "" and rest or nil
    end
  end
end

local function read_all(state)
  local parts = { take(state) }
  while fill(state) do
    parts[#parts + 1] = take(state)
  end
  return table.concat(parts)
end

local function read_bytes(state, n)
  local parts, left = {}, n
  if left == 0 and state.at > #state.text and not fill(state) then
    return nil
  end
  while left > 0 do
    if state.at > #state.text and not fill(state) then
      break
    end
    local part = state.text:sub(state.at, state.at + left - 1)
    state.at = state.at + #part
    left = left - #part
    parts[#parts + 1] = part
  end
  local text = table.concat(parts)
  return (text ~= "" or n == 0) and text or nil
end

-- As files do: the longest that may become a number, of up to 200 bytes.
local HEXADECIMAL = "^[+-]?0[xX]%x*%.?%x*[pP]?[+-]?%d*"
local DECIMAL = "^[+-]?%d*%.?%d*[eE]?[+-]?%d*"

local function read_number(state)
  repeat
    local next = state.text:find("%S", state.at)
    state.at = next or #state.text + 1
  until next or not fill(state)
  local text
  repeat
    text = (state.text:match(HEXADECIMAL, state.at) or state.text:match(DECIMAL, state.at)):sub(1, 200)
    local whole = #text == 200 or state.at + #text <= #state.text
  until whole or not fill(state)
  state.at = state.at + #text
  return tonumber(text)
end

local readers = {
  l = read_line,
  L = function(state) return read_line(state, true) end,
  a = read_all,
  n = read_number,
}

-- What is to be read, checked: functions of the state.
local function check_formats(method, ...)
  local list = table.pack(...)
  for i = 1, list.n do
    local format = list[i]
    local n = type(format) == "number" and math.tointeger(format)
    if n and n >= 0 then
      list[i] = function(state) return read_bytes(state, n) end
    else
      local letter = type(format) == "string" and format:match "^%*?(%a)"
      list[i] = readers[letter]
        or error(("bad argument #%d to '%s' (invalid format)"):format(i, method), 3)
    end
  end
  if list.n == 0 then
    list[1], list.n = read_line, 1
  end
  return list
end

local function read(state, formats)
  local results = {}
  for i = 1, formats.n do
    results[i] = formats[i](state)
    if results[i] == nil then
      return table.unpack(results, 1, i)
    end
  end
  return table.unpack(results, 1, formats.n)
end

local function check_output(state, method)
  if not state.over and not own.fd(state.command, "stdout") then
    error(("'%s': the command's output is no pipe, or has been closed"):format(method), 3)
  end
end

-- p:read(...) -> what is written by the command, formats as of files; nil: its
-- end
function methods.read(p, ...)
  local state = state_of(p, "read")
  check_output(state, "read")
  return read(state, check_formats("read", ...))
end

-- p:lines(...) -> an iterator
function methods.lines(p, ...)
  local state = state_of(p, "lines")
  check_output(state, "lines")
  local formats = check_formats("lines", ...)
  return function()
    return read(state, formats)
  end
end

-- --- Writing ---

-- p:write(...) -> p; or nil and why, if the command does not read any more
function methods.write(p, ...)
  local state = state_of(p, "write")
  if state.closed or not own.fd(state.command, "stdin") then
    error("'write': the command's input is no pipe, or has been closed", 2)
  end
  for i = 1, select("#", ...) do
    local text = select(i, ...)
    if type(text) ~= "string" and type(text) ~= "number" then
      error(("bad argument #%d to 'write' (string expected, got %s)"):format(i, type(text)), 2)
    end
    text = tostring(text)
    local at = 1
    while at <= #text do
      local next, why = own.write(state.command, text, at)
      if next == false then
        return nil, why
      elseif not next then
        wait_fd(own.fd(state.command, "stdin"), "w")
      end
      at = next or at
    end
  end
  return p
end

-- p:close_stdin(): the command reads to its end.
function methods.close_stdin(p)
  local state = state_of(p, "close_stdin")
  state.closed = true
  own.close(state.command, "stdin")
end

-- --- Its end ---

-- p:poll() -> { code =, signal = }, or nil
function methods.poll(p)
  local state = state_of(p, "poll")
  state.status = state.status or own.status(state.command)
  return state.status
end

-- p:wait([timeout]) -> { code =, signal = }
function methods.wait(p, timeout)
  local state = state_of(p, "wait")
  if timeout ~= nil and type(timeout) ~= "number" then
    error(("bad argument #1 to 'wait' (number expected, got %s)"):format(type(timeout)), 2)
  end
  local last = timeout and lfut.perf_counter() + timeout
  while not p:poll() do
    local left = last and last - lfut.perf_counter()
    if left and left <= 0 then
      own.raise_timeout(("command '%s' has not ended in time"):format(state.name))
    end
    local fd = own.fd(state.command, "end")
    if fd then
      wait_fd(fd, "r", left)
    else
      lfut.sleep(BLIND)
    end
  end
  return state.status
end

for method, signal in pairs { terminate = "SIGTERM", kill = "SIGKILL" } do
  methods[method] = function(p)
    local state = state_of(p, method)
    if not p:poll() then
      own.signal(state.command, signal)
    end
  end
end

-- A block's end: as Python's, it waits for the command; one that ends by an
-- error takes the command with it.
function Popen.__close(p, e)
  local state = states[p]
  if not state or not own.is_here(state.command) then
    return
  end
  own.close(state.command, "stdin")
  own.close(state.command, "stdout")
  state.closed, state.over = true, true
  if e ~= nil then
    p:terminate()
    if not pcall(p.wait, p, PATIENCE) then
      p:kill()
    end
  end
  p:wait()
end

function Popen.__tostring(p)
  local state = states[p]
  return own.settled(("lfut.Popen(%s, pid=%s)"):format(state and state.name or "?", tostring(p.pid)))
end

-- lfut.Popen{ ... }, called by a function of C
return {
  Popen = Popen,
  new = function(options)
    local ok, command = pcall(own.start, options)
    if not ok then
      local e = command
      if type(e) == "string" then
        e = e:gsub("^lfut:%d+: ", "")
        error(e, 3)
      end
      error(e, 0)
    end
    local p = setmetatable({ pid = own.pid(command) }, Popen)
    states[p] = { command = command, name = tostring(options[1]), text = "", at = 1 }
    return p
  end,
}
