-- SPDX-License-Identifier: MIT
--
-- Tasks that are stopped while they run: by f:cancel(true), by a time limit;
-- whatever their code is in the middle of, everything is closed, once, and their
-- neighbours are not harmed.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
support.stops()
local ways = require "ways"()

local LONG = 1e6 -- seconds: for ever

-- The thread sanitizer holds signals back from code that computes.
local holds_signals = os.getenv "LFUT_SANITIZER" == "thread"

-- With these, f is called again when its error is caught.
function ways.xpcall(f)
  while true do
    xpcall(f, function(e) return e end)
  end
end
function ways.switching(f)
  local inner = coroutine.wrap(function()
    while true do
      coroutine.yield()
    end
  end)
  pcall(f, inner)
  while true do
    inner()
  end
end
function ways.gsub(f)
  while true do
    pcall(string.gsub, "x", "x", function() f() end)
  end
end
function ways.index(f)
  local t = setmetatable({}, { __index = function() f() end })
  while true do
    pcall(function() return t.x end)
  end
end

-- Far down, where it takes long to look through the stack.
local function deeper(n, f)
  if n > 0 then
    deeper(n - 1, f)
  else
    f()
  end
  return n
end
-- It takes part of a limited time, and LuaJIT's stack has an end.
local depth = support.is_wrapped and 500 or package.loaded.jit and 5000 or 50000
function ways.deep(f) deeper(depth, f) end

-- A hook of the task's own, for which Lua counts instructions, too.
function ways.hooked(f)
  debug.sethook(function() end, "l")
  f()
end

-- What the task is at when it is stopped.
local works = {
  computes = function()
    while true do
    end
  end,
  calls = function()
    while true do
      tostring(1)
    end
  end,
  sleeps = function() lfut.sleep(LONG) end,
  waits_for_an_event = function(event) event:wait() end,
  waits_for_a_lock = function(_, lock) lock:acquire() end,
  gets_from_a_queue = function(_, _, empty) empty:get() end,
  reads_a_command = function()
    local pipe <close> = io.popen "exec tail -f /dev/null"
    pipe:read()
  end,
}

-- A task: tells when it begins, and when its variable is closed.
local function body(way, work, log, event, lock, empty)
  local _ <close> = setmetatable({}, {
    __close = function(_, e) log:put("closed " .. tostring(lfut.is_error(e) and e.kind or e)) end,
  })
  local told
  way(function()
    if not told then
      told = true
      log:put "begun"
    end
    work(event, lock, empty)
  end)
end

TestStop = {}

function TestStop:setUp()
  self.exe = support.Executor(2)
  self.log = lfut.Queue()
  self.event = lfut.Event()
  self.lock = lfut.Lock()
  self.empty = lfut.Queue()
  self.lock:acquire()
end

function TestStop:tearDown()
  self.exe:shutdown()
  lu.assertEquals(self.log:qsize(), 0)
end

function TestStop:submit(exe, way, work)
  return exe:submit(body, ways[way], works[work], self.log, self.event, self.lock, self.empty)
end

-- The task's variable has been closed with that error.
function TestStop:is_closed(kind)
  if support.closes then
    lu.assertEquals(self.log:get(), "closed " .. kind)
  end
end

-- The workers are as they were.
function TestStop:is_usable()
  local both = { self.exe:submit(function() return 1 end), self.exe:submit(function() return 2 end) }
  lu.assertEquals(both[1]:result() + both[2]:result(), 3)
end

local function cancelled(self, way, work)
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local f = self:submit(self.exe, way, work)
  lu.assertEquals(self.log:get(), "begun")
  lu.assertFalse(f:cancel())
  lu.assertTrue(f:cancel(true))
  lu.assertTrue(f:cancel(true)) -- it has been asked to
  lu.assertErrorMsgContains("CancelledError", f.result, f)
  lu.assertEquals(f:state(), "cancelled")
  lu.assertTrue(f:cancelled())
  self:is_closed "CancelledError"
  self:is_usable()
end

local function timed_out(self, way, work)
  lu.skipIf(holds_signals, "TSan holds signals back")
  local f = self:submit(self.exe:options { timeout = 0.05, name = "brief" }, way, work)
  lu.assertEquals(self.log:get(), "begun")
  local ok, e = pcall(f.result, f)
  lu.assertFalse(ok)
  lu.assertTrue(lfut.is_error(e, "TaskTimeout"), tostring(e))
  lu.assertStrContains(e.message, "brief has taken longer than 0.05 s")
  lu.assertEquals(f:state(), "failed")
  self:is_closed "TaskTimeout"
  self:is_usable()
end

for way in pairs(ways) do
  TestStop["test_cancelled_in_" .. way] = function(self) cancelled(self, way, "computes") end
  TestStop["test_timed_out_in_" .. way] = function(self) timed_out(self, way, "calls") end
end
for work in pairs(works) do
  TestStop["test_cancelled_as_it_" .. work] = function(self) cancelled(self, "call", work) end
  TestStop["test_cancelled_as_it_" .. work .. "_under_pcall"] = function(self)
    cancelled(self, "loop_of_pcall", work)
  end
  TestStop["test_timed_out_as_it_" .. work] = function(self) timed_out(self, "call", work) end
end

-- Others that are parked in the same interpreters, in the middle of a wait.
function TestStop:test_neighbours_go_on()
  lu.skipIf(support.is_inline, "inline: one at a time")
  lu.skipIf(support.is_process, "processes: futures of other executors cannot cross")
  local other <close> = lfut.ThreadPoolExecutor(1)
  local awaited = other:submit(self.event.wait, self.event)
  local function wait(log, awaited, i)
    log:put "parked"
    awaited:result()
    return i
  end
  local neighbours = {}
  for i = 1, 4 do
    neighbours[i] = self.exe:submit(wait, self.log, awaited, i)
    self.log:get()
  end
  for i = 1, 20 do
    local f = self.exe:submit(wait, self.log, awaited, i)
    self.log:get()
    f:cancel(true)
    lu.assertErrorMsgContains("CancelledError", f.result, f)
  end
  self.event:set()
  for i = 1, 4 do
    lu.assertEquals(neighbours[i]:result(), i)
  end
end

-- A handler runs to its end, with calls and waits of its own.
function TestStop:test_handlers_are_not_disturbed()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local f = self.exe:options { timeout = 0.05 }:submit(function(log)
    local _ <close> = setmetatable({}, {
      __close = function()
        for i = 1, 3 do
          pcall(error, i)
          lfut.sleep(0)
        end
        log:put(lfut.cancelled())
        log:put(select("#", pcall(error)))
      end,
    })
    while true do
    end
  end, self.log)
  lu.assertErrorMsgContains("TaskTimeout", f.result, f)
  lu.assertEquals(self.log:get(), true)
  lu.assertEquals(self.log:get(), 2)
end

function TestStop:test_guards_give_back_what_they_hold()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local lock = lfut.Lock()
  local f = self.exe:options { timeout = 0.05 }:submit(function(lock)
    lock:with(function()
      while true do
      end
    end)
  end, lock)
  lu.assertErrorMsgContains("TaskTimeout", f.result, f)
  lu.assertTrue(lock:acquire(0))
end

function TestStop:test_cancelled_says_so()
  lu.assertFalse(lfut.cancelled())
  lu.assertFalse(self.exe:submit(function() return lfut.cancelled() end):result())
end

function TestStop:test_from_a_task()
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local asked, e = self.exe
    :submit(function(exe, log, event)
      local f = exe:submit(function(log, event)
        log:put "begun"
        event:wait()
      end, log, event)
      log:get()
      local asked = f:cancel(true)
      event:set()
      return asked, tostring(f:done() and f:state() or select(2, pcall(f.result, f)))
    end, self.exe, self.log, self.event)
    :result()
  lu.assertTrue(asked)
  lu.assertStrContains(e, "ancelled")
end

-- One that ends by itself at that moment has one outcome.
function TestStop:test_at_the_very_end()
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local seen = { finished = 0, cancelled = 0 }
  for i = 1, 200 do
    local f = self.exe:submit(function(n)
      local sum = 0
      for k = 1, n do
        sum = sum + k
      end
      return sum
    end, i * 50)
    local asked = f:cancel(true)
    local ok, e = pcall(f.result, f)
    lu.assertEquals(not ok, asked)
    lu.assertEquals(f:state(), ok and "finished" or "cancelled")
    lu.assertTrue(ok or lfut.is_error(e, "CancelledError"))
    seen[f:state()] = seen[f:state()] + 1
  end
  lu.assertEquals(seen.finished + seen.cancelled, 200)
end

function TestStop:test_one_in_time_is_not_stopped()
  local exe = self.exe:options { timeout = LONG, queue_timeout = LONG }
  for i = 1, 100 do
    lu.assertEquals(exe:submit(function(x) return x end, i):result(), i)
  end
end

-- --- Options ---

TestOptions = {}

function TestOptions:test_not_begun_in_time()
  lu.skipIf(support.is_inline, "inline: there is no queue")
  local exe <close> = support.narrow(1)
  local log, event = lfut.Queue(), lfut.Event()
  local busy = exe:submit(function(log, event)
    log:put "begun"
    event:wait()
  end, log, event)
  log:get()
  local f = exe:options({ queue_timeout = 0.05, name = "late" }):submit(print)
  local ok, e = pcall(f.result, f)
  lu.assertFalse(ok)
  lu.assertTrue(lfut.is_error(e, "TaskTimeout"))
  lu.assertStrContains(e.message, "late has waited in the queue for 0.05 s")
  lu.assertEquals(f:state(), "failed")
  event:set()
  busy:result()
end

function TestOptions:test_views_add_up()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local exe <close> = support.Executor(1)
  local view = exe:options({ name = "inner", timeout = LONG }):options { timeout = 0.05 }
  local f = view:submit(function()
    while true do
    end
  end)
  lu.assertErrorMsgContains("inner has taken longer than 0.05 s", f.result, f)
  lu.assertEquals(exe:submit(function() return "no limit" end):result(), "no limit")
end

function TestOptions:test_defaults_of_the_executor()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local exe <close> = support.Executor { max_workers = 1, timeout = 0.05, grace = 2 }
  local f = exe:submit(function()
    while true do
    end
  end)
  lu.assertErrorMsgContains("TaskTimeout", f.result, f)
  lu.assertEquals(exe:options({ timeout = LONG }):submit(function() return 1 end):result(), 1)
end

function TestOptions:test_a_view_is_an_executor()
  local exe <close> = support.Executor(1)
  local view = exe:options {}
  lu.assertEquals(tostring(view), tostring(exe))
  lu.assertEquals(view.max_workers, 1)
  lu.assertEquals(view:broadcast(function() return "b" end)[1]:result(), "b")
  exe:shutdown()
  lu.assertErrorMsgContains("after shutdown", view.submit, view, print)
end

function TestOptions:test_values_that_cannot_be()
  local exe <close> = support.Executor(1)
  for _, name in ipairs { "timeout", "queue_timeout", "grace" } do
    for _, value in ipairs { -1, 0 / 0, math.huge, "x", {} } do
      lu.assertErrorMsgContains("bad option '" .. name .. "'", exe.options, exe, { [name] = value })
    end
  end
  lu.assertErrorMsgContains("bad option 'timeout'", exe.options, exe, { timeout = 0 })
  lu.assertErrorMsgContains("bad option 'name'", exe.options, exe, { name = 1 })
  lu.assertErrorMsgContains("unknown option 'timeut'", exe.options, exe, { timeut = 1 })
  lu.assertErrorMsgContains("table expected", exe.options, exe)
  lu.assertErrorMsgContains("bad option 'timeout'", support.Executor, { timeout = -1 })
end

os.exit(lu.LuaUnit.run())
