-- SPDX-License-Identifier: MIT
--
-- lfut.wait and lfut.as_completed (API §3).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestWait = {}

-- The very same futures, in this order?
local function assert_same(list, expected)
  lu.assertEquals(#list, #expected)
  for i = 1, #expected do
    lu.assertTrue(rawequal(list[i], expected[i]), "future " .. i)
  end
end

-- n executors of one worker, each held at a gate of its own with a future after
-- it; release(i) lets that future be done.
local function held(n)
  local exes, gates, futures = {}, {}, {}
  for i = 1, n do
    exes[i] = support.Executor(1)
    gates[i] = support.held(exes[i])
    futures[i] = exes[i]:submit(echo, i)
  end
  return futures, function(i) gate.open(gates[i]) end, setmetatable({}, {
    __close = function()
      for i = 1, n do
        gate.open(gates[i])
        exes[i]:shutdown()
      end
    end,
  }), exes
end

function TestWait.test_constants()
  local seen = {}
  for _, name in ipairs { "ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION" } do
    lu.assertNotNil(lfut[name])
    lu.assertNil(seen[lfut[name]])
    seen[lfut[name]] = true
  end
end

function TestWait.test_all_completed()
  local exe <close> = support.Executor(2)
  local futures = {}
  for i = 1, 20 do
    futures[i] = exe:submit(echo, i)
  end
  local done, left = lfut.wait(futures)
  assert_same(done, futures)
  assert_same(left, {})
  assert_same(lfut.wait(futures, nil, lfut.ALL_COMPLETED), futures)
  assert_same(lfut.wait(futures, { return_when = lfut.ALL_COMPLETED }), futures)
  assert_same(lfut.wait(futures, 0), futures)
  assert_same(lfut.wait(futures, {}), futures)
end

function TestWait.test_none()
  for _, when in ipairs { lfut.ALL_COMPLETED, lfut.FIRST_COMPLETED, lfut.FIRST_EXCEPTION } do
    local done, left = lfut.wait({}, nil, when)
    lu.assertEquals({ done, left }, { {}, {} })
  end
end

function TestWait.test_duplicates_once()
  local exe <close> = support.Executor(1)
  local a, b = exe:submit(echo), exe:submit(echo)
  local done, left = lfut.wait { a, b, a, a, b }
  assert_same(done, { a, b })
  assert_same(left, {})
end

function TestWait.test_duplicates_by_two_handles()
  local exe <close> = support.Executor(1)
  local a = exe:submit(echo, 7)
  local copy = exe:submit(function() return a end):result()
  lu.assertEquals(copy:result(), 7)
  lu.assertEquals(#lfut.wait { a, copy }, 1)
  local n = 0
  for f in lfut.as_completed { copy, a } do
    lu.assertTrue(rawequal(f, copy))
    n = n + 1
  end
  lu.assertEquals(n, 1)
end

function TestWait.test_timeouts_return_lists()
  support.needs_workers()
  local futures, release, _c = held(3)
  local _ <close> = _c
  release(2)
  futures[2]:result()
  for _, t in ipairs { 0, -1, 0.001, -math.huge } do
    local done, left = lfut.wait(futures, t)
    assert_same(done, { futures[2] })
    assert_same(left, { futures[1], futures[3] })
    done, left = lfut.wait({ futures[3], futures[2], futures[1], futures[3] }, { timeout = t })
    assert_same(done, { futures[2] })
    assert_same(left, { futures[3], futures[1] })
    done, left = lfut.wait({ futures[1] }, t, lfut.FIRST_COMPLETED)
    assert_same(done, {})
    assert_same(left, { futures[1] })
    done, left = lfut.wait({ futures[1], futures[2] }, t, lfut.FIRST_EXCEPTION)
    assert_same(done, { futures[2] })
  end
end

function TestWait.test_first_completed()
  support.needs_workers()
  local futures, release, _c = held(3)
  local _ <close> = _c
  for n, i in ipairs { 2, 3, 1 } do
    local waiting = {}
    for _, f in ipairs(futures) do
      if not f:done() then
        waiting[#waiting + 1] = f
      end
    end
    release(i)
    local done, left = lfut.wait(waiting, nil, lfut.FIRST_COMPLETED)
    assert_same(done, { futures[i] })
    lu.assertEquals(#left, 3 - n)
  end
  local done, left = lfut.wait(futures, { return_when = lfut.FIRST_COMPLETED })
  assert_same(done, futures) -- all that are done
  assert_same(left, {})
end

function TestWait.test_first_exception()
  support.needs_workers()
  local futures, release, _c, exes = held(3)
  local _ <close> = _c
  local bad = exes[2]:submit(error, "bad", 0)
  release(1)
  futures[1]:result() -- a success does not end it
  release(2)
  local done, left = lfut.wait({ futures[1], bad, futures[3] }, nil, lfut.FIRST_EXCEPTION)
  assert_same(done, { futures[1], bad })
  assert_same(left, { futures[3] })
  done, left = lfut.wait({ futures[1], bad, futures[3] }, { timeout = 1e9, return_when = "FIRST_EXCEPTION" })
  assert_same(left, { futures[3] })
  release(3)
  assert_same(lfut.wait({ futures[1], futures[2], futures[3] }, nil, lfut.FIRST_EXCEPTION), futures)
end

function TestWait.test_first_exception_and_cancelled_ones()
  support.needs_workers()
  local futures, release, _c, exes = held(2)
  local _ <close> = _c
  local cancelled = exes[2]:submit(echo)
  cancelled:cancel()
  -- A cancelled one does not count: the time runs out.
  local done, left = lfut.wait({ cancelled, futures[1] }, 0.01, lfut.FIRST_EXCEPTION)
  assert_same(done, { cancelled })
  assert_same(left, { futures[1] })
  done, left = lfut.wait({ cancelled }, nil, lfut.FIRST_EXCEPTION)
  assert_same(done, { cancelled })
  done, left = lfut.wait({ cancelled, futures[1] }, nil, lfut.FIRST_COMPLETED)
  assert_same(done, { cancelled })
  release(1)
  done, left = lfut.wait({ cancelled, futures[1] }, nil, lfut.FIRST_EXCEPTION)
  assert_same(done, { cancelled, futures[1] })
end

function TestWait.test_cancel_wakes()
  support.needs_workers()
  local canceller <close> = support.Executor(1)
  for _, wait in ipairs {
    function(f) return #lfut.wait { f } end,
    function(f) return lfut.as_completed { f } ():cancelled() and 1 end,
    function(f) return lfut.is_error(support.raised(f.result, f), "CancelledError") and 1 end,
    function(f) return lfut.is_error(support.raised(f.exception, f), "CancelledError") and 1 end,
  } do
    local futures, _, _c = held(1)
    local _ <close> = _c
    local c = canceller:submit(function(f) return f:cancel() end, futures[1])
    lu.assertEquals(wait(futures[1]), 1)
    lu.assertTrue(c:result())
  end
end

function TestWait.test_shutdown_that_cancels_wakes()
  support.needs_workers()
  local helper <close> = lfut.ThreadPoolExecutor(1)
  local futures, _, _c, exes = held(1)
  local _ <close> = _c
  local list = { futures[1] }
  for i = 2, 100 do
    list[i] = exes[1]:submit(echo)
  end
  helper:submit(function(e) e:shutdown(false, true) end, exes[1])
  local done = lfut.wait(list)
  lu.assertEquals(#done, 100)
  for i = 1, 100 do
    lu.assertTrue(list[i]:cancelled())
  end
end

-- As many as N waits for the first of N.
function TestWait.test_first_completed_in_a_loop()
  support.relaxed()
  local exe <close> = support.Executor(2)
  local futures = {}
  for i = 1, 300 do
    futures[i] = exe:submit(echo, i)
  end
  local sum = 0
  while #futures > 0 do
    local done, left = lfut.wait(futures, nil, lfut.FIRST_COMPLETED)
    lu.assertTrue(#done >= 1)
    for _, f in ipairs(done) do
      sum = sum + f:result()
    end
    futures = left
  end
  lu.assertEquals(sum, 300 * 301 // 2)
end

function TestWait.test_a_hundred_thousand()
  support.relaxed()
  local exe <close> = support.Executor(2)
  local futures = {}
  for i = 1, 100000 do
    futures[i] = exe:submit(echo)
  end
  local n = 0
  for _ in lfut.as_completed(futures) do
    n = n + 1
  end
  lu.assertEquals(n, 100000)
  local done, left = lfut.wait(futures)
  lu.assertEquals({ #done, #left }, { 100000, 0 })
  lu.assertTrue(rawequal(done[77777], futures[77777]))
end

-- as_completed

function TestWait.test_as_completed()
  local exe <close> = support.Executor(2)
  local futures, seen = {}, {}
  for i = 1, 50 do
    futures[i] = exe:submit(echo, i)
  end
  for f in lfut.as_completed(futures) do
    lu.assertTrue(f:done())
    local i = f:result()
    lu.assertTrue(rawequal(f, futures[i]))
    lu.assertNil(seen[i])
    seen[i] = true
  end
  lu.assertEquals(#seen, 50)
end

function TestWait.test_as_completed_of_none()
  local it = lfut.as_completed {}
  lu.assertNil(it())
  lu.assertNil(it())
end

function TestWait.test_as_completed_once_each()
  local exe <close> = support.Executor(1)
  local a, b = exe:submit(echo, "a"), exe:submit(echo, "b")
  local got = {}
  for f in lfut.as_completed { a, b, a, b, b } do
    got[#got + 1] = f:result()
  end
  table.sort(got)
  lu.assertEquals(got, { "a", "b" })
end

function TestWait.test_as_completed_in_the_order_of_completion()
  support.needs_workers()
  local futures, release, _c = held(4)
  local _ <close> = _c
  release(3)
  futures[3]:result()
  local it = lfut.as_completed(futures)
  lu.assertTrue(rawequal(it(), futures[3])) -- done ones first
  for _, i in ipairs { 2, 4, 1 } do
    release(i)
    lu.assertTrue(rawequal(it(), futures[i]))
  end
  lu.assertNil(it())
  lu.assertNil(it())
end

function TestWait.test_as_completed_yields_failed_and_cancelled_ones()
  support.needs_workers()
  local futures, release, _c, exes = held(2)
  local _ <close> = _c
  local bad = exes[2]:submit(error, "bad", 0)
  local it = lfut.as_completed { futures[1], bad }
  futures[1]:cancel()
  lu.assertTrue(rawequal(it(), futures[1]))
  release(2)
  lu.assertTrue(rawequal(it(), bad))
  lu.assertNil(it())
end

function TestWait.test_as_completed_s_deadline()
  support.needs_workers()
  local futures, release, _c = held(4)
  local _ <close> = _c
  release(1)
  release(4)
  lfut.wait { futures[1], futures[4] }
  for _, t in ipairs { 0, -1, 0.001, { timeout = 0 } } do
    local it = lfut.as_completed({ futures[1], futures[2], futures[3], futures[4], futures[2] }, t)
    local a, b = it(), it()
    lu.assertTrue(a:done() and b:done() and not rawequal(a, b))
    support.fails_as("TimeoutError", "2 (of 4) futures unfinished", it)
  end
  local it = lfut.as_completed({ futures[2] }, 0)
  support.fails_as("TimeoutError", "1 (of 1) futures unfinished", it)
end

function TestWait.test_as_completed_past_the_deadline_yields_what_is_done()
  support.needs_workers()
  local futures, release, _c = held(2)
  local _ <close> = _c
  local it = lfut.as_completed(futures, 0)
  release(1)
  release(2)
  lfut.wait(futures)
  lu.assertTrue(it():done())
  lu.assertTrue(it():done())
  lu.assertNil(it())
end

function TestWait.test_as_completed_with_time_enough()
  local exe <close> = support.Executor(1)
  local n = 0
  for _ in lfut.as_completed({ exe:submit(echo), exe:submit(echo) }, 1e6) do
    n = n + 1
  end
  for _ in lfut.as_completed({ exe:submit(echo), exe:submit(echo) }, math.huge) do
    n = n + 1
  end
  lu.assertEquals(n, 4)
end

function TestWait.test_add()
  local exe <close> = support.Executor(1)
  local first = exe:submit(echo, 1)
  local it = lfut.as_completed { first }
  local got = {}
  for f in it do
    local i = f:result()
    got[#got + 1] = i
    if i < 10 then
      it:add(exe:submit(echo, i + 1))
    end
    it:add(f)     -- yielded already
    it:add(first)
  end
  lu.assertEquals(got, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
end

function TestWait.test_add_twice()
  local exe <close> = support.Executor(1)
  local it = lfut.as_completed {}
  local f = exe:submit(echo, 1)
  it:add(f)
  it:add(f)
  lu.assertTrue(rawequal(it(), f))
  lu.assertNil(it())
  it:add(f)
  lu.assertNil(it())
end

function TestWait.test_add_while_others_are_held()
  support.needs_workers()
  local futures, release, _c = held(2)
  local _ <close> = _c
  local exe <close> = support.Executor(1)
  local it = lfut.as_completed(futures)
  local quick = exe:submit(echo, "quick")
  it:add(quick)
  lu.assertTrue(rawequal(it(), quick))
  release(2)
  lu.assertTrue(rawequal(it(), futures[2]))
  release(1)
  lu.assertTrue(rawequal(it(), futures[1]))
  lu.assertNil(it())
end

function TestWait.test_many_added()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local it = lfut.as_completed { exe:submit(echo, 1) }
  local n, all = 0, support.trips(20000)
  for _ in it do
    n = n + 1
    if n < all then
      it:add(exe:submit(echo))
    end
  end
  lu.assertEquals(n, all)
end

function TestWait.test_an_iterator_that_is_dropped()
  support.needs_workers()
  local futures, release, _c = held(2)
  local _ <close> = _c
  for _ = 1, 100 do
    lfut.as_completed(futures)
    lfut.wait(futures, 0)
  end
  collectgarbage()
  collectgarbage()
  release(1)
  release(2)
  lu.assertEquals(#lfut.wait(futures), 2)
end

function TestWait.test_break_out()
  local exe <close> = support.Executor(1)
  local futures = { exe:submit(echo, 1), exe:submit(echo, 2), exe:submit(echo, 3) }
  for _ in lfut.as_completed(futures) do
    break
  end
  lu.assertEquals(futures[3]:result(), 3)
end

function TestWait.test_in_coroutines_of_the_script()
  local exe <close> = support.Executor(1)
  local sum = 0
  local co = coroutine.wrap(function()
    for f in lfut.as_completed { exe:submit(echo, 1), exe:submit(echo, 2) } do
      coroutine.yield(f:result())
    end
  end)
  sum = co() + co()
  lu.assertEquals(sum, 3)
end

function TestWait.test_futures_of_several_executors()
  support.needs_processes()
  local a <close> = support.Executor(1)
  local b <close> = lfut.ThreadPoolExecutor(1)
  local c <close> = lfut.InlineExecutor()
  local d <close> = lfut.ProcessPoolExecutor(1)
  local futures = { a:submit(echo, 1), b:submit(echo, 2), c:submit(echo, 3), d:submit(echo, 4) }
  assert_same(lfut.wait(futures), futures)
  local sum = 0
  for f in lfut.as_completed(futures) do
    sum = sum + f:result()
  end
  lu.assertEquals(sum, 10)
end

-- Wrong use

function TestWait.test_wrong_waits()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 1)
  support.fails("bad argument #1 to 'wait' (table expected, got nil)", function() lfut.wait(nil) end)
  support.fails("bad argument #1 to 'wait' (table expected, got no value)", function() lfut.wait() end)
  support.fails_like("bad argument #1 to 'wait' (table expected, got ", ")", function() lfut.wait(f) end)
  support.fails_like("bad argument #1 to 'wait' (", ")", function() lfut.wait { 1 } end)
  support.fails_like("bad argument #1 to 'wait' (", ")", function() lfut.wait { f, "x" } end)
  support.fails_like("bad argument #1 to 'wait' (", ")", function() lfut.wait { f, exe } end)
  support.fails("bad argument #2 to 'wait' (number expected, got string)", function() lfut.wait({ f }, "x") end)
  support.fails_like("bad argument #3 to 'wait' (", ")", function() lfut.wait({ f }, nil, "SOME_COMPLETED") end)
  lu.assertStrContains(support.raised(function() lfut.wait({ f }, { timeout = "x" }) end), "number expected, got string")
  lu.assertStrContains(support.raised(function() lfut.wait({ f }, { return_when = "x" }) end), "x")
  lu.assertEquals(#lfut.wait { f }, 1)
end

function TestWait.test_wrong_as_completed()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo, 1)
  support.fails("bad argument #1 to 'as_completed' (table expected, got nil)", function() lfut.as_completed(nil) end)
  support.fails("bad argument #1 to 'as_completed' (table expected, got no value)", function() lfut.as_completed() end)
  support.fails_like("bad argument #1 to 'as_completed' (", ")", function() lfut.as_completed { f, false } end)
  support.fails("bad argument #2 to 'as_completed' (number expected, got string)",
    function() lfut.as_completed({ f }, "x") end)
  local it = lfut.as_completed { f }
  support.fails_like("bad argument #1 to 'add' (", "got nil)", function() it:add(nil) end)
  support.fails_like("bad argument #1 to 'add' (", "got number)", function() it:add(5) end)
  lu.assertTrue(rawequal(it(), f))
  lu.assertNil(it())
  lu.assertIsString(tostring(it))
end

-- --- Several tasks of one interpreter that use one iterator ---

-- In a worker: 'make(other, q)' makes an iterator over what a pool of its own
-- gets from the queue. Then two tasks call it, and wait in it together, until a
-- third one does 'last(iterator, q)'. Returns what the two have got.
local function share(make, last)
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local q = lfut.Queue()
  exe:submit(function()
    Other = lfut.ThreadPoolExecutor(2)
    Iterator = make(Other, q)
  end):result()
  local function take()
    return (select("#", Iterator()))
  end
  local a, b = exe:submit(take), exe:submit(take)
  exe:submit(function() last(Iterator, q) end):result()
  local n = { a:result(), b:result() }
  exe:submit(function()
    Iterator = nil
    q:close()
    Other:shutdown()
  end):result()
  return n
end

local function get(q)
  return select("#", q:get())
end

local function put_two(_, q)
  q:put(1)
  q:put(2)
end

function TestWait.test_two_tasks_at_one_as_completed()
  local function make(other, q)
    return lfut.as_completed { other:submit(get, q), other:submit(get, q) }
  end
  lu.assertEquals(share(make, put_two), { 1, 1 })
end

function TestWait.test_two_tasks_at_one_map()
  for _, opts in ipairs { { chunksize = 1 }, { chunksize = 2 }, { chunksize = 1, ordered = false },
    { chunksize = 1, buffersize = 1 } } do
    local function make(other, q)
      return (other:map(function() return get(q) end, { 1, 2 }, opts))
    end
    lu.assertEquals(share(make, put_two), { 2, 2 })
  end
end

function TestWait.test_one_more_task_than_futures_at_an_iterator()
  local function make(other, q)
    return lfut.as_completed { other:submit(get, q) }
  end
  lu.assertEquals(share(make, put_two), { 1, 1 }) -- a future and nil
  local function make_map(other, q)
    return (other:map(function() return get(q) end, { 1 }))
  end
  local n = share(make_map, put_two)
  table.sort(n)
  lu.assertEquals(n, { 1, 2 })
end

function TestWait.test_closing_an_iterator_in_which_others_wait()
  local function make(other, q)
    return (other:map(function() return (pcall(get, q)) end, { 1, 2, 3, 4 }, { chunksize = 1 }))
  end
  lu.assertEquals(share(make, function(it) it:close() end), { 1, 1 })
end

function TestWait.test_adding_what_is_done_while_others_wait()
  local function make(other, q)
    return lfut.as_completed { other:submit(function() return (pcall(get, q)) end) }
  end
  local function last(it, q)
    local done = Other:submit(function() end)
    done:result()
    it:add(done)
    q:put(1)
  end
  lu.assertEquals(share(make, last), { 1, 1 })
end

function TestWait.test_a_source_that_asks_its_own_loop()
  local exe <close> = support.Executor(2)
  local it, err
  it = exe:map(support.echo, function()
    local ok
    ok, err = pcall(it or function() error "no loop yet" end)
    return nil
  end)
  it()
  local i = 0
  it = exe:map(support.echo, function()
    i = i + 1
    if i > 1 then
      err = select(2, pcall(it))
      return nil
    end
    return i
  end, { buffersize = 1 })
  lu.assertEquals(select(2, it()), 1)
  lu.assertNil(it())
  lu.assertStrContains(err, "already being asked")
end

local rc = support.run(TestWait)
if rc ~= 0 then
  os.exit(rc)
end
