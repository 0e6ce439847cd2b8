-- SPDX-License-Identifier: MIT
--
-- lfut.Process (API §7): a function in a forked copy of the interpreter.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

local Process = lfut.Process
local exit = lu.oldOsExit -- luaunit has put another in its place

-- fn(...) in a process: what it returned as text, an item a line; or the error.
local function inside(fn, ...)
  local name = gate.filename()
  local p = Process{ target = function(...)
    local r = table.pack(pcall(fn, ...))
    local file <close> = assert(io.open(name, "w"))
    for i = r[1] and 2 or 1, r.n do
      file:write(tostring(r[i]), i < r.n and "\n" or "")
    end
  end, args = table.pack(...) }
  p:start()
  lu.assertTrue(p:join())
  lu.assertEquals(p.exitcode, 0)
  local file <close> = assert(io.open(name))
  return file:read "a"
end

local function run(fn, ...)
  local p = Process{ target = fn, args = table.pack(...) }
  p:start()
  lu.assertTrue(p:join())
  return p
end

-- In a process: what it has inherited is garbage.
local function collect_inherited(forget)
  forget()
  collectgarbage()
  collectgarbage()
end

local function held(...)
  local g = gate.new()
  local p = Process{ target = gate.hold, args = { g, ... } }
  p:start()
  gate.arrived(g)
  return g, p
end

local function shell(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local function descriptors()
  collectgarbage()
  collectgarbage()
  return #support.descriptors(lfut.getpid())
end

-- Our children, by their states: "Z" for zombies.
local function children()
  local found = ""
  for line in shell("cat /proc/[0-9]*/stat 2>/dev/null"):gmatch "[^\n]+" do
    local name, state, parent = line:match "%((.*)%) (%a) (%d+)"
    if tonumber(parent) == lfut.getpid() and name ~= "sh" and name ~= "cat" then
      found = found .. state
    end
  end
  return found
end

TestLife = {}

function TestLife.test_a_process()
  local p = Process{ target = function() end }
  lu.assertEquals(tostring(p):gsub("%d+", "N"), "Process(Process-N, initial)")
  lu.assertStrMatches(p.name, "Process%-%d+")
  lu.assertNil(p.pid)
  lu.assertNil(p.exitcode)
  lu.assertIs(p.daemon, false)
  lu.assertIs(p:is_alive(), false)
  lu.assertTrue(rawequal(p:start(), p))
  lu.assertEquals(math.type(p.pid), "integer")
  lu.assertIs(p:join(), true)
  lu.assertIs(p:is_alive(), false)
  lu.assertEquals(p.exitcode, 0)
  lu.assertEquals(tostring(p), ("Process(%s, stopped, exitcode 0)"):format(p.name))
  lu.assertIs(p:join(), true)
  lu.assertIs(p:join(0), true)
  lu.assertNil(p.nothing)
  lu.assertNil(p[1])
end

function TestLife.test_names()
  local a, b = Process{ target = print }, Process{ target = print }
  lu.assertEquals(tonumber(b.name:match "%d+"), tonumber(a.name:match "%d+") + 1)
  local p = Process{ target = print, name = "baker", daemon = true }
  lu.assertEquals(p.name, "baker")
  lu.assertIs(p.daemon, true)
  lu.assertEquals(tostring(p), "Process(baker, initial, daemon)")
end

function TestLife.test_arguments()
  lu.assertEquals(inside(function(...) return select("#", ...), ... end, 1, nil, "x", nil), "4\n1\nnil\nx\nnil")
  local shared = {}
  lu.assertEquals(inside(function(a, b) return rawequal(a, b), a == shared end, shared, shared), "true\ntrue")
  local callable = setmetatable({}, { __call = function(self, code) exit(code) end })
  lu.assertEquals(run(callable, 7).exitcode, 7)
  lu.assertEquals(run(exit, 8).exitcode, 8)
end

function TestLife.test_it_is_a_copy()
  local t = { 1 }
  global = 1
  run(function() t[1] = 2 global = 2 end)
  lu.assertEquals(t, { 1 })
  lu.assertEquals(global, 1)
  lu.assertEquals(inside(function() return t[1], global, lfut.worker() end), "1\n1\nnil")
  global = nil
end

function TestLife.test_pid()
  local name = gate.filename()
  local p = run(function() local f <close> = io.open(name, "w") f:write(lfut.getpid()) end)
  local f <close> = io.open(name)
  lu.assertEquals(f:read "n", p.pid)
  lu.assertNotEquals(p.pid, lfut.getpid())
end

function TestLife.test_while_it_runs()
  local g <close>, p = held()
  lu.assertIs(p:is_alive(), true)
  lu.assertNil(p.exitcode)
  lu.assertIs(p:join(0), false)
  lu.assertIs(p:join(-1), false)
  lu.assertIs(p:join(0.01), false)
  lu.assertEquals(tostring(p), ("Process(%s, started, pid %d)"):format(p.name, p.pid))
  gate.open(g)
  lu.assertIs(p:join(1e6), true)
end

function TestLife.test_ten_in_a_loop()
  local list = {}
  for i = 1, 10 do
    list[i] = Process{ target = function() exit(i) end }
    list[i]:start()
  end
  for i, p in ipairs(list) do
    p:join()
    lu.assertEquals(p.exitcode, i)
  end
end

function TestLife.test_many()
  local before = descriptors()
  local list = {}
  for i = 1, support.size(300) do
    local p = Process{ target = exit, args = { i % 256 } }
    p:start()
    if i % 7 > 0 then
      p:join()
      lu.assertEquals(p.exitcode, i % 256)
    else
      list[#list + 1] = p
    end
  end
  for _, p in ipairs(list) do
    p:join()
  end
  lu.assertEquals(children(), "")
  lu.assertTrue(descriptors() <= before)
end

function TestLife.test_reaped_without_join()
  local p = Process{ target = function() end }
  p:start()
  while p:is_alive() do
    lfut.sleep(0)
  end
  lu.assertEquals(p.exitcode, 0)
  lu.assertEquals(children(), "")
end

function TestLife.test_collected_while_it_runs()
  local g, g2 = gate.new(), gate.new()
  Process{ target = function() gate.hold(g) gate.hold(g2) end }:start()
  gate.arrived(g)
  collectgarbage()
  collectgarbage()
  gate.open(g)
  gate.arrived(g2)
  gate.open(g2)
  while children() ~= "" do end
end

TestEnd = {}

function TestEnd.test_exit_codes()
  for _, code in ipairs { 0, 1, 3, 255 } do
    lu.assertEquals(run(function() exit(code) end).exitcode, code)
  end
  lu.assertEquals(run(exit).exitcode, 0)
  lu.assertEquals(run(exit, true).exitcode, 0)
  lu.assertEquals(run(exit, false).exitcode, 1)
  lu.assertEquals(run(exit, 5, true).exitcode, 5)
  lu.assertEquals(run(exit, 256).exitcode, 0)
end

function TestEnd.test_exit_from_anywhere()
  lu.assertEquals(run(function() pcall(exit, 2) end).exitcode, 2)
  lu.assertEquals(run(function() coroutine.wrap(exit)(3) end).exitcode, 3)
  lu.assertEquals(run(function() ("x"):gsub("x", function() exit(4) end) end).exitcode, 4)
  lu.assertEquals(run(function()
    table.sort({ 1, 2, 3 }, function() exit(5) end)
  end).exitcode, 5)
  lu.assertEquals(run(function()
    local x <close> = setmetatable({}, { __close = function() exit(6) end })
  end).exitcode, 6)
  lu.assertEquals(run(function()
    setmetatable({}, { __gc = function() exit(7) end })
    collectgarbage()
  end).exitcode, 7)
end

function TestEnd.test_signals()
  local g1 <close>, p = held()
  lu.assertEquals(select("#", p:terminate()), 0)
  lu.assertIs(p:join(), true)
  lu.assertEquals(p.exitcode, -15)
  local g2 <close>, q = held()
  lu.assertEquals(select("#", q:kill()), 0)
  lu.assertIs(q:join(), true)
  lu.assertEquals(q.exitcode, -9)
  lu.assertEquals(tostring(q), ("Process(%s, stopped, exitcode -9)"):format(q.name))
  q:kill() -- has no effect any more
  q:terminate()
  lu.assertEquals(q.exitcode, -9)
  lu.assertEquals(run(function() os.execute("kill -USR2 " .. lfut.getpid()) lfut.sleep(1e6) end).exitcode, -12)
end

function TestEnd.test_ctrl_c_is_the_parents()
  lu.assertEquals(run(function()
    os.execute("kill -INT " .. lfut.getpid())
    exit(9)
  end).exitcode, 9)
end

function TestEnd.test_an_error()
  local out, err, status = support.program [[
    local lfut = require "lfut"
    local function deep() error "boom" end
    local p = lfut.Process{ target = function() deep() end }:start()
    print(p:join(), p.exitcode)
  ]]
  lu.assertEquals(out, "true\t1\n")
  lu.assertEquals(status, 0)
  err = err:gsub("in global 'error'", "in function 'error'") -- as the version has it
  lu.assertEquals(err, [[
lfut: script.lua:2: boom
stack traceback:
	[C]: in function 'error'
	script.lua:2: in upvalue 'deep'
	script.lua:3: in function <script.lua:3>
	[C]: in ?
]])
end

function TestEnd.test_error_values()
  local function told(value)
    local _, err = support.program(([[
      local p = require "lfut".Process{ target = function() error(%s) end }:start()
      p:join()
      assert(p.exitcode == 1)
    ]]):format(value))
    return err:match "[^\n]*"
  end
  lu.assertEquals(told "nil", "lfut: (error object is a nil value)")
  lu.assertEquals(told "{}", "lfut: (error object is a table value)")
  lu.assertEquals(told "setmetatable({}, { __tostring = function() return 'hey' end })", "lfut: hey")
  lu.assertEquals(told "setmetatable({}, { __tostring = function() error 'x' end })",
    "lfut: (error object is a table value)")
end

function TestEnd.test_error_of_a_worker_inside()
  local _, err = support.program [[
    local lfut = require "lfut"
    lfut.Process{ target = function()
      lfut.ThreadPoolExecutor(1):submit(function() error "boom" end):result()
    end }:start():join()
  ]]
  lu.assertStrContains(err, "lfut: script.lua:3: boom\nstack traceback:")
  lu.assertStrContains(err, "worker's stack traceback:")
end

function TestEnd.test_variables_are_closed()
  lu.assertEquals(inside(function()
    local log = {}
    pcall(function()
      local x <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
      error "x"
    end)
    return log[1]
  end), "closed")
end

TestOutput = {}

function TestOutput.test_what_was_buffered_appears_once()
  local out = support.program [[
    local lfut = require "lfut"
    io.stdout:setvbuf("full", 65536)
    io.write "parent "
    local p = lfut.Process{ target = function() io.write "child " end }:start()
    p:join()
    io.write "parent\n"
  ]]
  lu.assertEquals(out, "parent child parent\n")
end

function TestOutput.test_at_every_kind_of_end()
  for ending, code in pairs { ["os.exit(3)"] = 3, ["error 'x'"] = 1, [""] = 0 } do
    local out = support.program(([[
      io.stdout:setvbuf("full", 65536)
      io.write "once "
      local p = require "lfut".Process{ target = function() io.write "child " %s end }:start()
      p:join()
      io.write(p.exitcode)
    ]]):format(ending))
    lu.assertEquals(out, "once child " .. code)
  end
end

function TestOutput.test_other_files()
  local name = gate.filename()
  run(function() KEPT = io.open(name, "w") KEPT:write "not closed" end)
  local f <close> = io.open(name)
  lu.assertEquals(f:read "a", "not closed")
  -- With threads in the parent, whose streams the child must not touch:
  local exe <close> = lfut.ThreadPoolExecutor(1)
  exe:submit(support.echo):result()
  run(function() io.open(name, "w"):write "neither" end)
  local f2 <close> = io.open(name)
  lu.assertEquals(f2:read "a", "neither")
end

function TestOutput.test_of_a_task()
  local out = support.program [[
    local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(1)
    exe:submit(function()
      io.write "task "
      lfut.Process{ target = function() io.write "child " print "printed" io.write "end" end }:start():join()
      io.write "\ntask\n"
    end):result()
  ]]
  lu.assertEquals(out, "task child printed\nend\ntask\n")
end

TestInside = {}

function TestInside.test_pools()
  lu.assertEquals(inside(function()
    local exe <close> = lfut.ThreadPoolExecutor(2)
    local sum = 0
    for _, r in exe:map(function(i) return i * i end, lfut.range(100)) do
      sum = sum + r
    end
    local inline = lfut.InlineExecutor()
    return sum, exe:submit(math.max, 3, 4):result(), inline:submit(math.min, 3, 4):result()
  end), "338350\n4\n3")
end

function TestInside.test_objects_come_home()
  local Point = {}
  Point.__index = Point
  function Point.new(x) return setmetatable({ x = x }, Point) end
  local exe <close> = lfut.ThreadPoolExecutor(1)
  lu.assertIs(getmetatable(exe:submit(Point.new, 1):result()), Point)
  lu.assertEquals(inside(function()
    local exe = lfut.ThreadPoolExecutor(1)
    local Own = {}
    Own.__index = Own
    local f = exe:submit(function(p, o) return setmetatable({}, Own), Point.new(p.x + 1) end, Point.new(2),
      setmetatable({}, Own))
    local o, p = f:result()
    return getmetatable(o) == Own, getmetatable(p) == Point, p.x
  end), "true\ntrue\n3")
end

function TestInside.test_what_is_pending_is_finished()
  local out, err = support.program [[
    local lfut = require "lfut"
    lfut.Process{ target = function()
      local exe = lfut.ThreadPoolExecutor(1)
      exe:submit(print, "task"):add_done_callback(function(f) print("done", f:state()) end)
      lfut.Process{ target = function() print "grandchild" end }:start()
      lfut.Thread{ target = print, args = { "thread" } }:start()
    end }:start():join()
    print "end"
  ]]
  lu.assertEquals(err, "")
  local lines = {}
  for line in out:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  lu.assertEquals(table.remove(lines), "end")
  table.sort(lines)
  lu.assertEquals(lines, { "done\tfinished", "grandchild", "task", "thread" })
end

function TestInside.test_processes()
  lu.assertEquals(inside(function()
    local codes = {}
    for i = 1, 3 do
      local p = Process{ target = function()
        local q = Process{ target = exit, args = { i } }:start()
        q:join()
        exit(q.exitcode * 2)
      end }:start()
      p:join()
      codes[i] = p.exitcode
    end
    return table.concat(codes, " ")
  end), "2 4 6")
end

function TestInside.test_random_numbers_differ()
  local function draw() return math.random(0) end
  math.randomseed(1)
  local a, b = inside(draw), inside(draw)
  lu.assertNotEquals(a, b)
end

function TestInside.test_coroutines()
  local function generate()
    local list = {}
    for x in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do
      list[#list + 1] = x
    end
    list[#list + 1] = tostring(coroutine.isyieldable())
    list[#list + 1] = tostring(pcall(coroutine.yield))
    list[#list + 1] = tostring(coroutine.resume(coroutine.create(error)))
    return table.concat(list, " ")
  end
  local expected = "1 2 3 false false false"
  lu.assertEquals(inside(generate), expected)
  lu.assertEquals(coroutine.wrap(function() return inside(generate) end)(), expected)
  -- In a copy of a worker's interpreter:
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local function task(generate)
    local pipe = os.tmpname()
    Process{ target = function() local f <close> = io.open(pipe, "w") f:write(generate()) end }:start():join()
    local f <close> = io.open(pipe)
    os.remove(pipe)
    return f:read "a"
  end
  lu.assertEquals(exe:submit(task, generate):result(), expected)
  lu.assertEquals(exe:submit(function() return coroutine.wrap(function() return task(generate) end)() end):result(),
    expected)
end

function TestInside.test_exit_while_a_worker_blocks()
  local g <close> = gate.new()
  local p = Process{ target = function()
    lfut.ThreadPoolExecutor(1):submit(gate.hold, g)
    while not io.open(g.bell .. ".here") do end
    exit(3)
  end }:start()
  gate.arrived(g)
  io.open(g.bell .. ".here", "w"):close()
  p:join()
  lu.assertEquals(p.exitcode, 3)
end

TestInherited = {}

local FOREIGN = "executor belongs to another process"

function TestInherited.test_executors()
  local g <close> = gate.new()
  local exe = lfut.ThreadPoolExecutor(1)
  local inline = lfut.InlineExecutor()
  inline:submit(support.echo, 1)
  exe:submit(gate.hold, g)
  gate.arrived(g)
  lu.assertEquals(inside(function()
    local seen = {}
    for _, e in ipairs { exe, inline } do
      for _, call in ipairs {
        function() e:submit(print) end,
        function() e:map(print, { 1 }) end,
        function() e:starmap(print, { { 1 } }) end,
        function() e:for_each(print, { 1 }) end,
        function() e:reduce(print, { 1 }, print) end,
        function() e:broadcast(print) end,
        function() e:shutdown() end,
        function() e:shutdown(false) end,
        function() e:stats() end,
        function() local x <close> = e end,
        function() lfut.with(e, print) end,
      } do
        local _, message = pcall(call)
        seen[message:gsub("^.-:%d+: ", "")] = true
      end
    end
    local list = {}
    for message in pairs(seen) do
      list[#list + 1] = message
    end
    return #list, list[1], exe.max_workers, tostring(inline)
  end), "1\n" .. FOREIGN .. "\n1\nInlineExecutor(lfut, max_workers=1)")
  lu.assertEquals(inside(function()
    collect_inherited(function() exe, inline = nil, nil end)
    return "fine"
  end), "fine")
  gate.open(g)
  support.works(exe)
  exe:shutdown()
end

function TestInherited.test_futures()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close> = gate.new() -- opened first
  local done = exe:submit(support.echo, 1, ("x"):rep(1e5), { 2 })
  local failed = exe:submit(error, "boom", 0)
  failed:exception()
  local running = exe:submit(gate.hold, g)
  local pending = exe:submit(support.echo, ("y"):rep(1e5))
  gate.arrived(g)
  local waits = lfut.as_completed { running, pending }
  local here = lfut.getpid()
  pending:add_done_callback(function() assert(lfut.getpid() == here) end)
  lu.assertEquals(inside(function()
    local a, b, c = done:result()
    return a, #b, c[1], done:state(), failed:exception(), running:state(), running:running(), pending:done()
  end), "1\n100000\n2\nfinished\nboom\nrunning\ntrue\nfalse")
  lu.assertEquals(inside(function()
    local seen, n = {}, 0
    for _, f in ipairs { running, pending } do
      for _, call in ipairs {
        function() f:result() end,
        function() f:result(0.01) end,
        function() f:exception() end,
        function() f:cancel() end,
        function() lfut.wait { done, f } end,
        function() lfut.wait({ f }, 0) end,
        function() lfut.as_completed { f } end,
        function() f:add_done_callback(print) end,
      } do
        local ok, message = pcall(call)
        assert(not ok)
        n = n + 1
        seen[message:gsub("^.-:%d+: ", "")] = true
      end
    end
    local ok, message = pcall(waits)
    assert(not pcall(waits.add, waits, done))
    local which = next(seen)
    return n, which, next(seen, which), message:gsub("^.-:%d+: ", "")
  end), "16\nfuture belongs to another process\nnil\niterator belongs to another process\n0")
  lu.assertEquals(inside(function()
    local called
    done:add_done_callback(function(f) called = f:state() end)
    local list = lfut.wait { done, failed }
    local n = 0
    for f in lfut.as_completed { done, failed } do
      n = n + 1
    end
    collect_inherited(function() done, failed, running, pending, waits = nil, nil, nil, nil, nil end)
    return called, #list, n
  end), "finished\n2\n2")
  gate.open(g)
  lu.assertEquals(#pending:result(), 1e5)
end

function TestInherited.test_loops()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close> = gate.new() -- opened first
  local it = exe:map(gate.hold, { g, g })
  local source = exe:map(support.echo, lfut.range(1e6), { buffersize = 2 })
  gate.arrived(g)
  lu.assertEquals(inside(function()
    local _, a = pcall(it)
    local _, b = pcall(it.list, it)
    local _, c = pcall(source)
    it:close()
    source:close()
    local d = it == nil
    collect_inherited(function() it, source = nil, nil end)
    return a:match "iterator.*", b:match "iterator.*", c:match "iterator.*", d
  end), ("iterator belongs to another process\n"):rep(3) .. "false")
  gate.open(g)
  lu.assertEquals(it:list().n, 2)
  source:close()
end

function TestInherited.test_processes_and_threads()
  local g1 <close>, p = held()
  local g2 <close> = gate.new()
  local t = lfut.Thread{ target = gate.hold, args = { g2, 1 } }:start()
  gate.arrived(g2)
  local ended = run(exit, 3)
  local function attempts()
    local list = {}
    for _, verb in ipairs { "join", "is_alive", "terminate", "kill", "close" } do
      local _, message = pcall(function() p[verb](p) end)
      list[#list + 1] = message:match ": (.*)"
    end
    for _, verb in ipairs { "join", "result" } do
      local _, message = pcall(function() t[verb](t) end)
      list[#list + 1] = message:match ": (.*)"
    end
    list[#list + 1] = ended.exitcode
    list[#list + 1] = tostring(p.pid == lfut.getpid())
    collect_inherited(function() p, t = nil, nil end)
    return table.concat(list, "\n")
  end
  lu.assertEquals(inside(attempts), [[
can only join a child process
can only test a child process
can only terminate a child process
can only kill a child process
can only close a child process
thread belongs to another process
thread belongs to another process
3
false]])
  lu.assertTrue(p:is_alive())
  gate.open(g1)
  gate.open(g2)
  lu.assertEquals(t:result(), 1)
  p:join()
end

-- A child that lives on keeps no command from seeing the end of what it reads.
function TestInherited.test_pipes_of_commands()
  local threads <close> = lfut.ThreadPoolExecutor(1)
  local file = io.popen("cat > /dev/null", "w")
  local output = io.popen("cat /dev/zero 2> /dev/null", "r") -- until nobody reads
  local command = lfut.Popen { "cat" }
  local started = gate.filename()
  assert(os.execute("mkfifo " .. started))
  local fed = threads:submit(lfut.run, { "sh", "-c", "read x < " .. started .. "; wc -c", stdin = ("x"):rep(1 << 20) })
  local start = io.open(started, "w") -- it runs
  local g <close>, p = held()
  start:write "now\n"
  start:close()
  file:write "text"
  lu.assertTrue(file:close())
  output:close()
  lu.assertEquals(command:write("text"):close_stdin(), nil)
  lu.assertEquals(command:read "a", "text")
  lu.assertEquals(command:wait(), { code = 0 })
  lu.assertEquals(fed:result().stdout:match "%d+", "1048576")
  gate.open(g)
  p:join()
end

function TestInherited.test_commands()
  local file = io.popen("cat > /dev/null", "w")
  file:setvbuf "no"
  local command = lfut.Popen { "cat" }
  local function attempts()
    local list = { select(2, file:write "x"), (select(2, file:close())) }
    for _, verb in ipairs { "read", "write", "close_stdin", "poll", "wait", "kill" } do
      local _, message = pcall(function() command[verb](command) end)
      list[#list + 1] = message:match ":%d+: (.*)"
    end
    do
      local ended <close> = command
    end
    collect_inherited(function() file, command = nil, nil end)
    return table.concat(list, "\n")
  end
  lu.assertEquals(inside(attempts), [[
Bad file descriptor
No child processes
'read': the command belongs to another process
'write': the command belongs to another process
'close_stdin': the command belongs to another process
'poll': the command belongs to another process
'wait': the command belongs to another process
'kill': the command belongs to another process]])
  lu.assertTrue(file:close())
  command:write "text"
  command:close_stdin()
  lu.assertEquals(command:read "a", "text")
end

function TestInherited.test_itself()
  local name, p = gate.filename()
  p = Process{ target = function()
    local list = { tostring(p:is_alive()), tostring(p.pid == lfut.getpid()), tostring(p.exitcode) }
    for _, verb in ipairs { "join", "terminate", "close" } do
      local _, message = pcall(function() p[verb](p) end)
      list[#list + 1] = message:match ": (.*)"
    end
    list[#list + 1] = select(2, pcall(function() p:start() end)):match ": (.*)"
    local f <close> = io.open(name, "w")
    f:write(table.concat(list, "\n"))
  end }
  p:start()
  p:join()
  local f <close> = io.open(name)
  lu.assertEquals(f:read "a", [[
true
true
nil
a process cannot join itself
a process cannot terminate itself
a process cannot close itself
cannot start a process twice]])
end

-- One that was not started is nobody's yet.
function TestInherited.test_not_started()
  local q = Process{ target = exit, args = { 4 } }
  lu.assertEquals(inside(function() q:start() q:join() return q.exitcode end), "4")
  lu.assertNil(q.pid)
  q:start()
  q:join()
  lu.assertEquals(q.exitcode, 4)
end

TestBeside = {}

-- Forked while threads allocate, print, submit, wait. (The sanitizers' malloc
-- may be in the middle of something in the copy; the C library's may not.)
function TestBeside.test_busy_pools()
  lu.skipIf((os.getenv "LFUT_SANITIZER" or "no") ~= "no", "a sanitizer's malloc does not survive fork")
  local out, err, status = support.program(([[
    local lfut = require "lfut"
    local n = %d
    local stop = io.open(arg[0] .. ".stop", "w")
    local exe = lfut.ThreadPoolExecutor(3)
    local function busy(name)
      local x
      for i = 1, math.huge do
        x = { ("x"):rep(i %% 3000), {}, tostring(i) }
        if i %% 100 == 0 then
          print "busy"
          require "lfut".ThreadPoolExecutor(1):submit(string.rep, "x", 20000):result()
          local f = io.open(name)
          if not f then return end
          f:close()
        end
      end
    end
    local futures = {}
    for i = 1, 4 do futures[i] = exe:submit(busy, arg[0] .. ".stop") end
    local sum = 0
    for i = 1, n do
      local p = lfut.Process{ target = function()
        local exe <close> = lfut.ThreadPoolExecutor(2)
        local f = exe:submit(function(s) return #s end, ("y"):rep(50000))
        print "child"
        os.exit(f:result() == 50000 and 7 or 8)
      end }:start()
      p:join()
      sum = sum + p.exitcode
    end
    os.remove(arg[0] .. ".stop")
    for _, f in ipairs(futures) do f:result() end
    assert(sum == 7 * n, sum)
  ]]):format(support.size(40)))
  lu.assertEquals(err, "")
  lu.assertEquals(status, 0)
  local _, n = out:gsub("child\n", "")
  lu.assertEquals(n, support.size(40))
  lu.assertEquals((out:gsub("child\n", ""):gsub("busy\n", "")), "")
end

function TestBeside.test_in_a_task()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  lu.assertEquals({ exe:submit(function(n)
    local p = Process{ target = function()
      local exe <close> = lfut.ThreadPoolExecutor(1)
      os.exit(exe:submit(math.max, n, 1):result())
    end }:start()
    return p:join(), p.exitcode, lfut.worker().kind
  end, 5):result() }, { true, 5, "thread" })
  local inline = lfut.InlineExecutor()
  lu.assertEquals(inline:submit(function()
    local p = Process{ target = os.exit, args = { 6 } }:start()
    p:join()
    return p.exitcode
  end):result(), 6)
end

function TestBeside.test_error_in_a_task_s_process()
  local _, err = support.program [[
    local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(1)
    exe:submit(function()
      lfut.Process{ target = function() error "boom" end }:start():join()
    end):result()
  ]]
  lu.assertStrContains(err, "lfut: script.lua:4: boom\nstack traceback:")
end

-- A join in a task parks it: the pool's one worker runs what lets it end.
function TestBeside.test_join_parks()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close> = gate.new()
  local f = exe:submit(function(g)
    local p = Process{ target = gate.hold, args = { g } }:start()
    local polled = p:join(0)
    return polled, p:join(), p.exitcode
  end, g)
  gate.arrived(g)
  lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
  lu.assertFalse(f:done())
  exe:submit(gate.open, g):result()
  lu.assertEquals({ f:result() }, { false, true, 0 })
  local h <close> = gate.new()
  local timed = exe:submit(function(h)
    local p = Process{ target = gate.hold, args = { h } }:start()
    local r = p:join(0.01)
    p:kill()
    return r, p:join(), p.exitcode
  end, h)
  lu.assertEquals({ timed:result() }, { false, true, -9 })
end

-- Where Lua cannot yield, it blocks.
function TestBeside.test_join_blocks()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  lu.assertEquals(exe:submit(function()
    local code
    table.sort({ 1, 2 }, function(a, b)
      local p = Process{ target = os.exit, args = { 3 } }:start()
      p:join()
      code = p.exitcode
      return a < b
    end)
    return code
  end):result(), 3)
end

function TestBeside.test_callbacks_run_in_join()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local g <close>, p = held() -- opened first
  local called = 0
  exe:submit(support.echo):add_done_callback(function()
    called = called + 1
    gate.open(g)
  end)
  p:join()
  lu.assertEquals(called, 1)
end

TestExit = {}

function TestExit.test_the_program_waits()
  local out, err, status = support.program [[
    require "lfut".Process{ target = function()
      local t = {}
      for i = 1, 1e5 do t[i] = {} end
      print "child"
    end }:start()
    print "parent"
  ]]
  lu.assertEquals(err, "")
  lu.assertEquals(status, 0)
  lu.assertItemsEquals({ out:match "(%a+)\n(%a+)\n" }, { "parent", "child" })
end

function TestExit.test_a_daemon_is_terminated()
  local out, err, status = support.program [[
    local lfut = require "lfut"
    for i = 1, 3 do
      lfut.Process{ target = lfut.sleep, args = { 1e6 }, daemon = true }:start()
    end
    print "parent"
  ]]
  lu.assertEquals({ out, err, status }, { "parent\n", "", 0 })
end

-- It has until those are over whom the program waits for.
function TestExit.test_a_daemon_serves_to_the_end()
  local g, name = gate.new(), gate.filename()
  local out = support.program(([[
    package.path = %q
    local lfut, gate = require "lfut", require "gate"
    local g = { way = %q, bell = %q }
    lfut.Process{ target = function() gate.hold(g) print "daemon" io.open(%q, "w"):close() lfut.sleep(1e6) end,
      daemon = true }:start()
    lfut.Process{ target = function() gate.open(g) while not io.open(%q) do end print "child" end }:start()
  ]]):format(package.path, g.way, g.bell, name, name))
  lu.assertEquals(out, "daemon\nchild\n")
end

function TestExit.test_after_an_error_children_die()
  local g <close> = gate.new()
  local out, err, status = support.program(([[
    package.path = %q
    local lfut, gate = require "lfut", require "gate"
    local g = { way = %q, bell = %q }
    local p = lfut.Process{ target = gate.hold, args = { g } }:start()
    while not p.pid do end
    print(p.pid)
    error "boom"
  ]]):format(package.path, g.way, g.bell))
  lu.assertEquals(status, 1)
  lu.assertStrContains(err, "boom")
  local pid = tonumber(out)
  while true do
    local f = io.open("/proc/" .. pid .. "/stat")
    local state = f and f:read "a":match "%) (%a)"
    if f then f:close() end
    if not state or state == "Z" then break end
  end
end

TestMisuse = {}

function TestMisuse.test_options()
  local fails = support.fails
  fails("bad argument #1 to 'Process' (table expected, got no value)", function() Process() end)
  fails("bad argument #1 to 'Process' (table expected, got function)", function() Process(print) end)
  fails("bad option 'target' (function expected, got nil)", function() Process{} end)
  fails("bad option 'target' (function expected, got number)", function() Process{ target = 1 } end)
  fails("bad option 'target' (function expected, got table)", function() Process{ target = {} } end)
  fails("bad option 'args' (table expected, got number)", function() Process{ target = print, args = 1 } end)
  fails("bad option 'name' (string expected, got number)", function() Process{ target = print, name = 1 } end)
  fails("bad option 'daemon' (boolean expected, got number)", function() Process{ target = print, daemon = 1 } end)
  fails("unknown option 'arg' (options: target, args, name, daemon)", function() Process{ target = print, arg = {} } end)
  fails("unknown option '1' (options: target, args, name, daemon)", function() Process{ print } end)
end

function TestMisuse.test_order()
  local p = Process{ target = function() end }
  support.fails("can only join a started process", function() p:join() end)
  support.fails("can only terminate a started process", function() p:terminate() end)
  support.fails("can only kill a started process", function() p:kill() end)
  p:start()
  support.fails("cannot start a process twice", function() p:start() end)
  p:join()
  support.fails("cannot start a process twice", function() p:start() end)
  support.fails("bad argument #1 to 'join' (number expected, got string)", function() p:join "x" end)
  support.fails("bad argument #1 to 'join' (not a number of seconds)", function() p:join(0 / 0) end)
  lu.assertErrorMsgContains("lfut.Process expected", p.join, 1)
end

function TestMisuse.test_close()
  local g <close>, p = held()
  support.fails("cannot close a process while it is running", function() p:close() end)
  gate.open(g)
  p:join()
  p:close()
  p:close()
  lu.assertEquals(tostring(p), ("Process(%s, closed)"):format(p.name))
  for _, call in ipairs {
    function() p:start() end, function() p:join() end, function() p:is_alive() end, function() p:terminate() end,
    function() p:kill() end, function() return p.pid end, function() return p.exitcode end,
  } do
    support.fails("process is closed", call)
  end
  local q = Process{ target = print }
  q:close()
  support.fails("process is closed", function() q:start() end)
end

function TestMisuse.test_it_does_not_travel()
  local p = Process{ target = print }
  local exe <close> = lfut.ThreadPoolExecutor(1)
  support.fails_as("TransferError", "cannot send argument 1 (userdata lfut.Process) to a worker",
    function() exe:submit(print, p) end)
  support.fails_as("TransferError", "cannot send result 1 (userdata lfut.Process) back",
    function() exe:submit(function() return Process{ target = print } end):result() end)
end

function TestMisuse.test_too_many_arguments()
  local p = Process{ target = print, args = { n = 2000000 } }
  lu.assertErrorMsgContains("too many values", p.start, p)
  lu.assertNil(p.pid)
end

local rc = support.run(TestLife, TestEnd, TestOutput, TestInside, TestInherited, TestBeside, TestExit, TestMisuse)
if rc ~= 0 then
  os.exit(rc)
end
