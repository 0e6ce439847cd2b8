-- SPDX-License-Identifier: MIT
--
-- lfut.AsyncExecutor: tasks that wait without a worker (API §12). What it has in
-- common with the others is in api_*.lua.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

local FAR = 1000 -- seconds: nobody waits for that

TestAsync = {}

local function sleep(s)
  require("lfut").sleep(s)
  return "slept"
end

local function fails_with(kind, fn, ...)
  local e = support.raised(fn, ...)
  support.is_error(e, kind)
  return e
end

function TestAsync.test_what_it_is()
  local exe <close> = lfut.AsyncExecutor()
  lu.assertEquals(exe.max_workers, lfut.cpu_count())
  lu.assertStrMatches(tostring(exe), "AsyncExecutor%(lfut, max_workers=%d+%)")
  local w = exe:submit(function() return require("lfut").worker() end):result()
  lu.assertEquals(w.kind, "async")
  lu.assertEquals(exe:stats().parked, 0)
end

-- A thread for each would need a gigabyte.
function TestAsync.test_many_meet_on_one_worker()
  local exe <close> = lfut.AsyncExecutor(1)
  local n = support.size(1000)
  local barrier = lfut.Barrier(n)
  local fs = {}
  for i = 1, n do
    fs[i] = exe:submit(function()
      barrier:wait()
      return i
    end)
  end
  for i = 1, n do
    lu.assertEquals(fs[i]:result(), i)
  end
end

function TestAsync.test_items_of_a_loop_meet()
  local exe <close> = lfut.AsyncExecutor(2)
  local n = support.size(500)
  local barrier = lfut.Barrier(n)
  local list = exe:map(function(i)
    barrier:wait()
    return i
  end, lfut.range(n)):list()
  lu.assertEquals(#list, n)
end

function TestAsync.test_a_sleeping_task_leaves_its_worker_to_others()
  local exe <close> = lfut.AsyncExecutor(1)
  local long = exe:submit(sleep, FAR)
  lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
  lu.assertEquals(long:state(), "running")
  lu.assertEquals(exe:stats().parked, 1)
  lu.assertEquals(exe:stats().running, 1)
  lu.assertTrue(long:cancel(true))
  fails_with("CancelledError", long.result, long)
end

function TestAsync.test_sleeps_end_in_order()
  local exe <close> = lfut.AsyncExecutor(1)
  local log = lfut.Queue()
  for _, s in ipairs { 0.06, 0.02, 0.04, 0, 0.08 } do
    exe:submit(function()
      lfut.sleep(s)
      log:put(s)
    end)
  end
  for _, s in ipairs { 0, 0.02, 0.04, 0.06, 0.08 } do
    lu.assertEquals(log:get(), s)
  end
end

-- Where Lua cannot yield, the worker sleeps.
function TestAsync.test_sleep_in_a_comparison()
  local exe <close> = lfut.AsyncExecutor(1)
  local list = exe:submit(function()
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b)
      lfut.sleep(0)
      return a < b
    end)
    return list
  end):result()
  lu.assertEquals(list, { 1, 2, 3 })
end

-- Who is ready again and again does not keep others from beginning.
function TestAsync.test_new_tasks_begin_beside_busy_ones()
  local exe <close> = lfut.AsyncExecutor(1)
  local stop = lfut.Event()
  local f = exe:submit(function()
    while not stop:is_set() do
      lfut.sleep(0)
    end
    return "stopped"
  end)
  exe:submit(function() stop:set() end):result()
  lu.assertEquals(f:result(), "stopped")
end

function TestAsync.test_workers_are_in_balance()
  local exe <close> = lfut.AsyncExecutor(2)
  local n = 100
  local barrier = lfut.Barrier(n)
  local count = { 0, 0 }
  for _, id in
    exe:map(function()
      barrier:wait()
      return lfut.worker().id
    end, lfut.range(n))
  do
    count[id] = count[id] + 1
  end
  lu.assertTrue(math.min(count[1], count[2]) >= n // 4, count[1] .. " and " .. count[2])
end

-- A task that computes begins where none waits.
function TestAsync.test_one_that_computes_harms_no_other()
  local exe <close> = lfut.AsyncExecutor(2)
  local begun, go, stop = lfut.Event(), lfut.Event(), lfut.Event()
  local waiter = exe:submit(function()
    begun:set()
    return go:wait()
  end)
  begun:wait()
  local busy = exe:submit(function()
    go:set()
    while not stop:is_set() do
    end
  end)
  lu.assertTrue(waiter:result())
  stop:set()
  busy:result()
end

-- --- Each wait, and each way in which it ends ---

-- name -> function that makes what is waited for, waits in the task, lets go.
local waits = {
  sleep = { function() end, function(_, s) return lfut.sleep(s or FAR) end },
  event = { lfut.Event, function(o, s) return o:wait(s) end, function(o) o:set() end },
  lock = {
    function()
      local l = lfut.Lock()
      l:acquire()
      return l
    end,
    function(o, s) return o:acquire(s) end,
    function(o) o:release() end,
  },
  semaphore = {
    function() return lfut.Semaphore(0) end,
    function(o, s) return o:acquire(s) end,
    function(o) o:release() end,
  },
  queue = {
    lfut.Queue,
    function(o, s) return o:get(s) end,
    function(o) o:put(true) end,
  },
  full_queue = {
    function()
      local q = lfut.Queue(1)
      q:put(1)
      return q
    end,
    function(o, s)
      o:put(2, s)
      return true
    end,
    function(o) o:get() end,
  },
  barrier = {
    function() return lfut.Barrier(2) end,
    function(o, s) return o:wait(s) end,
    function(o) o:wait() end,
  },
  condition = {
    lfut.Condition,
    function(o, s)
      return o:with(function() return o:wait(s) end)
    end,
    function(o) o:with(function() o:notify() end) end,
  },
  future = {
    function() return lfut.Event() end,
    function(o, s)
      local other <close> = lfut.ThreadPoolExecutor(1)
      local f = other:submit(function() return o:wait() end)
      local guard <close> = setmetatable({}, { __close = function() o:set() end })
      return f:result(s)
    end,
    function(o) o:set() end,
  },
}

local function is_parked(exe)
  while exe:stats().parked == 0 do
  end
end

for name, w in pairs(waits) do
  local make, wait, let_go = table.unpack(w)

  if let_go then
    TestAsync["test_" .. name .. "_done"] = function()
      local exe <close> = lfut.AsyncExecutor(1)
      local o = make()
      local f = exe:submit(wait, o)
      is_parked(exe)
      lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
      let_go(o)
      lu.assertTrue(f:result() and true)
    end
  end

  TestAsync["test_" .. name .. "_times_out"] = function()
    local exe <close> = lfut.AsyncExecutor(1)
    local o = make()
    local ok, result = pcall(function() return exe:submit(wait, o, 0.01):result() end)
    lu.assertTrue(not ok or not result)
    lu.assertEquals(exe:stats().parked, 0)
  end

  TestAsync["test_" .. name .. "_is_cancelled"] = function()
    local exe <close> = lfut.AsyncExecutor(1)
    local o, closed = make(), lfut.Queue()
    local f = exe:submit(function(wait, o)
      local guard <close> = setmetatable({}, { __close = function(_, e) closed:put(e.kind) end })
      return wait(o)
    end, wait, o)
    is_parked(exe)
    lu.assertTrue(f:cancel(true))
    lu.assertTrue(f:cancelled())
    lu.assertEquals(closed:get(), "CancelledError")
    lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
    lu.assertEquals(exe:stats().parked, 0)
  end

  TestAsync["test_" .. name .. "_takes_too_long"] = function()
    local exe <close> = lfut.AsyncExecutor(1)
    local f = exe:options({ timeout = 0.02 }):submit(wait, make())
    fails_with("TaskTimeout", f.result, f)
    lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
  end

  TestAsync["test_" .. name .. "_in_a_coroutine"] = function()
    local exe <close> = lfut.AsyncExecutor(1)
    local o = make()
    local f = exe:submit(function(wait, o)
      local co = coroutine.wrap(function()
        local ok, r = pcall(wait, o, 0.01)
        coroutine.yield("yielded", ok and r)
      end)
      return (co())
    end, wait, o)
    lu.assertEquals(f:result(), "yielded")
  end
end

-- --- Ends ---

function TestAsync.test_shutdown_waits_for_those_that_wait()
  local exe = lfut.AsyncExecutor(2)
  local fs = {}
  for i = 1, 100 do
    fs[i] = exe:submit(sleep, 0)
  end
  exe:shutdown()
  for i = 1, 100 do
    lu.assertEquals(fs[i]:result(0), "slept")
  end
end

function TestAsync.test_a_scope_that_fails_cancels_those_that_sleep()
  local exe <close> = lfut.AsyncExecutor(1)
  local e = support.raised(lfut.scope, function(scope)
    for _ = 1, 50 do
      scope:submit(exe, sleep, FAR)
    end
    scope:submit(exe, function() error("no", 0) end)
  end)
  lu.assertEquals(e, "no")
end

-- --- At most so many ---

TestMaxRunning = {}

function TestMaxRunning.test_wrong_numbers()
  for _, n in ipairs { 0, -1, 1.5, "2", {} } do
    lu.assertErrorMsgContains("max_running", lfut.AsyncExecutor, { max_running = n })
  end
end

function TestMaxRunning.test_never_more()
  for _, workers in ipairs { 1, 2, 3 } do
    local exe <close> = lfut.AsyncExecutor { max_workers = workers, max_running = 3 }
    local now, most = lfut.Value("int64", 0), lfut.Value("int64", 0)
    for _ in
      exe:map(function()
        local n = now:add(1) + 1
        local before = most:get()
        while before < n and not most:cas(before, n) do
          before = most:get()
        end
        lfut.sleep(0)
        now:add(-1)
      end, lfut.range(60))
    do
    end
    local fs = {}
    for i = 1, 30 do
      fs[i] = exe:submit(function()
        local n = now:add(1) + 1
        if n > 3 then
          most:set(n)
        end
        lfut.sleep(0)
        now:add(-1)
      end)
    end
    lfut.wait(fs)
    lu.assertTrue(most:get() >= 1 and most:get() <= 3, tostring(most:get()))
  end
end

-- As many as may be, also while they compute.
function TestMaxRunning.test_as_many()
  local exe <close> = lfut.AsyncExecutor { max_workers = 2, max_running = 2 }
  local here = { lfut.Event(), lfut.Event() }
  local fs = {}
  for i = 1, 2 do
    fs[i] = exe:submit(function(own, other)
      own:set()
      while not other:is_set() do
      end
      return "met"
    end, here[i], here[3 - i])
  end
  lu.assertEquals({ fs[1]:result(), fs[2]:result() }, { "met", "met" })
end

-- One that hangs in C is given up; so is its place.
function TestMaxRunning.test_an_abandoned_one_has_no_place()
  local exe <close> = lfut.AsyncExecutor { max_workers = 2, max_running = 1, grace = 0.05 }
  local g <close> = gate.new()
  local f = exe:submit(gate.hold, g)
  gate.arrived(g)
  lu.assertTrue(f:cancel(true))
  lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
  gate.open(g)
end

-- One that runs again is needed as it was.
function TestMaxRunning.test_a_retried_one_is_awaited()
  local exe <close> = lfut.AsyncExecutor { max_workers = 1, max_running = 2 }
  local count, go = lfut.Value("int64", 0), lfut.Event()
  local t = exe:options({ timeout = 0.05, retries = 1 }):submit(function()
    if count:add(1) == 0 then
      lfut.sleep(FAR)
    end
    return "again"
  end)
  local a = exe:submit(function(t) return t:result() end, t)
  local b = exe:submit(function(a) return a:result() end, a)
  lu.assertEquals(b:result(), "again")
  go:set()
end

-- Whom a task waits for begins all the same.
function TestMaxRunning.test_awaited_ones_begin()
  for _, workers in ipairs { 1, 2 } do
    local exe <close> = lfut.AsyncExecutor { max_workers = workers, max_running = 1 }
    local function fib(exe, n)
      local self = debug.getinfo(1, "f").func
      if n < 2 then
        return n
      end
      local a, b = exe:submit(self, exe, n - 1), exe:submit(self, exe, n - 2)
      return a:result() + b:result()
    end
    lu.assertEquals(exe:submit(fib, exe, 9):result(), 34)
  end
end

local inside = {
  result_in_time = function(exe) return exe:submit(support.echo, 1):result(FAR) end,
  wait = function(exe)
    local fs = { exe:submit(support.echo, 0), exe:submit(support.echo, 1) }
    lfut.wait(fs)
    return fs[2]:result()
  end,
  wait_in_time = function(exe)
    local fs = { exe:submit(support.echo, 0), exe:submit(support.echo, 1) }
    lfut.wait(fs, { timeout = FAR })
    return fs[2]:result()
  end,
  as_completed = function(exe)
    local n = 0
    for f in lfut.as_completed { exe:submit(support.echo, 0), exe:submit(support.echo, 1) } do
      n = n + f:result()
    end
    return n
  end,
  map = function(exe) return exe:map(support.echo, { 1, 2, 3 }):list()[1] end,
  map_in_time = function(exe) return exe:map(support.echo, { 1, 2, 3 }, { timeout = FAR }):list()[1] end,
  reduce = function(exe) return exe:reduce(support.echo, { 1, 0, 0 }, function(a, b) return a + b end) end,
  chain = function(exe) return exe:submit(support.echo, 0):and_then(function(x) return x + 1 end):result() end,
  all = function(exe) return lfut.all({ exe:submit(support.echo, 1), exe:submit(support.echo, 2) }):result()[1] end,
  any = function(exe) return (lfut.any({ exe:submit(support.echo, 1) }):result()) end,
  future_as_argument = function(exe) return exe:submit(support.echo, exe:submit(support.echo, 1)):result():result() end,
  in_another_executor = function(exe)
    local other <close> = lfut.AsyncExecutor { max_workers = 1, max_running = 1 }
    return other:submit(function(exe) return exe:submit(support.echo, 1):result() end, exe):result()
  end,
}

for name, fn in pairs(inside) do
  TestMaxRunning["test_inside_" .. name] = function()
    for _, workers in ipairs { 1, 2 } do
      local exe <close> = lfut.AsyncExecutor { max_workers = workers, max_running = 1 }
      local go = lfut.Event()
      local first = exe:submit(function(exe, fn)
        go:wait()
        return fn(exe)
      end, exe, fn)
      local others = {} -- that have come before what it submits
      for i = 1, 20 do
        others[i] = exe:submit(support.echo, i)
      end
      go:set()
      lu.assertEquals(first:result(), 1)
      lu.assertEquals(lfut.all(others):result().n, 20)
    end
  end
end

function TestMaxRunning.test_cancelled_failed_and_retried_ones_give_their_place_back()
  local exe <close> = lfut.AsyncExecutor { max_workers = 1, max_running = 1, grace = 0.05 }
  local f = exe:submit(sleep, FAR)
  local queued = exe:submit(sleep, FAR)
  lu.assertTrue(queued:cancel())
  is_parked(exe)
  f:cancel(true)
  exe:submit(error, "no"):exception()
  local view = exe:options { timeout = 0.01, retries = 2 }
  local late = view:submit(sleep, FAR)
  fails_with("TaskTimeout", late.result, late)
  exe:broadcast(support.echo, 1)[1]:result()
  lu.assertEquals(exe:submit(support.echo, 1):result(), 1)
end

function TestMaxRunning.test_priorities_hold()
  local exe <close> = lfut.AsyncExecutor { max_workers = 2, max_running = 1 }
  local go, log = lfut.Event(), lfut.Queue()
  exe:submit(function() go:wait() end)
  is_parked(exe)
  for _, p in ipairs { 0, 5, -3, 9 } do
    exe:options({ priority = p }):submit(function() log:put(p) end)
  end
  go:set()
  lu.assertEquals({ log:get(), log:get(), log:get(), log:get() }, { 9, 5, 0, -3 })
end

os.exit(support.run(TestAsync, TestMaxRunning))
