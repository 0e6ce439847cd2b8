-- SPDX-License-Identifier: MIT
--
-- What the tests share. Tests named api_* take their executors from here, so
-- that one text tests every kind of them.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"

local support = {}

support.kind = os.getenv "LFUT_TEST_EXECUTOR" or "thread"
support.is_inline = support.kind == "inline"
support.is_async = support.kind == "async"
support.is_cluster = support.kind == "cluster"
support.is_process = support.kind == "fork" or support.kind == "spawn" or support.is_cluster
-- By valgrind, that is.
support.is_wrapped = (os.getenv "LFUT_WRAPPER" or "") ~= ""
support.worker_kind = support.is_process and not support.is_cluster and "process" or support.kind
support.broken_kind = ({
  thread = "BrokenThreadPool",
  async = "BrokenThreadPool",
  process = "BrokenProcessPool",
  inline = "BrokenExecutor",
  cluster = "BrokenExecutor",
})[support.worker_kind]

-- What the error of error(nil) is: nil, or a message that some versions of Lua
-- put in its place.
support.nil_error = select(2, pcall(error, nil))

-- Are to-be-closed variables closed?
support.closes = not package.loaded.additions

-- ProcessPoolExecutor with this start method, and otherwise any options. Its
-- errors have the position of the caller.
local function processes(start_method)
  return function(options)
    if options ~= nil and type(options) ~= "table" then
      options = { max_workers = options }
    end
    local all = { start_method = start_method }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    local ok, exe = pcall(lfut.ProcessPoolExecutor, all)
    if not ok then
      error(exe, type(exe) == "string" and 2 or 0)
    end
    return exe
  end
end

-- One with this start method and options, with one worker if they do not say.
function support.new_processes(method, options)
  options = options or {}
  options.max_workers = options.max_workers or 1
  return processes(method)(options)
end

-- A function that adds test_NAME_fork and test_NAME_spawn to the class.
function support.with_both(class)
  return function(name, fn)
    for _, method in ipairs { "fork", "spawn" } do
      class["test_" .. name .. "_" .. method] = function() fn(method) end
    end
  end
end

-- What support.Executor is in a script of its own, where it takes a number.
support.constructor = ({
  thread = "require'lfut'.ThreadPoolExecutor",
  async = "require'lfut'.AsyncExecutor",
  fork = "require'lfut'.ProcessPoolExecutor",
  spawn = "(function(n) return require'lfut'.ProcessPoolExecutor { max_workers = n, start_method = 'spawn' } end)",
  inline = "require'lfut'.InlineExecutor",
  cluster = "require'lfut'.ClusterExecutor",
})[support.kind]

support.Executor = assert(({
  thread = lfut.ThreadPoolExecutor,
  async = lfut.AsyncExecutor,
  fork = processes "fork",
  spawn = processes "spawn",
  inline = lfut.InlineExecutor,
  cluster = lfut.ClusterExecutor,
})[support.kind], "unknown LFUT_TEST_EXECUTOR")

-- One where no more than n tasks have begun and not ended, also while they wait
-- for what is shared.
function support.narrow(n)
  return support.Executor(support.is_async and { max_workers = n, max_running = n } or n)
end

-- The path of a library that make check has built, such as "plugins/vec".
function support.library(name)
  local builddir = (os.getenv "LFUT" or "./lfut"):match "^(.*)/"
  return ("%s/%s.so"):format(builddir, (name:gsub("[^/]*$", ".libs/%0", 1)))
end

-- For tests of what is the same object in two interpreters of one process.
function support.needs_threads()
  lu.skipIf(support.is_process, "processes: the thing cannot cross")
end

-- For tasks that use another executor than their own: what to send of it, and,
-- in the task, the executor. None crosses into a process, which makes one.
function support.send_executor(exe)
  return not support.is_process and exe or nil
end

function support.receive_executor(exe, max_workers)
  return exe or lfut.ThreadPoolExecutor(max_workers or 1)
end

-- For files of tests of what is shared.
function support.needs_one_machine()
  lu.skipIf(support.is_cluster, "cluster: nothing is shared")
end

-- For tests that make processes on every kind of executor.
function support.needs_processes()
  lu.skipIf(support.is_wrapped, "valgrind does not know pidfd_open")
end

-- For tests that need tasks that are not over when submit returns.
function support.needs_workers()
  lu.skipIf(support.is_inline, "inline: tasks are over when submit returns")
end

-- How often, where a sanitizer makes the large slow.
function support.size(n)
  local sanitizer = os.getenv "LFUT_SANITIZER" or "no"
  return sanitizer == "no" and n or n // 10
end

-- How often something waits for a worker: less where that is far away.
function support.trips(n)
  return support.is_cluster and n // 10 or n
end

-- The collector as eager as it gets; relaxed for a test with large data.
function support.eager()
  collectgarbage("incremental", 10, 400)
end

function support.relaxed()
  collectgarbage("incremental", 200, 100)
end

-- What a task does that returns what it is given.
function support.echo(...)
  return ...
end

-- fn(...) raises: the error value.
function support.raised(fn, ...)
  local r = table.pack(pcall(fn, ...))
  lu.assertFalse(r[1], "no error")
  return r[2]
end

-- fn(...) raises the text 'expected' with a position in this test in front.
function support.fails(expected, fn, ...)
  local e = support.raised(fn, ...)
  lu.assertIsString(e)
  local file, text = e:match("^([^:\n]*):%d+: (.*)$")
  lu.assertEquals(text or e, expected)
  lu.assertEquals(file, arg[0])
end

-- The same for texts that begin and end so.
function support.fails_like(first, last, fn, ...)
  local e = support.raised(fn, ...)
  lu.assertIsString(e)
  local file, text = e:match("^([^:\n]*):%d+: (.*)$")
  lu.assertEquals(file or e, arg[0])
  lu.assertEquals(text:sub(1, #first), first)
  lu.assertEquals(text:sub(#text - #last + 1), last)
end

-- fn(...) raises one of lfut's errors; returns it.
function support.fails_as(kind, message, fn, ...)
  local e = support.raised(fn, ...)
  support.is_error(e, kind, message)
  return e
end

function support.is_error(e, kind, message)
  lu.assertTrue(lfut.is_error(e), tostring(e))
  lu.assertEquals(e.kind, kind)
  lu.assertIsString(e.message)
  if message then
    lu.assertEquals(e.message, message)
  end
  lu.assertEquals(tostring(e), kind .. ": " .. e.message)
end

-- The executor still does what it is for.
function support.works(exe)
  lu.assertEquals({ exe:submit(function(a, b) return a + b, a * b end, 3, 4):result() }, { 7, 12 })
  local list = exe:map(function(i) return i * i end, lfut.range(5)):list()
  lu.assertEquals(list, { 1, 4, 9, 16, 25, n = 5 })
end

-- An executor of one worker whose worker is held; its queue then stands still.
function support.held(exe)
  local g = gate.new()
  local f = exe:submit(gate.hold, g)
  gate.arrived(g)
  local last = lfut.perf_counter() + 1
  while support.is_cluster and exe:stats().queued > 0 and lfut.perf_counter() < last do
    lfut.poll() -- that it has begun is told a little later
  end
  return g, f
end

-- What a process's descriptors stand for, by the system; but for the pipe to who
-- asks, of which the C library may not have closed the other end yet.
function support.descriptors(pid)
  local list = {}
  local pipe <close> = assert(io.popen(([[
    own=$(readlink /proc/$$/fd/1)
    for f in /proc/%d/fd/*; do
      what=$(readlink "$f") && [ "$what" != "$own" ] && echo "$what"
    done]]):format(pid)))
  for what in pipe:lines() do
    list[#list + 1] = what
  end
  return list
end

-- What /proc says of a process's children: lists of name, state, threads and
-- ticks of CPU time, by pid.
function support.children(pid)
  local found = {}
  local pipe <close> = assert(io.popen(
    ("for p in $(cat /proc/%d/task/*/children); do cat /proc/$p/stat; done 2>/dev/null"):format(pid)))
  for line in pipe:lines() do
    local child, name, state, rest = line:match "^(%d+) %((.*)%) (%a) (.*)$"
    local field = {}
    for word in rest:gmatch "%S+" do
      field[#field + 1] = tonumber(word)
    end
    if name ~= "sh" then -- which asks
      found[tonumber(child)] = { name = name, state = state, threads = field[17], ticks = field[11] + field[12] }
    end
  end
  return found
end

-- Runs a script by the program: its output, its errors, its status.
function support.program(script, options)
  local name, out, err = gate.filename(), gate.filename(), gate.filename()
  local file <close> = assert(io.open(name, "w"))
  file:write(package.loaded.additions and "require 'additions' " or "", script) -- translate.lua
  file:close()
  local command = ("%s %s %s >%s 2>%s </dev/null"):format(
    os.getenv "LFUT" or "./lfut", options or "", name, out, err)
  local _, _, status = os.execute(command)
  local texts = {}
  for i, path in ipairs { out, err } do
    local f <close> = assert(io.open(path))
    texts[i] = f:read("a"):gsub(name:gsub("%p", "%%%0"), "script.lua")
  end
  return texts[1], texts[2], status
end

-- On a cluster, which shares no memory, a test ends as skipped where it sends
-- something shared: that it is refused has tests of its own.
local function skip_shared(test)
  return function(...)
    local ok, e = xpcall(test, function(e)
      local text = lfut.is_error(e, "TransferError") and e.message or ""
      local what = text:match "%(userdata lfut%.(%a+), which "
      return what and { shared = what } or e
    end, ...)
    if not ok and type(e) == "table" and e.shared then
      lu.skip("cluster: no " .. e.shared .. " crosses")
    elseif not ok then
      error(e, 0)
    end
  end
end

-- Does compiled code look at hooks? That is up to how LuaJIT was built.
function support.compiled_sees_hooks()
  local called = 0
  local function loop(n)
    for _ = 1, n do
    end
  end
  loop(1000)
  debug.sethook(function() called = called + 1 end, "", 1)
  loop(1000)
  debug.sethook()
  return called >= 1000
end

-- For tests of stopping: code that is compiled sees nothing of that, so it is
-- not compiled, in workers without an initializer of their own.
function support.stops()
  local make = support.Executor
  support.Executor = package.loaded.jit and not support.compiled_sees_hooks() and function(options)
    local all = type(options) == "table" and options or { max_workers = options }
    all.initializer = all.initializer or "jit.off()"
    return make(all)
  end or make
end

-- What a test leaves open where nothing is closed (translate.lua).
if package.loaded.additions then
  local open, call = {}, lu.LuaUnit.protectedCall
  debug.getregistry().tests_open = open
  function lu.LuaUnit:protectedCall(...)
    local result = call(self, ...)
    while #open > 0 do
      local value = table.remove(open)
      local close = (debug.getmetatable(value) or {}).__close
      if close then
        close(value)
      elseif io.type(value) == "file" then
        value:close()
      end
    end
    return result
  end
end

local function skip_absent()
  for class, patterns in pairs(package.loaded.additions and require "absent" or {}) do
    for name in pairs(_G[class] or {}) do
      for pattern, what in pairs(patterns) do
        if name:match("^" .. pattern .. "$") then
          _G[class][name] = function() lu.skip("there are no " .. what) end
        end
      end
    end
  end
end

local run_all = lu.LuaUnit.run
function lu.LuaUnit.run(...)
  skip_absent()
  for name, class in pairs(support.is_cluster and _G or {}) do
    if type(name) == "string" and name:find "^Test" and type(class) == "table" then
      for key, test in pairs(class) do
        if key:find "^test" then
          class[key] = skip_shared(test)
        end
      end
    end
  end
  return run_all(...)
end

-- The same of a file about what no cluster has.
function support.run_on_one_machine(...)
  for _, class in ipairs { ... } do
    class.setUp = support.is_cluster and support.needs_one_machine or class.setUp
  end
  return support.run(...)
end

-- Runs the tests of a file, whose collector is eager again for each.
function support.run(...)
  for _, class in ipairs { ... } do
    local set_up = class.setUp
    function class.setUp()
      support.eager()
      if set_up then
        set_up()
      end
    end
  end
  support.eager()
  local rc = lu.LuaUnit.run()
  gate.remove_files()
  return rc
end

return support
