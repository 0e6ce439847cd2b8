-- SPDX-License-Identifier: MIT
--
-- exe:map and exe:starmap (API §2).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestMap = {}

local function square(x)
  return x * x
end

-- A source that gives 1, 2, ... last, and tells how often it was called.
local function counting(last)
  local s = { pulled = 0 }
  function s.next()
    if s.pulled == last then
      return nil
    end
    s.pulled = s.pulled + 1
    return s.pulled
  end
  return s
end

local function squares(n)
  local t = { n = n }
  for i = 1, n do
    t[i] = i * i
  end
  return t
end

-- Every result of the iterator with its position.
local function all(it)
  local list = {}
  for i, r in it do
    list[#list + 1] = { i, r }
  end
  return list
end

function TestMap.test_in_the_order_of_the_items()
  local exe <close> = support.Executor(3)
  local n = 0
  for i, r in exe:map(square, { 1, 2, 3, 4, 5 }) do
    n = n + 1
    lu.assertEquals({ i, r }, { n, n * n })
  end
  lu.assertEquals(n, 5)
end

function TestMap.test_no_items()
  local exe <close> = support.Executor(1)
  for _, items in ipairs { {}, { n = 0 }, { 1, 2, n = 0 }, lfut.range(0), lfut.range(3, 1), function() end,
    lfut.zip({}, { 1 }) } do
    local it = exe:map(square, items)
    lu.assertNil(it())
    lu.assertNil(it())
    lu.assertEquals(exe:map(square, items):list(), { n = 0 })
  end
end

function TestMap.test_many_items()
  support.relaxed()
  local exe <close> = support.Executor(2)
  local items = {}
  for i = 1, 100000 do
    items[i] = i
  end
  for _, source in ipairs { items, lfut.range(100000), counting(100000).next } do
    local expected, good = 0, true
    for i, r in exe:map(square, source) do
      expected = expected + 1
      good = good and i == expected and r == i * i
    end
    lu.assertTrue(good)
    lu.assertEquals(expected, 100000)
  end
end

function TestMap.test_holes()
  local exe <close> = support.Executor(2)
  local list = exe:map(function(x) return x == nil and "nil" or x end, { 1, nil, 3, nil, n = 4 }):list()
  lu.assertEquals(list, { 1, "nil", 3, "nil", n = 4 })
  lu.assertEquals(exe:map(echo, { n = 3 }):list(), { n = 3 })
  lu.assertEquals(exe:map(echo, { 1, 2, 3, n = 2 }):list(), { 1, 2, n = 2 })
end

function TestMap.test_nil_results_do_not_end_it()
  local exe <close> = support.Executor(2)
  local list = all(exe:map(function(x) if x % 2 == 0 then return x end end, { 1, 2, 3, 4, 5 }))
  lu.assertEquals(list, { { 1 }, { 2, 2 }, { 3 }, { 4, 4 }, { 5 } })
  lu.assertEquals(exe:map(function() end, { 1, 2 }):list(), { n = 2 })
  local it = exe:map(function() end, { 1 })
  lu.assertEquals(select("#", it()), 1)
end

function TestMap.test_several_results()
  local exe <close> = support.Executor(2)
  local it = exe:map(function(x) return x, nil, x * 2, nil end, { 1, 2 })
  lu.assertEquals(table.pack(it()), { 1, 1, nil, 2, nil, n = 5 })
  lu.assertEquals(table.pack(it()), { 2, 2, nil, 4, nil, n = 5 })
  lu.assertEquals(exe:map(function(x) return x, "second" end, { 1, 2 }):list(), { 1, 2, n = 2 })
end

function TestMap.test_items_of_any_type()
  local exe <close> = support.Executor(2)
  local f = function() return "called" end
  local list = exe:map(function(x) return type(x) == "function" and x() or x end,
    { true, false, 1.5, "s", { 1 }, f }):list()
  lu.assertEquals(list, { true, false, 1.5, "s", { 1 }, "called", n = 6 })
end

function TestMap.test_functions_of_any_kind()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:map(string.upper, { "a", "b" }):list(), { "A", "B", n = 2 })
  lu.assertEquals(exe:map(math.abs, lfut.range(-2, 0)):list(), { 2, 1, 0, n = 3 })
  local add = setmetatable({ n = 10 }, { __call = function(self, x) return self.n + x end })
  lu.assertEquals(exe:map(add, { 1, 2 }):list(), { 11, 12, n = 2 })
end

function TestMap.test_an_item_is_the_only_argument()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:map(function(...) return select("#", ...) end, { 1, 2 }):list(), { 1, 1, n = 2 })
  lu.assertEquals(exe:map(function(...) return select("#", ...) end, lfut.range(2)):list(), { 1, 1, n = 2 })
end

function TestMap.test_a_table_is_read_at_the_call()
  local exe <close> = support.Executor(1)
  local items = { 1, { 2 }, 3 }
  local it = exe:map(echo, items)
  items[1], items[2][1], items[3] = "changed", "changed", nil
  lu.assertEquals(it:list(), { 1, { 2 }, 3, n = 3 })
end

function TestMap.test_work_starts_at_the_call()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = gate.new()
  local it = exe:map(function(i) if i == 3 then gate.hold(g) end end, { 1, 2, 3 })
  gate.arrived(g)
  gate.open(g)
  lu.assertEquals(#all(it), 3)
end

function TestMap.test_dropping_it_cancels_nothing()
  local exe = support.Executor(2)
  local name = gate.filename()
  exe:map(function(i)
    local file <close> = io.open(name, "a")
    file:write(i .. "\n") -- at once: so do the others
  end, { 1, 2, 3, 4, 5 }, { chunksize = 1 })
  collectgarbage()
  collectgarbage()
  exe:shutdown()
  local sum = 0
  for i in io.lines(name, "n") do
    sum = sum + i
  end
  lu.assertEquals(sum, 15)
end

-- Ranges

function TestMap.test_ranges()
  local exe <close> = support.Executor(2)
  local function list(...)
    return exe:map(echo, lfut.range(...)):list()
  end
  lu.assertEquals(list(3), { 1, 2, 3, n = 3 })
  lu.assertEquals(list(2, 4), { 2, 3, 4, n = 3 })
  lu.assertEquals(list(1, 10, 3), { 1, 4, 7, 10, n = 4 })
  lu.assertEquals(list(1, 9, 3), { 1, 4, 7, n = 3 })
  lu.assertEquals(list(5, 1, -2), { 5, 3, 1, n = 3 })
  lu.assertEquals(list(-3, -1), { -3, -2, -1, n = 3 })
  lu.assertEquals(list(3, 3), { 3, n = 1 })
  lu.assertEquals(list(4, 3), { n = 0 })
  lu.assertEquals(list(3, 4, -1), { n = 0 })
  lu.assertEquals(list(-5), { n = 0 })
end

function TestMap.test_ranges_of_floats()
  local exe <close> = support.Executor(2)
  local function list(...)
    return exe:map(function(x) return x, math.type(x) end, lfut.range(...)):list()
  end
  lu.assertEquals(list(0, 1, 0.25), { 0.0, 0.25, 0.5, 0.75, 1.0, n = 5 })
  lu.assertEquals(list(1.5, 3), { 1.5, 2.5, n = 2 })
  lu.assertEquals(list(1, 0, -0.5), { 1.0, 0.5, 0.0, n = 3 })
  lu.assertEquals(list(0.0, 2), { 0.0, 1.0, 2.0, n = 3 })
  lu.assertEquals(#list(0, 1, 0.1), 11)
  for _, r, t in exe:map(function(x) return x, math.type(x) end, lfut.range(0.0, 3)) do
    lu.assertEquals(math.type(r), "float")
    lu.assertEquals(t, "float")
  end
  for _, t in exe:map(math.type, lfut.range(1, 3)) do
    lu.assertEquals(t, "integer")
  end
  -- As in Lua's own for, a limit that is a float rounds.
  lu.assertEquals(exe:map(math.type, lfut.range(1, 2.9)):list(), { "integer", "integer", n = 2 })
end

function TestMap.test_ranges_at_the_ends_of_the_integers()
  local exe <close> = support.Executor(2)
  local max, min = math.maxinteger, math.mininteger
  lu.assertEquals(exe:map(echo, lfut.range(max - 2, max)):list(), { max - 2, max - 1, max, n = 3 })
  lu.assertEquals(exe:map(echo, lfut.range(min + 1, min, -1)):list(), { min + 1, min, n = 2 })
  lu.assertEquals(exe:map(echo, lfut.range(min, max, max)):list(), { min, -1, max - 1, n = 3 })
  lu.assertEquals(exe:map(echo, lfut.range(max - 1, max, 5)):list(), { max - 1, n = 1 })
  lu.assertEquals(exe:map(echo, lfut.range(1, math.huge, max)):list(), { 1, n = 1 })
end

function TestMap.test_a_huge_range_is_never_made()
  local exe <close> = support.Executor(2)
  local it = exe:map(echo, lfut.range(math.mininteger, math.maxinteger))
  for i = 1, 1000 do
    lu.assertEquals({ it() }, { i, math.mininteger + i - 1 })
  end
  it:close()
  lu.assertNil(it())
end

function TestMap.test_wrong_ranges()
  support.fails_like("bad argument #1 to 'range' (number expected, got no value)", "", function() lfut.range() end)
  support.fails_like("bad argument #1 to 'range' (number expected, got table)", "", function() lfut.range({}) end)
  support.fails_like("bad argument #2 to 'range' (number expected, got ", "", function() lfut.range(1, {}) end)
  support.fails_like("bad argument #3 to 'range' (number expected, got ", "", function() lfut.range(1, 2, "x") end)
  support.fails_like("bad argument #3 to 'range' (", ")", function() lfut.range(1, 2, 0) end)
  support.fails_like("bad argument #3 to 'range' (", ")", function() lfut.range(1, 2, 0.0) end)
end

-- Zips

function TestMap.test_zips()
  local exe <close> = support.Executor(2)
  local function list(...)
    local lists = {}
    for i, a, b, c in exe:map(echo, lfut.zip(...)) do
      lists[i] = { a, b, c }
    end
    return lists
  end
  lu.assertEquals(list({ 1, 2, 3 }, { "a", "b", "c" }), { { 1, "a" }, { 2, "b" }, { 3, "c" } })
  lu.assertEquals(list({ 1, 2, 3 }, { "a", "b" }), { { 1, "a" }, { 2, "b" } })
  lu.assertEquals(list({ 1, 2 }, { "a", "b", "c" }), { { 1, "a" }, { 2, "b" } })
  lu.assertEquals(list({ 1, 2, 3 }, lfut.range(10), ("xyz"):gmatch "."),
    { { 1, 1, "x" }, { 2, 2, "y" }, { 3, 3, "z" } })
  lu.assertEquals(list(counting(2).next, lfut.range(1, math.huge)), { { 1, 1 }, { 2, 2 } })
  lu.assertEquals(list { 1, 2 }, { { 1 }, { 2 } })
  lu.assertEquals(list({}, { 1 }), {})
  lu.assertEquals(list({ 1 }, function() end), {})
end

function TestMap.test_zips_with_holes_and_zips()
  local exe <close> = support.Executor(2)
  local function list(...)
    local lists = {}
    for i, r in exe:map(table.pack, lfut.zip(...)) do
      lists[i] = r
    end
    return lists
  end
  lu.assertEquals(list({ 1, nil, 3, n = 3 }, { n = 3 }),
    { { 1, nil, n = 2 }, { nil, nil, n = 2 }, { 3, nil, n = 2 } })
  lu.assertEquals(#list({ 1, 2 }, lfut.zip({ 3, 4 }, { 5, 6 })), 2)
  lu.assertEquals(#list(lfut.zip({ 1, 2, 3 }, lfut.range(2)), { 1, 2, 3 }), 2)
end

function TestMap.test_a_zip_of_tables_is_read_at_the_call()
  local exe <close> = support.Executor(1)
  local a, b = { 1, 2 }, { 3, 4 }
  local it = exe:map(function(x, y) return x + y end, lfut.zip(a, b))
  a[1], b[2] = 100, 100
  lu.assertEquals(it:list(), { 4, 6, n = 2 })
end

function TestMap.test_wrong_zips()
  support.fails_like("bad argument #1 to 'zip' (", ")", function() lfut.zip() end)
  support.fails_like("bad argument #2 to 'zip' (", "got number)", function() lfut.zip({}, 5) end)
  support.fails_like("bad argument #1 to 'zip' (", "got nil)", function() lfut.zip(nil, {}) end)
end

-- Iterators

function TestMap.test_iterator_functions()
  local exe <close> = support.Executor(2)
  lu.assertEquals(exe:map(square, counting(10).next):list(), squares(10))
  lu.assertEquals(exe:map(string.upper, ("a b c"):gmatch "%a"):list(), { "A", "B", "C", n = 3 })
  local co = coroutine.wrap(function()
    for i = 1, 5 do
      coroutine.yield(i)
    end
  end)
  lu.assertEquals(exe:map(square, co):list(), squares(5))
end

function TestMap.test_a_false_item_does_not_end_it()
  local exe <close> = support.Executor(1)
  local items, i = { true, false, true }, 0
  lu.assertEquals(exe:map(echo, function() i = i + 1 return items[i] end):list(), { true, false, true, n = 3 })
end

function TestMap.test_a_source_is_not_called_after_its_end()
  local exe <close> = support.Executor(1)
  local calls, ended = 0, 0
  local it = exe:map(echo, function()
    calls = calls + 1
    if calls <= 3 then
      return calls
    end
    ended = ended + 1
  end)
  lu.assertEquals(it:list(), { 1, 2, 3, n = 3 })
  lu.assertNil(it())
  lu.assertEquals(ended, 1)
end

function TestMap.test_an_endless_source()
  local exe <close> = support.Executor(2)
  local source = counting(nil)
  local it = exe:map(square, source.next)
  for i = 1, 5000 do
    local j, r = it()
    assert(j == i and r == i * i)
  end
  lu.assertTrue(source.pulled < 1000000, "a bounded window")
  it:close()
end

function TestMap.test_buffersize_is_exact()
  for _, size in ipairs { 1, 2, 3, 7 } do
    for _, chunksize in ipairs { 1, 3, "auto" } do
      local exe <close> = support.Executor(2)
      local consumed, most = 0, 0
      local source = counting(40)
      local function pull()
        local x = source.next()
        if x then
          most = math.max(most, source.pulled - consumed)
        end
        return x
      end
      for i, r in exe:map(square, pull, { buffersize = size, chunksize = chunksize }) do
        consumed = consumed + 1
        assert(i == consumed and r == i * i)
      end
      lu.assertEquals(consumed, 40)
      lu.assertEquals(most, size)
    end
  end
end

function TestMap.test_buffersize_of_tables_and_ranges()
  for _, make in ipairs { function(n) return lfut.range(n) end,
    function(n)
      local t = {}
      for i = 1, n do
        t[i] = i
      end
      return t
    end } do
    local exe <close> = support.Executor(2)
    lu.assertEquals(exe:map(square, make(50), { buffersize = 4 }):list(), squares(50))
    lu.assertEquals(exe:map(square, make(5), { buffersize = 400 }):list(), squares(5))
  end
end

-- How far the workers may run ahead.
function TestMap.test_buffersize_bounds_the_work()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "started = 0" }
  local it = exe:map(function() started = started + 1 return started end, lfut.range(100),
    { buffersize = 3, chunksize = 1 })
  for consumed = 0, 5 do
    local n
    for _ = 1, 20 do
      n = exe:submit(function() return started end):result()
      lu.assertTrue(n <= consumed + 3)
    end
    lu.assertTrue(n >= consumed)
    it()
  end
  lu.assertEquals(#all(it), 94)
end

function TestMap.test_a_source_that_uses_the_executor()
  local exe <close> = support.Executor(1)
  local first = exe:map(function(x) return x + 1 end, lfut.range(20))
  local second = exe:map(square, function()
    local i, r = first()
    return i and r
  end)
  local list = second:list()
  lu.assertEquals(list.n, 20)
  lu.assertEquals(list[20], 441)
  local n = 0
  lu.assertEquals(exe:map(square, function()
    n = n + 1
    return n <= 5 and exe:submit(echo, n):result() or nil
  end):list(), squares(5))
end

-- Options

function TestMap.test_chunksize()
  local exe <close> = support.Executor(2)
  for _, size in ipairs { 1, 2, 7, 100, 1000, 1 << 40, math.maxinteger, 3.0, "auto" } do
    local items = {}
    for i = 1, 100 do
      items[i] = i
    end
    for _, source in ipairs { items, lfut.range(100), counting(100).next, lfut.zip(items, items) } do
      lu.assertEquals(exe:map(function(x) return x * x end, source, { chunksize = size }):list(), squares(100))
    end
  end
end

function TestMap.test_chunksize_is_kept()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  -- Items of one chunk are one after the other in one task; others may come between.
  local ids = exe:map(function() chunk = (chunk or 0) + 1 return chunk end, lfut.range(10), { chunksize = 4 }):list()
  lu.assertEquals(ids, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n = 10 })
  local before = exe:stats()
  lu.assertEquals(before.failed, 0)
end

function TestMap.test_unordered()
  local exe <close> = support.Executor(3)
  for _, chunksize in ipairs { 1, 10, "auto" } do
    local seen, n = {}, 0
    for i, r in exe:map(square, lfut.range(500), { ordered = false, chunksize = chunksize }) do
      lu.assertNil(seen[i])
      seen[i] = true
      lu.assertEquals(r, i * i)
      n = n + 1
    end
    lu.assertEquals(n, 500)
  end
end

function TestMap.test_unordered_is_by_completion()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local it = exe:map(function(i)
    return i == 1 and gate.hold(g, "late") or i
  end, { 1, 2, 3, 4, 5 }, { ordered = false, chunksize = 1 })
  local seen = {}
  for n = 1, 4 do
    local i, r = it()
    lu.assertEquals(r, i)
    seen[n] = i
  end
  table.sort(seen)
  lu.assertEquals(seen, { 2, 3, 4, 5 })
  gate.open(g)
  lu.assertEquals({ it() }, { 1, "late" })
  lu.assertNil(it())
end

function TestMap.test_ordered_waits_for_the_first()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local it = exe:map(function(i)
    if i == 1 then
      gate.hold(g)
    elseif i == 5 then
      gate.open(g)
    end
    return i
  end, { 1, 2, 3, 4, 5 }, { chunksize = 1 })
  lu.assertEquals(all(it), { { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 4 }, { 5, 5 } })
end

function TestMap.test_a_timeout()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "ran = 0" }
  local g <close> = gate.new()
  local it = exe:map(function(i)
    ran = ran + 1
    return i == 4 and gate.hold(g, i) or i
  end, { 1, 2, 3, 4, 5, 6 }, { timeout = 0, chunksize = 1 })
  gate.arrived(g)
  while support.is_cluster and exe:stats().finished < 3 do -- on their way
  end
  -- Past it, but there:
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertEquals({ it() }, { 2, 2 })
  lu.assertEquals({ it() }, { 3, 3 })
  support.fails_as("TimeoutError", nil, it)
  lu.assertNil(it())
  lu.assertNil(it())
  gate.open(g)
  lu.assertEquals(exe:submit(function() return ran end):result(), 4)
  support.works(exe)
end

function TestMap.test_a_timeout_that_runs_out_in_the_wait()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  for _, opts in ipairs { { timeout = 0.001 }, { timeout = 0.001, ordered = false }, { timeout = -1 },
    { timeout = 0.001, protected = true } } do
    local g <close> = gate.new()
    local it = exe:map(gate.hold, { g }, opts)
    gate.arrived(g)
    support.fails_as("TimeoutError", nil, it)
    lu.assertNil(it())
    gate.open(g)
    support.works(exe)
  end
end

function TestMap.test_a_timeout_that_does_not_run_out()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:map(square, lfut.range(10), { timeout = 1e6 }):list(), squares(10))
  lu.assertEquals(exe:map(square, lfut.range(10), { timeout = math.huge }):list(), squares(10))
end

function TestMap.test_seeds()
  local function draw(i)
    return i .. ":" .. math.random(1 << 40) .. ":" .. math.random(6) .. ":" .. math.random()
  end
  local expected
  for _, workers in ipairs { 1, 3 } do
    for _, chunksize in ipairs { 1, 7, "auto" } do
      for _, source in ipairs { lfut.range(40), counting(40).next } do
        local exe <close> = support.Executor(workers)
        local list = exe:map(draw, source, { seed = 42, chunksize = chunksize }):list()
        expected = expected or list
        lu.assertEquals(list, expected)
      end
    end
  end
  local exe <close> = support.Executor(1)
  lu.assertNotEquals(exe:map(draw, lfut.range(40), { seed = 43 }):list(), expected)
  local unordered = {}
  for i, r in exe:map(draw, lfut.range(40), { seed = 42, ordered = false }) do
    unordered[i] = r
  end
  unordered.n = 40
  lu.assertEquals(unordered, expected)
  -- Items differ from each other.
  local numbers = exe:map(function() return math.random(0) end, lfut.range(100), { seed = 1 }):list()
  local seen = {}
  for i = 1, 100 do
    lu.assertNil(seen[numbers[i]])
    seen[numbers[i]] = true
  end
end

function TestMap.test_wrong_options()
  local exe <close> = support.Executor(1)
  for _, opts in ipairs { { chunksize = 0 }, { chunksize = -1 }, { chunksize = 1.5 }, { chunksize = "x" },
    { chunksize = {} }, { buffersize = 0 }, { buffersize = -3 }, { buffersize = 2.5 }, { buffersize = "auto" },
    { timeout = "x" }, { timeout = {} }, { seed = 1.5 }, { seed = {} } } do
    local name = next(opts)
    support.fails_like("", "", function() exe:map(square, { 1 }, opts) end)
    local e = support.raised(function() exe:map(square, { 1 }, opts) end)
    lu.assertStrContains(e, name)
    lu.assertStrContains(support.raised(function() exe:for_each(square, { 1 }, opts) end), name)
    lu.assertStrContains(support.raised(function() exe:reduce(square, { 1 }, math.max, 0, opts) end), name)
    lu.assertStrContains(support.raised(function() exe:starmap(square, { { 1 } }, opts) end), name)
  end
  support.fails_like("bad argument #3 to 'map' (table expected, got number)", "",
    function() exe:map(square, { 1 }, 5) end)
  support.works(exe)
end

-- Errors

function TestMap.test_errors_at_their_positions()
  local exe <close> = support.Executor(2)
  for _, chunksize in ipairs { 1, 2, 100, "auto" } do
    local problem = { code = 3 }
    local line = debug.getinfo(1, "l").currentline + 5
    local it = exe:map(function(i)
      if i == 3 then
        error(problem)
      elseif i == 4 then
        error "four"
      elseif i == 5 then
        error(nil)
      end
      return i
    end, lfut.range(6), { chunksize = chunksize })
    lu.assertEquals({ it() }, { 1, 1 })
    lu.assertEquals({ it() }, { 2, 2 })
    lu.assertEquals(support.raised(it), { code = 3 })
    lu.assertEquals(support.raised(it), ("%s:%d: four"):format(arg[0], line))
    local r = table.pack(pcall(it))
    lu.assertEquals(r[1], false)
    lu.assertEquals(r[2], support.nil_error)
    lu.assertEquals({ it() }, { 6, 6 })
    lu.assertNil(it())
    lu.assertNil(it())
  end
  support.works(exe)
end

function TestMap.test_errors_unordered()
  local exe <close> = support.Executor(2)
  local it = exe:map(function(i)
    if i % 3 == 0 then
      error(i, 0)
    end
    return i
  end, lfut.range(30), { ordered = false, chunksize = 4 })
  local good, bad = 0, 0
  for _ = 1, 30 do
    local ok, i = pcall(it)
    lu.assertEquals(i % 3 == 0, not ok)
    good, bad = good + (ok and 1 or 0), bad + (ok and 0 or 1)
  end
  lu.assertEquals({ good, bad }, { 20, 10 })
  lu.assertNil(it())
end

function TestMap.test_protected()
  local exe <close> = support.Executor(2)
  local it = exe:map(function(i)
    if i == 2 then
      error { code = i }
    elseif i == 3 then
      error(nil)
    end
    return i, nil, "x"
  end, { 1, 2, 3, 4 }, { protected = true })
  lu.assertEquals(table.pack(it()), { 1, true, 1, nil, "x", n = 5 })
  lu.assertEquals(table.pack(it()), { 2, false, { code = 2 }, n = 3 })
  lu.assertEquals(table.pack(it()), { 3, false, support.nil_error, n = 3 })
  lu.assertEquals(table.pack(it()), { 4, true, 4, nil, "x", n = 5 })
  lu.assertNil(it())
end

function TestMap.test_a_for_loop_that_raises()
  local exe <close> = support.Executor(2)
  local seen = {}
  local ok, e = pcall(function()
    for i in exe:map(function(i) if i == 3 then error("stop", 0) end end, lfut.range(1000)) do
      seen[#seen + 1] = i
    end
  end)
  lu.assertEquals({ ok, e }, { false, "stop" })
  lu.assertEquals(seen, { 1, 2 })
  support.works(exe)
end

function TestMap.test_an_error_of_the_source()
  local exe <close> = support.Executor(2)
  for _, opts in ipairs { {}, { chunksize = 1 }, { buffersize = 2 }, { chunksize = 100 } } do
    local n = 0
    local it = exe:map(square, function()
      n = n + 1
      if n == 4 then
        error { source = true }
      end
      return n
    end, opts)
    lu.assertEquals({ it() }, { 1, 1 })
    lu.assertEquals({ it() }, { 2, 4 })
    lu.assertEquals({ it() }, { 3, 9 })
    lu.assertEquals(support.raised(it), { source = true })
    lu.assertNil(it())
    lu.assertNil(it())
    lu.assertEquals(n, 4)
  end
  support.works(exe)
end

function TestMap.test_an_error_of_the_source_at_once()
  local exe <close> = support.Executor(1)
  local it = exe:map(square, function() error("at once", 0) end)
  lu.assertEquals(support.raised(it), "at once")
  lu.assertNil(it())
  local it2 = exe:map(square, function() error() end)
  local r = table.pack(pcall(it2))
  lu.assertEquals(r[1], false)
  lu.assertNil(it2())
end

function TestMap.test_an_error_of_the_source_unordered_and_zipped()
  local exe <close> = support.Executor(2)
  local n = 0
  local function source()
    n = n + 1
    return n < 4 and n or error("source", 0)
  end
  local it = exe:map(square, source, { ordered = false })
  local sum = 0
  for _ = 1, 3 do
    sum = sum + select(2, it())
  end
  lu.assertEquals(sum, 14)
  lu.assertEquals(support.raised(it), "source")
  lu.assertNil(it())
  n = 0
  it = exe:map(echo, lfut.zip(lfut.range(10), source))
  for i = 1, 3 do
    lu.assertEquals({ it() }, { i, i, i })
  end
  lu.assertEquals(support.raised(it), "source")
  lu.assertNil(it())
end

function TestMap.test_tracebacks_of_items()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function(exe)
    local function in_the_item() error "item" end
    exe:map(function() in_the_item() end, { 1 }):list()
  end, exe)
  lu.assertStrMatches(f:exception(), ".*:%d+: item")
  lu.assertIsString(f:traceback())
end

-- Ends

function TestMap.test_close()
  local exe <close> = support.Executor { max_workers = 1, initializer = "ran = 0" }
  local it = exe:map(function(i) ran = ran + 1 return i end, { 1, 2, 3 })
  lu.assertEquals({ it() }, { 1, 1 })
  it:close()
  lu.assertNil(it())
  it:close()
  lu.assertNil(it())
  it = exe:map(square, { 1, 2, 3 })
  it:close()
  lu.assertEquals(it:list(), { n = 0 })
  support.works(exe)
end

function TestMap.test_close_cancels_what_has_not_started()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "ran = 0" }
  for _, how in ipairs { "close", "break", "error", "closed variable" } do
    local g <close> = gate.new()
    local function task(i)
      ran = ran + 1
      return i == 2 and gate.hold(g, i) or i
    end
    exe:submit(function() ran = 0 end):result()
    local items = { 1, 2, 3, 4, 5, 6 }
    if how == "close" then
      local it = exe:map(task, items, { chunksize = 1 })
      lu.assertEquals({ it() }, { 1, 1 })
      gate.arrived(g)
      it:close()
    elseif how == "break" then
      for i in exe:map(task, items, { chunksize = 1 }) do
        lu.assertEquals(i, 1)
        gate.arrived(g)
        break
      end
    elseif how == "error" then
      pcall(function()
        for _ in exe:map(task, items, { chunksize = 1 }) do
          gate.arrived(g)
          error "out"
        end
      end)
    else
      do
        local _ <close> = exe:map(task, items, { chunksize = 1 })
        gate.arrived(g)
      end
    end
    gate.open(g)
    lu.assertEquals(exe:submit(function() return ran end):result(), 2, how)
  end
end

function TestMap.test_break_in_a_chunk()
  support.needs_workers()
  local exe <close> = support.Executor { max_workers = 1, initializer = "ran = 0" }
  for i in exe:map(function() ran = ran + 1 end, lfut.range(10000000)) do
    if i == 10 then
      break
    end
  end
  lu.assertTrue(exe:submit(function() return ran end):result() < 10000000)
end

function TestMap.test_list_after_some()
  local exe <close> = support.Executor(1)
  local it = exe:map(square, { 1, 2, 3 })
  it()
  local found = {}
  for _, r in pairs(it:list()) do
    found[r] = true
  end
  lu.assertTrue(found[4] and found[9])
  lu.assertNil(it())
end

function TestMap.test_list_raises_the_first_error()
  local exe <close> = support.Executor(2)
  local it = exe:map(function(i) if i > 2 then error("item " .. i, 0) end return i end, lfut.range(5),
    { chunksize = 1 })
  lu.assertEquals(support.raised(it.list, it), "item 3")
end

function TestMap.test_after_shutdown()
  local exe = support.Executor(2)
  local it = exe:map(square, { 1, 2, 3 })
  exe:shutdown()
  lu.assertEquals(it:list(), squares(3))
  support.fails("cannot schedule new futures after shutdown", function() exe:map(square, { 1 }) end)
  support.fails("cannot schedule new futures after shutdown", function() exe:map(square, {}) end)
  support.fails("cannot schedule new futures after shutdown", function() exe:starmap(square, { { 1 } }) end)
end

function TestMap.test_a_source_after_shutdown()
  local exe = support.Executor(2)
  local source = counting(100)
  local it = exe:map(square, source.next, { buffersize = 3 })
  lu.assertEquals({ it() }, { 1, 1 })
  exe:shutdown(false)
  local pulled = source.pulled
  for i = 2, pulled do
    lu.assertEquals({ it() }, { i, i * i })
  end
  local e = support.raised(it)
  lu.assertStrContains(tostring(e), "cannot schedule new futures after shutdown")
  lu.assertNil(it())
  lu.assertEquals(source.pulled, pulled)
  exe:shutdown()
end

function TestMap.test_a_range_after_shutdown()
  local exe = support.Executor(2)
  local it = exe:map(square, lfut.range(1, math.maxinteger), { buffersize = 5 })
  lu.assertEquals({ it() }, { 1, 1 })
  exe:shutdown(false)
  local n, e = 1, nil
  repeat
    local ok, i, r = pcall(it)
    if ok then
      n = n + 1
      lu.assertEquals({ i, r }, { n, n * n })
    else
      e = i
    end
  until not ok
  lu.assertStrContains(tostring(e), "cannot schedule new futures after shutdown")
  lu.assertTrue(n <= 6)
  lu.assertNil(it())
  exe:shutdown()
end

function TestMap.test_shutdown_that_cancels()
  support.needs_workers()
  local exe = support.Executor(1)
  local g <close> = gate.new()
  local it = exe:map(function(i) return i == 2 and gate.hold(g, i) or i end, { 1, 2, 3, 4 }, { chunksize = 1 })
  gate.arrived(g)
  exe:shutdown(false, true)
  gate.open(g)
  lu.assertEquals({ it() }, { 1, 1 })
  lu.assertEquals({ it() }, { 2, 2 })
  support.fails_as("CancelledError", nil, it)
  exe:shutdown()
end

function TestMap.test_several_at_a_time()
  local exe <close> = support.Executor(2)
  local its = {}
  for k = 1, 5 do
    its[k] = exe:map(function(i) return i * k end, lfut.range(50))
  end
  for i = 1, 50 do
    for k = 5, 1, -1 do
      lu.assertEquals({ its[k]() }, { i, i * k })
    end
  end
end

function TestMap.test_consumed_in_coroutines()
  local exe <close> = support.Executor(1)
  local it = exe:map(square, lfut.range(10))
  local co = coroutine.wrap(function()
    for i, r in it do
      coroutine.yield(i, r)
    end
  end)
  for i = 1, 10 do
    lu.assertEquals({ co() }, { i, i * i })
  end
end

function TestMap.test_wrong_arguments()
  local exe <close> = support.Executor(1)
  support.fails("bad argument #1 to 'starmap' (function expected, got nil)", function() exe:starmap(nil, {}) end)
  support.fails("bad argument #1 to 'map' (function expected, got nil)", function() exe:map(nil, {}) end)
  support.fails("bad argument #1 to 'map' (function expected, got no value)", function() exe:map() end)
  support.fails("bad argument #1 to 'map' (function expected, got table)", function() exe:map({}, {}) end)
  support.fails_like("bad argument #2 to 'map' (", "got nil)", function() exe:map(square, nil) end)
  support.fails_like("bad argument #2 to 'map' (", "got no value)", function() exe:map(square) end)
  support.fails_like("bad argument #2 to 'map' (", "got number)", function() exe:map(square, 5) end)
  support.fails_like("bad argument #2 to 'map' (", "got string)", function() exe:map(square, "abc") end)
  support.fails_like("bad argument #2 to 'starmap' (", "got boolean)", function() exe:starmap(square, true) end)
  local it = exe:map(square, { 1 })
  lu.assertFalse(pcall(it.list, {}))
  lu.assertFalse(pcall(it.close))
  lu.assertIsString(tostring(it))
  support.works(exe)
end

-- starmap

function TestMap.test_starmap()
  local exe <close> = support.Executor(2)
  local function add(a, b)
    return a + b
  end
  lu.assertEquals(exe:starmap(add, { { 1, 2 }, { 3, 4 } }):list(), { 3, 7, n = 2 })
  lu.assertEquals(exe:starmap(function(...) return table.pack(...) end,
    { { 1, nil, 3, n = 3 }, {}, { n = 2 }, { 1, 2, n = 1 } }):list(),
    { { 1, nil, 3, n = 3 }, { n = 0 }, { n = 2 }, { 1, n = 1 }, n = 4 })
  local i = 0
  lu.assertEquals(exe:starmap(add, function() i = i + 1 return i <= 3 and { i, i } or nil end):list(),
    { 2, 4, 6, n = 3 })
  lu.assertEquals(exe:starmap(add, { { 1, 2 }, { 3, 4 } }, { chunksize = 1, protected = true }):list().n, 2)
end

function TestMap.test_starmap_with_a_wrong_n()
  local exe <close> = support.Executor(1)
  local function count(...)
    return select("#", ...)
  end
  lu.assertEquals(exe:starmap(count, { { n = -1, 5 }, { n = 1.5, 5, 6 }, { n = "x", 5 } }):list(), { 1, 2, 1, n = 3 })
  for _, n in ipairs { 1 << 40, (1 << 32) + 1, math.maxinteger } do
    local e = support.raised(function() return exe:starmap(count, { { n = n, 7 } }):list() end)
    lu.assertStrContains(tostring(e), "too many")
  end
  support.works(exe)
end

function TestMap.test_starmap_of_what_is_no_table()
  local exe <close> = support.Executor(2)
  local e = support.raised(function() exe:starmap(square, { { 1 }, 2 }):list() end)
  lu.assertStrContains(tostring(e), "2")
  lu.assertStrContains(tostring(e), "table")
  lu.assertFalse(pcall(function() exe:starmap(square, lfut.range(3)):list() end))
  support.works(exe)
end

local rc = support.run(TestMap)
if rc ~= 0 then
  -- Items of several values are arguments as they are.
function TestMap.test_starmap_over_several_values()
  local exe <close> = support.Executor(2)
  local it = exe:starmap(function(...) return select("#", ...), ... end, lfut.zip({ 1, 2 }, { "a", "b" }))
  lu.assertEquals({ it() }, { 1, 2, 1, "a" })
  lu.assertEquals({ it() }, { 2, 2, 2, "b" })
  lu.assertNil(it())
end

os.exit(rc)
end
