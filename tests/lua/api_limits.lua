-- SPDX-License-Identifier: MIT
--
-- Limits of the items of parallel loops, retries, limits of memory: on each kind
-- of executor, from the script and from a task.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
support.stops()

local MB = 2 ^ 20

-- The thread sanitizer holds signals back from code that computes.
local holds_signals = os.getenv "LFUT_SANITIZER" == "thread"

local function forever()
  while true do
  end
end

-- Kills its own process.
local function die()
  local pid = io.open("/proc/self/stat"):read "n"
  os.execute("kill -9 " .. pid)
  while true do
  end
end

local Limits = {}
Limits.__index = Limits

function Limits:setUp()
  self.exe = support.Executor(2)
  self.count = lfut.Value("int64", 0)
  self.log = lfut.Queue()
end

function Limits:tearDown()
  lu.assertEquals(self.exe:submit(function() return "usable" end):result(), "usable")
  self.exe:shutdown()
end

local function fails_with(kind, f, ...)
  local ok, e = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertTrue(lfut.is_error(e, kind), tostring(e))
  return e
end

-- --- What is compiled ---

if package.loaded.jit then
  TestCompiled = {}

  -- In workers that compile what they like.
  function TestCompiled:setUp()
    self.exe = support.Executor { max_workers = 2, initializer = "" }
  end

  TestCompiled.tearDown = Limits.tearDown

  -- Where compiled code can be stopped, limits cost nothing.
  function TestCompiled:test_limits()
    local sees = support.compiled_sees_hooks()
    local function status()
      return (jit.status())
    end
    for _, limits in ipairs { { timeout = 100 }, { memory_limit = 16 * MB } } do
      lu.assertEquals(self.exe:options(limits):submit(status):result(), sees)
      lu.assertTrue(self.exe:submit(status):result())
    end
  end

  -- One that is compiled already, or before it is told to stop.
  function TestCompiled:test_time()
    local function loop(n)
      for _ = 1, n do
      end
    end
    lu.assertNil(self.exe:submit(loop, 1e6):result())
    fails_with("TaskTimeout", function()
      self.exe:options({ timeout = 0.05 }):submit(loop, math.huge):result()
    end)
  end

  -- The chunks of a loop are one loop for the compiler.
  function TestCompiled:test_chunks()
    local function traces()
      local info, n = require "jit.util".traceinfo, 0
      for i = 1, 1000 do
        n = n + (info(i) and 1 or 0)
      end
      return n
    end
    local function square(x)
      return x * x
    end
    local items, exe = lfut.range(20000), support.Executor { max_workers = 1, initializer = "" }
    for _, name in ipairs { "for_each", "map" } do
      local results = exe[name](exe, square, items, { chunksize = 100 })
      lu.assertEquals(name == "map" and results:list()[20000] or results, name == "map" and 20000 ^ 2 or 20000)
      lu.assertTrue(exe:submit(traces):result() < 100)
    end
    exe:shutdown()
  end

  function TestCompiled:test_memory()
    fails_with("MemoryLimit", function()
      self.exe:options({ memory_limit = 4 * MB }):submit(function()
        local all = {}
        for i = 1, math.huge do
          all[i] = { i }
        end
      end):result()
    end)
  end

  -- By other ways than limits only there.
  function TestCompiled:test_cancel()
    if not support.compiled_sees_hooks() then
      lu.skip "compiled code looks at no hook"
    end
    local begun = lfut.Queue()
    local f = self.exe:submit(function()
      begun:put(true)
      for _ = 1, math.huge do
      end
    end)
    begun:get()
    f:cancel(true)
    fails_with("CancelledError", f.result, f)
  end
end

-- --- Items of parallel loops ---

TestItems = setmetatable({}, Limits)

local function item(x)
  while x % 3 == 0 do
  end
  return x * x
end

-- One that is stopped fails alone.
function TestItems:test_map()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local view = self.exe:options { timeout = 0.05, name = "third" }
  for _, options in ipairs { {}, { chunksize = 4 }, { ordered = false } } do
    options.protected = true
    local seen = {}
    for i, ok, value in view:map(item, lfut.range(7), options) do
      lu.assertEquals(ok, i % 3 ~= 0)
      if ok then
        lu.assertEquals(value, i * i)
      else
        lu.assertTrue(lfut.is_error(value, "TaskTimeout"))
        lu.assertStrContains(value.message, "third has taken longer than 0.05 s")
        lu.assertEquals(value.item, i)
      end
      seen[#seen + 1] = i
    end
    table.sort(seen)
    lu.assertEquals(seen, { 1, 2, 3, 4, 5, 6, 7 })
  end
end

function TestItems:test_raised_as_any_error()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local view = self.exe:options { timeout = 0.05 }
  local seen = {}
  local e = fails_with("TaskTimeout", function()
    for _, value in view:map(item, { 1, 2, 3, 4 }) do
      seen[#seen + 1] = value
    end
  end)
  lu.assertEquals(seen, { 1, 4 })
  lu.assertEquals(e.item, 3)
  lu.assertStrContains(e.message, "function <")
  fails_with("TaskTimeout", view.for_each, view, item, { 1, 3 })
  fails_with("TaskTimeout", view.reduce, view, item, { 1, 3 }, function(a, b) return a + b end)
  fails_with("TaskTimeout", function()
    view:starmap(function(a, b) return item(a + b) end, { { 1, 2 } }):list()
  end)
end

function TestItems:test_in_time()
  local view = self.exe:options { timeout = 1e6, queue_timeout = 1e6, memory_limit = 1e9, retries = 1 }
  lu.assertEquals(view:map(function(x) return x + 1 end, lfut.range(100)):list()[100], 101)
  lu.assertEquals(view:for_each(function() end, lfut.range(50)), 50)
  lu.assertEquals(view:reduce(function(x) return x end, lfut.range(100), function(a, b) return a + b end), 5050)
  lu.assertEquals(view:starmap(math.max, { { 1, 2 }, { 3, 1 } }):list(), { 2, 3, n = 2 })
end

function TestItems:test_from_a_task()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local text = self.exe
    :submit(function(exe, item)
      local text = {}
      local view = exe:options { timeout = 0.05, name = "inner" }
      for i, ok, value in view:map(item, { 1, 3, 5 }, { protected = true }) do
        text[i] = tostring(value)
      end
      return table.concat(text, ", ")
    end, self.exe, item)
    :result()
  lu.assertEquals(text, "1, TaskTimeout: inner has taken longer than 0.05 s, 25")
end

-- A function of C that hangs: the item is given up with its worker.
function TestItems:test_given_up()
  lu.skipIf(support.is_inline, "inline: nobody can take its place")
  local view = self.exe:options { timeout = 0.05, grace = 0.05 }
  local hard = ("a"):rep(26)
  local result = {}
  for i, ok, value in
    view:map(function(x)
      return #(x == 2 and hard:gsub(("a*"):rep(8) .. "b", "") or "fine")
    end, { 1, 2, 3 }, { protected = true })
  do
    result[i] = ok or value.kind
  end
  lu.assertEquals(result, { true, "TaskTimeout", true })
end

-- There is no worker for the items in time.
function TestItems:test_not_begun_in_time()
  lu.skipIf(support.is_inline, "inline: there is no queue")
  local exe <close> = support.narrow(1)
  local event = lfut.Event()
  local busy = exe:submit(function(log, event)
    log:put "begun"
    event:wait()
  end, self.log, event)
  self.log:get()
  local view = exe:options { queue_timeout = 0.05, name = "late" }
  local it = view:map(function(x) return x end, { 1, 2 }, { protected = true })
  local _, ok, e = it()
  lu.assertFalse(ok)
  lu.assertStrContains(e.message, "late has waited in the queue for 0.05 s")
  event:set()
  busy:result()
  it:close()
end

-- --- it:close(true) ---

TestClosing = setmetatable({}, Limits)

function TestClosing:test_what_runs_is_cancelled()
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: nothing runs")
  local function closed(log)
    return setmetatable({}, { __close = function(_, e) log:put(e.kind) end })
  end
  local it = self.exe:starmap(function(log, closed)
    local _ <close> = closed(log)
    log:put "begun"
    while true do
    end
  end, { { self.log, closed }, { self.log, closed }, { self.log, closed } })
  for _ = 1, 2 do
    lu.assertEquals(self.log:get(), "begun")
  end
  it:close(true)
  lu.assertNil(it())
  for _ = 1, 2 do
    lu.assertEquals(self.log:get(), "CancelledError")
  end
end

function TestClosing:test_in_a_task()
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: nothing runs")
  local exe <close> = support.Executor(3)
  local done = exe
    :submit(function(exe, log)
      local it = exe:map(function(log)
        log:put "begun"
        while true do
        end
      end, { log, log })
      log:get()
      log:get()
      it:close(true)
      return exe:submit(function() return "free" end):result()
    end, exe, self.log)
    :result()
  lu.assertEquals(done, "free")
end

-- --- Retries ---

TestRetries = setmetatable({}, Limits)

local function late_until(count, n, ...)
  local now = count:add(1) + 1
  while now < n do
  end
  return now, ...
end

function TestRetries:test_after_a_timeout()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local view = self.exe:options { timeout = 0.05, retries = 3 }
  lu.assertEquals({ view:submit(late_until, self.count, 3, "given", { 1 }):result() }, { 3, "given", { 1 } })
  self.count:set(0)
  lu.assertEquals(view:map(function(c) return late_until(c, 3) end, { self.count }):list(), { 3, n = 1 })
end

function TestRetries:test_at_most_so_often()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local view = self.exe:options { timeout = 0.05, retries = 2 }
  local f = view:submit(late_until, self.count, 1e9)
  fails_with("TaskTimeout", f.result, f)
  lu.assertEquals(self.count:get(), 3)
end

function TestRetries:test_not_after_an_error()
  local view = self.exe:options { retries = 5 }
  local f = view:submit(function(count)
    count:add(1)
    error "no"
  end, self.count)
  lu.assertErrorMsgContains("no", f.result, f)
  lu.assertEquals(self.count:get(), 1)
end

function TestRetries:test_parked()
  lu.skipIf(support.is_inline, "inline: nothing is parked")
  local view = self.exe:options { timeout = 0.05, retries = 2 }
  local f = view:submit(function(count, never)
    if count:add(1) < 2 then
      never:wait()
    end
    return "at last"
  end, self.count, lfut.Event())
  lu.assertEquals(f:result(), "at last")
end

function TestRetries:test_cancelled_between()
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local view = self.exe:options { timeout = 0.01, retries = 1e9 }
  for _ = 1, 10 do
    local f = view:submit(late_until, self.count, 1e9)
    while self.count:get() < 3 do
      lfut.sleep(0)
    end
    while not f:cancel(true) do
    end
    fails_with("CancelledError", f.result, f)
    self.count:set(0)
  end
end

function TestRetries:test_of_the_executor()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local exe <close> = support.Executor { max_workers = 1, timeout = 0.05, retries = 2 }
  lu.assertEquals(exe:submit(late_until, self.count, 3):result(), 3)
  lu.assertEquals(#exe:broadcast(function() end), 1)
end

function TestRetries:test_from_a_task()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local n = self.exe
    :submit(function(exe, late_until, count)
      return exe:options({ timeout = 0.05, retries = 2 }):submit(late_until, count, 3):result()
    end, self.exe, late_until, self.count)
    :result()
  lu.assertEquals(n, 3)
end

function TestRetries:test_lost()
  lu.skipIf(not support.is_process, "threads: a crash ends the program")
  local function dies_until(count, n, die, ...)
    if count:add(1) + 1 < n then
      die()
    end
    return ...
  end
  local view = self.exe:options { retries = 2, name = "mortal" }
  lu.assertEquals({ view:submit(dies_until, self.count, 3, die, "given") :result() }, { "given" })
  self.count:set(0)
  local f = view:submit(dies_until, self.count, 9, die)
  local e = fails_with("WorkerLost", f.result, f)
  lu.assertStrContains(e.message, "while running mortal")
  lu.assertEquals(self.count:get(), 3)
  self.count:set(0)
  local count = self.count
  local list = view
    :map(function(i)
      if i == 2 and count:add(1) < 2 then
        die()
      end
      return i
    end, { 1, 2, 3 })
    :list()
  lu.assertEquals(list, { 1, 2, 3, n = 3 })
end

-- Its worker is killed, as it does not stop.
function TestRetries:test_killed()
  lu.skipIf(not support.is_process, "threads: it may still run")
  local view = self.exe:options { timeout = 0.05, grace = 0.05, retries = 1 }
  local hard = ("a"):rep(26)
  local f = view:submit(function(count)
    if count:add(1) == 0 then
      return hard:gsub(("a*"):rep(8) .. "b", "")
    end
    return "in time"
  end, self.count)
  lu.assertEquals(f:result(), "in time")
end

-- A function of C that takes about so long, whatever hook there is.
local slow_text, slow_pattern = ("a"):rep(80), (".-"):rep(4) .. "b"

-- It has its results before it is seen that it has been stopped.
function TestRetries:test_a_function_of_c_that_ends_too_late()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local view = self.exe:options { timeout = 0.02, grace = 60, retries = 1 }
  local f = view:submit(string.find, slow_text, slow_pattern)
  fails_with("TaskTimeout", f.result, f)
  local result = {}
  local function item(text, pattern) return string.find(text, pattern) end
  for i, ok, e in view:starmap(item, { { slow_text, slow_pattern }, { "b", "b" } }, { protected = true }) do
    result[i] = ok and e or e.kind
  end
  lu.assertEquals(result, { "TaskTimeout", 1 })
end

-- What is awaited where Lua cannot yield runs on top of who waits.
function TestRetries:test_on_top()
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local exe <close> = support.Executor(1)
  local text = exe
    :submit(function(exe, late_until, count)
      local f = exe:options({ timeout = 0.05, retries = 2 }):submit(late_until, count, 3)
      local g = exe:options({ memory_limit = 2 ^ 20 }):submit(function()
        local t = {}
        for i = 1, 1e9 do
          t[i] = { i }
        end
      end)
      pcall(f.result, f, 0.02)
      local got = {}
      for i = 1, 3 do
        exe:submit(function() end)
      end
      string.gsub("x", "x", function()
        got[1] = f:result()
        got[2] = g:exception().kind
      end)
      return got
    end, exe, late_until, self.count)
    :result()
  lu.assertEquals(text, { 3, "MemoryLimit" })
  for i = 1, 5 do
    lu.assertEquals(exe:submit(math.abs, -i):result(), i)
  end
end

-- Its interpreter is busy with another, so that it cannot be closed.
function TestRetries:test_parked_in_a_busy_interpreter()
  lu.skipIf(support.is_inline, "inline: nothing is parked")
  local exe <close> = support.Executor(1)
  local go = lfut.Event()
  local f = exe
    :options({ timeout = 0.05, grace = 0.05, retries = 1 })
    :submit(function(exe, log, go)
      local g = exe:submit(function(log, go)
        log:put "busy"
        while not go:is_set() do
        end
      end, log, go)
      g:result()
    end, exe, self.log, go)
  lu.assertEquals(self.log:get(), "busy")
  fails_with("TaskTimeout", f.result, f)
  go:set()
end

-- The loop is closed while an item waits to be run again, or runs.
function TestRetries:test_closed_loop()
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: nothing runs")
  local it = self.exe:options({ timeout = 0.01, retries = 1e9 }):map(function(count) late_until(count, 1e9) end, { self.count })
  while self.count:get() < 3 do
    lfut.sleep(0)
  end
  it:close(true)
  for _ = 1, 2 do
    self.exe:broadcast(function() end)[1]:result()
  end
end

-- Who wants nothing of what is queued wants no more runs.
function TestRetries:test_not_after_all_is_cancelled()
  lu.skipIf(holds_signals, "TSan holds signals back")
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local exe = support.Executor(1)
  local f = exe:options({ timeout = 0.02, retries = 1e6 }):submit(late_until, self.count, 1e9)
  while self.count:get() < 2 do
    lfut.sleep(0)
  end
  exe:shutdown { cancel_futures = true }
  fails_with("TaskTimeout", f.result, f)
end

function TestRetries:test_not_after_the_workers_are_killed()
  lu.skipIf(not support.is_process, "no processes")
  local exe = support.Executor(1)
  local f = exe:options({ retries = 1e6 }):submit(late_until, self.count, 1e9)
  while self.count:get() < 1 do
    lfut.sleep(0)
  end
  exe:kill_workers()
  fails_with("WorkerLost", f.result, f)
  lu.assertEquals(self.count:get(), 1)
end

function TestRetries:test_not_of_a_broadcast()
  local view = self.exe:options { retries = 1 }
  lu.assertErrorMsgContains("bad option 'retries'", view.broadcast, view, print)
end

-- --- Memory ---

TestMemory = setmetatable({}, Limits)

local function hoard()
  local t = {}
  for i = 1, 1e9 do
    t[i] = { i }
  end
end

function TestMemory:test_what_is_alive_counts()
  local view = self.exe:options { memory_limit = 4 * MB, name = "small" }
  local f = view:submit(hoard)
  local e = fails_with("MemoryLimit", f.result, f)
  lu.assertStrContains(e.message, "small has taken more than 4194304 bytes")
  lu.assertEquals(
    view
      :submit(function()
        local n = 0
        for i = 1, 2e5 do
          n = n + #{ i, i, i, i }
        end
        for _ = 1, 20 do
          n = n + #("x"):rep(1e6)
        end
        return n
      end)
      :result(),
    4 * 2e5 + 20 * 1e6
  )
end

-- Of what C functions of Lua take at once, no more than the limit is there.
function TestMemory:test_at_once()
  local view = self.exe:options { memory_limit = 4 * MB }
  for _, f in ipairs {
    function() return #("x"):rep(20 * 2 ^ 20) end,
    function()
      local s = "x"
      while true do
        s = s .. s
      end
    end,
    function()
      local pieces = {}
      for i = 1, 1e5 do
        pieces[i] = "0123456789"
      end
      local all = {}
      for i = 1, 1e3 do
        all[i] = table.concat(pieces, i)
      end
    end,
  } do
    local future = view:submit(f)
    fails_with("MemoryLimit", future.result, future)
  end
end

-- What it keeps of what it gets counts.
-- Texts that differ: LuaJIT has each once.
function TestMemory:test_what_comes_from_lfut()
  local view = self.exe:options { memory_limit = MB }
  local function text(i) return ("x"):rep(1e5) .. i end
  for _, get in ipairs {
    function()
      local queue = lfut.Queue()
      return function(i)
        queue:put(text(i))
        return queue:get()
      end
    end,
    function()
      local dict = lfut.Dict()
      return function(i)
        dict:set(1, text(i))
        return dict:get(1)
      end
    end,
    function()
      local exe = lfut.InlineExecutor()
      return function(i) return exe:submit(text, i):result() end
    end,
    function()
      local next = lfut.InlineExecutor():map(text, lfut.range(1e5))
      return function() return select(2, next()) end
    end,
  } do
    local future = view:submit(function(get)
      get = get()
      local kept = {}
      for i = 1, 1e5 do
        kept[i] = get(i)
      end
    end, get)
    fails_with("MemoryLimit", future.result, future)
  end
end

function TestMemory:test_cannot_be_caught()
  local view = self.exe:options { memory_limit = 4 * MB }
  for _, f in ipairs {
    function(hoard)
      while true do
        pcall(hoard)
      end
    end,
    function(hoard)
      while true do
        xpcall(hoard, function(e) return e end)
      end
    end,
    function(hoard) return pcall(hoard) end,
    function(hoard) return pcall(coroutine.wrap(hoard)) end,
    function(hoard) return pcall(table.sort, { 2, 1 }, function() hoard() end) end,
    function(hoard) return pcall(string.gsub, "x", "x", function() hoard() end) end,
    function() return pcall(string.rep, "x", 2 ^ 26) end,
    function(hoard)
      local t = setmetatable({}, { __index = function() hoard() end })
      return pcall(function() return t.x end)
    end,
  } do
    local future = view:submit(f, hoard)
    fails_with("MemoryLimit", future.result, future)
  end
end

function TestMemory:test_everything_is_closed()
  local view = self.exe:options { memory_limit = 4 * MB }
  local f = view:submit(function(log, hoard)
    local _ <close> = setmetatable({}, {
      __close = function()
        local t = {}
        for i = 1, 1000 do
          t[i] = { i }
        end
        log:put(#t)
      end,
    })
    coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() log:put "inner" end })
      hoard()
    end)()
  end, self.log, hoard)
  fails_with("MemoryLimit", f.result, f)
  lu.assertEquals({ self.log:get(), self.log:get() }, { "inner", 1000 })
end

-- What lfut copies is not refused, nor is what is no more than that.
function TestMemory:test_copies()
  local view = self.exe:options { memory_limit = MB }
  local long = ("x"):rep(5 * MB)
  lu.assertEquals(view:submit(function(s) return #s end, long):result(), 5 * MB)
  lu.assertEquals(view:submit(function(s) return s end, long):result(), long)
  local list = view
    :submit(function()
      local t = {}
      for i = 1, 4000 do
        t[i] = { i }
      end
      return t
    end)
    :result()
  lu.assertEquals(#list, 4000)
  lu.assertEquals(view:map(function(s) return #s end, { long, long }):list(), { 5 * MB, 5 * MB, n = 2 })
end

function TestMemory:test_of_items()
  local view = self.exe:options { memory_limit = 4 * MB }
  local result = {}
  for i, ok, value in
    view:map(function(f)
      if f then
        f()
      end
      return "fine"
    end, { false, hoard, false }, { protected = true })
  do
    result[i] = ok and value or value.kind
  end
  lu.assertEquals(result, { "fine", "MemoryLimit", "fine" })
end

-- The next one begins with nothing, whatever the one before has taken.
function TestMemory:test_after_one_that_has_taken_much()
  local exe <close> = support.Executor(1)
  exe:options({ memory_limit = 100 * MB }):submit(function() kept = ("x"):rep(50 * 2 ^ 20) end):result()
  local small = exe:options { memory_limit = 65536 }
  lu.assertEquals(small:submit(function() return 7 end):result(), 7)
  lu.assertEquals(small:map(function(i) return i end, { 1, 2, 3 }):list(), { 1, 2, 3, n = 3 })
end

-- A handler that does not end: that it was for memory is known.
function TestMemory:test_given_up()
  lu.skipIf(support.is_inline, "inline: nobody can take its place")
  lu.skipIf(holds_signals, "TSan holds signals back")
  local f = self.exe
    :options({ memory_limit = MB, grace = 0.05, retries = 2 })
    :submit(function(count, hoard)
      count:add(1)
      local _ <close> = setmetatable({}, { __close = function() string.find(("a"):rep(26), ("a*"):rep(8) .. "b") end })
      hoard()
    end, self.count, hoard)
  fails_with("MemoryLimit", f.result, f)
  lu.assertEquals(self.count:get(), 1)
end

-- What a limited task returns that is parked in the middle, while another one in
-- its interpreter collects the garbage and keeps much.
local function beside_a_neighbour(self, limit, task)
  lu.skipIf(support.is_inline, "inline: one at a time")
  lu.skipIf(support.is_process, "processes: futures of other executors cannot cross")
  local exe <close> = support.Executor(1)
  local other <close> = lfut.ThreadPoolExecutor(1)
  local event = lfut.Event()
  local go = other:submit(event.wait, event)
  local limited = exe:options({ memory_limit = limit }):submit(task, self.log, go)
  self.log:get()
  local neighbour = exe:submit(function()
    kept = {}
    for i = 1, 2e5 do
      kept[i] = { i }
    end
    collectgarbage()
    return #kept
  end)
  lu.assertEquals(neighbour:result(), 2e5)
  event:set()
  return limited:result()
end

function TestMemory:test_garbage_while_it_is_parked()
  local n = beside_a_neighbour(self, 2 * MB, function(log, go)
    local t = {}
    for i = 1, 20000 do
      t[i] = { i }
    end
    t = nil
    log:put "parked"
    go:result()
    t = {}
    for i = 1, 10000 do
      t[i] = { i }
    end
    return #t
  end)
  lu.assertEquals(n, 10000)
end

-- What comes from elsewhere in the middle of the task, again and again.
function TestMemory:test_copies_in_between()
  local view, queue = self.exe:options { memory_limit = MB }, lfut.Queue()
  for _ = 1, 5 do
    queue:put(("x"):rep(5e6))
  end
  local function take(queue)
    local n = 0
    for _ = 1, 5 do
      n = n + #queue:get()
    end
    return n
  end
  lu.assertEquals(view:submit(take, queue):result(), 25e6)
  local f = view:submit(function(s)
    pcall(function() return io.open("/dev/zero"):read(5e6) end)
    return #s
  end, ("x"):rep(5e6))
  fails_with("MemoryLimit", f.result, f)
end

-- Processes that a limited task makes have none of its limit.
function TestMemory:test_processes_of_a_task()
  lu.skipIf(support.is_process, "processes: the same, longer")
  support.needs_processes()
  lu.skipIf(holds_signals, "TSan does not go on after a fork of several threads")
  local n = self.exe
    :options({ memory_limit = 2 * MB })
    :submit(function()
      local exe <close> = lfut.ProcessPoolExecutor(1)
      local p = lfut.Process { target = function() return #("x"):rep(2 ^ 24) end }
      p:start()
      p:join()
      return p.exitcode, exe:submit(function() return #("x"):rep(2 ^ 24) end):result()
    end)
  lu.assertEquals({ n:result() }, { 0, 2 ^ 24 })
end

-- Others in the same interpreter have no limit, nor do they take from it.
function TestMemory:test_neighbours()
  local n = beside_a_neighbour(self, 4 * MB, function(log, go)
    local t = {}
    for i = 1, 1000 do
      t[i] = { i }
    end
    log:put "parked"
    go:result()
    for i = 1, 1000 do
      t[#t + 1] = { i }
    end
    return #t
  end)
  lu.assertEquals(n, 2000)
end

function TestMemory:test_values_that_cannot_be()
  for _, name in ipairs { "memory_limit", "retries" } do
    for _, value in ipairs { -1, 0.5, 0 / 0, math.huge, "1", {} } do
      lu.assertErrorMsgContains("bad option '" .. name .. "'", self.exe.options, self.exe, { [name] = value })
      lu.assertErrorMsgContains("bad option '" .. name .. "'", support.Executor, { [name] = value })
    end
  end
  lu.assertErrorMsgContains("bad option 'memory_limit'", self.exe.options, self.exe, { memory_limit = 1000 })
  lu.assertErrorMsgContains("bad option 'name'", self.exe.options, self.exe, { name = ("x"):rep(2000) })
end

-- --- What others see of it ---

TestDerived = setmetatable({}, Limits)

-- Of a future that is made of one that was stopped, also in a task.
function TestDerived:test_errors_pass_on()
  local view = self.exe:options { memory_limit = MB, name = "first" }
  local f = view:submit(hoard)
  local g, all = f:and_then(math.abs), lfut.all { f }
  for _, future in ipairs { g, all } do
    lu.assertStrContains(tostring(future:exception()), "MemoryLimit: first has taken more than")
    if not support.is_inline then
      local text = self.exe:submit(function(future) return tostring(future:exception()) end, future):result()
      lu.assertStrContains(text, "MemoryLimit: first has taken more than")
    end
  end
end

-- Nobody reads what a command of a stopped task writes.
function TestDerived:test_commands_end_with_their_task()
  lu.skipIf(support.is_inline, "inline: it is over when submit returns")
  local pid = self.exe
    :submit(function(exe, log)
      local f = exe:submit(function(log)
        local pipe = io.popen "echo $$; exec tail -f /dev/null"
        log:put(pipe:read "n")
        pipe:read "a"
      end, log)
      local pid = log:get()
      f:cancel(true)
      pcall(f.result, f)
      return pid
    end, self.exe, self.log)
    :result()
  while os.execute(("kill -0 %d 2>/dev/null"):format(pid)) do
    self.exe:broadcast(collectgarbage)[1]:result()
  end
end

-- --- Views that are sent ---

TestSent = setmetatable({}, Limits)

function TestSent:test_keeps_its_limits()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local view = self.exe:options { timeout = 0.05, name = "sent" }
  local ok, text, same = self.exe
    :submit(function(view, again, forever)
      local ok, e = pcall(function() return view:submit(forever):result() end)
      return ok, tostring(e), rawequal(view, again)
    end, view, view, forever)
    :result()
  lu.assertEquals({ ok, text, same }, { false, "TaskTimeout: sent has taken longer than 0.05 s", true })
end

function TestSent:test_defaults_of_the_executor()
  lu.skipIf(holds_signals, "TSan holds signals back")
  local exe <close> = support.Executor { max_workers = 2, timeout = 0.05 }
  local ok, text = exe
    :options({ timeout = 1e6 })
    :submit(function(exe, forever)
      local ok, e = pcall(function() return exe:submit(forever):result() end)
      return ok, tostring(e)
    end, exe, forever)
    :result()
  lu.assertFalse(ok)
  lu.assertStrContains(text, "has taken longer than 0.05 s")
end

os.exit(lu.LuaUnit.run())
