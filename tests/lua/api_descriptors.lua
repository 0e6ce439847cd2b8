-- SPDX-License-Identifier: MIT
--
-- lfut.wait_fd, lfut.Popen, lfut.blocking, lfut.fileno: in tasks of every kind
-- and in the script (API §12).
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

local FAR = 1000 -- seconds: nobody waits for that

local exe

local function set_up() exe = support.Executor(2) end

local function tear_down() exe:shutdown() end

-- fn(...) in the script, and in a task.
local function both(fn, ...)
  fn(...)
  exe:submit(fn, ...):result()
end

TestWaitFd = { setUp = set_up, tearDown = tear_down }

function TestWaitFd.test_ready_and_not()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    local out = assert(io.popen("cat >/dev/null", "w"))
    lu.assertEquals(lfut.wait_fd(out, "w"), "w")
    lu.assertEquals(lfut.wait_fd(out, "rw", FAR), "w")
    lu.assertEquals({ lfut.wait_fd(out, "r", 0) }, { nil, "timeout" })
    out:close()
    local pipe <close> = assert(io.popen "echo hi")
    lu.assertEquals(lfut.wait_fd(pipe, "r", 1000), "r")
    lu.assertEquals(pipe:read(), "hi")
  end)
end

function TestWaitFd.test_times_out()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    local p = lfut.Popen { "cat" }
    local pipe = io.popen("read x", "w")
    lu.assertEquals({ lfut.wait_fd(pipe, "r", 0.01) }, { nil, "timeout" })
    lu.assertEquals({ lfut.wait_fd(pipe, "r", -1) }, { nil, "timeout" })
    pipe:write "\n"
    pipe:close()
    p:close_stdin()
    p:wait()
  end)
end

function TestWaitFd.test_objects()
  local pipe <close> = assert(io.popen "echo")
  local found, socket = pcall(require, "socket")
  lu.skipIf(not found, "no LuaSocket")
  local server = assert(socket.bind("127.0.0.1", 0))
  lu.assertEquals({ lfut.wait_fd(server, "r", 0) }, { nil, "timeout" })
  lu.assertEquals({ lfut.wait_fd(server:getfd(), "r", 0) }, { nil, "timeout" })
  local queue = { pollfd = function() return server:getfd() end }
  lu.assertEquals({ lfut.wait_fd(queue, "r", 0) }, { nil, "timeout" })
  local host, port = server:getsockname()
  local client = assert(socket.connect(host, port))
  lu.assertEquals(lfut.wait_fd(server, "r"), "r")
  client:close()
  server:close()
  lu.assertEquals({ lfut.wait_fd(server, "r") }, { nil, "closed" })
  lu.assertEquals(lfut.wait_fd(pipe, "r"), "r")
end

function TestWaitFd.test_wrong_use()
  local file <close> = assert(io.open(arg[0]))
  local closed = assert(io.open(arg[0]))
  closed:close()
  support.fails_like("a file of this kind is always ready", "lfut.blocking", function() lfut.wait_fd(file, "r") end)
  lu.assertEquals({ lfut.wait_fd(closed, "r") }, { nil, "closed" })
  lu.assertEquals({ lfut.wait_fd(-1, "r") }, { nil, "closed" })
  lu.assertEquals({ lfut.wait_fd(99999, "r") }, { nil, "closed" })
  for _, what in ipairs { {}, "1", true, print, 1.5, 2 ^ 40 } do
    lu.assertErrorMsgContains("bad argument #1 to", lfut.wait_fd, what, "r")
  end
  lu.assertErrorMsgContains("bad argument #1 to", lfut.wait_fd, nil, "r")
  for _, way in ipairs { "x", "", "wr", {} } do
    lu.assertErrorMsgContains("bad argument #2 to", lfut.wait_fd, 0, way)
  end
  lu.assertErrorMsgContains("bad argument #3 to", lfut.wait_fd, 0, "r", "soon")
end

function TestWaitFd.test_done_callbacks_run_meanwhile()
  support.needs_workers()
  local p = lfut.Popen { "cat" }
  local ran = false
  exe:submit(support.echo, 1):add_done_callback(function()
    ran = true
    p:write "x"
  end)
  lu.assertEquals(p:read(1), "x")
  lu.assertTrue(ran)
  p:close_stdin()
  p:wait()
end

-- Cancelled, out of time: the wait is over, and the descriptor free for others.
function TestWaitFd.test_ends_with_its_task()
  support.needs_workers()
  lu.skipIf(os.getenv "LFUT_SANITIZER" == "thread", "TSan holds signals back")
  local function wait(name)
    local lfut = require "lfut"
    local f = io.open(name, "r+")
    local ok, e = pcall(lfut.wait_fd, f, "r")
    return ok, e
  end
  local name = require("gate").filename()
  assert(os.execute("mkfifo " .. name))
  local f = exe:submit(wait, name)
  while f:state() ~= "running" do
  end
  lu.assertTrue(f:cancel(true))
  support.fails_as("CancelledError", nil, f.result, f)
  local late = exe:options({ timeout = 0.02 }):submit(wait, name)
  lu.assertTrue(lfut.is_error(late:exception(), "TaskTimeout"))
  support.works(exe)
end

-- --- Commands ---

TestPopen = { setUp = set_up, tearDown = tear_down }

function TestPopen.test_reads_and_writes()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    local p = lfut.Popen { "cat" }
    lu.assertEquals(math.type(p.pid), "integer")
    lu.assertIs(p:write("one\ntwo\n", 3, "\n0x10 -2.5e1 x\n"), p)
    p:close_stdin()
    lu.assertEquals({ p:read() }, { "one" })
    lu.assertEquals({ p:read("L", "n", "n", "n") }, { "two\n", 3, 16, -25.0 })
    lu.assertNil(p:read "n")
    lu.assertEquals(p:read(0), "")
    lu.assertEquals(p:read(2), "x\n")
    lu.assertNil(p:read(0))
    lu.assertEquals({ p:read("a", "l") }, { "" })
    lu.assertNil(p:read(2.0))
    lu.assertNil(p:read())
    lu.assertEquals(p:wait(), { code = 0 })
    lu.assertEquals(p:poll(), { code = 0 })
    lu.assertEquals(p:wait(0), { code = 0 })
    lu.assertErrorMsgContains("'write'", p.write, p, "x")
  end)
end

function TestPopen.test_lines()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    local p = lfut.Popen { "sh", "-c", "echo a; echo; printf c; exit 3" }
    local lines = {}
    for line in p:lines() do
      lines[#lines + 1] = line
    end
    lu.assertEquals(lines, { "a", "", "c" })
    lu.assertEquals(p:wait(), { code = 3 })
    p = lfut.Popen { "printf", "abcde" }
    local pairs = {}
    for two in p:lines(2) do
      pairs[#pairs + 1] = two
    end
    lu.assertEquals(pairs, { "ab", "cd", "e" })
    p:wait()
  end)
end

-- More than a pipe holds, in both directions.
function TestPopen.test_much()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    local text = ("x"):rep(9999) .. "\n"
    local p = lfut.Popen { "sh", "-c", "cat > /dev/null; head -c 1000000 /dev/zero" }
    for _ = 1, 50 do
      p:write(text)
    end
    p:close_stdin()
    lu.assertEquals(#p:read "a", 1000000)
    lu.assertEquals(p:wait(), { code = 0 })
  end)
end

function TestPopen.test_ends()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    local p = lfut.Popen { "sleep", "1e6" }
    lu.assertNil(p:poll())
    local ok, e = pcall(p.wait, p, 0.01)
    lu.assertFalse(ok)
    lu.assertTrue(lfut.is_error(e, "TimeoutError"))
    p:terminate()
    lu.assertEquals(p:wait(), { signal = "SIGTERM" })
    p:terminate() -- harmless
    local q = lfut.Popen { "sleep", "1e6", stdout = "null" }
    q:kill()
    lu.assertEquals(q:wait(1000), { signal = "SIGKILL" })
    lu.assertErrorMsgContains("'read'", q.read, q)
  end)
end

function TestPopen.test_a_reader_that_has_gone()
  local p = lfut.Popen { "true" }
  p:wait()
  local ok, why = p:write "x"
  lu.assertNil(ok)
  lu.assertIsString(why)
end

function TestPopen.test_a_block()
  local pid
  do
    local p <close> = lfut.Popen { "cat" }
    pid = p.pid
  end
  lu.assertNil(support.children(lfut.getpid())[pid])
  local ok = pcall(function()
    local p <close> = lfut.Popen { "sleep", "1e6" }
    pid = p.pid
    error "no"
  end)
  lu.assertFalse(ok)
  lu.assertNil(support.children(lfut.getpid())[pid])
end

function TestPopen.test_streams()
  local name = require("gate").filename()
  local p = lfut.Popen { "sh", "-c", "cat; echo err >&2", stdin = "null", stderr = "stdout", env = { A = "1" } }
  lu.assertEquals(p:read "a", "err\n")
  p:wait()
  p = lfut.Popen { "sh", "-c", "pwd; echo $A", cwd = "/", env = { A = "x" }, stdout = name }
  lu.assertEquals(p:wait(), { code = 0 })
  local f <close> = assert(io.open(name))
  lu.assertEquals(f:read "a", "/\nx\n")
end

function TestPopen.test_wrong_use()
  lu.assertErrorMsgContains("table expected", lfut.Popen)
  if not support.is_wrapped then -- valgrind does not tell that exec has failed
    support.fails_like("cannot run 'no-such-command'", "", function() lfut.Popen { "no-such-command" } end)
  end
  lu.assertErrorMsgContains("unknown option 'timeout'", lfut.Popen, { "cat", timeout = 1 })
  lu.assertErrorMsgContains("'stderr'", lfut.Popen, { "cat", stderr = "pipe" })
  lu.assertErrorMsgContains("'stdin'", lfut.Popen, { "cat", stdin = 1 })
  lu.assertErrorMsgContains("name of a command", lfut.Popen, {})
  local p = lfut.Popen { "cat" }
  lu.assertErrorMsgContains("bad argument #1 to 'read'", p.read, p, "x")
  lu.assertErrorMsgContains("bad argument #2 to 'write'", p.write, p, "x", {})
  lu.assertErrorMsgContains("bad argument #2 to 'write'", p.write, p, "x", nil, "y")
  lu.assertErrorMsgContains("bad argument #1 to 'wait'", p.wait, p, "x")
  lu.assertErrorMsgContains("no command of this interpreter", p.read, setmetatable({}, { __index = p }))
  p:close_stdin()
  p:close_stdin()
  p:wait()
end

-- Nothing is left: no descriptor, no zombie.
function TestPopen.test_nothing_leaks()
  collectgarbage()
  local function count() return #support.descriptors(lfut.getpid()) end
  lfut.run { "true" }
  local before = count()
  for _ = 1, 20 do
    local p = lfut.Popen { "echo", "x" }
    lu.assertEquals(p:read(), "x")
    p:wait()
    p = lfut.Popen { "true" } -- dropped
    pcall(lfut.Popen, { "no-such-command" })
  end
  repeat
    collectgarbage()
    local zombies = 0
    for _, child in pairs(support.children(lfut.getpid())) do
      zombies = zombies + (child.name == "true" and 1 or 0)
    end
  until zombies == 0
  lu.assertTrue(count() <= before + 1) -- the epoll set, for a moment
end

-- --- Blocking ---

TestBlocking = { setUp = set_up, tearDown = tear_down }

function TestBlocking.test_calls_it_here()
  both(function()
    local lu, lfut = require "luaunit", require "lfut"
    lu.assertEquals({ lfut.blocking(function(...) return select("#", ...), ... end, 1, nil, "x") }, { 3, 1, nil, "x" })
    lu.assertEquals({ lfut.blocking(function() end) }, {})
    local e = { "value" }
    local ok, value = pcall(lfut.blocking, error, e)
    lu.assertFalse(ok)
    lu.assertIs(value, e)
    lu.assertErrorMsgContains("bad argument #1", lfut.blocking)
    lu.assertErrorMsgContains("bad argument #1", lfut.blocking, {})
  end)
end

-- Another worker takes its place.
function TestBlocking.test_others_go_on()
  support.needs_workers()
  support.needs_one_machine()
  local one <close> = support.Executor(1)
  local gate = require "gate"
  local g <close> = gate.new()
  local f = one:submit(function(g)
    local lfut, gate = require "lfut", require "gate"
    return lfut.blocking(function() return gate.hold(g, "held") end)
  end, g)
  gate.arrived(g)
  lu.assertEquals(one:submit(support.echo, 1):result(), 1)
  lu.assertFalse(f:done())
  gate.open(g)
  lu.assertEquals(f:result(), "held")
end

function TestBlocking.test_waits_inside()
  support.needs_workers()
  local f = exe:submit(function()
    local lfut = require "lfut"
    return lfut.blocking(function()
      lfut.sleep(0)
      local inner <close> = lfut.ThreadPoolExecutor(1)
      return lfut.blocking(function() return inner:submit(function() return "inner" end):result() end)
    end)
  end)
  lu.assertEquals(f:result(), "inner")
  support.works(exe)
end

-- --- For other loops ---

TestFileno = { setUp = set_up, tearDown = tear_down }

-- To ask for it runs nothing, as the caller is about to wait for it.
function TestFileno.test_runs_nothing()
  local found, socket = pcall(require, "socket")
  lu.skipIf(not found, "no LuaSocket")
  local ran = false
  local f = exe:submit(support.echo, 1)
  while not f:done() do
  end
  f:add_done_callback(function() ran = true end) -- at once
  lu.assertTrue(ran)
  ran = false
  exe:submit(support.echo, 1):add_done_callback(function() ran = true end)
  if not ran then
    local object = { getfd = function() return lfut.fileno() end }
    lu.assertIs(socket.select({ object }, nil, FAR)[1], object)
    lu.assertFalse(ran)
    lfut.poll()
  end
  lu.assertTrue(ran)
end

function TestFileno.test_can_be_read_when_there_is_something_to_do()
  local found, socket = pcall(require, "socket")
  lu.skipIf(not found, "no LuaSocket")
  local fd = lfut.fileno()
  lu.assertEquals(lfut.fileno(), fd)
  lfut.poll()
  local function ready(timeout) -- not by a call that runs what is due
    local object = { getfd = function() return fd end }
    return #(socket.select({ object }, nil, timeout)) == 1
  end
  lu.assertFalse(ready(0))
  local called = 0
  for _ = 1, 2 do
    exe:submit(support.echo, 1):add_done_callback(function() called = called + 1 end)
    while called == 0 or called == 1 and _ == 2 do
      lu.assertTrue(called > 0 and _ == 1 or ready(FAR))
      lfut.poll()
    end
  end
  lu.assertEquals(called, 2)
  while ready(0) do -- it may have been told after it had looked
    lfut.poll()
  end
end

local rc = support.run(TestWaitFd, TestPopen, TestBlocking, TestFileno)
if rc ~= 0 then
  os.exit(rc)
end
