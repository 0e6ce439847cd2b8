-- SPDX-License-Identifier: MIT
--
-- lfut.Pool, lfut.ThreadPool, AsyncResult (API §9).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestCalls, TestMap, TestImap, TestResult, TestCallbacks, TestEnd, TestLoss, TestOptions, TestMisuse, TestInside =
  {}, {}, {}, {}, {}, {}, {}, {}, {}, {}

-- Pools of one kind, with what a test says of their processes and options.
local function pools(kind)
  if kind == "thread" then
    return lfut.ThreadPool
  end
  return function(options)
    if type(options) ~= "table" then
      options = { processes = options }
    end
    options.start_method = kind
    return lfut.Pool(options)
  end
end

-- A function that adds test_NAME_KIND to the class for each of these kinds.
local function with(class, ...)
  local kinds = { ... }
  return function(name, fn)
    for _, kind in ipairs(kinds) do
      class["test_" .. name .. "_" .. kind] = function()
        if kind ~= "thread" then
          support.needs_processes()
        end
        fn(pools(kind), kind)
      end
    end
  end
end

local function with_all(class)
  return with(class, "thread", "fork", "spawn")
end

local function square(x)
  return x * x
end

-- Fails for those in the list.
local function failing(...)
  local bad = {}
  for _, x in ipairs { ... } do
    bad[x] = true
  end
  return function(x)
    if bad[x] then
      error({ code = x })
    end
    return x
  end
end

-- An iterator function: 1 ... last.
local function counting(last)
  local i = 0
  return function()
    if i < last then
      i = i + 1
      return i
    end
  end
end

local function die()
  os.execute("kill -KILL " .. lfut.getpid())
end

-- A pool of one worker that is held at a gate: the gate, and that task's result.
local function held(pool)
  local g = gate.new()
  local r = pool:apply_async(gate.hold, { g, "held" })
  gate.arrived(g)
  return g, r
end

local function broken(kind)
  return kind == "thread" and "BrokenThreadPool" or "BrokenProcessPool"
end

-- apply, apply_async

local calls = with_all(TestCalls)

calls("apply", function(new)
  local pool <close> = new(2)
  lu.assertEquals(pool:apply(square, { 7 }), 49)
  lu.assertEquals({ pool:apply(echo, { 1, "two", { 3 } }) }, { 1, "two", { 3 } })
  lu.assertEquals(select("#", pool:apply(echo)), 0)
  lu.assertEquals(select("#", pool:apply(echo, { nil, nil, n = 2 })), 2)
  lu.assertEquals(pool:apply(setmetatable({}, { __call = function(_, x) return x + 1 end }), { 1 }), 2)
  lu.assertEquals(support.raised(pool.apply, pool, failing(3), { 3 }).code, 3)
end)

calls("apply_async", function(new)
  local pool <close> = new(2)
  local list = {}
  for i = 1, 20 do
    list[i] = pool:apply_async(square, { i })
  end
  for i, r in ipairs(list) do
    lu.assertEquals(r:get(), i * i)
    lu.assertEquals({ r:ready(), r:successful(), r:wait() }, { true, true, true })
  end
  local r = pool:apply_async(failing(1), { 1 })
  lu.assertEquals(support.raised(r.get, r).code, 1)
  lu.assertFalse(r:successful())
  lu.assertEquals({ pool:apply_async(echo, { 1, nil, 3, n = 3 }, {}):get() }, { 1, nil, 3 })
end)

calls("arguments_are_read_at_the_call", function(new)
  local pool <close> = new(1)
  local g <close> = held(pool)
  local args = { { "before" } }
  local r = pool:apply_async(echo, args)
  args[1][1] = "after"
  gate.open(g)
  lu.assertEquals(r:get(), { "before" })
end)

-- map, starmap, their results

local maps = with_all(TestMap)

maps("map", function(new)
  local pool <close> = new(2)
  lu.assertEquals(pool:map(square, { 1, 2, 3 }), { 1, 4, 9, n = 3 })
  lu.assertEquals(pool:map(square, { 1, 2, 3 }, 1), { 1, 4, 9, n = 3 })
  lu.assertEquals(pool:map(square, { 1, 2, 3 }, 1000), { 1, 4, 9, n = 3 })
  lu.assertEquals(pool:map(string.upper, { "a", "b" }, 2.0), { "A", "B", n = 2 })
end)

maps("any_source", function(new)
  local pool <close> = new(2)
  local sources = { { 1, 2, 3, 4, 5 }, lfut.range(5), counting(5), lfut.Array("int32", { 1, 2, 3, 4, 5 }),
    lfut.zip(lfut.range(5)), lfut.zip(counting(5)), setmetatable({}, { __call = counting(5) }) }
  for i, source in ipairs(sources) do
    lu.assertEquals(pool:map(square, source), { 1, 4, 9, 16, 25, n = 5 }, i)
  end
  lu.assertEquals(pool:map(math.max, lfut.zip({ 1, 5 }, counting(3))), { 1, 5, n = 2 })
  lu.assertEquals(pool:map(math.type, lfut.range(0, 1, 0.5)), { "float", "float", "float", n = 3 })
  local pairs_of = { { 1, 10 }, { 2, 20 } }
  local i = 0
  lu.assertEquals(pool:map(math.max, function() i = i + 1 return table.unpack(pairs_of[i] or {}) end),
    { 10, 20, n = 2 })
end)

maps("no_items", function(new)
  local pool <close> = new(2)
  for _, source in ipairs { {}, { n = 0 }, lfut.range(0), function() end, lfut.zip({}, { 1 }) } do
    lu.assertEquals(pool:map(square, source), { n = 0 })
    lu.assertEquals(pool:starmap(square, source, 3), { n = 0 })
    local r = pool:map_async(square, source)
    lu.assertTrue(r:ready())
    lu.assertEquals({ r:get(), r:get(0) }, { { n = 0 }, { n = 0 } })
    lu.assertNil(pool:imap(square, source)())
    lu.assertNil(pool:imap_unordered(square, source)())
  end
end)

maps("many_items", function(new)
  support.relaxed()
  local pool <close> = new(2)
  local n = support.size(100000)
  local items = {}
  for i = 1, n do
    items[i] = i
  end
  for _, source in ipairs { items, lfut.range(n), counting(n) } do
    local list = pool:map(square, source)
    lu.assertEquals({ list.n, #list, list[1], list[n // 2], list[n] }, { n, n, 1, (n // 2) ^ 2 // 1 | 0, n * n })
  end
end)

maps("holes", function(new)
  local pool <close> = new(2)
  lu.assertEquals(pool:map(echo, { 1, nil, 3, nil, n = 4 }), { 1, nil, 3, nil, n = 4 })
  lu.assertEquals(pool:map(function() end, { 1, 2 }), { n = 2 })
  lu.assertEquals(pool:map(function(x) return x, "second" end, { 1, "b" }), { 1, "b", n = 2 })
end)

maps("starmap", function(new)
  local pool <close> = new(2)
  local add = function(a, b) return a + (b or 0) end
  lu.assertEquals(pool:starmap(add, { { 1, 2 }, { 3, 4 }, { 5, nil, n = 2 } }), { 3, 7, 5, n = 3 })
  local i = 0
  lu.assertEquals(pool:starmap(add, function() i = i + 1 return i < 3 and { i, i } or nil end, 1), { 2, 4, n = 2 })
  lu.assertEquals(pool:starmap_async(add, { { 1, 2 } }, { chunksize = 5 }):get(), { 3, n = 1 })
  support.fails("bad item #2 (table of arguments expected, got number)",
    function() pool:starmap(add, { { 1 }, 2 }) end)
end)

-- By default there are four chunks for each worker: a worker that lives for one
-- only tells them apart.
with(TestMap, "fork", "spawn")("chunks", function(new)
  local pool <close> = new { processes = 1, maxtasksperchild = 1 }
  local function sizes(...)
    local list, last = {}, nil
    for _, pid in ipairs(pool:map(lfut.getpid, ...)) do
      if pid ~= last then
        list[#list + 1] = 0
      end
      list[#list] = list[#list] + 1
      last = pid
    end
    return list
  end
  lu.assertEquals(sizes(lfut.range(8)), { 2, 2, 2, 2 })
  lu.assertEquals(sizes(counting(7)), { 2, 2, 2, 1 })
  lu.assertEquals(sizes { 1, 2, 3 }, { 1, 1, 1 })
  lu.assertEquals(sizes(lfut.range(8), 5), { 5, 3 })
end)

-- All items are run, then the first error is raised.
maps("errors", function(new)
  local pool <close> = new(2)
  for _, size in ipairs { 1, 3, 100 } do
    local ran = lfut.Array("int8", 10)
    local fail = failing(4, 3, 9)
    local e = support.raised(pool.map, pool, function(i)
      ran[i] = 1
      return fail(i)
    end, lfut.range(10), size)
    lu.assertEquals(e.code, 3)
    lu.assertEquals({ ran:get() }, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 })
  end
  lu.assertEquals(support.raised(pool.map, pool, error, { n = 3 }), support.nil_error)
  lu.assertEquals(support.raised(pool.starmap, pool, error, { { "a", 0 }, { "b", 0 } }), "a")
end)

maps("waits_for_all", function(new)
  local pool <close> = new(2)
  local g <close> = gate.new()
  local r = pool:map_async(function(i)
    if i == 1 then
      error "first"
    end
    gate.hold(g)
  end, { 1, 2 }, { chunksize = 1 })
  gate.arrived(g)
  lu.assertFalse(r:wait(0.01))
  support.fails_as("TimeoutError", "the result is not ready in time", r.get, r, 0)
  gate.open(g)
  lu.assertTrue(r:wait())
  lu.assertStrContains(support.raised(r.get, r), "first")
end)

maps("failing_source", function(new)
  local pool <close> = new(2)
  local function source()
    local next = counting(5)
    return function() return next() or error "no more" end
  end
  for _, name in ipairs { "map", "map_async", "starmap", "starmap_async" } do
    support.fails("no more", pool[name], pool, echo, source())
  end
  for _, name in ipairs { "imap", "imap_unordered" } do
    local it = pool[name](pool, echo, source())
    for _ = 1, 5 do
      lu.assertNotNil(it())
    end
    support.fails("no more", it)
    lu.assertNil(it())
  end
  lu.assertEquals(pool:map(square, { 2 }), { 4, n = 1 })
end)

maps("what_cannot_travel", function(new)
  local pool <close> = new(2)
  local file <close> = io.tmpfile()
  support.fails_as("TransferError", "cannot send item 2 (userdata FILE*) to a worker",
    pool.map, pool, echo, { 1, file })
  support.fails_as("TransferError", "cannot send item 1 (userdata FILE*) to a worker",
    pool.map, pool, echo, lfut.zip(function() return file end, { 1 }))
  support.fails_as("TransferError", "cannot send argument 2 (userdata FILE*) to a worker",
    pool.apply, pool, echo, { 1, file })
  support.fails_as("TransferError", "cannot send result 1 (userdata FILE*) back",
    pool.map, pool, io.tmpfile, { "a", "b" })
  lu.assertEquals(pool:map(square, { 2 }), { 4, n = 1 })
end)

-- imap, imap_unordered

local imaps = with_all(TestImap)

imaps("imap", function(new)
  local pool <close> = new(2)
  for _, size in ipairs { false, 1, 7, 1000 } do
    for _, source in ipairs { { 1, 2, 3, 4, 5 }, lfut.range(5), counting(5) } do
      local n = 0
      for i, r in pool:imap(square, source, size or nil) do
        n = n + 1
        lu.assertEquals({ i, r }, { n, n * n })
      end
      lu.assertEquals(n, 5)
    end
  end
end)

imaps("imap_unordered", function(new)
  local pool <close> = new(2)
  local g <close> = gate.new()
  local it = pool:imap_unordered(function(i)
    if i == 1 then
      gate.hold(g)
    end
    return -i
  end, { 1, 2, 3 })
  lu.assertEquals({ it() }, { 2, -2 })
  lu.assertEquals({ it() }, { 3, -3 })
  gate.open(g)
  lu.assertEquals({ it() }, { 1, -1 })
  lu.assertNil(it())
end)

imaps("an_error_is_raised_at_its_item", function(new)
  local pool <close> = new(2)
  local it = pool:imap(failing(2), { 1, 2, 3 })
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertEquals(support.raised(it).code, 2)
  lu.assertEquals({ it() }, { 3, 3 })
end)

-- The source is read as results are asked for, also after close; join reads it
-- to the end.
imaps("close_while_reading", function(new)
  for _, join in ipairs { false, true } do
    for _, source in ipairs { counting(60), lfut.range(60), lfut.zip(counting(60)) } do
      local pool <close> = new(2)
      local it = pool:imap(square, source)
      pool:close()
      support.fails("Pool not running", function() pool:apply(echo) end)
      if join then
        pool:join()
      end
      local n = 0
      for i, r in it do
        n = n + 1
        lu.assertEquals({ i, r }, { n, n * n })
      end
      lu.assertEquals(n, 60)
      pool:join()
    end
  end
end)

imaps("join_after_an_iterator_was_left", function(new)
  local pool <close> = new(2)
  for i in pool:imap(square, function() return 1 end) do
    if i == 3 then
      break
    end
  end
  local it = pool:imap(square, function() return 1 end)
  it()
  it:close()
  pool:close()
  pool:join()
end)

-- AsyncResult

local results = with_all(TestResult)

results("not_ready", function(new)
  local pool <close> = new(1)
  local g <close>, r = held(pool)
  local m = pool:map_async(square, { 1, 2 })
  for _, x in ipairs { r, m } do
    lu.assertEquals({ x:ready(), x:wait(0), x:wait(0.01) }, { false, false, false })
    support.fails("the result is not ready", function() x:successful() end)
    support.fails_as("TimeoutError", nil, x.get, x, 0)
    support.fails_as("TimeoutError", nil, x.get, x, 0.01)
    lu.assertEquals(tostring(x), "AsyncResult(not ready)")
  end
  gate.open(g)
  lu.assertEquals(r:get(), "held")
  lu.assertEquals(m:get(), { 1, 4, n = 2 })
  for _, x in ipairs { r, m } do
    lu.assertEquals({ x:ready(), x:wait(0), x:successful() }, { true, true, true })
    lu.assertEquals(tostring(x), "AsyncResult(ready)")
  end
end)

-- map_async needs nobody who asks.
results("map_async_goes_on_by_itself", function(new)
  local pool <close> = new(2)
  local g <close> = gate.new()
  local n = 500
  local last = function(i)
    if i == n then
      gate.ring(g)
    end
    return i
  end
  for _, source in ipairs { lfut.range(n), counting(n) } do
    local r = pool:map_async(last, source, { chunksize = 1 })
    gate.arrived(g)
    lu.assertTrue(r:wait())
    lu.assertTrue(r:successful())
    lu.assertEquals(r:get()[n], n)
  end
end)

results("get_again", function(new)
  local pool <close> = new(2)
  local r = pool:map_async(echo, { { 1 }, { 2 } })
  lu.assertIs(r:get(), r:get())
  r = pool:map_async(failing(2), { 1, 2, 3 })
  lu.assertEquals(support.raised(r.get, r).code, 2)
  lu.assertEquals(support.raised(r.get, r).code, 2)
  lu.assertFalse(r:successful())
end)

results("outlives_its_pool", function(new)
  local pool = new(1)
  local g <close>, r = held(pool)
  local m = pool:map_async(square, lfut.range(100), { chunksize = 1 })
  pool = nil
  collectgarbage()
  collectgarbage()
  gate.open(g)
  lu.assertEquals(r:get(), "held")
  lu.assertEquals(m:get()[100], 10000)
end)

function TestResult.test_tracebacks_of_workers()
  local out, err, status = support.program [[
    local lfut = require "lfut"
    local pool <close> = lfut.ThreadPool(1)
    local function broken(x)
      error("boom " .. x)
    end
    pool:map(broken, { 1, 2 })
  ]]
  lu.assertEquals({ out, status }, { "", 1 })
  lu.assertStrContains(err, "lfut: script.lua:4: boom 1\n")
  lu.assertStrContains(err, "script.lua:6: in main chunk")
  err = err:gsub("in global 'error'", "in function 'error'") -- as the version has it
  lu.assertStrContains(err, "worker's stack traceback:\n\t[C]: in function 'error'\n\tscript.lua:4: in")
end

-- Callbacks

local callbacks = with_all(TestCallbacks)

callbacks("callbacks", function(new)
  local pool <close> = new(2)
  local got = {}
  local function note(name)
    return function(...) got[name] = table.pack(...) end
  end
  local function both(name)
    return { callback = note(name), error_callback = note(name .. " failed") }
  end
  local list = {
    pool:apply_async(echo, { 1, nil, 3, n = 3 }, both "apply"),
    pool:apply_async(failing(1), { 1 }, both "apply 1"),
    pool:map_async(square, { 2, 3 }, both "map"),
    pool:map_async(failing(3), { 2, 3 }, both "map 3"),
    pool:starmap_async(echo, { { 5, 6 } }, both "starmap"),
    pool:map_async(square, {}, both "nothing"),
    pool:apply_async(failing(1), { 1 }, { callback = note "no" }),
    pool:apply_async(echo, {}, { error_callback = note "no" }),
  }
  for _, r in ipairs(list) do
    r:wait()
  end
  lfut.poll()
  lu.assertEquals(got, {
    apply = { 1, nil, 3, n = 3 },
    ["apply 1 failed"] = { { code = 1 }, n = 1 },
    map = { { 4, 9, n = 2 }, n = 1 },
    ["map 3 failed"] = { { code = 3 }, n = 1 },
    starmap = { { 5, n = 1 }, n = 1 },
    nothing = { { n = 0 }, n = 1 },
  })
end)

callbacks("once", function(new)
  local pool <close> = new(1)
  local count = 0
  local g <close> = held(pool)
  pool:map_async(square, lfut.range(10), { callback = function(list) count = count + list.n end })
  collectgarbage() -- nobody else has the result
  gate.open(g)
  pool:close()
  pool:join()
  lfut.poll()
  lu.assertEquals(count, 10)
end)

callbacks("when_it_is_cancelled", function(new)
  local pool <close> = new(1)
  local g <close> = held(pool)
  local kinds = {}
  local opts = { callback = error, error_callback = function(e) kinds[#kinds + 1] = e.kind end }
  pool:apply_async(echo, {}, opts)
  pool:map_async(echo, { 1, 2 }, opts)
  pool:terminate()
  lfut.poll()
  gate.open(g)
  pool:join()
  lfut.poll()
  lu.assertEquals(kinds, { "CancelledError", "CancelledError" })
end)

function TestCallbacks.test_one_that_raises()
  for _, new in ipairs { "ThreadPool", "Pool" } do
    if new == "Pool" then
      support.needs_processes()
    end
    local out, err, status = support.program(([[
      local lfut = require "lfut"
      local pool <close> = lfut.%s(1)
      local r = pool:apply_async(math.max, { 1, 2 }, { callback = function() error "broken callback" end })
      local m = pool:starmap_async(error, { { "x", 0 } }, { error_callback = function() error{} end })
      r:wait()
      m:wait()
      print(r:get(), pcall(m.get, m))
      print(pool:apply(math.max, { 3, 4 }))
    ]]):format(new))
    lu.assertEquals({ out, status }, { "2\tfalse\tx\n4\n", 0 })
    lu.assertStrContains(err, "lfut: error in done-callback: script.lua:3: broken callback\n")
    lu.assertStrContains(err, "lfut: error in done-callback: table: ")
  end
end

callbacks("submit_more", function(new)
  local pool <close> = new(2)
  local got
  local r = pool:apply_async(square, { 3 }, {
    callback = function(x)
      pool:apply_async(square, { x }, { callback = function(y) got = y end }):wait()
    end,
  })
  r:wait()
  pool:close()
  pool:join()
  lfut.poll()
  lu.assertEquals(got, 81)
end)

-- close, join, terminate

local ends = with_all(TestEnd)

-- Everything that begins work.
local function refuses_work(pool)
  for _, name in ipairs { "map", "starmap", "imap", "imap_unordered", "map_async", "starmap_async" } do
    support.fails("Pool not running", function() pool[name](pool, echo, {}) end)
  end
  support.fails("Pool not running", function() pool:apply(echo) end)
  support.fails("Pool not running", function() pool:apply_async(echo) end)
end

ends("close", function(new)
  local pool <close> = new(1)
  local g <close>, r = held(pool)
  local m = pool:map_async(square, { 1, 2 })
  local it = pool:imap(square, { 3 })
  support.fails("Pool is still running", function() pool:join() end)
  pool:close()
  pool:close()
  refuses_work(pool)
  gate.open(g)
  pool:join()
  pool:join()
  lu.assertEquals({ r:ready(), m:ready() }, { true, true })
  lu.assertEquals({ r:get(), m:get(), { it() } }, { "held", { 1, 4, n = 2 }, { 1, 9 } })
  refuses_work(pool)
  pool:terminate()
  pool:join()
end)

-- Every result ends: what ran in processes is lost, what waited is cancelled.
ends("terminate", function(new, kind)
  support.relaxed()
  local pool <close> = new(1)
  local g <close>, running = held(pool)
  local list = {}
  for i = 1, support.size(10000) do
    list[i] = pool:apply_async(echo, { i })
  end
  local m = pool:map_async(square, lfut.range(1000), { chunksize = 1 })
  local s = pool:starmap_async(square, { { 1 } })
  local it = pool:imap(square, counting(100))
  pool:terminate()
  pool:terminate()
  for _, r in ipairs(list) do
    if not lfut.is_error(support.raised(r.get, r), "CancelledError") then
      lu.fail "not cancelled"
    end
  end
  for _, r in ipairs { m, s } do
    lu.assertTrue(r:wait())
    support.fails_as("CancelledError", nil, r.get, r)
    lu.assertFalse(r:successful())
  end
  support.raised(it)
  refuses_work(pool)
  gate.open(g)
  if kind == "thread" then
    lu.assertEquals(running:get(), "held")
  else
    lu.assertEquals(support.fails_as("WorkerLost", nil, running.get, running).signal, "SIGKILL")
  end
  pool:join()
  pool:close()
  pool:join()
end)

ends("terminate_in_the_middle_of_a_map", function(new, kind)
  local pool <close> = new(2)
  local g <close> = gate.new()
  local m = pool:map_async(gate.hold, lfut.zip(function() return g end, lfut.range(100)), { chunksize = 1 })
  gate.arrived(g, 2)
  pool:terminate()
  lu.assertFalse(kind == "thread" and m:ready())
  gate.open(g)
  local e = support.raised(m.get, m) -- of an item that runs, or of one that does not
  lu.assertTrue(lfut.is_error(e, "CancelledError") or kind ~= "thread" and lfut.is_error(e, "WorkerLost"))
end)

ends("terminate_at_once", function(new)
  local pool = new(2)
  pool:terminate()
  pool:join()
  pool:close()
  refuses_work(pool)
end)

-- What runs is not waited for.
ends("close_variable_terminates", function(new)
  local g <close> = gate.new()
  local running, waiting
  do
    local pool <close> = new(1)
    running = pool:apply_async(gate.hold, { g })
    gate.arrived(g)
    waiting = pool:apply_async(echo)
  end
  support.fails_as("CancelledError", nil, waiting.get, waiting)
  gate.open(g)
  running:wait()
  lu.assertTrue(running:ready())
end)

-- Dead workers

local losses = with(TestLoss, "fork", "spawn")

losses("apply", function(new)
  local pool <close> = new(2)
  local lost = pool:apply_async(die)
  local good = {}
  for i = 1, 20 do
    good[i] = pool:apply_async(square, { i })
  end
  local e = support.fails_as("WorkerLost", nil, lost.get, lost)
  lu.assertEquals(e.signal, "SIGKILL")
  lu.assertFalse(lost:successful())
  for i, r in ipairs(good) do
    lu.assertEquals(r:get(), i * i)
  end
  support.fails_as("WorkerLost", nil, pool.apply, pool, die)
  lu.assertEquals(pool:apply(square, { 2 }), 4)
end)

losses("map", function(new)
  local pool <close> = new(2)
  local n = 20
  local ran = lfut.Array("int32", n)
  local function work(i)
    ran[i] = i
    if i == 7 then
      os.execute("kill -KILL " .. lfut.getpid())
    end
    return i
  end
  support.fails_as("WorkerLost", nil, pool.map, pool, work, lfut.range(n), 1)
  for i = 1, n do
    lu.assertEquals(ran[i], i)
  end
  local count = 0
  local it = pool:imap(work, lfut.range(n))
  for i = 1, n do
    local ok, _, r = pcall(it)
    lu.assertEquals(ok, i ~= 7)
    count = count + (ok and 1 or 0)
    lu.assertEquals(ok and r, ok and i)
  end
  lu.assertNil(it())
  lu.assertEquals(count, n - 1)
  local failed
  local r = pool:map_async(work, lfut.range(n), { error_callback = function(e) failed = e.kind end })
  r:wait()
  lfut.poll()
  lu.assertEquals(failed, "WorkerLost")
end)

-- Options

local options = with_all(TestOptions)

options("initializer", function(new)
  local pool <close> = new { processes = 2, initializer = function(a, b) base = a + b end, initargs = { 30, 4 } }
  lu.assertEquals(pool:map(function(x) return base + x end, { 1, 2, 3 }), { 35, 36, 37, n = 3 })
end)

options("failing_initializer", function(new, kind)
  local pool <close> = new { processes = 1, initializer = function() error("no licence", 0) end }
  local message = "initializer failed: no licence"
  support.fails_as(broken(kind), message, pool.map, pool, square, { 1, 2, 3 })
  support.fails_as(broken(kind), message, pool.apply, pool, square, { 1 })
  support.fails_as(broken(kind), message, pool.map, pool, square, { 1 })
  support.fails_as(broken(kind), message, pool.apply_async, pool, square, { 1 })
  pool:close()
  pool:join()
end)

-- Also what waits when it fails.
options("failing_initializer_with_work", function(new, kind)
  local g <close> = gate.new()
  local pool <close> = new {
    processes = 1,
    initializer = function(hold, g) hold(g) error("too late", 0) end,
    initargs = { gate.hold, g },
  }
  local list = { pool:apply_async(echo), pool:map_async(echo, { 1, 2 }), pool:starmap_async(echo, { { 1 } }),
    pool:apply_async(echo) }
  gate.arrived(g)
  gate.open(g)
  for _, r in ipairs(list) do
    support.fails_as(broken(kind), "initializer failed: too late", r.get, r)
  end
end)

with(TestOptions, "fork", "spawn")("maxtasksperchild", function(new)
  local pool <close> = new { processes = 1, maxtasksperchild = 2 }
  local pids = {}
  for i = 1, 6 do
    pids[i] = pool:apply(lfut.getpid)
  end
  lu.assertEquals({ pids[1] == pids[2], pids[3] == pids[4], pids[5] == pids[6] }, { true, true, true })
  lu.assertEquals({ pids[2] == pids[3], pids[4] == pids[5] }, { false, false })
end)

with(TestOptions, "thread", "fork")("many_workers", function(new)
  support.relaxed()
  local n = support.size(200)
  local pool <close> = new(n)
  lu.assertEquals(pool.processes, n)
  local g <close> = gate.new()
  local r = pool:map_async(function(i) return gate.hold(g, i) end, lfut.range(n), { chunksize = 1 })
  gate.arrived(g, n) -- all at once
  gate.open(g)
  lu.assertEquals(r:get()[n], n)
  lu.assertEquals(pool:map(square, lfut.range(1000))[1000], 1000000)
end)

function TestOptions.test_kinds()
  local pool <close> = lfut.ThreadPool { processes = 3, maxtasksperchild = 5, name = "bees" }
  lu.assertEquals(tostring(pool), "ThreadPool(processes=3)")
  lu.assertEquals(pool.processes, 3)
  local w = pool:apply(lfut.worker)
  lu.assertEquals({ w.kind, w.name }, { "thread", "bees_1" })
  lu.assertNil(pool.nothing)
  pool:close()
  lu.assertEquals(tostring(pool), "ThreadPool(processes=3, closed)")
  pool:terminate()
  lu.assertEquals(tostring(pool), "ThreadPool(processes=3, terminated)")
  lu.assertEquals(getmetatable(pool), "lfut")
  lu.assertErrorMsgContains("protected", setmetatable, pool, nil)
end

function TestOptions.test_processes()
  support.needs_processes()
  local pool <close> = lfut.Pool()
  lu.assertEquals(pool.processes, lfut.cpu_count())
  lu.assertEquals(tostring(pool), ("Pool(processes=%d)"):format(lfut.cpu_count()))
  local w = pool:apply(lfut.worker)
  lu.assertEquals({ w.kind, w.pid == lfut.getpid() }, { "process", false })
end

function TestOptions.test_bad_ones()
  for _, class in ipairs { "Pool", "ThreadPool" } do
    local function fails(expected, ...)
      local args = table.pack(...)
      support.fails(expected, function() lfut[class](table.unpack(args, 1, args.n)) end)
    end
    fails("processes must be greater than 0", 0)
    fails("processes must be greater than 0", { processes = -3 })
    fails("processes must not be greater than 100000", 100001)
    fails("processes must be greater than 0 (integer expected, got 1.5)", 1.5)
    fails("processes must be greater than 0 (integer expected, got string)", "4")
    fails("processes must be greater than 0 (integer expected, got boolean)", true)
    fails("unknown option 'max_workers' (options: finalizer, initargs, initializer, maxtasksperchild, name, processes, start_method)", { max_workers = 2 })
    fails("unknown option '1' (options: finalizer, initargs, initializer, maxtasksperchild, name, processes, start_method)", { 2 })
    fails("bad option 'initializer' (function or source text expected, got number)", { initializer = 1 })
    fails("bad option 'initargs' (table expected, got number)", { initargs = 1 })
    fails("bad option 'maxtasksperchild' (integer expected, got string)", { maxtasksperchild = "x" })
    fails("bad option 'maxtasksperchild' (must be an integer >= 1)", { maxtasksperchild = 0 })
    fails("bad option 'start_method' ('fork' or 'spawn' expected, got 'thread')", { start_method = "thread" })
    support.fails_as("TransferError", "cannot send initarg 1 (userdata FILE*) to a worker", lfut[class],
      { initializer = print, initargs = { io.tmpfile() } })
  end
end

-- Wrong use

function TestMisuse.test_arguments()
  local pool <close> = lfut.ThreadPool(1)
  local items = "table, array, queue, range, zip, text or iterator function expected"
  local function fails(expected, name, ...)
    local args = table.pack(...)
    support.fails(expected:gsub("METHOD", name), function() pool[name](pool, table.unpack(args, 1, args.n)) end)
  end
  for _, name in ipairs { "map", "starmap", "imap", "imap_unordered", "map_async", "starmap_async" } do
    fails("bad argument #1 to 'METHOD' (function expected, got nil)", name)
    fails("bad argument #1 to 'METHOD' (function expected, got table)", name, {}, print)
    fails(("bad argument #2 to 'METHOD' (%s, got nil)"):format(items), name, print)
    fails(("bad argument #2 to 'METHOD' (%s, got string)"):format(items), name, print, "abc")
  end
  for _, name in ipairs { "map", "starmap", "imap", "imap_unordered" } do
    fails("bad argument #3 to 'METHOD' (integer expected, got table)", name, print, {}, {})
    fails("bad argument #3 to 'METHOD' (integer expected, got string)", name, print, {}, "1")
    fails("bad argument #3 to 'METHOD' (must be an integer >= 1)", name, print, {}, 0)
    fails("bad argument #3 to 'METHOD' (must be an integer >= 1)", name, print, {}, 1.5)
  end
  for _, name in ipairs { "map_async", "starmap_async" } do
    fails("bad argument #3 to 'METHOD' (table expected, got number)", name, print, {}, 1)
    fails(("bad argument #3 to '%s' (got a second list; lfut.zip(a, b) is for several lists)"):format(name), name,
      print, {}, { 1 })
    fails("unknown option 'timeout' (options: callback, chunksize, error_callback)", name, print, {}, { timeout = 1 })
    fails("bad option 'chunksize' (must be an integer >= 1)", name, print, {}, { chunksize = 0 })
    fails("bad option 'chunksize' (integer expected, got string)", name, print, {}, { chunksize = "x" })
    fails("bad option 'callback' (function expected, got number)", name, print, {}, { callback = 1 })
    fails("bad option 'error_callback' (function expected, got lfut.Pool)", name, print, {}, { error_callback = pool })
  end
  for _, name in ipairs { "apply", "apply_async" } do
    fails("bad argument #1 to 'METHOD' (function expected, got nil)", name)
    fails("bad argument #1 to 'METHOD' (function expected, got lfut.Pool)", name, pool)
    fails("bad argument #2 to 'METHOD' (table expected, got number)", name, print, 1)
  end
  fails("unknown option 'chunksize' (options: callback, error_callback)", "apply_async", print, {}, { chunksize = 1 })
  support.fails_like("too many", "", function() pool:apply(print, { n = 1e9 // 1 | 0 }) end)
  lu.assertEquals(pool:apply(square, { 3 }), 9)
end

function TestMisuse.test_results()
  local pool <close> = lfut.ThreadPool(1)
  for _, r in ipairs { pool:apply_async(echo), pool:map_async(echo, { 1 }) } do
    for _, name in ipairs { "get", "wait" } do
      support.fails(("bad argument #1 to '%s' (number expected, got string)"):format(name),
        function() r[name](r, "1") end)
      support.fails(("bad argument #1 to '%s' (not a number of seconds)"):format(name),
        function() r[name](r, 0 / 0) end)
    end
    lu.assertEquals(getmetatable(r), "lfut")
  end
end

function TestMisuse.test_self()
  local pool <close> = lfut.ThreadPool(1)
  local r = pool:apply_async(echo)
  for _, name in ipairs { "map", "starmap", "imap", "imap_unordered", "map_async", "starmap_async", "apply",
    "apply_async", "close", "join", "terminate" } do
    support.fails(("calling '%s' on bad self (lfut.Pool expected, got function)"):format(name),
      function() pool[name](print, {}) end)
    support.fails(("calling '%s' on bad self (lfut.Pool expected, got lfut.AsyncResult)"):format(name),
      function() pool[name](r, {}) end)
  end
  for _, name in ipairs { "get", "wait", "ready", "successful" } do
    support.fails(("calling '%s' on bad self (lfut.AsyncResult expected, got lfut.Pool)"):format(name),
      function() r[name](pool) end)
    support.fails(("calling '%s' on bad self (lfut.AsyncResult expected, got nil)"):format(name),
      function() r[name]() end)
  end
end

-- In another process the pool is foreign.
function TestMisuse.test_another_process()
  support.needs_processes()
  local out, err, status = support.program [[
    local lfut = require "lfut"
    local pool <close> = lfut.ThreadPool(1)
    local r = pool:map_async(math.abs, { -1 })
    r:wait()
    local p = lfut.Process{ target = function()
      print(pcall(function() pool:apply(math.abs, { 1 }) end))
      print(pcall(function() pool:map(math.abs, { 1 }) end))
      print(pcall(function() pool:close() end))
      print(pcall(function() r:get() end))
      local own <close> = lfut.ThreadPool(1)
      print(own:map(math.abs, { -2 })[1])
    end }
    p:start()
    p:join()
    print(p.exitcode)
  ]]
  lu.assertEquals(err, "")
  lu.assertEquals(out:gsub("lfut:%d+: result", "result"), table.concat({
    "false\tscript.lua:6: executor belongs to another process",
    "false\tscript.lua:7: executor belongs to another process",
    "false\tscript.lua:8: executor belongs to another process",
    "false\tresult belongs to another process",
    "2", "0\n" }, "\n"))
  lu.assertEquals(status, 0)
end

-- In tasks

local inside = with_all(TestInside)

inside("pools_made_in_a_task", function(new)
  local pool <close> = new(1)
  lu.assertEquals(pool:apply(function()
    local own <close> = lfut.ThreadPool(2)
    local r = own:map_async(math.abs, { -1, -2 }, { callback = function(list) sum = list[1] + list[2] end })
    r:wait()
    lfut.poll()
    return own:apply(math.abs, { -5 }) + r:get()[1] + sum
  end), 9)
  lu.assertEquals(pool:apply(function()
    local own <close> = lfut.Pool(1)
    return own:apply(math.abs, { -5 }) + own:map(math.abs, { -7 })[1]
  end), 12)
end)

-- Waiting does not occupy the worker.
inside("a_task_uses_the_pool_that_runs_it", function(new)
  local pool <close> = new(1)
  lu.assertEquals(pool:apply(function(pool, square)
    local sum = pool:apply(square, { 2 })
    for _, r in pool:imap(square, { 3, 4 }) do
      sum = sum + r
    end
    local list = pool:map(square, { 5, 6 })
    local r = pool:map_async(square, { 7 })
    local s = pool:apply_async(square, { 8 })
    s:wait()
    return sum + list[1] + list[2] + r:get()[1] + s:get()
  end, { pool, square }), 4 + 9 + 16 + 25 + 36 + 49 + 64)
  support.fails_as("DeadlockError", nil, pool.apply, pool, function(pool)
    pool:close()
    pool:join()
  end, { pool })
end)

inside("results_that_are_sent", function(new)
  local pool <close> = new(1)
  local g <close>, r = held(pool)
  local s = pool:apply_async(function(r) return r:get(), r:successful(), tostring(r) end, { r })
  gate.open(g)
  lu.assertEquals({ s:get() }, { "held", true, "AsyncResult(ready)" })
  support.fails_as("TransferError", "cannot send argument 1.loop (userdata lfut.Map) to a worker",
    pool.apply, pool, echo, { pool:map_async(echo, { 1 }) })
end)

function TestInside.test_a_pool_that_was_closed_meanwhile()
  local pool <close> = lfut.ThreadPool(1)
  local g <close> = gate.new()
  local r = pool:apply_async(function(pool, g, gate)
    gate.hold(g)
    return pcall(function() pool:apply(print) end)
  end, { pool, g, gate })
  gate.arrived(g)
  pool:close()
  gate.open(g)
  local ok, e = r:get()
  lu.assertFalse(ok)
  lu.assertStrContains(e, "Pool not running")
end

with(TestInside, "fork", "spawn")("terminate", function(new)
  local pool <close> = new(1)
  local e = support.raised(pool.apply, pool, function(pool) pool:terminate() end, { pool })
  lu.assertStrContains(e, "a task cannot terminate the pool that runs it")
  lu.assertEquals(pool:apply(square, { 2 }), 4)
end)

-- A queue is read until it is closed, also when it is empty for a while.
TestQueueSource = {}

for _, class in ipairs { "Pool", "ThreadPool" } do
  TestQueueSource["test_map_" .. class] = function()
    local pool <close> = lfut[class](2)
    local q, go = lfut.Queue(), lfut.Event()
    local t = lfut.Thread { target = function()
      for i = 1, 5 do
        q:put(i)
        go:wait(0.001)
      end
      q:close()
    end }
    t:start()
    lu.assertEquals(pool:map(math.abs, q), { 1, 2, 3, 4, 5, n = 5 })
    t:join()
  end
end

os.exit(support.run(TestQueueSource, TestCalls, TestMap, TestImap, TestResult, TestCallbacks, TestEnd, TestLoss, TestOptions,
  TestMisuse, TestInside))
