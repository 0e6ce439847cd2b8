-- SPDX-License-Identifier: MIT
--
-- Executors (API §2): options, initializers, broadcast, shutdown, statistics.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestExecutor = {}

local shutdown_message = "cannot schedule new futures after shutdown"

-- Options

function TestExecutor.test_max_workers()
  local function workers(...)
    local exe <close> = support.Executor(...)
    return exe.max_workers
  end
  if support.is_inline then
    lu.assertEquals({ workers(), workers(3), workers { max_workers = 5 }, workers {} }, { 1, 1, 1, 1 })
  else
    lu.assertEquals({ workers(1), workers(3), workers { max_workers = 5 }, workers(2.0) }, { 1, 3, 5, 2 })
    local n = lfut.cpu_count() + (support.kind == "thread" and 4 or 0)
    lu.assertEquals({ workers(), workers(nil), workers {} }, { n, n, n })
  end
end

function TestExecutor.test_wrong_max_workers()
  for _, n in ipairs { 0, -1, math.mininteger, -0.5, 0.0 } do
    support.fails("max_workers must be greater than 0", function() support.Executor(n) end)
    support.fails("max_workers must be greater than 0", function() support.Executor { max_workers = n } end)
  end
  for _, n in ipairs { 1.5, "4", "x", true, print } do
    local text = ("max_workers must be greater than 0 (integer expected, got %s)"):format(n == 1.5 and n or type(n))
    support.fails(text, function() support.Executor(n) end)
    support.fails(text, function() support.Executor { max_workers = n } end)
  end
  lu.assertFalse(pcall(support.Executor, 0 / 0))
  lu.assertFalse(pcall(support.Executor, math.huge))
end

function TestExecutor.test_wrong_options()
  for option, values in pairs {
    name = { 5, {}, true }, initializer = { 5, {}, true }, initargs = { 5, "x", print },
  } do
    for _, value in ipairs(values) do
      local e = support.raised(function() support.Executor { [option] = value } end)
      lu.assertStrContains(e, option)
      lu.assertStrContains(e, type(value))
    end
  end
  lu.assertStrContains(support.raised(function() support.Executor { max_wokers = 2 } end), "max_wokers")
  lu.assertFalse(pcall(support.Executor, { 4 }))
end

function TestExecutor.test_names()
  local exe <close> = support.Executor { max_workers = 2, name = "crawler" }
  lu.assertEquals(exe.name, "crawler")
  local names = {}
  for i, f in ipairs(exe:broadcast(function() return require "lfut".worker().name end)) do
    names[i] = f:result()
  end
  table.sort(names)
  lu.assertEquals(names, support.is_inline and { "crawler_1" } or { "crawler_1", "crawler_2" })
  local other <close> = support.Executor(1)
  lu.assertIsString(other.name)
  lu.assertStrMatches(other:submit(function() return require "lfut".worker().name end):result(), ".+_1")
  lu.assertStrContains(tostring(exe), "crawler")
end

function TestExecutor.test_names_of_threads_and_processes()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 2, name = "lt_names" }
  local pids = {}
  for i, f in ipairs(exe:broadcast(lfut.getpid)) do
    pids[i] = f:result()
  end
  lu.assertEquals(pids[1] == pids[2], not support.is_process)
  local pipe <close> = io.popen(("cat /proc/%d/task/*/comm /proc/%d/task/*/comm"):format(pids[1], pids[2]))
  local names = pipe:read "a"
  lu.assertStrContains(names, "lt_names_1")
  lu.assertStrContains(names, "lt_names_2")
end

function TestExecutor.test_a_long_name()
  local name = ("long"):rep(100)
  local exe <close> = support.Executor { max_workers = 1, name = name }
  lu.assertEquals(exe.name, name)
  lu.assertEquals(exe:submit(function() return require "lfut".worker().name end):result(), name .. "_1")
end

function TestExecutor.test_tostring_and_fields()
  local exe <close> = support.Executor(1)
  lu.assertIsString(tostring(exe))
  lu.assertNil(exe.no_such_field)
  lu.assertFalse(pcall(function() exe.max_workers = 3 end))
  lu.assertEquals(type(exe), "userdata")
end

-- Initializers

function TestExecutor.test_an_initializer()
  local base = 100
  local exe <close> = support.Executor {
    max_workers = 2,
    initializer = function(a, b, c)
      calls = (calls or 0) + 1
      state = { a, b, c, base }
    end,
    initargs = { 1, nil, 3, n = 3 },
  }
  base = 200
  for _ = 1, 5 do
    for _, f in ipairs(exe:broadcast(function() return calls, state[1], state[2], state[3], state[4] end)) do
      lu.assertEquals(table.pack(f:result()), { 1, 1, nil, 3, 100, n = 5 })
    end
  end
end

function TestExecutor.test_an_initializer_as_text()
  local exe <close> = support.Executor {
    max_workers = 1,
    initializer = "local a, b = ... ; sum = a + b; count = select('#', ...); local helper = require 'gate'",
    initargs = { 3, 4 },
  }
  lu.assertEquals({ exe:submit(function() return sum, count end):result() }, { 7, 2 })
end

function TestExecutor.test_an_initializer_is_not_run_without_tasks()
  support.needs_workers()
  local name = gate.filename()
  local exe = support.Executor {
    max_workers = 2,
    initializer = function(name) assert(io.open(name, "w")):close() end,
    initargs = { name },
  }
  exe:shutdown()
  lu.assertNil(io.open(name))
end

function TestExecutor.test_an_initializer_that_waits()
  local other <close> = support.Executor(1)
  local exe <close> = support.Executor {
    max_workers = 1,
    initializer = function(o)
      o = require "support".receive_executor(o)
      ready = o:submit(function() return "ready" end):result()
    end,
    initargs = { support.send_executor(other) },
  }
  lu.assertEquals(exe:submit(function() return ready end):result(), "ready")
end

-- What is for that worker alone waits, too.
function TestExecutor.test_a_broadcast_while_an_initializer_waits()
  support.needs_workers()
  lu.skipIf(support.is_process, "processes: futures of other executors cannot cross")
  local g <close> = gate.new()
  local other <close> = support.Executor(1)
  local held = other:submit(gate.hold, g)
  local begun = lfut.Queue()
  local exe <close> = support.Executor {
    max_workers = 1,
    initializer = function(begun, held)
      begun:put(true)
      held:result()
      ready = true
    end,
    initargs = { begun, held },
  }
  local first = exe:submit(function() return ready end)
  begun:get()
  local each = exe:broadcast(function() return ready end)
  gate.open(g)
  lu.assertTrue(first:result())
  lu.assertTrue(each[1]:result())
end

-- No other worker is started in its place.
function TestExecutor.test_an_initializer_that_waits_keeps_its_place()
  support.needs_workers()
  lu.skipIf(support.is_process, "processes: futures of other executors cannot cross")
  local g <close> = gate.new()
  local other <close> = support.Executor(1)
  local held = other:submit(gate.hold, g)
  local begun = lfut.Queue()
  local exe <close> = support.Executor {
    max_workers = 2,
    initializer = function(begun, held)
      begun:put(true)
      held:result()
    end,
    initargs = { begun, held },
  }
  local futures = {}
  for i = 1, 20 do
    futures[i] = exe:submit(echo)
  end
  local most = 0
  for _ = 1, 2000 do
    most = math.max(most, exe:stats().workers)
  end
  gate.open(g)
  lfut.wait(futures)
  lu.assertTrue(most <= 2, most)
  lu.assertTrue(begun:qsize() <= 2)
end

-- Whoever could run it would have to run the initializer first.
function TestExecutor.test_an_initializer_that_waits_for_its_own_executor()
  lu.skipIf(support.kind ~= "thread", "an initializer cannot have the executor, or inline: it is over at once")
  for name, wait in pairs {
    result = function(exe) exe:submit(echo):result() end,
    wait = function(exe) lfut.wait { exe:submit(echo), exe:submit(echo) } end,
    any = function(exe) lfut.any({ exe:submit(echo), exe:submit(echo) }):result() end,
    map = function(exe) exe:map(echo, { 1, 2 }):list() end,
  } do
    local handle = lfut.Queue()
    local exe <close> = support.Executor {
      max_workers = 2,
      initializer = function(handle)
        local exe = handle:get()
        handle:put(exe)
        wait(exe)
      end,
      initargs = { handle },
    }
    handle:put(exe)
    local e = exe:submit(echo):exception()
    lu.assertStrContains(tostring(e), "DeadlockError: waiting would never end: an initializer waits for", name)
    handle:get() -- else the executor, which has the queue, would keep itself
    handle:close()
  end
end

local function assert_broken(exe, f, text)
  local e
  if f then
    e = support.fails_as(support.broken_kind, nil, f.result, f)
    lu.assertStrContains(e.message, text)
    lu.assertTrue(lfut.is_error(e, "BrokenExecutor"))
    lu.assertTrue(lfut.is_error(f:exception(), support.broken_kind))
    lu.assertEquals(f:state(), "failed")
  end
  for _, call in ipairs {
    function() exe:submit(echo) end,
    function() exe:map(echo, { 1 }) end,
    function() exe:for_each(echo, { 1 }) end,
    function() exe:broadcast(echo) end,
  } do
    e = support.fails_as(support.broken_kind, nil, call)
    lu.assertStrContains(e.message, text)
  end
end

function TestExecutor.test_a_broken_pool()
  for _, initializer in ipairs { function() error("no database", 0) end, "error('no database', 0)",
    function() error(setmetatable({}, { __tostring = function() return "no database" end })) end } do
    local exe = support.Executor { max_workers = 2, initializer = initializer }
    local ok, f = pcall(exe.submit, exe, echo)
    if ok then
      lfut.wait { f }
    end
    assert_broken(exe, ok and f or nil, "no database")
    exe:shutdown()
    exe:shutdown()
  end
end

function TestExecutor.test_all_queued_are_told()
  support.needs_workers()
  local g <close> = gate.new()
  local exe <close> = support.Executor {
    max_workers = 1,
    initializer = function(g)
      require "gate".hold(g)
      error "too late"
    end,
    initargs = { g },
  }
  local futures = {}
  for i = 1, 20 do
    futures[i] = exe:submit(echo)
  end
  gate.arrived(g)
  lu.assertTrue(futures[20]:cancel())
  gate.open(g)
  for i = 1, 19 do
    assert_broken(exe, futures[i], "too late")
  end
  lu.assertTrue(futures[20]:cancelled())
  lu.assertFalse(rawequal(futures[1]:exception(), futures[1]:exception()))
end

function TestExecutor.test_a_broken_pool_and_a_map()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "error 'broken map'" }
  local ok, e = pcall(function() exe:map(echo, lfut.range(100)):list() end)
  lu.assertFalse(ok)
  support.is_error(e, support.broken_kind)
  lu.assertStrContains(e.message, "broken map")
end

function TestExecutor.test_one_worker_that_breaks()
  support.needs_workers()
  local exe <close> = support.Executor {
    max_workers = 2,
    initializer = function()
      local id = require "lfut".worker().id
      if id == 2 then
        error "the second one"
      end
    end,
  }
  lu.assertEquals(exe:submit(echo, 1):result(), 1)
  for _, f in ipairs(exe:broadcast(echo)) do
    lfut.wait { f }
  end
  assert_broken(exe, nil, "the second one")
end

function TestExecutor.test_text_that_does_not_compile()
  local ok, e = pcall(function()
    local exe <close> = support.Executor { max_workers = 1, initializer = "this is no Lua" }
    exe:submit(echo):result()
  end)
  lu.assertFalse(ok)
  lu.assertStrContains(tostring(e), "syntax error")
end

function TestExecutor.test_os_exit_in_an_initializer()
  local ok, e = pcall(function()
    local exe <close> = support.Executor { max_workers = 1, initializer = "os.exit(3)" }
    exe:submit(echo):result()
  end)
  lu.assertFalse(ok)
  support.is_error(e, support.broken_kind)
  lu.assertStrContains(e.message, "os.exit(3)")
end

function TestExecutor.test_others_are_not_broken()
  local good <close> = support.Executor(1)
  local exe <close> = support.Executor { max_workers = 1, initializer = "error()" }
  pcall(function() exe:submit(echo):result() end)
  lu.assertFalse(pcall(exe.submit, exe, echo))
  support.works(good)
end

-- Workers

function TestExecutor.test_workers_start_on_demand()
  lu.skipIf(support.is_cluster, "cluster: its members have their workers")
  support.needs_workers()
  local exe <close> = support.Executor(4)
  lu.assertEquals(exe:stats().workers, 0)
  for _ = 1, 5 do
    exe:submit(echo):result()
    while exe:stats().idle == 0 do end -- idle ones are used first
    lu.assertEquals(exe:stats().workers, 1)
  end
  local g <close> = gate.new()
  for n = 1, 4 do
    exe:submit(gate.hold, g)
    gate.arrived(g)
    lu.assertEquals(exe:stats().workers, n)
    lu.assertEquals(exe:stats().running, n)
  end
end

-- What was sent to it while it started is not taken for stuck.
function TestExecutor.test_a_slow_start_takes_one_worker()
  lu.skipIf(support.is_cluster, "cluster: its members have their workers")
  support.needs_workers()
  for _ = 1, 8 do
    local exe <close> = support.Executor {
      max_workers = 2,
      initializer = function()
        local start = os.clock()
        while os.clock() - start < 0.12 do end
      end,
    }
    exe:submit(echo):result()
    lu.assertEquals(exe:stats().workers, 1)
  end
end

function TestExecutor.test_never_more_than_max_workers()
  support.needs_workers()
  local exe <close> = support.Executor(3)
  local g <close> = gate.new()
  for _ = 1, 10 do
    exe:submit(gate.hold, g)
  end
  gate.arrived(g, 3)
  local s = exe:stats()
  lu.assertEquals({ s.workers, s.running, s.queued, s.idle }, { 3, 3, 7, 0 })
  gate.open(g)
end

function TestExecutor.test_each_has_an_interpreter_of_its_own()
  support.needs_workers()
  local exe <close> = support.Executor(3)
  for i, f in ipairs(exe:broadcast(function()
    mine = mine or require "lfut".worker().id
    return mine, require "lfut".worker().id
  end)) do
    local mine, id = f:result()
    lu.assertEquals(mine, id, i)
  end
end

function TestExecutor.test_stats()
  local exe = support.Executor(1)
  local function stats()
    local s = exe:stats()
    return { s.queued, s.running, s.finished, s.failed, s.cancelled }
  end
  for _, field in ipairs { "workers", "idle", "queued", "running", "finished", "failed", "cancelled" } do
    lu.assertEquals(math.type(exe:stats()[field]), "integer", field)
  end
  lu.assertEquals(stats(), { 0, 0, 0, 0, 0 })
  exe:submit(echo):result()
  exe:submit(error):exception()
  exe:submit(echo):result()
  lu.assertEquals(stats(), { 0, 0, 2, 1, 0 })
  if not support.is_inline then
    local g <close> = support.held(exe)
    local f = exe:submit(echo)
    exe:submit(echo)
    lu.assertEquals(stats(), { 2, 1, 2, 1, 0 })
    f:cancel()
    lu.assertEquals(stats(), { 1, 1, 2, 1, 1 })
    gate.open(g)
    exe:shutdown()
    lu.assertEquals(stats(), { 0, 0, 4, 1, 1 })
  end
  exe:shutdown()
  lu.assertEquals(exe:stats().queued, 0)
end

-- broadcast

function TestExecutor.test_broadcast()
  local exe <close> = support.Executor(4)
  local list = exe:broadcast(function(...) return require "lfut".worker().id, ... end, "x", nil, "y")
  lu.assertEquals(#list, exe.max_workers)
  local seen = {}
  for i = 1, #list do
    local r = table.pack(list[i]:result())
    lu.assertEquals({ r[2], r[3], r[4], r.n }, { "x", nil, "y", 4 })
    lu.assertNil(seen[r[1]])
    seen[r[1]] = true
  end
  lu.assertEquals(exe:stats().workers, exe.max_workers)
  support.works(exe)
end

function TestExecutor.test_broadcast_to_busy_workers()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  exe:submit(gate.hold, g)
  gate.arrived(g)
  local list = exe:broadcast(function() seen = (seen or 0) + 1 return require "lfut".worker().id end)
  -- One worker is free.
  local first = lfut.wait(list, nil, lfut.FIRST_COMPLETED)
  lu.assertEquals(#first, 1)
  lu.assertEquals(list[1]:done() ~= list[2]:done(), true)
  gate.open(g)
  local ids = { list[1]:result(), list[2]:result() }
  table.sort(ids)
  lu.assertEquals(ids, { 1, 2 })
  for _, f in ipairs(exe:broadcast(function() return seen end)) do
    lu.assertEquals(f:result(), 1)
  end
end

function TestExecutor.test_broadcast_is_cancelled_one_by_one()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  for _ = 1, 2 do
    exe:submit(gate.hold, g)
  end
  gate.arrived(g, 2)
  local list = exe:broadcast(echo, 5)
  lu.assertTrue(list[1]:cancel())
  gate.open(g)
  lu.assertEquals(list[2]:result(), 5)
  lu.assertTrue(list[1]:cancelled())
  support.works(exe)
end

function TestExecutor.test_broadcast_that_fails()
  local exe <close> = support.Executor(2)
  for _, f in ipairs(exe:broadcast(error, "each", 0)) do
    lu.assertEquals(f:exception(), "each")
  end
  support.works(exe)
end

function TestExecutor.test_a_worker_s_state_by_broadcast()
  local exe <close> = support.Executor(2)
  for _, f in ipairs(exe:broadcast(function(t) config = t end, { level = 3 })) do
    f:result()
  end
  lu.assertEquals(exe:map(function(i) return config.level * i end, lfut.range(20)):list()[20], 60)
end

-- shutdown

function TestExecutor.test_shutdown_waits()
  support.needs_workers()
  for _, args in ipairs { {}, { true }, { nil }, { {} }, { { wait = true } }, { true, false },
    { { cancel_futures = false } } } do
    local exe = support.Executor(2)
    local futures = {}
    for i = 1, 100 do
      futures[i] = exe:submit(echo, i)
    end
    exe:shutdown(table.unpack(args))
    for i = 1, 100 do
      lu.assertEquals(futures[i]:state(), "finished")
    end
  end
end

function TestExecutor.test_shutdown_without_waiting()
  support.needs_workers()
  for _, args in ipairs { { false }, { { wait = false } }, { false, false } } do
    local exe = support.Executor(1)
    local g <close> = support.held(exe)
    local f = exe:submit(echo, "still")
    exe:shutdown(table.unpack(args))
    lu.assertFalse(f:done())
    support.fails(shutdown_message, function() exe:submit(echo) end)
    gate.open(g)
    lu.assertEquals(f:result(), "still")
    exe:shutdown()
  end
end

function TestExecutor.test_shutdown_that_cancels()
  support.needs_workers()
  for _, args in ipairs { { false, true }, { { wait = false, cancel_futures = true } } } do
    local exe = support.Executor(1)
    local g, held = support.held(exe)
    local _ <close> = g
    local futures = {}
    for i = 1, 10 do
      futures[i] = exe:submit(echo)
    end
    exe:shutdown(table.unpack(args))
    for i = 1, 10 do
      lu.assertEquals(futures[i]:state(), "cancelled")
    end
    lu.assertEquals(held:state(), "running")
    gate.open(g)
    held:result()
    exe:shutdown()
  end
  local exe = support.Executor(1)
  local g, held = support.held(exe)
  local f = exe:submit(echo)
  exe:shutdown(false)
  exe:shutdown(false, true) -- repeatable, and may cancel later
  lu.assertTrue(f:cancelled())
  gate.open(g)
  exe:shutdown(true, true)
  lu.assertEquals(held:state(), "finished")
end

function TestExecutor.test_shutdown_is_repeatable()
  local exe = support.Executor(2)
  support.works(exe)
  for _ = 1, 3 do
    exe:shutdown()
    exe:shutdown(false)
    exe:shutdown { wait = true, cancel_futures = true }
    lu.assertEquals(select("#", exe:shutdown()), 0)
  end
  local fresh = support.Executor(2)
  fresh:shutdown()
end

function TestExecutor.test_after_shutdown()
  local exe = support.Executor(1)
  local f = exe:submit(echo, 1)
  exe:shutdown()
  support.fails(shutdown_message, function() exe:submit(echo) end)
  support.fails(shutdown_message, function() exe:map(echo, {}) end)
  support.fails(shutdown_message, function() exe:starmap(echo, {}) end)
  support.fails(shutdown_message, function() exe:for_each(echo, {}) end)
  support.fails(shutdown_message, function() exe:reduce(echo, {}, math.max) end)
  support.fails(shutdown_message, function() exe:broadcast(echo) end)
  lu.assertEquals(f:result(), 1)
  lu.assertEquals(exe.max_workers, 1)
  lu.assertEquals(exe:stats().finished, 1)
  lu.assertIsString(tostring(exe))
end

function TestExecutor.test_workers_leave()
  lu.skipIf(support.is_cluster, "cluster: its members have their workers")
  support.needs_workers()
  -- All threads of the program and of its children.
  local function threads()
    local pipe <close> = io.popen(("ls /proc/%d/task | wc -l"):format(lfut.getpid()))
    local n = pipe:read "n"
    for _, child in pairs(support.children(lfut.getpid())) do
      n = n + child.threads
    end
    return n
  end
  local own = os.getenv "LFUT_SANITIZER" == "thread" and 2 or 1
  lu.skipIf(support.is_process and own > 1, "the sanitizer has threads of its own")
  while threads() > own do -- those of other tests
    collectgarbage()
  end
  local before = threads()
  local extra = ({ thread = 0, async = 0, fork = 2, spawn = 1 })[support.kind] -- the supervisor, the template
  local exe = support.Executor(5)
  for _, f in ipairs(exe:broadcast(echo)) do
    f:result()
  end
  lu.assertEquals(threads(), before + 5 + extra)
  exe:shutdown()
  while threads() > before do end
  -- Without shutdown, when nobody has it any more:
  exe = support.Executor(3)
  exe:broadcast(echo)
  exe = nil
  while threads() > before do
    collectgarbage()
  end
end

function TestExecutor.test_dropped_without_shutdown()
  support.needs_workers()
  local exe = support.Executor(1)
  local g <close> = support.held(exe)
  local futures = {}
  for i = 1, 20 do
    futures[i] = exe:submit(echo, i)
  end
  exe = nil
  collectgarbage()
  collectgarbage()
  gate.open(g)
  for i = 1, 20 do
    lu.assertEquals(futures[i]:result(), i)
  end
end

function TestExecutor.test_dropped_without_futures_too()
  support.needs_workers()
  local g <close> = gate.new()
  do
    local exe = support.Executor(1)
    for _ = 1, 3 do
      exe:submit(gate.hold, g)
    end
  end
  collectgarbage()
  collectgarbage()
  gate.arrived(g)
  gate.open(g)
  gate.arrived(g, 2)
end

function TestExecutor.test_many_executors()
  support.relaxed()
  for i = 1, support.trips(50) do
    local exe <close> = support.Executor(2)
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  for _ = 1, support.trips(50) do
    support.Executor(2)
  end
  local list = {}
  for i = 1, support.trips(20) do
    list[i] = support.Executor(1)
    list[i]:submit(echo)
  end
end

-- <close> and with

function TestExecutor.test_close()
  local f
  do
    local exe <close> = support.Executor(1)
    f = exe:submit(echo, 1)
  end
  lu.assertEquals(f:state(), "finished")
  local exe
  local ok, e = pcall(function()
    local inner <close> = support.Executor(1)
    exe = inner
    f = exe:submit(echo, 2)
    error("through", 0)
  end)
  lu.assertEquals({ ok, e }, { false, "through" })
  lu.assertEquals(f:state(), "finished")
  support.fails(shutdown_message, function() exe:submit(echo) end)
end

function TestExecutor.test_close_after_shutdown()
  local exe <close> = support.Executor(1)
  exe:shutdown(false)
end

function TestExecutor.test_with()
  local exe = support.Executor(1)
  local f
  local r = table.pack(lfut.with(exe, function(e)
    lu.assertTrue(rawequal(e, exe))
    f = e:submit(echo, 1)
    return 1, nil, "x", nil
  end))
  lu.assertEquals(r, { 1, nil, "x", nil, n = 4 })
  lu.assertEquals(f:state(), "finished")
  support.fails(shutdown_message, function() exe:submit(echo) end)
end

function TestExecutor.test_with_that_raises()
  local exe = support.Executor(1)
  local problem = { "problem" }
  local f
  local e = support.raised(lfut.with, exe, function(e)
    f = e:submit(echo)
    error(problem)
  end)
  lu.assertTrue(rawequal(e, problem))
  lu.assertEquals(f:state(), "finished")
  support.fails(shutdown_message, function() exe:submit(echo) end)
  exe = support.Executor(1)
  local r = table.pack(pcall(lfut.with, exe, function() error(nil) end))
  lu.assertEquals(r, { false, support.nil_error, n = 2 })
end

function TestExecutor.test_with_in_a_coroutine()
  local exe = support.Executor(1)
  local co = coroutine.wrap(function()
    return lfut.with(exe, function(e)
      coroutine.yield "between"
      return e:submit(echo, 5):result()
    end)
  end)
  lu.assertEquals(co(), "between")
  lu.assertEquals(co(), 5)
  lu.assertFalse(pcall(exe.submit, exe, echo))
end

function TestExecutor.test_with_in_a_task()
  local exe <close> = support.Executor(1)
  local other = support.Executor(1)
  local n, is_shut = exe:submit(function(other)
    other = require "support".receive_executor(other)
    local n = require "lfut".with(other, function(o)
      return o:submit(function() return 3 end):result()
    end)
    return n, not pcall(other.submit, other, print)
  end, support.send_executor(other)):result()
  lu.assertEquals({ n, is_shut }, { 3, true })
  lu.assertEquals(pcall(other.submit, other, echo), support.is_process)
  other:shutdown()
end

-- Wrong use

function TestExecutor.test_wrong_use()
  local exe <close> = support.Executor(1)
  support.fails("bad argument #1 to 'broadcast' (function expected, got nil)", function() exe:broadcast(nil) end)
  support.fails("bad argument #1 to 'broadcast' (function expected, got no value)", function() exe:broadcast() end)
  support.fails("bad argument #2 to 'with' (function expected, got no value)", function() lfut.with(exe) end)
  support.fails_like("bad argument #1 to 'with' (", "got nil)", function() lfut.with(nil, echo) end)
  support.fails_like("bad argument #1 to 'with' (", "got no value)", function() lfut.with() end)
  support.fails_like("bad argument #1 to 'shutdown' (", "got table)", function() exe.shutdown({}) end)
  support.fails_like("bad argument #1 to 'stats' (", "got nil)", function() exe.stats(nil) end)
  support.fails_like("bad argument #1 to 'submit' (", "got no value)", function() exe.submit() end)
  lu.assertFalse(pcall(function() return exe() end))
  lu.assertFalse(pcall(function() return #exe end))
  support.works(exe)
end

local rc = support.run(TestExecutor)
if rc ~= 0 then
  os.exit(rc)
end
