-- SPDX-License-Identifier: MIT
--
-- lfut.scope: a block whose tasks end with it. What is known of a scope lies
-- here and not in the object, so that a copy of it, in another interpreter, is
-- none. Its globals are the standard ones, whatever the script has made of its
-- own.
local own = ...
local find, format, gsub, sort = string.find, string.format, string.gsub, table.sort

local Scope = { __name = "lfut.Scope", __metatable = "lfut", __index = {} }

-- Of each scope: 'open', its futures that are not done, as far as is known, with their numbers
-- ('submitted': the last one); 'failed', the first that has; 'over'.
local states = setmetatable({}, { __mode = "k" })

-- Wrong use

local function bad_type(number, method, expected, value)
  local meta = own.metatable(value)
  local name = meta and rawget(meta, "__name")
  local got = type(name) == "string" and name or type(value)
  return format("bad argument #%d to '%s' (%s expected, got %s)", number, method, expected, got)
end

local function submit_of(exe)
  return exe.submit
end

-- What is wrong, or nothing; and the executor's method.
local function check_submit(state, exe, fn)
  local ok, submit = pcall(submit_of, exe)
  if not state then
    return "calling 'submit' on what is no scope of this interpreter"
  elseif state.over then
    return "the scope is over"
  elseif not (ok and own.is_callable(submit)) then
    return bad_type(1, "submit", "executor", exe)
  elseif not own.is_callable(fn) then
    return bad_type(2, "submit", "function", fn)
  end
  return nil, submit
end

-- Its errors can be told by their position from those of the script.
local function call(fn, ...)
  local f = fn(...)
  return f
end

-- What pcall(call, ...) has returned: the value. Or the error is raised, if
-- need be as one of the line that has called the method that calls this.
local function checked(ok, value)
  if ok then
    return value
  end
  local ours = 0
  if type(value) == "string" then
    value, ours = gsub(value, "^lfut:%d+: ", "")
  end
  error(value, ours > 0 and 3 or 0)
end

-- Its tasks

-- Where one ends, none of the others is to begin: so the latest comes first, and those that
-- run come last.
local function cancel_all(state)
  local open, number = {}, {}
  for f, n in pairs(state.open) do
    open[#open + 1], number[f] = f, n
  end
  sort(open, function(a, b) return number[a] > number[b] end)
  for _, stops in ipairs { false, true } do
    for _, f in ipairs(open) do -- callbacks may run, and submit
      f:cancel(stops)
    end
  end
end

-- The future is done.
local function settle(state, f)
  state.open[f] = nil
  if not state.failed and f:state() == "failed" then
    state.failed = f
    cancel_all(state)
  end
end

local function join(state)
  while next(state.open) do
    for f in own.as_completed(state.open) do
      settle(state, f)
    end
  end
end

function Scope.__index:submit(exe, fn, ...)
  local state = states[self]
  local problem, submit = check_submit(state, exe, fn)
  if problem then
    error(problem, 2)
  elseif state.failed then
    state.failed:result()
  end
  local f = checked(pcall(call, submit, exe, fn, ...))
  state.submitted = state.submitted + 1
  state.open[f] = state.submitted
  f:add_done_callback(function() settle(state, f) end)
  return f
end

-- Left by an error: that of a task, if it has failed before. But nothing takes
-- the place of Ctrl-C.
function Scope:__close(err)
  local state = states[self]
  if state.over then
    return
  end
  local failed = state.failed
  state.over = true
  state.failed = failed or true -- its own
  cancel_all(state)
  join(state)
  if failed and not (type(err) == "string" and find(err, "interrupted!", 1, true)) then
    failed:result()
  end
end

local function leave(state, ...)
  join(state)
  state.over = true
  if state.failed then
    state.failed:result()
  end
  return ...
end

local function run(self, fn)
  return leave(states[self], fn(self))
end

local function scope(fn)
  local self = setmetatable({}, Scope)
  states[self] = { open = {}, submitted = 0 }
  return own.closing(self, run, fn)
end

return { scope = scope, Scope = Scope }
