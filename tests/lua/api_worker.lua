-- SPDX-License-Identifier: MIT
--
-- What tasks find in their worker (API §5, end).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestWorker = {}

-- Runs a script with EXE for the constructor's name.
local function program(script)
  return support.program((script:gsub("EXE", support.constructor)))
end

function TestWorker.test_lfut_worker()
  local exe <close> = support.Executor { max_workers = 1, name = "named" }
  local w = exe:submit(function() return require "lfut".worker() end):result()
  lu.assertEquals(w, { kind = support.worker_kind, id = 1, name = "named_1", pid = w.pid })
  lu.assertEquals(math.type(w.pid), "integer")
  lu.assertEquals(w.pid == lfut.getpid(), not support.is_process)
  lu.assertNil(lfut.worker())
  lu.assertEquals(exe:submit(function() return lfut.worker().kind end):result(), support.worker_kind)
end

function TestWorker.test_standard_libraries()
  local exe <close> = support.Executor(1)
  local names = {}
  for name in pairs(package.loaded) do
    names[#names + 1] = type(_G[name]) == "table" and package.loaded[name] == _G[name] and name or nil
  end
  table.sort(names)
  local missing = exe:submit(function(names)
    local missing = {}
    for _, name in ipairs(names) do
      if type(_G[name]) ~= "table" or package.loaded[name] ~= _G[name] then
        missing[#missing + 1] = name
      end
    end
    for _, name in ipairs { "print", "pcall", "require", "load", "dofile", "setmetatable", "collectgarbage", "_VERSION" } do
      if _G[name] == nil then
        missing[#missing + 1] = name
      end
    end
    return missing
  end, names):result()
  lu.assertEquals(missing, {})
  lu.assertTrue(#names >= 8)
  lu.assertEquals(exe:submit(function() return require "lfut"._VERSION end):result(), lfut._VERSION)
end

function TestWorker.test_arg_and_paths()
  local exe <close> = support.Executor(1)
  local a, path, cpath = exe:submit(function() return arg, package.path, package.cpath end):result()
  lu.assertEquals(a, arg)
  lu.assertEquals({ path, cpath }, { package.path, package.cpath })
end

function TestWorker.test_a_path_set_before()
  lu.skipIf(support.is_cluster, "cluster: workers have the path of their member")
  local out, err = program [[
    package.path = "/tmp/?.nowhere;" .. package.path
    package.cpath = "/tmp/?.so.nowhere"
    package.preload.mine = function(...) return { name = ..., base = 5 } end
    local exe <close> = EXE(1)
    print(exe:submit(function() return package.path:match "^[^;]*", package.cpath end):result())
    print(exe:submit(function() return require "mine".name, require "mine".base end):result())
  ]]
  lu.assertEquals(err, "")
  lu.assertStrContains(out, "/tmp/?.nowhere\t/tmp/?.so.nowhere\nmine\t5\n")
end

function TestWorker.test_globals_are_the_worker_s_own()
  local exe <close> = support.Executor(1)
  exe:submit(function() string.mine, G_mine = 1, 2 end):result()
  lu.assertNil(string.mine)
  lu.assertNil(G_mine)
  lu.assertEquals({ exe:submit(function() return string.mine, G_mine end):result() }, { 1, 2 })
  -- A forked worker has the script's picture.
  lu.assertEquals(exe:submit(function() return rawget(_G, "TestWorker") ~= nil end):result(), support.kind == "fork")
end

-- os.exit

function TestWorker.test_os_exit_fails_the_task()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function() os.exit(3) end)
  lu.assertStrContains(tostring(f:exception()), "os.exit(3) called in a task")
  lu.assertEquals(f:state(), "failed")
  for _, code in ipairs { 0, 1, true, false } do
    lu.assertStrMatches(tostring(exe:submit(function() os.exit(code) end):exception()), ".*os%.exit%(.*%) called in a task")
  end
  lu.assertStrContains(tostring(exe:submit(function() os.exit() end):exception()), "called in a task")
  lu.assertStrContains(tostring(exe:submit(function() os.exit(true, true) end):exception()), "called in a task")
  support.works(exe)
end

function TestWorker.test_os_exit_is_not_caught()
  local exe <close> = support.Executor { max_workers = 1, initializer = "went_on = false" }
  for i, task in ipairs {
    function() pcall(os.exit, 3) went_on = true end,
    function() pcall(function() os.exit(3) end) went_on = true end,
    function() xpcall(function() os.exit(3) end, function() went_on = true end) went_on = true end,
    function() pcall(pcall, pcall, os.exit, 3) went_on = true end,
    function() coroutine.wrap(function() os.exit(3) end)() went_on = true end,
    function() coroutine.resume(coroutine.create(function() os.exit(3) end)) went_on = true end,
    function() pcall(coroutine.wrap(function() pcall(os.exit, 3) end)) went_on = true end,
    function() ("x"):gsub("x", function() pcall(os.exit, 3) went_on = true end) end,
    function() pcall(table.sort, { 1, 2 }, function() os.exit(3) end) went_on = true end,
    function() for _ = 1, 100 do pcall(os.exit, 3) went_on = true end end,
  } do
    local f = exe:submit(task)
    lu.assertStrContains(tostring(f:exception()), "os.exit(3) called in a task", nil, nil, "task " .. i)
    lu.assertEquals(exe:submit(function() return went_on end):result(), false)
  end
  support.works(exe)
end

function TestWorker.test_os_exit_in_a_map()
  local exe <close> = support.Executor(2)
  local it = exe:map(function(i)
    if i == 2 then
      pcall(os.exit, 3)
    end
    return i
  end, { 1, 2, 3 })
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertStrContains(tostring(support.raised(it)), "os.exit(3) called in a task")
  lu.assertEquals({ it() }, { 3, 3 })
  support.works(exe)
end

-- Output

function TestWorker.test_print_comes_out()
  local out, err, status = program [[
    local exe <close> = EXE(2)
    exe:submit(print, "a", 1, nil, true):result()
    exe:submit(function() io.write("b", 2, "\n") end):result()
    exe:submit(function() io.stdout:write("c\n") end):result()
    exe:submit(function() io.stderr:write("to stderr\n") end):result()
    exe:submit(function() print(setmetatable({}, { __tostring = function() return "shown" end })) end):result()
    exe:submit(print):result()
    print "main"
  ]]
  lu.assertEquals(out, "a\t1\tnil\ttrue\nb2\nc\nshown\n\nmain\n")
  lu.assertEquals(err, "to stderr\n")
  lu.assertEquals(status, 0)
end

function TestWorker.test_output_without_an_end_of_line()
  local out = program [[
    local exe <close> = EXE(1)
    exe:submit(function() io.write "no end" end):result()
  ]]
  lu.assertEquals(out, "no end")
end

function TestWorker.test_whole_lines()
  local out, _, status = program((support.is_process and "io.stdout:setvbuf 'line'" or "") .. [[
    local exe <close> = EXE(4)
    local futures = {}
    for k = 1, 4 do
      futures[#futures + 1] = exe:submit(function()
        local mark = ("x"):rep(k * 20)
        for i = 1, 500 do
          print(k, i, mark, "end")
          io.write(k, "\t")
          io.write(i, "\t")
          io.write(mark)
          io.write("\tend\n")
        end
      end)
    end
    for i = 1, 200 do
      io.write(("5\t%d\t%s\tend\n"):format(i, ("x"):rep(100)))
    end
    for _, f in ipairs(futures) do f:result() end
  ]])
  local n = 0
  for line in out:gmatch "([^\n]*)\n" do
    n = n + 1
    local k, i, mark = line:match "^(%d)\t(%d+)\t(x+)\tend$"
    lu.assertEquals(#(mark or line), (tonumber(k) or 0) * 20)
  end
  lu.assertEquals(n, 4 * 1000 + 200)
  lu.assertEquals(status, 0)
end

function TestWorker.test_warnings()
  local out, err = program [[
    local exe <close> = EXE(1)
    exe:submit(function() warn "off" warn "@on" warn("he", "llo") warn "@off" warn "off again" end):result()
  ]]
  lu.assertEquals({ out, err }, { "", "Lua warning: hello\n" })
end

-- Coroutines

function TestWorker.test_yield_outside_of_coroutines()
  local exe <close> = support.Executor(1)
  local message = "attempt to yield from outside a coroutine"
  lu.assertStrContains(exe:submit(function() coroutine.yield(1) end):exception(), message)
  lu.assertStrContains(exe:submit(coroutine.yield, 1):exception(), message)
  local ok, e = exe:submit(function() return pcall(coroutine.yield, 1) end):result()
  lu.assertFalse(ok)
  lu.assertStrContains(e, message)
  lu.assertEquals(exe:submit(function()
    for _ in coroutine.wrap(function() coroutine.yield(1) end) do
      return "own coroutines do"
    end
  end):result(), "own coroutines do")
  support.works(exe)
end

function TestWorker.test_yield_in_a_map()
  local exe <close> = support.Executor(1)
  local it = exe:map(function(i) if i == 2 then coroutine.yield() end return i end, { 1, 2, 3 })
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertStrContains(support.raised(it), "attempt to yield from outside a coroutine")
  lu.assertEquals({ it() }, { 3, 3 })
end

function TestWorker.test_coroutines_in_tasks()
  local exe <close> = support.Executor(1)
  local function task()
    local co = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      local d, e = coroutine.yield(c * 2)
      return d + e
    end)
    local r = {}
    r[#r + 1] = select(2, coroutine.resume(co, 1, 2))
    r[#r + 1] = select(2, coroutine.resume(co, 10))
    r[#r + 1] = select(2, coroutine.resume(co, 3, 4))
    r[#r + 1] = coroutine.status(co)
    r[#r + 1] = select("#", coroutine.resume(co))
    local co2 = coroutine.create(function() error({ 1 }) end)
    local ok, e = coroutine.resume(co2)
    r[#r + 1] = type(e)
    r[#r + 1] = coroutine.close(co2)
    r[#r + 1] = coroutine.isyieldable(co)
    local closed
    local co3 = coroutine.create(function()
      local c <close> = setmetatable({}, { __close = function() closed = true end })
      coroutine.yield()
    end)
    coroutine.resume(co3)
    coroutine.close(co3)
    r[#r + 1] = closed
    return r
  end
  local r = exe:submit(task):result()
  lu.assertEquals(r, { 3, 20, 7, "dead", 2, "table", false, true, true })
  lu.assertEquals(r, task()) -- as without lfut
end

function TestWorker.test_coroutine_functions_are_the_library_s()
  local exe <close> = support.Executor(1)
  for name, fn in pairs(coroutine) do
    lu.assertTrue(rawequal(exe:submit(function(n) return coroutine[n] end, name):result(), fn), name)
  end
  for _, fn in ipairs { pcall, xpcall, print, io.write, os.time, error } do
    lu.assertTrue(rawequal(exe:submit(echo, fn):result(), fn))
  end
end

function TestWorker.test_a_coroutine_kept_for_the_next_task()
  local exe <close> = support.Executor(1)
  exe:submit(function()
    kept = coroutine.wrap(function()
      for i = 1, 10 do
        coroutine.yield(i)
      end
    end)
  end):result()
  lu.assertEquals(exe:submit(function() return kept() end):result(), 1)
  lu.assertEquals(exe:submit(function() return kept() end):result(), 2)
end

-- Others

function TestWorker.test_the_collector_in_a_task()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(function()
    collectgarbage "generational"
    local weak = setmetatable({ {} }, { __mode = "v" })
    local finalized
    setmetatable({}, { __gc = function() finalized = true end })
    collectgarbage()
    collectgarbage()
    collectgarbage "incremental"
    return weak[1] == nil and finalized
  end):result(), true)
  support.works(exe)
end

function TestWorker.test_finalizers_run_when_the_worker_ends()
  local out = program [[
    local exe = EXE(1)
    exe:submit(function() kept = setmetatable({}, { __gc = function() print "finalized" end }) end):result()
    exe:shutdown()
  ]]
  if support.is_inline then
    lu.assertTrue(out == "finalized\n" or out == "")
  elseif support.kind == "fork" then
    lu.assertEquals(out, "") -- the interpreter is a copy of the script's, whose objects are not closed twice
  else
    lu.assertEquals(out, "finalized\n")
  end
end

function TestWorker.test_debug_library()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(function()
    local n = 0
    debug.sethook(function() n = n + 1 end, "", 1)
    for _ = 1, 100 do
    end
    debug.sethook()
    return n > 100
  end):result(), true)
  lu.assertIsString(exe:submit(function() return debug.traceback() end):result())
  support.works(exe)
end

function TestWorker.test_a_hook_left_in_a_worker()
  local exe <close> = support.Executor(1)
  exe:submit(function() debug.sethook(function() end, "crl", 1) end):result()
  support.works(exe)
end

function TestWorker.test_reading_standard_input()
  local name = gate.filename()
  local out = program [[
    local exe <close> = EXE(1)
    print(exe:submit(function() return io.read "a" end):result() == "")
    print(exe:submit(function(i) return i:read "l" end, io.stdin):result())
  ]]
  lu.assertEquals(out, "true\nnil\n")
  lu.assertNil(io.open(name))
end

function TestWorker.test_dofile_and_loadfile()
  local name = gate.filename()
  local file <close> = io.open(name, "w")
  file:write "local a = ... return 5, a"
  file:close()
  local exe <close> = support.Executor(1)
  lu.assertEquals({ exe:submit(dofile, name):result() }, { 5 })
  lu.assertEquals({ exe:submit(function(n) return loadfile(n)(6) end, name):result() }, { 5, 6 })
end

local rc = support.run(TestWorker)
if rc ~= 0 then
  os.exit(rc)
end
