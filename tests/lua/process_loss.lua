-- SPDX-License-Identifier: MIT
--
-- Worker processes that die (API §7): at each point of a task, in numbers, idle,
-- with tasks parked in them, at the start and at the end; and who kills them.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestLoss = {}

local with_both = support.with_both(TestLoss)
local new = support.new_processes

local function kill(pid, signal)
  os.execute(("kill -%s %d"):format(signal or "KILL", pid))
end

-- What a task does to end in some way. C's exit gets a pointer for a status.
local function die(way)
  local pid = require "lfut".getpid()
  if way == "error" then
    error("just an error", 0)
  elseif way == "os.exit" then
    os.exit(3)
  elseif way == "exit" or way == "_exit" or way == "abort" then
    package.loadlib("libc.so.6", way)()
  else
    os.execute(("kill -%s %d"):format(way:gsub("SIG", ""), pid))
  end
end

local ways = { "error", "os.exit", "exit", "_exit", "abort", "SIGSEGV", "SIGKILL" }

-- e is the WorkerLost of a task that died so.
local function assert_lost(e, way, label)
  local message = ("died of %s"):format(way == "abort" and "SIGABRT" or way)
  support.is_error(e, "WorkerLost")
  lu.assertEquals(math.type(e.pid), "integer")
  lu.assertNotEquals(e.pid, lfut.getpid())
  local sanitized = way == "SIGSEGV" and (os.getenv "LFUT_SANITIZER" or "no") ~= "no" -- which reports and exits
  if way:find "exit" or sanitized then
    lu.assertEquals(math.type(e.exitcode), "integer")
    lu.assertTrue(e.exitcode >= 0 and e.exitcode <= 255)
    lu.assertNil(e.signal)
    message = ("exited with code %d"):format(e.exitcode)
  else
    lu.assertEquals(e.signal, way == "abort" and "SIGABRT" or way)
    lu.assertNil(e.exitcode)
  end
  if label then
    lu.assertEquals(e.func, label)
  end
  lu.assertEquals(e.message, ("worker %d %s while running %s"):format(e.pid, message, e.func))
end

local function assert_ended(e, way, label)
  if way == "error" then
    lu.assertStrContains(e, "just an error") -- coroutine.wrap puts a position in front
  elseif way == "os.exit" then
    lu.assertStrContains(tostring(e), "os.exit(3) called in a task")
  else
    assert_lost(e, way, label)
  end
end

-- A userdata that is packed and unpacked by these.
local function userdata(pack, unpack)
  return debug.setmetatable(io.tmpfile(), { __lfut_pack = pack, __lfut_unpack = unpack })
end

-- The points of a task at which it may die: fn, arguments...
local points = {
  packing_an_argument = function(way, exe)
    return function(exe, userdata)
      exe:submit(print, userdata(function() die(way) end, print)):result()
    end, exe, userdata
  end,
  unpacking_an_argument = function(way)
    return function() end, userdata(function() return way end, function(way) die(way) end)
  end,
  running = function(way)
    return function() die(way) end
  end,
  running_in_a_coroutine = function(way)
    return function()
      coroutine.wrap(function() die(way) end)()
    end
  end,
  packing_a_result = function(way)
    return function(userdata)
      return userdata(function() die(way) end, print)
    end, userdata
  end,
}

for point, task in pairs(points) do
  with_both(point, function(method)
    local exe <close> = new(method)
    local failed = 0
    for _, way in ipairs(ways) do
      local fn = table.pack(task(way, exe))
      local f = exe:submit(table.unpack(fn, 1, fn.n))
      local after = exe:submit(echo, way)
      assert_ended(f:exception(), way, ("function <%s:%d>"):format(arg[0], debug.getinfo(fn[1]).linedefined))
      lu.assertEquals(f:state(), "failed")
      lu.assertEquals(after:result(), way)
      failed = failed + 1
      lu.assertEquals(exe:stats().failed, failed)
    end
    support.works(exe)
  end)
end

with_both("unpacking_a_result", function(method)
  local exe <close> = new(method)
  local f = exe:submit(function(userdata)
    return userdata(function() return 1 end, function() error("not here", 0) end)
  end, userdata)
  lu.assertEquals(support.raised(f.result, f), "not here")
  lu.assertEquals(f:state(), "finished")
  support.works(exe)
end)

-- What a task is called in messages: a script with a long name, functions that
-- travel by name.
with_both("how_the_function_is_named", function(method)
  local exe <close> = new(method)
  local path = "/" .. ("long/"):rep(30) .. "script.lua"
  local far = load("return function(die, way) die(way) end", "@" .. path)()
  local e = exe:submit(far, die, "SIGKILL"):exception()
  assert_lost(e, "SIGKILL")
  lu.assertStrMatches(e.func, "function <%.%.%..*/long/script%.lua:1>")
  assert_lost(exe:submit(os.execute, "kill -KILL $PPID"):exception(), "SIGKILL", "function os.execute")
  assert_lost(exe:submit(pcall, die, "SIGKILL"):exception(), "SIGKILL", "function pcall")
  local ok, lost = pcall(exe.for_each, exe, os.execute, { "kill -KILL $PPID" })
  lu.assertFalse(ok)
  assert_lost(lost, "SIGKILL", "function os.execute")
end)

with_both("an_error_of_a_dead_worker_is_one_s_own", function(method)
  local exe <close> = new(method)
  local f = exe:submit(die, "SIGKILL")
  local a, b = f:exception(), f:exception()
  lu.assertFalse(rawequal(a, b))
  lu.assertEquals({ a.pid, a.signal, a.message }, { b.pid, b.signal, b.message })
  lu.assertNil(f:traceback())
  lu.assertStrContains(tostring(f), "WorkerLost")
  lu.assertTrue(lfut.is_error(a, "WorkerLost"))
  lu.assertFalse(lfut.is_error(a, "BrokenExecutor"))
end)

with_both("a_lost_worker_is_seen_by_wait_and_as_completed", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local g <close> = gate.new()
  local held = exe:submit(gate.hold, g, "held")
  gate.arrived(g)
  local lost = exe:submit(die, "SIGKILL")
  local done, left = lfut.wait({ held, lost }, nil, lfut.FIRST_EXCEPTION)
  lu.assertTrue(rawequal(done[1], lost) and rawequal(left[1], held))
  lu.assertTrue(rawequal(lfut.as_completed { held, lost } (), lost))
  local called
  lost:add_done_callback(function(f) called = f:exception().kind end)
  lu.assertEquals(called, "WorkerLost")
  gate.open(g)
  lu.assertEquals(held:result(), "held")
end)

-- Idle workers

with_both("killing_idle_workers_costs_nothing", function(method)
  local exe <close> = new(method, { max_workers = 3 })
  for round = 1, 5 do
    local pids = {}
    for i, f in ipairs(exe:broadcast(lfut.getpid)) do
      pids[i] = f:result()
    end
    for i = 1, round % 3 + 1 do
      kill(pids[i])
    end
    for i = 1, 20 do
      lu.assertEquals(exe:submit(echo, i):result(), i)
    end
  end
  lu.assertEquals(exe:stats().failed, 0)
end)

-- Storms

-- The children that are workers of the executor.
local function pids_of(exe)
  local list = {}
  for pid, child in pairs(support.children(lfut.getpid())) do
    if child.name:find("^" .. exe.name .. "_%d") then
      list[#list + 1] = pid
    end
  end
  return list
end

-- All futures: how many are finished and lost. Notes are the tasks that ran.
local function assert_all(futures, notes)
  local times, finished, lost = {}, 0, 0
  lfut.wait(futures)
  for line in io.lines(notes) do
    local i = tonumber(line)
    times[i] = (times[i] or 0) + 1
  end
  for i, f in ipairs(futures) do
    local e = f:exception()
    if e == nil then
      lu.assertEquals(f:result(), i)
      lu.assertEquals(times[i], 1, "task that is finished")
      finished = finished + 1
    else
      support.is_error(e, "WorkerLost")
      lu.assertTrue((times[i] or 0) <= 1, "task that is lost")
      lost = lost + 1
    end
  end
  lu.assertEquals(finished + lost, #futures)
  return finished, lost
end

local function note(notes, i)
  local file <close> = assert(io.open(notes, "a"))
  file:write(i, "\n")
  return i
end

with_both("a_killer_in_the_script", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 3, name = "storm" })
  local notes = gate.filename()
  local futures, kills = {}, 0
  note(notes, 0)
  while kills < 60 do
    for _ = 1, 200 do
      local i = #futures + 1
      futures[i] = exe:submit(function(i)
        for _ = 1, 5000 do end
        return note(notes, i)
      end, i)
    end
    for _, pid in ipairs(pids_of(exe)) do
      kill(pid)
      kills = kills + 1
    end
  end
  local finished, lost = assert_all(futures, notes)
  lu.assertTrue(lost <= kills)
  local s = exe:stats()
  lu.assertEquals({ s.finished, s.failed, s.queued, s.running }, { finished, lost, 0, 0 })
  support.works(exe)
end)

with_both("tasks_that_kill_their_own_worker", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 3 })
  local notes = gate.filename()
  note(notes, 0)
  local futures = {}
  local n = support.size(2000)
  for i = 1, n do
    futures[i] = exe:submit(function(i)
      if i % 20 == 0 then
        die(i % 40 == 0 and "SIGKILL" or "_exit")
      end
      return note(notes, i)
    end, i)
  end
  local finished, lost = assert_all(futures, notes)
  lu.assertEquals({ finished, lost }, { n - n // 20, n // 20 })
  local s = exe:stats()
  lu.assertEquals({ s.finished, s.failed, s.queued }, { finished, lost, 0 })
  support.works(exe)
end)

with_both("workers_that_kill_each_other", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 4, name = "duel" })
  local notes, program = gate.filename(), lfut.getpid()
  note(notes, 0)
  local futures = {}
  for i = 1, 400 do
    futures[i] = exe:submit(function(i)
      if i % 10 == 0 then
        for pid, child in pairs(require "support".children(program)) do
          if child.name:find "^duel" and pid ~= require "lfut".getpid() then
            kill(pid)
          end
        end
      end
      return note(notes, i)
    end, i)
  end
  assert_all(futures, notes)
  support.works(exe)
end)

with_both("all_workers_at_once", function(method)
  local exe <close> = new(method, { max_workers = 4 })
  for _ = 1, 3 do
    local g <close> = gate.new()
    local futures, queued = {}, {}
    for i = 1, 4 do
      futures[i] = exe:submit(gate.hold, g)
    end
    gate.arrived(g, 4)
    for i = 1, 20 do
      queued[i] = exe:submit(echo, i)
    end
    for _, pid in ipairs(pids_of(exe)) do
      kill(pid)
    end
    for i = 1, 4 do
      assert_lost(futures[i]:exception(), "SIGKILL")
    end
    for i = 1, 20 do
      lu.assertEquals(queued[i]:result(), i)
    end
  end
  local s = exe:stats()
  lu.assertEquals({ s.finished, s.failed }, { 60, 12 })
end)

-- What is in flight

with_both("what_waits_behind_a_lost_task_is_not_lost", function(method)
  local exe <close> = new(method)
  local futures = { exe:submit(die, "SIGKILL") }
  for i = 2, 1000 do
    futures[i] = exe:submit(echo, i)
  end
  assert_lost(futures[1]:exception(), "SIGKILL")
  for i = 2, 1000 do
    lu.assertEquals(futures[i]:result(), i)
  end
  lu.assertEquals(exe:stats().failed, 1)
end)

with_both("while_the_program_writes_a_large_argument", function(method)
  local exe <close> = new(method)
  local large = ("x"):rep(support.size(8 << 20))
  local g <close>, held = support.held(exe)
  local futures = {}
  for i = 1, 4 do
    futures[i] = exe:submit(function(s) return #s end, large)
  end
  for _, pid in ipairs(pids_of(exe)) do
    kill(pid)
  end
  assert_lost(held:exception(), "SIGKILL")
  for i = 1, 4 do
    lu.assertEquals(futures[i]:result(), #large)
  end
end)

with_both("while_the_worker_writes_a_large_result", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local n = support.size(32 << 20)
  for _ = 1, 3 do
    local f = exe:submit(function(n)
      local lfut = require "lfut"
      -- Whoever kills it comes while it packs, writes, or when it has written.
      os.execute(("(until kill -KILL %d; do :; done) >/dev/null 2>&1 &"):format(lfut.getpid()))
      return ("y"):rep(n)
    end, n)
    local e = f:exception()
    if e == nil then
      lu.assertEquals(#f:result(), n)
    else
      assert_lost(e, "SIGKILL")
    end
    support.works(exe)
  end
end)

-- Parked tasks

with_both("tasks_parked_in_it_are_lost_each_by_itself", function(method)
  local exe <close> = new(method)
  local other <close> = lfut.ThreadPoolExecutor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo, 1)
  local here <close> = gate.new()
  local parked = {}
  for i = 1, 5 do
    parked[i] = exe:submit(function()
      require "gate".ring(here)
      return wake:result()
    end)
  end
  gate.arrived(here, 5)
  local last = exe:submit(die, "SIGKILL")
  local e = last:exception()
  for i = 1, 5 do
    local lost = parked[i]:exception()
    support.is_error(lost, "WorkerLost")
    lu.assertEquals({ lost.pid, lost.signal }, { e.pid, "SIGKILL" })
    lu.assertStrContains(lost.func, arg[0])
    lu.assertNotEquals(lost.func, e.func)
  end
  gate.open(g)
  support.works(exe)
  lu.assertEquals(exe:stats().failed, 6)
end)

with_both("an_inner_task_is_lost_and_the_outer_goes_on", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local pid, inner, sum = exe:submit(function(exe)
    local held = exe:submit(function(a, b) return a + b end, 1, 2)
    local f = exe:submit(function(outer)
      local pid = require "lfut".getpid()
      while pid == outer do end
      die "SIGKILL"
    end, -1)
    local ok, e = pcall(f.result, f)
    assert(not ok)
    return require "lfut".getpid(), e, held:result()
  end, exe):exception()
  -- It may have been run by the very worker of the outer one, which is lost then.
  if pid == nil then
    support.works(exe)
  else
    support.is_error(pid, "WorkerLost")
  end
  lu.assertTrue(inner == true or inner == nil)
  lu.assertNil(sum)
  support.works(exe)
end)

with_both("what_a_lost_task_had_submitted_goes_on", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local notes = gate.filename()
  local f = exe:submit(function(exe)
    for i = 1, 10 do
      exe:submit(function(i) return note(notes, i) end, i)
    end
    die "SIGKILL"
  end, exe)
  assert_lost(f:exception(), "SIGKILL")
  exe:shutdown()
  local n = 0
  for _ in io.lines(notes) do
    n = n + 1
  end
  lu.assertEquals(n, 10)
end)

-- Loops

with_both("in_a_map", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local function fn(i)
    if i == 25 then
      die "SIGKILL"
    end
    return i * i
  end
  local good, lost = {}, {}
  for i, ok, r in exe:map(fn, lfut.range(100), { chunksize = 10, protected = true }) do
    if ok then
      lu.assertEquals(r, i * i)
      good[#good + 1] = i
    else
      assert_lost(r, "SIGKILL")
      lost[#lost + 1] = i
    end
  end
  lu.assertEquals(#good + #lost, 100)
  for _, i in ipairs(lost) do
    lu.assertTrue(i > 20 and i <= 30, "an item of another chunk: " .. i)
  end
  lu.assertTrue(#lost >= 1 and #lost <= 10)
  support.works(exe)
end)

with_both("in_a_map_that_is_not_protected", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local it = exe:map(function(i)
    if i == 3 then
      die "SIGKILL"
    end
    return i
  end, lfut.range(6), { chunksize = 1 })
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertEquals({ it() }, { 2, 2 })
  assert_lost(support.raised(it), "SIGKILL")
  for i = 4, 6 do
    lu.assertEquals({ it() }, { i, i })
  end
  lu.assertNil(it())
end)

with_both("in_a_map_without_order_and_by_itself", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local seen, lost = {}, 0
  for i, ok, r in exe:map(function(i)
    if i % 100 == 7 then
      die "_exit"
    end
    return i
  end, lfut.range(500), { ordered = false, protected = true }) do
    lu.assertNil(seen[i])
    seen[i] = true
    if ok then
      lu.assertEquals(r, i)
    else
      assert_lost(r, "_exit")
      lost = lost + 1
    end
  end
  lu.assertEquals(#seen, 500)
  lu.assertTrue(lost >= 5)
  support.works(exe)
end)

with_both("in_for_each_and_reduce", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  local function fn(i)
    if i == 25 then
      die "SIGKILL"
    end
    return i
  end
  assert_lost(support.raised(exe.for_each, exe, fn, lfut.range(50), { chunksize = 5 }), "SIGKILL")
  assert_lost(support.raised(exe.reduce, exe, fn, lfut.range(50), function(a, b) return a + b end, 0,
    { chunksize = 5 }), "SIGKILL")
  lu.assertEquals(exe:reduce(fn, lfut.range(24), function(a, b) return a + b end, 0), 300)
end)

-- Starting and ending

-- What a pool says that cannot start workers.
local function assert_broken(exe, f, ...)
  local e = f:exception()
  support.is_error(e, "BrokenProcessPool")
  for _, text in ipairs { ... } do
    lu.assertStrContains(e.message, text)
  end
  support.fails_as("BrokenProcessPool", e.message, function() exe:submit(echo) end)
end

with_both("an_initializer_that_crashes", function(method)
  for _, way in ipairs { "SIGKILL", "SIGSEGV", "abort", "_exit" } do
    local exe <close> = new(method, { max_workers = 2, initializer = die, initargs = { way } })
    local g <close> = gate.new()
    assert_broken(exe, exe:submit(echo), "worker ", "while starting")
  end
end)

with_both("an_initializer_that_raises_or_exits", function(method)
  for way, text in pairs { error = "just an error", ["os.exit"] = "os.exit(3)" } do
    local exe <close> = new(method, { max_workers = 2, initializer = die, initargs = { way } })
    local futures = {}
    for i = 1, 10 do
      local ok, f = pcall(exe.submit, exe, echo)
      futures[#futures + 1] = ok and f or nil
    end
    for _, f in ipairs(futures) do
      assert_broken(exe, f, text)
    end
  end
end)

with_both("after_shutdown", function(method)
  local exe = new(method)
  local g <close>, held = support.held(exe)
  local queued = {}
  for i = 1, 20 do
    queued[i] = exe:submit(echo, i)
  end
  exe:shutdown(false)
  for _, pid in ipairs(pids_of(exe)) do
    kill(pid)
  end
  assert_lost(held:exception(), "SIGKILL")
  for i = 1, 20 do
    lu.assertEquals(queued[i]:result(), i)
  end
  exe:shutdown()
end)

with_both("while_shutdown_waits", function(method)
  local exe = new(method, { max_workers = 2 })
  local futures = {}
  for i = 1, 200 do
    futures[i] = exe:submit(function(i)
      if i % 10 == 0 then
        die "SIGKILL"
      end
      return i
    end, i)
  end
  exe:shutdown()
  for i = 1, 200 do
    lu.assertEquals(futures[i]:state(), i % 10 == 0 and "failed" or "finished")
  end
  lu.assertEquals(exe:stats().workers, 0)
end)

function TestLoss.test_the_template()
  local exe <close> = new("fork", { max_workers = 2 })
  local g <close>, held = support.held(exe)
  local template
  for pid, child in pairs(support.children(lfut.getpid())) do
    if child.name == "lfut_template" then
      template = pid
    end
  end
  kill(template)
  while support.children(lfut.getpid())[template] do end
  gate.open(g)
  held:result()
  -- The worker that is there goes on.
  local pid = exe:submit(lfut.getpid):result()
  for _ = 1, 10 do
    lu.assertEquals(exe:submit(lfut.getpid):result(), pid)
  end
  kill(pid)
  local f
  repeat
    local ok
    ok, f = pcall(exe.submit, exe, echo)
  until not ok or f:exception()
  local e = type(f) == "userdata" and f:exception() or f
  support.is_error(e, "BrokenProcessPool")
  lu.assertStrContains(e.message, "the process that workers are forked from has died")
  lu.assertStrContains(support.raised(exe.submit, exe, echo).message, "the process that workers are forked from has died")
end

-- terminate_workers and kill_workers

-- Wherever the workers are on their way: asked for, being forked, ready.
with_both("killing_workers_that_are_starting", function(method)
  for round = 1, 20 do
    local exe = new(method, { max_workers = 4 })
    local futures = {}
    for i = 1, 4 do
      futures[i] = exe:submit(echo, i)
    end
    if round % 4 == 0 then
      futures[1]:result()
    end
    if round % 2 == 0 then
      exe:kill_workers()
    else
      exe:terminate_workers()
    end
    for _, f in ipairs(futures) do
      if not f:cancelled() and f:exception() then
        support.is_error(f:exception(), "WorkerLost")
      end
    end
    exe:shutdown()
    lu.assertEquals(exe:stats().workers, 0)
  end
end)

for name, signal in pairs { terminate_workers = "SIGTERM", kill_workers = "SIGKILL" } do
  with_both(name, function(method)
    local exe <close> = new(method, { max_workers = 2 })
    local g <close> = gate.new()
    local running, pending = {}, {}
    for i = 1, 2 do
      running[i] = exe:submit(gate.hold, g)
    end
    gate.arrived(g, 2)
    for i = 1, 20 do
      pending[i] = exe:submit(echo)
    end
    lu.assertEquals(select("#", exe[name](exe)), 0)
    for i = 1, 20 do
      lu.assertTrue(pending[i]:cancelled())
    end
    for i = 1, 2 do
      assert_lost(running[i]:exception(), signal)
    end
    support.fails("cannot schedule new futures after shutdown", function() exe:submit(echo) end)
    exe[name](exe)
    exe:kill_workers()
    exe:terminate_workers()
    exe:shutdown()
    lu.assertEquals(exe:stats().workers, 0)
    local s = exe:stats()
    lu.assertEquals({ s.failed, s.cancelled, s.finished }, { 2, 20, 0 })
  end)

  with_both(name .. "_on_fresh_and_idle_ones", function(method)
    local fresh <close> = new(method)
    fresh[name](fresh)
    support.fails("cannot schedule new futures after shutdown", function() fresh:submit(echo) end)
    local idle <close> = new(method)
    local f = idle:submit(echo, 1)
    f:result()
    idle[name](idle)
    lu.assertEquals(f:result(), 1)
    idle:shutdown()
    idle[name](idle)
  end)

  with_both(name .. "_with_a_loop_running", function(method)
    local exe <close> = new(method, { max_workers = 2 })
    local g <close> = gate.new()
    local it = exe:map(gate.hold, { g, g, g, g, g }, { chunksize = 1 })
    gate.arrived(g, 2)
    exe[name](exe)
    assert_lost(support.raised(it), signal)
    assert_lost(support.raised(it), signal)
    support.fails_as("CancelledError", "the rest of the items was cancelled", it)
    lu.assertNil(it())
  end)

  TestLoss["test_" .. name .. "_of_others"] = function()
    for _, new in ipairs { lfut.ThreadPoolExecutor, lfut.InlineExecutor } do
      local exe <close> = new(1)
      local e = support.raised(function() exe[name](exe) end)
      lu.assertStrContains(tostring(e), name)
      support.works(exe)
    end
  end
end

local rc = support.run(TestLoss)
if rc ~= 0 then
  os.exit(rc)
end
