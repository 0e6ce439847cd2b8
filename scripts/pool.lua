-- SPDX-License-Identifier: MIT
--
-- lfut.Pool, lfut.ThreadPool and their AsyncResult: the pools of Python's
-- multiprocessing, made of executors. A pool has an executor; what it has begun
-- is a future, or a parallel loop with a future that tells of its end
-- (bindings/pool/gather.h). Pools and results are tables, so that they travel where
-- their executors and futures do; their classes travel by their names here. Its
-- globals are the standard ones, whatever the script has made of its own.
local own = ...
local format, gsub, match = string.format, string.gsub, string.match

local Pool = { __name = "lfut.Pool", __metatable = "lfut", __index = {} }
local AsyncResult = { __name = "lfut.AsyncResult", __metatable = "lfut", __index = {} }

-- The iterators of a pool whose sources may have more to read.
local reading = setmetatable({}, { __mode = "k" })

-- Wrong use: what is wrong, or nothing

local function type_name(value)
  local meta = own.metatable(value)
  local name = meta and rawget(meta, "__name")
  return type(name) == "string" and name or type(value)
end

local function bad_argument(number, method, text)
  return format("bad argument #%d to '%s' (%s)", number, method, text)
end

local function bad_type(number, method, expected, value)
  return bad_argument(number, method, format("%s expected, got %s", expected, type_name(value)))
end

local function bad_self(class, method, self)
  if own.metatable(self) ~= class then
    return format("calling '%s' on bad self (%s expected, got %s)", method, class.__name, type_name(self))
  end
end

local function bad_function(method, fn)
  if not own.is_callable(fn) then
    return bad_type(1, method, "function", fn)
  end
end

local function bad_items(method, items)
  local ok, message = pcall(own.zip, items) -- takes what a loop takes
  if not ok then
    return bad_argument(2, method, match(message, "%((.*)%)$") or message)
  end
end

local function bad_arguments(method, args)
  if args ~= nil and type(args) ~= "table" then
    return bad_type(2, method, "table", args)
  end
end

-- map(f, a, b), as Python's map takes them.
local function second_list(method, value)
  if type(value) == "table" and #value > 0 then
    return bad_argument(3, method, "got a second list; lfut.zip(a, b) is for several lists")
  end
end

local function bad_chunksize(method, chunksize)
  if chunksize == nil then
    return nil
  elseif type(chunksize) ~= "number" then
    return second_list(method, chunksize) or bad_type(3, method, "integer", chunksize)
  elseif not math.tointeger(chunksize) or chunksize < 1 then
    return bad_argument(3, method, "must be an integer >= 1")
  end
end

local function bad_timeout(method, timeout)
  if timeout == nil then
    return nil
  elseif type(timeout) ~= "number" then
    return bad_type(1, method, "number", timeout)
  elseif timeout ~= timeout then
    return bad_argument(1, method, "not a number of seconds")
  end
end

local function unknown_option(options, known)
  for name in pairs(options) do
    if not known[name] then
      local names = {}
      for each in pairs(known) do
        names[#names + 1] = each
      end
      table.sort(names)
      return format("unknown option '%s' (options: %s)", tostring(name), table.concat(names, ", "))
    end
  end
end

local function bad_callback(options, name)
  local callback = options[name]
  if callback ~= nil and not own.is_callable(callback) then
    return format("bad option '%s' (function expected, got %s)", name, type_name(callback))
  end
end

local function bad_option_chunksize(chunksize)
  if chunksize == nil then
    return nil
  elseif type(chunksize) ~= "number" then
    return format("bad option 'chunksize' (integer expected, got %s)", type_name(chunksize))
  elseif not math.tointeger(chunksize) or chunksize < 1 then
    return "bad option 'chunksize' (must be an integer >= 1)"
  end
end

local call_options = { callback = true, error_callback = true }
local map_options = { callback = true, error_callback = true, chunksize = true }

local function bad_options(method, options, known)
  if options == nil then
    return nil
  elseif type(options) ~= "table" then
    return bad_type(3, method, "table", options)
  end
  return second_list(method, options) or unknown_option(options, known) or bad_option_chunksize(options.chunksize)
    or bad_callback(options, "callback") or bad_callback(options, "error_callback")
end

local function not_running(self)
  if self.state or own.is_shutdown(self.executor) then
    return "Pool not running"
  end
end

-- Raises what is wrong, if anything is, at the line that has called the method
-- that calls this.
local function refuse(problem)
  if problem then
    error(problem, 3)
  end
end

-- Calls what belongs to an executor. So that its errors can be told by their
-- position from those of the script, the call is no tail call.
local function call(fn, ...)
  local a, b, c, d = fn(...)
  return a, b, c, d
end

-- What pcall(call, ...) has returned: the values. Or the error is raised, if
-- need be as one of the line that has called the method that calls this.
local function checked(ok, ...)
  if ok then
    return ...
  end
  local e, ours = ..., 0
  if type(e) == "string" then
    e, ours = gsub(e, "^lfut:%d+: ", "")
  end
  error(e, ours > 0 and 3 or 0)
end

-- Results

local function new_result(options, future, loop)
  local result = setmetatable({ future = future, loop = loop, outcome = loop and {} }, AsyncResult)
  local callback, error_callback = options.callback, options.error_callback
  if not callback and not error_callback then
    return result
  end
  future:add_done_callback(function()
    local r = table.pack(pcall(result.get, result))
    if r[1] and callback then
      callback(table.unpack(r, 2, r.n))
    elseif not r[1] and error_callback then
      error_callback(r[2])
    end
  end)
  return result
end

function AsyncResult.__index:get(timeout)
  refuse(bad_self(AsyncResult, "get", self) or bad_timeout("get", timeout))
  if self.loop then
    return own.gather(self.loop, self.future, self.outcome, timeout)
  end
  return self.future:result(timeout)
end

function AsyncResult.__index:wait(timeout)
  refuse(bad_self(AsyncResult, "wait", self) or bad_timeout("wait", timeout))
  return #own.wait({ self.future }, timeout) > 0
end

function AsyncResult.__index:ready()
  refuse(bad_self(AsyncResult, "ready", self))
  return self.future:done()
end

function AsyncResult.__index:successful()
  refuse(bad_self(AsyncResult, "successful", self)
    or not self.future:done() and "the result is not ready")
  return (pcall(self.get, self))
end

function AsyncResult:__tostring()
  return own.settled(format("AsyncResult(%s)", self.future:done() and "ready" or "not ready"))
end

-- One function call

local function submit(exe, fn, args)
  local n = args and (math.tointeger(rawget(args, "n")) or #args) or 0
  return call(exe.submit, exe, fn, table.unpack(args or {}, 1, n))
end

function Pool.__index:apply(fn, args)
  refuse(bad_self(Pool, "apply", self) or bad_function("apply", fn) or bad_arguments("apply", args)
    or not_running(self))
  return checked(pcall(submit, self.executor, fn, args)):result()
end

function Pool.__index:apply_async(fn, args, options)
  refuse(bad_self(Pool, "apply_async", self) or bad_function("apply_async", fn)
    or bad_arguments("apply_async", args) or bad_options("apply_async", options, call_options)
    or not_running(self))
  return new_result(options or {}, checked(pcall(submit, self.executor, fn, args)))
end

-- Many

local function bad_map(method, self, fn, items)
  return bad_self(Pool, method, self) or bad_function(method, fn) or bad_items(method, items)
end

-- Methods 'name' and 'name'_async; 'star': each item is a table of arguments.
local function define_map(name, star)
  local async = name .. "_async"

  Pool.__index[name] = function(self, fn, items, chunksize)
    refuse(bad_map(name, self, fn, items) or bad_chunksize(name, chunksize) or not_running(self))
    local loop, future = checked(pcall(call, own.start, self.executor, fn, items, star, chunksize))
    return own.gather(loop, future, {})
  end

  Pool.__index[async] = function(self, fn, items, options)
    refuse(bad_map(async, self, fn, items) or bad_options(async, options, map_options)
      or not_running(self))
    options = options or {}
    local loop, future = checked(pcall(call, own.start, self.executor, fn, items, star, options.chunksize))
    return new_result(options, future, loop)
  end
end

define_map("map", false)
define_map("starmap", true)

-- What exe:map has returned; the iterator is noted if there is more to read.
local function note(self, it, ...)
  if not own.is_supplied(it) then
    reading[self] = reading[self] or setmetatable({}, { __mode = "k" })
    reading[self][it] = true
  end
  return it, ...
end

local function define_imap(name, ordered)
  Pool.__index[name] = function(self, fn, items, chunksize)
    refuse(bad_map(name, self, fn, items) or bad_chunksize(name, chunksize) or not_running(self))
    local exe = self.executor
    return note(self, checked(pcall(call, exe.map, exe, fn, items,
      { chunksize = chunksize or 1, ordered = ordered })))
  end
end

define_imap("imap", true)
define_imap("imap_unordered", false)

-- The end

local function is_reading(self)
  for it in pairs(reading[self] or {}) do
    if not own.is_supplied(it) then
      return true
    end
  end
  return false
end

-- While there are sources to read, the executor has to take what comes of them.
function Pool.__index:close()
  refuse(bad_self(Pool, "close", self))
  local exe = self.executor
  self.state = self.state or "closed"
  if not is_reading(self) then
    checked(pcall(call, exe.shutdown, exe, false))
  end
end

function Pool.__index:join()
  refuse(bad_self(Pool, "join", self) or not not_running(self) and "Pool is still running")
  local exe = self.executor
  for it in pairs(self.state == "closed" and reading[self] or {}) do
    checked(pcall(call, own.supply, it))
  end
  checked(pcall(call, exe.shutdown, exe))
end

-- By SIGKILL, as a process may ignore SIGTERM.
local function stop(self)
  local exe = self.executor
  if self.kind == "ThreadPool" then
    call(exe.shutdown, exe, false, true)
  elseif own.is_inside(exe) then
    error "a task cannot terminate the pool that runs it"
  else
    call(exe.kill_workers, exe)
  end
end

function Pool.__index:terminate()
  refuse(bad_self(Pool, "terminate", self))
  self.state = "terminated"
  checked(pcall(stop, self))
end

function Pool:__close()
  Pool.__index.terminate(self)
end

function Pool:__tostring()
  local state = self.state and ", " .. self.state or ""
  return own.settled(format("%s(processes=%d%s)", self.kind, self.processes, state))
end

-- Making one

local pool_options = { processes = "max_workers", maxtasksperchild = "max_tasks_per_child",
  initializer = "initializer", initargs = "initargs", finalizer = "finalizer", start_method = "start_method", name = "name" }

-- The executor's options for those of a pool.
local function translate(options)
  local all = {}
  for name, value in pairs(options) do
    all[pool_options[name]] = value
  end
  return all
end

-- Its errors have the names of the pool's options.
local function new_executor(kind, options)
  local ok, exe = pcall(call, own[kind .. "Executor"], translate(options))
  if ok then
    return exe
  elseif type(exe) ~= "string" then
    error(exe, 0)
  end
  local text, ours = gsub(exe, "^lfut:%d+: ", "")
  text = gsub(gsub(text, "max_workers", "processes"), "max_tasks_per_child", "maxtasksperchild")
  error(text, ours > 0 and 4 or 0)
end

-- Called by a C function, and that by the script.
local function new_pool(kind, options)
  if type(options) ~= "table" then
    options = { processes = options }
  end
  local problem = unknown_option(options, pool_options)
  if problem then
    error(problem, 3)
  end
  local exe = new_executor(kind == "Pool" and "ProcessPool" or kind, options)
  return setmetatable({ kind = kind, executor = exe, processes = exe.max_workers }, Pool)
end

return { new = new_pool, Pool = Pool, AsyncResult = AsyncResult }
