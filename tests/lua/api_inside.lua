-- SPDX-License-Identifier: MIT
--
-- Submitting and waiting inside of tasks (API §3, "Waiting inside a task").
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestInside = {}

local function fib(exe, n)
  if n < 2 then
    return n
  end
  local a = exe:submit(fib, exe, n - 1)
  local b = exe:submit(fib, exe, n - 2)
  return a:result() + b:result()
end

function TestInside.test_fib_on_one_worker()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(fib, exe, 13):result(), 233)
end

function TestInside.test_fib_on_three_workers()
  local exe <close> = support.Executor(3)
  lu.assertEquals(exe:submit(fib, exe, 14):result(), 377)
end

function TestInside.test_fib_with_globals()
  G_exe = support.Executor(2)
  function G_fib(n)
    if n < 2 then
      return n
    end
    local a, b = G_exe:submit(G_fib, n - 1), G_exe:submit(G_fib, n - 2)
    return a:result() + b:result()
  end
  local r = G_exe:submit(G_fib, 12):result()
  G_exe:shutdown()
  G_exe, G_fib = nil, nil
  lu.assertEquals(r, 144)
end

function TestInside.test_a_long_chain_of_waits()
  local exe <close> = support.Executor(1)
  local function down(exe, n)
    return n == 0 and 0 or exe:submit(down, exe, n - 1):result() + 1
  end
  local n = support.is_inline and 20 or 1500
  lu.assertEquals(exe:submit(down, exe, n):result(), n)
end

function TestInside.test_results_and_errors_of_inner_tasks()
  local exe <close> = support.Executor(1)
  local r = table.pack(exe:submit(function(exe)
    return exe:submit(function() return 1, nil, 3, nil end):result()
  end, exe):result())
  lu.assertEquals(r, { 1, nil, 3, nil, n = 4 })
  local f = exe:submit(function(exe)
    exe:submit(function() error { code = 5 } end):result()
  end, exe)
  lu.assertEquals(f:exception(), { code = 5 })
  local e = exe:submit(function(exe)
    local f = exe:submit(function() error "inner" end)
    return (f:exception())
  end, exe):result()
  lu.assertStrMatches(e, ".*:%d+: inner")
end

function TestInside.test_a_wait_in_pcall()
  local exe <close> = support.Executor(1)
  local ok, value, failed, e, handled = exe:submit(function(exe)
    local good = exe:submit(function() return 7 end)
    local bad = exe:submit(function() error("bad", 0) end)
    local ok, value = pcall(good.result, good)
    local failed, e = pcall(function() return bad:result() end)
    local _, handled = xpcall(function() return bad:result() end, function(e) return "handled " .. e end)
    return ok, value, failed, e, handled
  end, exe):result()
  lu.assertEquals({ ok, value, failed, e, handled }, { true, 7, false, "bad", "handled bad" })
end

function TestInside.test_a_wait_in_a_message_handler()
  local exe <close> = support.Executor(1)
  local _, r = exe:submit(function(exe)
    return xpcall(error, function() return exe:submit(function() return "waited" end):result() end)
  end, exe):result()
  lu.assertEquals(r, "waited")
end

function TestInside.test_waits_in_coroutines_of_the_task()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(exe)
    local seen = {}
    local co = coroutine.wrap(function(a)
      seen[#seen + 1] = a
      seen[#seen + 1] = exe:submit(function(x) return x * 2 end, 21):result()
      seen[#seen + 1] = coroutine.yield "first"
      seen[#seen + 1] = exe:submit(function(x) return x * 2 end, 4):result()
      return "last"
    end)
    local first = co "started"
    local last = co "again"
    return { first, last, table.unpack(seen) }
  end, exe):result()
  lu.assertEquals(r, { "first", "last", "started", 42, "again", 8 })
end

function TestInside.test_waits_in_coroutines_within_coroutines()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(exe)
    local function nested(n)
      if n == 0 then
        return exe:submit(function() return 100 end):result()
      end
      local co = coroutine.create(nested)
      local ok, value = coroutine.resume(co, n - 1)
      assert(ok, value)
      assert(coroutine.status(co) == "dead")
      return value + 1
    end
    return nested(20)
  end, exe):result()
  lu.assertEquals(r, 120)
end

function TestInside.test_a_generator_that_waits()
  local exe <close> = support.Executor(1)
  local list = exe:submit(function(exe)
    local function squares(n)
      return coroutine.wrap(function()
        for i = 1, n do
          coroutine.yield(exe:submit(function(i) return i * i end, i):result())
        end
      end)
    end
    local list = {}
    for s in squares(5) do
      list[#list + 1] = s
    end
    return list
  end, exe):result()
  lu.assertEquals(list, { 1, 4, 9, 16, 25 })
end

function TestInside.test_a_coroutine_left_waiting_is_the_task_s_own()
  local exe <close> = support.Executor(1)
  local status, status2 = exe:submit(function(exe)
    local co = coroutine.create(function()
      exe:submit(function() end):result()
      coroutine.yield()
    end)
    assert(coroutine.resume(co))
    local status = coroutine.status(co)
    return status, coroutine.close(co)
  end, exe):result()
  lu.assertEquals({ status, status2 }, { "suspended", true })
end

function TestInside.test_waits_in_a_sort()
  local exe <close> = support.Executor(1)
  local list = exe:submit(function(exe)
    local list = { 5, 2, 8, 1, 9, 3 }
    table.sort(list, function(a, b)
      return exe:submit(function(a, b) return a < b end, a, b):result()
    end)
    return list
  end, exe):result()
  lu.assertEquals(list, { 1, 2, 3, 5, 8, 9 })
end

function TestInside.test_waits_in_a_gsub()
  local exe <close> = support.Executor(1)
  local s = exe:submit(function(exe)
    return (("a1b2"):gsub("%d", function(d)
      return exe:submit(function(d) return "<" .. d * 2 .. ">" end, d):result()
    end))
  end, exe):result()
  lu.assertEquals(s, "a<2>b<4>")
end

function TestInside.test_waits_in_metamethods()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(exe)
    local function ask(...)
      return exe:submit(function(...) return ... end, ...):result()
    end
    local mt = {
      __index = function(_, k) return ask(k) .. "!" end,
      __add = function() return ask "sum" end,
      __lt = function() return ask(true) end,
      __eq = function() return ask(true) end,
      __len = function() return ask(5) end,
      __concat = function() return ask "joined" end,
      __call = function(_, x) return ask(x) end,
      __tostring = function() return ask "text" end,
      __close = function() closed = ask "closed" end,
      __newindex = function(t, k, v) rawset(t, k, ask(v)) end,
    }
    local o, p = setmetatable({}, mt), setmetatable({}, mt)
    do
      local c <close> = o
    end
    o.new = "new"
    return { o.x, o + p, o < p, o == p, #o, o .. p, o(3), tostring(o), closed, o.new }
  end, exe):result()
  lu.assertEquals(r, { "x!", "sum", true, true, 5, "joined", 3, "text", "closed", "new" })
end

function TestInside.test_waits_in_iterators_and_chunks()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(exe)
    local function ask(x)
      return exe:submit(function(x) return x end, x):result()
    end
    local list = {}
    local i = 0
    for x in function() i = i + 1 return ask(i < 4 and i or nil) end do
      list[#list + 1] = x
    end
    list[#list + 1] = load("return (...)(4)")(ask)
    local parts, n = { "return ", "5" }, 0
    list[#list + 1] = load(function() n = n + 1 return ask(parts[n]) end)()
    package.preload.lfut_waits = function() return ask(6) end
    list[#list + 1] = require "lfut_waits"
    list[#list + 1] = select(2, pcall(pcall, ask, 7))
    return list
  end, exe):result()
  lu.assertEquals({ table.unpack(r, 1, 6) }, { 1, 2, 3, 4, 5, 6 })
end

-- Waits below a C call cannot be parked; several of them on one worker.
function TestInside.test_many_waits_that_cannot_park()
  local exe <close> = support.Executor(1)
  local function nested(exe, n)
    if n == 0 then
      return 0
    end
    local value
    ("x"):gsub("x", function() value = exe:submit(nested, exe, n - 1):result() end)
    return value + 1
  end
  lu.assertEquals(exe:submit(nested, exe, 10):result(), 10)
  local futures = {}
  for i = 1, 20 do
    futures[i] = exe:submit(nested, exe, 3)
  end
  for i = 1, 20 do
    lu.assertEquals(futures[i]:result(), 3)
  end
end

function TestInside.test_a_wait_that_cannot_park_for_another_executor()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local second = support.send_executor(other) or exe
  local function back_and_forth(a, b, n)
    if n == 0 then
      return 0
    end
    local value
    table.sort({ 1, 2 }, function()
      value = b:submit(back_and_forth, b, a, n - 1):result()
      return false
    end)
    return value + 1
  end
  lu.assertEquals(exe:submit(back_and_forth, exe, second, 6):result(), 6)
end

function TestInside.test_wait_and_as_completed()
  local exe <close> = support.Executor(1)
  local done, left, sum, first = exe:submit(function(exe)
    local lfut = require "lfut"
    local futures = {}
    for i = 1, 10 do
      futures[i] = exe:submit(function(i) return i end, i)
    end
    local done, left = lfut.wait(futures)
    local sum = 0
    for f in lfut.as_completed { exe:submit(function() return 1 end), exe:submit(function() return 2 end) } do
      sum = sum + f:result()
    end
    local first = lfut.wait({ exe:submit(function() end) }, nil, lfut.FIRST_COMPLETED)
    return #done, #left, sum, #first
  end, exe):result()
  lu.assertEquals({ done, left, sum, first }, { 10, 0, 3, 1 })
end

function TestInside.test_loops_in_tasks()
  local exe <close> = support.Executor(1)
  local map, sum, count, star = exe:submit(function(exe)
    local lfut = require "lfut"
    local map = exe:map(function(i) return i * i end, lfut.range(5)):list()
    local sum = exe:reduce(function(i) return i end, lfut.range(100), function(a, b) return a + b end)
    local count = exe:for_each(function() end, lfut.range(1000))
    local star = 0
    for _, r in exe:starmap(function(a, b) return a * b end, { { 1, 2 }, { 3, 4 } }) do
      star = star + r
    end
    return map, sum, count, star
  end, exe):result()
  lu.assertEquals(map, { 1, 4, 9, 16, 25, n = 5 })
  lu.assertEquals({ sum, count, star }, { 5050, 1000, 14 })
end

function TestInside.test_loops_within_loops()
  local exe <close> = support.Executor(2)
  local function inner(exe, n)
    return exe:reduce(function(i) return i end, lfut.range(n), function(a, b) return a + b end)
  end
  local list = exe:map(function(n) return inner(exe, n) end, { 1, 2, 3, 10, 100 }):list()
  lu.assertEquals(list, { 1, 3, 6, 55, 5050, n = 5 })
end

function TestInside.test_maps_in_coroutines_and_c_calls()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(exe)
    local function total()
      local sum = 0
      for _, r in exe:map(function(i) return i end, { 1, 2, 3 }) do
        sum = sum + r
      end
      return sum
    end
    local r = { coroutine.wrap(total)() }
    ;("x"):gsub("x", function() r[2] = total() end)
    return r
  end, exe):result()
  lu.assertEquals(r, { 6, 6 })
end

function TestInside.test_broadcast_inside()
  local exe <close> = support.Executor(3)
  local other <close> = support.Executor(2)
  local n = exe:submit(function(other)
    other = require "support".receive_executor(other, 2)
    local list = other:broadcast(function() return require "lfut".worker().id end)
    local n = 0
    for _, f in ipairs(list) do
      assert(f:result() >= 1)
      n = n + 1
    end
    return n
  end, support.send_executor(other)):result()
  lu.assertEquals(n, other.max_workers)
end

function TestInside.test_executors_made_inside()
  local exe <close> = support.Executor(1)
  local lists, names = exe:submit(function()
    local lfut = require "lfut"
    local lists = {}
    for i, new in ipairs { lfut.ThreadPoolExecutor, lfut.InlineExecutor } do
      local inner <close> = new { max_workers = 2, name = "inner" .. i }
      lists[i] = inner:map(function(x) return x + 1 end, { 1, 2, 3 }):list()
      lists[i][4] = inner:submit(function() return require "lfut".worker().name end):result()
    end
    return lists
  end):result()
  lu.assertEquals({ table.unpack(lists[1], 1, 3) }, { 2, 3, 4 })
  lu.assertStrMatches(lists[1][4], "inner1_[12]")
  lu.assertEquals(lists[2], { 2, 3, 4, "inner2_1", n = 3 })
end

function TestInside.test_a_future_outlives_the_executor_made_inside()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function()
    local inner = require "lfut".ThreadPoolExecutor(1)
    return inner:submit(function() return "kept" end)
  end)
  if support.is_process then -- it is of another process's thread
    support.fails_as("TransferError",
      "cannot send result 1 (userdata lfut.Future, which cannot cross into another process) back", f.result, f)
  else
    lu.assertEquals(f:result():result(), "kept")
  end
end

function TestInside.test_a_waiting_task_does_not_occupy_its_worker()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo, "awake")
  local waiting = {}
  for i = 1, 50 do
    waiting[i] = exe:submit(function(i) return i, wake:result() end, i)
  end
  support.works(exe)
  lu.assertEquals(exe:stats().workers, 1)
  for i = 1, 50 do
    lu.assertFalse(waiting[i]:done())
    lu.assertEquals(waiting[i]:state(), "running")
  end
  gate.open(g)
  for i = 1, 50 do
    lu.assertEquals({ waiting[i]:result() }, { i, "awake" })
  end
end

function TestInside.test_a_wait_that_cannot_park_leaves_the_pool_going()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo, "awake")
  local waiting = {}
  for i = 1, 3 do
    waiting[i] = exe:submit(function()
      local r
      ("x"):gsub("x", function() r = wake:result() end)
      return r
    end)
  end
  support.works(exe)
  gate.open(g)
  for i = 1, 3 do
    lu.assertEquals(waiting[i]:result(), "awake")
  end
end

function TestInside.test_continues_on_the_worker_where_it_began()
  support.needs_workers()
  local exe <close> = support.Executor(3)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo)
  local futures = {}
  for i = 1, 30 do
    futures[i] = exe:submit(function()
      local before = lfut.worker().id
      mark = mark or before
      wake:result()
      return before, lfut.worker().id, mark
    end)
  end
  support.works(exe)
  gate.open(g)
  for i = 1, 30 do
    local before, after, mark = futures[i]:result()
    lu.assertEquals(after, before)
    lu.assertEquals(mark, before)
  end
end

function TestInside.test_timeouts_inside()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local blocked = other:submit(echo, "free")
  local r = exe:submit(function(f)
    local lfut = require "lfut"
    local kinds = {}
    for _, t in ipairs { -1, 0, 0.001 } do
      local ok, e = pcall(f.result, f, t)
      assert(not ok)
      kinds[#kinds + 1] = e.kind
    end
    local done, left = lfut.wait({ f }, 0.001)
    kinds[#kinds + 1] = #done .. "/" .. #left
    local ok, e = pcall(lfut.as_completed({ f }, 0.001))
    kinds[#kinds + 1] = e.message
    return kinds
  end, blocked):result()
  lu.assertEquals(r, { "TimeoutError", "TimeoutError", "TimeoutError", "0/1", "1 (of 1) futures unfinished" })
end

function TestInside.test_cancelled_while_a_task_waits_for_it()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local f = other:submit(echo)
  local waiter = exe:submit(function() return select(2, pcall(f.result, f)).kind end)
  support.works(exe) -- the waiter is waiting
  lu.assertTrue(f:cancel())
  lu.assertEquals(waiter:result(), "CancelledError")
end

function TestInside.test_callbacks_inside()
  local exe <close> = support.Executor(1)
  local list = exe:submit(function(exe)
    local list = {}
    local f = exe:submit(function() return "of f" end)
    f:add_done_callback(function(f) list[#list + 1] = "first " .. f:result() end)
    f:result()
    f:add_done_callback(function() list[#list + 1] = "second" end)
    require "lfut".poll()
    return list
  end, exe):result()
  lu.assertEquals(list, { "first of f", "second" })
end

function TestInside.test_callbacks_of_a_task_that_is_over()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local f = other:submit(echo, "late")
  exe:submit(function() f:add_done_callback(function(f) seen = f:result() end) end):result()
  gate.open(g)
  f:result()
  lu.assertEquals(exe:submit(function() lfut.poll() return seen end):result(), "late")
end

function TestInside.test_many_nested_maps_on_one_worker()
  local exe <close> = support.Executor(1)
  local function total(exe, n)
    local sum = 0
    for _, r in exe:map(function(x) return x + 1 end, lfut.range(n)) do
      sum = sum + r
    end
    return sum
  end
  for n = 1, 60 do
    lu.assertEquals(exe:submit(total, exe, n):result(), n * (n + 3) // 2)
  end
end

function TestInside.test_broadcast_where_nothing_can_park()
  local exe <close> = support.Executor(2)
  local f = exe:submit(function(exe)
    local n = 0
    local ok, e = pcall(string.gsub, "x", "x", function()
      for _, f in ipairs(exe:broadcast(function() return 1 end)) do
        n = n + f:result()
      end
    end)
    return ok and n, e
  end, exe)
  local n, e = f:result()
  -- One that is for this very worker cannot run below the wait.
  lu.assertTrue(n == exe.max_workers or lfut.is_error(e, "DeadlockError"), tostring(e))
  support.works(exe)
end

function TestInside.test_a_finalizer_that_waits()
  local exe <close> = support.Executor(1)
  local n = exe:submit(function(exe)
    local n = 0
    for _ = 1, 5 do
      setmetatable({}, { __gc = function() n = n + exe:submit(function() return 1 end):result() end })
      collectgarbage()
    end
    return n
  end, exe):result()
  lu.assertEquals(n, 5)
  support.works(exe)
end

-- The script itself waits below C calls, in coroutines, in metamethods.
function TestInside.test_the_script_s_own_waits()
  local exe <close> = support.Executor(1)
  local function ask(x)
    return exe:submit(echo, x):result()
  end
  local list = { 3, 1, 2 }
  table.sort(list, function(a, b) return ask(a < b) end)
  lu.assertEquals(list, { 1, 2, 3 })
  lu.assertEquals((("ab"):gsub(".", function(c) return ask(c .. c) end)), "aabb")
  lu.assertEquals(coroutine.wrap(function()
    return coroutine.wrap(function() return ask "deep" end)()
  end)(), "deep")
  local o = setmetatable({}, { __index = function(_, k) return ask(k) end, __len = function() return ask(3) end })
  lu.assertEquals({ o.x, #o }, { "x", 3 })
  local finalized
  setmetatable({}, { __gc = function() finalized = ask "finalized" end })
  collectgarbage()
  collectgarbage()
  lu.assertEquals(finalized, "finalized")
end

-- Cycles

function TestInside.test_waiting_for_oneself()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local ways = {
    function(f) return f:result() end,
    function(f) return f:exception() end,
    function(f) return require "lfut".wait { f } end,
    function(f) return require "lfut".wait({ f }, nil, "FIRST_COMPLETED") end,
    function(f) return require "lfut".as_completed { f } () end,
    function(f) ("x"):gsub("x", function() f:result() end) end,
    function(f) return coroutine.wrap(function() return f:result() end)() end,
  }
  for _, way in ipairs(ways) do
    local g <close> = support.held(other)
    local wake = other:submit(echo)
    local line = debug.getinfo(1, "l").currentline + 1
    local f = exe:submit(function()
      wake:result()
      local ok, e = pcall(way, me)
      return ok, e
    end)
    exe:broadcast(function(f) me = f end, f)[1]:result()
    gate.open(g)
    local ok, e = f:result()
    lu.assertFalse(ok)
    support.is_error(e, "DeadlockError")
    lu.assertStrContains(e.message, ("function <%s:%d>"):format(arg[0], line))
    support.works(exe)
  end
end

function TestInside.test_two_that_wait_for_each_other()
  support.needs_workers()
  for workers = 1, 2 do
    local exe <close> = support.Executor(1)
    local second = workers == 1 and exe or support.Executor(1)
    local other <close> = support.Executor(1)
    local g <close> = support.held(other)
    local wake = other:submit(echo)
    local line = debug.getinfo(1, "l").currentline + 1
    local function meet(name)
      wake:result()
      local ok, e = pcall(function() return partner_of[name]:result() end)
      return ok, e
    end
    local a, b = exe:submit(meet, "a"), second:submit(meet, "b")
    for _, x in ipairs { exe, second } do
      x:broadcast(function(t) partner_of = t end, { a = b, b = a })[1]:result()
    end
    gate.open(g)
    local ok_a, e_a = a:result()
    local ok_b, e_b = b:result()
    -- One of them was told; what it returned is the other's result.
    lu.assertTrue(ok_a ~= ok_b)
    local e = ok_a and e_b or e_a
    support.is_error(e, "DeadlockError")
    local _, n = e.message:gsub(("function <%s:%d>"):format(arg[0], line):gsub("%p", "%%%0"), "")
    lu.assertTrue(n >= 2, e.message)
    support.works(exe)
    second:shutdown()
  end
end

function TestInside.test_a_cycle_that_is_none()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo, "woken")
  -- It waits for itself or for another: the other is enough.
  local f = exe:submit(function()
    wake:result()
    local lfut = require "lfut"
    local sub = my_exe:submit(function() return "other" end)
    local done = lfut.wait({ me, sub }, nil, lfut.FIRST_COMPLETED)
    assert(#done == 1 and done[1] == sub)
    return lfut.as_completed { me, my_exe:submit(function() return "third" end) } ():result()
  end)
  exe:broadcast(function(f, e) me, my_exe = f, e end, f, exe)[1]:result()
  gate.open(g)
  lu.assertEquals(f:result(), "third")
end

-- A waits for B or C, both wait for A: whoever comes last is told.
function TestInside.test_a_cycle_through_any_of_two()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo)
  local function a()
    wake:result()
    local ok, e = pcall(lfut.wait, { ring.b, ring.c }, nil, lfut.FIRST_COMPLETED)
    return not ok and e.kind or #e
  end
  local function b()
    wake:result()
    local ok, e = pcall(function() return (ring.a:result()) end)
    return ok and "free" or e.kind
  end
  local fs = { a = exe:submit(a), b = exe:submit(b), c = exe:submit(b) }
  exe:broadcast(function(t) ring = t end, fs)[1]:result()
  gate.open(g)
  local results = { fs.a:result(), fs.b:result(), fs.c:result() }
  local told = 0
  for _, r in ipairs(results) do
    told = told + (r == "DeadlockError" and 1 or 0)
  end
  lu.assertEquals(told, 1)
end

-- Everyone waits for everyone of the layer before.
function TestInside.test_layers_of_waits()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local layer = { other:submit(echo, 1) }
  for _ = 1, 25 do
    local next_layer = {}
    for i = 1, 4 do
      next_layer[i] = exe:submit(function(fs)
        local most = 0
        for _, f in ipairs(lfut.wait(fs)) do
          most = math.max(most, f:result())
        end
        return most + 1
      end, layer)
    end
    layer = next_layer
  end
  support.works(exe)
  gate.open(g)
  for i = 1, 4 do
    lu.assertEquals(layer[i]:result(), 26)
  end
end

function TestInside.test_an_uncaught_deadlock_fails_the_task()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo)
  local f = exe:submit(function()
    wake:result()
    me:result()
  end)
  exe:broadcast(function(f) me = f end, f)[1]:result()
  gate.open(g)
  support.fails_as("DeadlockError", nil, f.result, f)
  lu.assertEquals(f:state(), "failed")
  support.works(exe)
end

function TestInside.test_a_cycle_of_three_through_wait_and_map()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo)
  local function task(i)
    wake:result()
    local lfut = require "lfut"
    local target = ring[i % 3 + 1]
    if i == 1 then
      lfut.wait { target }
      return "one", (target:exception())
    elseif i == 2 then
      return "two", my_exe:map(function(f) return (f:exception()) end, { target }):list()
    end
    return "three", lfut.as_completed { target } ():exception()
  end
  local fs = { exe:submit(task, 1), exe:submit(task, 2), exe:submit(task, 3) }
  exe:broadcast(function(fs, e) ring, my_exe = fs, e end, fs, exe)[1]:result()
  gate.open(g)
  local told = 0
  for i = 1, 3 do
    local e = fs[i]:exception()
    told = told + (e and lfut.is_error(e, "DeadlockError") and 1 or 0)
  end
  lu.assertEquals(told, 1)
  lu.assertEquals(#lfut.wait(fs), 3)
  support.works(exe)
end

function TestInside.test_shutting_down_its_own_executor()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function(e) e:shutdown() end, exe)
  support.fails_as("DeadlockError", nil, f.result, f)
end

function TestInside.test_shutdown_from_inside_without_waiting()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function(e)
    e:shutdown(false)
    return pcall(e.submit, e, print)
  end, exe)
  local ok, e = f:result()
  lu.assertFalse(ok)
  lu.assertStrContains(e, "cannot schedule new futures after shutdown")
end

function TestInside.test_shutdown_with_tasks_parked()
  support.needs_workers()
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo, 5)
  local exe = support.Executor(1)
  local f = exe:submit(function() return wake:result() + 1 end)
  support.works(exe)
  exe:shutdown(false)
  gate.open(g)
  lu.assertEquals(f:result(), 6)
  exe:shutdown()
  lu.assertEquals(exe:stats().finished >= 2, true)
end

function TestInside.test_inner_tasks_after_a_shutdown_that_waits()
  support.needs_workers()
  local exe = support.Executor(2)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo)
  -- Parked in its wait while the executor is shut down: it cannot submit any more.
  local f = exe:submit(function(exe)
    wake:result()
    return select(2, pcall(exe.submit, exe, print))
  end, exe)
  support.works(exe)
  exe:shutdown(false)
  gate.open(g)
  lu.assertStrContains(f:result(), "cannot schedule new futures after shutdown")
end

-- B is resumed on top of A, which is blocked, and then waits for it in turn:
-- an end in any case, by an error if B was there first.
function TestInside.test_a_task_on_top_of_another_that_it_needs()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local ox <close> = support.Executor(1)
  local oy <close> = support.Executor(1)
  local gx <close> = support.held(ox)
  local gy <close> = support.held(oy)
  local x, y = ox:submit(tostring, 1), oy:submit(tostring, 2)
  local b = exe:submit(function()
    local a = exe:submit(function()
      table.sort({ 1, 2 }, function(p, q) x:result() return p < q end)
      return "A"
    end)
    y:result()
    table.sort({ 1, 2 }, function(p, q) a:result() return p < q end)
    return "B"
  end)
  gate.open(gy)
  y:result()
  gate.open(gx)
  local e = b:exception()
  lu.assertTrue(e == nil or lfut.is_error(e, "DeadlockError"))
  support.works(exe)
end

-- The same, B certainly last.
function TestInside.test_waiting_for_a_task_that_one_runs_on_top_of()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local ox <close> = support.Executor(1)
  local oy <close> = support.Executor(1)
  local gx <close> = support.held(ox)
  local gy <close> = support.held(oy)
  local g <close> = gate.new()
  local x, y = ox:submit(tostring, 1), oy:submit(tostring, 2)
  local b = exe:submit(function()
    local gate = require "gate"
    local a = exe:submit(function()
      gate.ring(g)
      table.sort({ 1, 2 }, function(p, q) x:result() return p < q end)
      return "A"
    end)
    y:result()
    table.sort({ 1, 2 }, function(p, q) a:result() return p < q end)
  end)
  gate.arrived(g)
  gate.open(gy)
  support.fails_as("DeadlockError", nil, b.result, b)
  gate.open(gx)
  support.works(exe)
end

local rc = support.run(TestInside)
if rc ~= 0 then
  os.exit(rc)
end
