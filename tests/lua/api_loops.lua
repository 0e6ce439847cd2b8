-- SPDX-License-Identifier: MIT
--
-- exe:for_each and exe:reduce (API §2).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestLoops = {}

local function add(a, b) return a + b end
local function join(a, b) return a .. b end

local function counting(last)
  local n = 0
  return function()
    n = n + 1
    return n <= last and n or nil
  end
end

-- for_each

function TestLoops.test_for_each_counts()
  local exe <close> = support.Executor(2)
  for _, opts in ipairs { {}, { chunksize = 1 }, { chunksize = 7 }, { chunksize = 1000 }, { buffersize = 3 },
    { ordered = false } } do
    lu.assertEquals(exe:for_each(echo, { 1, 2, 3 }, opts), 3)
    lu.assertEquals(exe:for_each(echo, {}, opts), 0)
    lu.assertEquals(exe:for_each(echo, { n = 5 }, opts), 5)
    lu.assertEquals(exe:for_each(echo, lfut.range(1000), opts), 1000)
    lu.assertEquals(exe:for_each(echo, lfut.range(0), opts), 0)
    lu.assertEquals(exe:for_each(echo, counting(123), opts), 123)
    lu.assertEquals(exe:for_each(echo, lfut.zip({ 1, 2, 3 }, lfut.range(2)), opts), 2)
  end
end

function TestLoops.test_for_each_does_it()
  local exe <close> = support.Executor { max_workers = 2, initializer = "sum = 0" }
  lu.assertEquals(exe:for_each(function(i) sum = sum + i end, lfut.range(10000)), 10000)
  local total = 0
  for _, f in ipairs(exe:broadcast(function() return sum end)) do
    total = total + f:result()
  end
  lu.assertEquals(total, 10000 * 10001 // 2)
  lu.assertEquals(exe:for_each(function(a, b) sum = sum + a * b end, lfut.zip({ 1, 2 }, { 3, 4 })), 2)
end

function TestLoops.test_results_stay_in_the_workers()
  local exe <close> = support.Executor(1)
  -- One that could not travel is no error.
  lu.assertEquals(exe:for_each(function() return io.tmpfile(), coroutine.create(print) end, lfut.range(10)), 10)
end

function TestLoops.test_for_each_raises_the_first_by_position()
  local exe <close> = support.Executor(2)
  for _, opts in ipairs { {}, { chunksize = 1 }, { chunksize = 4 }, { chunksize = 100 } } do
    local e = support.raised(function()
      exe:for_each(function(i)
        if i == 7 or i == 3 or i == 20 then
          error({ item = i })
        end
      end, lfut.range(30), opts)
    end)
    lu.assertEquals(e, { item = 3 })
  end
  local r = table.pack(pcall(function() exe:for_each(error, { n = 1 }) end))
  lu.assertEquals(r, { false, support.nil_error, n = 2 })
  support.works(exe)
end

function TestLoops.test_the_first_by_position_though_a_later_one_was_earlier()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  for _, loop in ipairs {
    function(fn, opts) exe:for_each(fn, lfut.range(6), opts) end,
    function(fn, opts) exe:reduce(fn, lfut.range(6), add, 0, opts) end,
  } do
    local g <close> = gate.new()
    local e = support.raised(loop, function(i)
      if i == 2 then
        gate.hold(g)
        error("two", 0)
      elseif i == 5 then
        gate.open(g)
        error("five", 0)
      end
      return i
    end, { chunksize = 1 })
    lu.assertEquals(e, "two")
  end
  support.works(exe)
end

function TestLoops.test_an_error_of_the_source()
  local exe <close> = support.Executor(2)
  local function source()
    local n = 0
    return function()
      n = n + 1
      return n < 5 and n or error("source", 0)
    end
  end
  lu.assertEquals(support.raised(function() exe:for_each(echo, source()) end), "source")
  lu.assertEquals(support.raised(function() exe:reduce(echo, source(), add) end), "source")
  lu.assertEquals(support.raised(function()
    exe:for_each(function(i) if i == 4 then error("item", 0) end end, source())
  end), "item")
  support.works(exe)
end

-- reduce

function TestLoops.test_reduce()
  local exe <close> = support.Executor(3)
  for _, opts in ipairs { {}, { chunksize = 1 }, { chunksize = 7 }, { chunksize = 10000 }, { buffersize = 5 } } do
    lu.assertEquals(exe:reduce(echo, lfut.range(1000), add, nil, opts), 500500)
    lu.assertEquals(exe:reduce(echo, { 1, 2, 3 }, add, 10, opts), 16)
    lu.assertEquals(exe:reduce(function(x) return x * x end, counting(10), add, 0, opts), 385)
    lu.assertEquals(exe:reduce(function(a, b) return a * b end, lfut.zip({ 1, 2, 3 }, { 4, 5, 6 }), add, 0, opts), 32)
    lu.assertEquals(exe:reduce(echo, { 5 }, add, nil, opts), 5)
    lu.assertEquals(exe:reduce(echo, { 5 }, add, 1, opts), 6)
  end
end

function TestLoops.test_in_item_order()
  local exe <close> = support.Executor(3)
  local letters, expected = {}, ""
  for i = 1, 200 do
    letters[i] = string.char(97 + i % 26)
    expected = expected .. letters[i]
  end
  for _, chunksize in ipairs { 1, 3, 50, 1000, "auto" } do
    lu.assertEquals(exe:reduce(echo, letters, join, nil, { chunksize = chunksize }), expected)
    lu.assertEquals(exe:reduce(echo, letters, join, "init:", { chunksize = chunksize }), "init:" .. expected)
  end
end

function TestLoops.test_init_enters_once()
  local exe <close> = support.Executor(3)
  for _, chunksize in ipairs { 1, 2, 5, "auto" } do
    lu.assertEquals(exe:reduce(function() return 1 end, lfut.range(20), add, 1000, { chunksize = chunksize }), 1020)
  end
end

function TestLoops.test_no_items()
  local exe <close> = support.Executor(1)
  for _, items in ipairs { {}, lfut.range(0), function() end, { n = 0 } } do
    lu.assertEquals(table.pack(exe:reduce(echo, items, add)), { n = 0 })
    lu.assertEquals(table.pack(exe:reduce(echo, items, add, 7)), { 7, n = 1 })
    lu.assertEquals(table.pack(exe:reduce(echo, items, add, false)), { false, n = 1 })
  end
  local init = { 1 }
  lu.assertEquals(exe:reduce(echo, {}, add, init), { 1 })
end

function TestLoops.test_combine_is_not_called_for_one_item()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:reduce(echo, { "only" }, error), "only")
end

function TestLoops.test_values_of_any_type()
  local exe <close> = support.Executor(2)
  local merged = exe:reduce(function(i) return { [i] = true } end, lfut.range(50), function(a, b)
    for k in pairs(b) do
      a[k] = true
    end
    return a
  end)
  for i = 1, 50 do
    lu.assertTrue(merged[i])
  end
  lu.assertEquals(exe:reduce(function(i) return i % 2 == 0 end, lfut.range(5), function(a, b) return a and b end), false)
  -- nil is a value as any other
  lu.assertEquals(exe:reduce(function(i) if i % 2 == 0 then return i end end, lfut.range(6),
    function(a, b) return (a or 0) + (b or 0) end), 12)
end

function TestLoops.test_combine_s_upvalues_and_globals()
  local exe <close> = support.Executor(2)
  local modulo = 97
  G_factor = 3
  local function combine(a, b) return (a + b) % modulo * (G_factor // 3) end
  lu.assertEquals(exe:reduce(echo, lfut.range(1000), combine, 0, { chunksize = 10 }), 500500 % 97)
  G_factor = nil
  lu.assertEquals(exe:reduce(echo, { 3, 9, 2 }, math.max), 9)
end

function TestLoops.test_errors_of_combine()
  local exe <close> = support.Executor(2)
  for _, chunksize in ipairs { 1, 5, 100 } do
    local e = support.raised(function()
      exe:reduce(echo, lfut.range(20), function() error("combine", 0) end, nil, { chunksize = chunksize })
    end)
    lu.assertEquals(e, "combine")
  end
  lu.assertEquals(support.raised(function() exe:reduce(echo, { 1 }, function() error("with init", 0) end, 0) end),
    "with init")
  support.works(exe)
end

function TestLoops.test_errors_of_items_by_position()
  local exe <close> = support.Executor(2)
  for _, chunksize in ipairs { 1, 4, 100, "auto" } do
    local e = support.raised(function()
      exe:reduce(function(i)
        if i == 11 or i == 5 then
          error({ item = i })
        end
        return i
      end, lfut.range(20), add, 0, { chunksize = chunksize })
    end)
    lu.assertEquals(e, { item = 5 })
  end
  support.works(exe)
end

function TestLoops.test_timeouts()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = gate.new()
  support.fails_as("TimeoutError", nil, function() exe:for_each(gate.hold, { g }, { timeout = 0.01 }) end)
  gate.open(g)
  support.works(exe)
  local h <close> = gate.new()
  support.fails_as("TimeoutError", nil, function() exe:reduce(gate.hold, { h }, add, 0, { timeout = 0.01 }) end)
  gate.open(h)
  support.works(exe)
end

-- What one item sets is gone for the next.
function TestLoops.test_debug_hooks()
  local exe <close> = support.Executor(1)
  local function item(i)
    if i % 10 == 2 then
      debug.sethook(function() error "a hook that another item left" end, "", 100)
    else
      for _ = 1, 1000 do
        i = i * 1
      end
    end
    return i
  end
  for _, opts in ipairs { { chunksize = 50 }, { chunksize = 1 } } do
    lu.assertEquals(exe:for_each(item, lfut.range(100), opts), 100)
    lu.assertEquals(exe:reduce(item, lfut.range(100), add, 0, opts), 5050)
    lu.assertEquals(#exe:map(item, lfut.range(100), opts):list(), 100)
    lu.assertEquals(#exe:starmap(item, { { 1 }, { 2 }, { 3 } }, opts):list(), 3)
  end
end

function TestLoops.test_seeds()
  local expected
  for _, workers in ipairs { 1, 3 } do
    for _, chunksize in ipairs { 1, 7, "auto" } do
      local exe <close> = support.Executor(workers)
      local sum = exe:reduce(function() return math.random(1 << 40) end, lfut.range(200), add, 0,
        { seed = 5, chunksize = chunksize })
      expected = expected or sum
      lu.assertEquals(sum, expected)
    end
  end
end

function TestLoops.test_wrong_use()
  local exe <close> = support.Executor(1)
  support.fails("bad argument #1 to 'for_each' (function expected, got nil)", function() exe:for_each(nil, {}) end)
  support.fails_like("bad argument #2 to 'for_each' (", "got nil)", function() exe:for_each(echo, nil) end)
  support.fails_like("bad argument #2 to 'for_each' (", "got number)", function() exe:for_each(echo, 5) end)
  support.fails("bad argument #1 to 'reduce' (function expected, got nil)", function() exe:reduce(nil, {}, add) end)
  support.fails_like("bad argument #2 to 'reduce' (", "got nil)", function() exe:reduce(echo, nil, add) end)
  support.fails("bad argument #3 to 'reduce' (function expected, got nil)", function() exe:reduce(echo, {}, nil) end)
  support.fails("bad argument #3 to 'reduce' (function expected, got number)", function() exe:reduce(echo, {}, 5) end)
  support.fails("bad argument #5 to 'reduce' (table expected, got number)",
    function() exe:reduce(echo, {}, add, 0, 5) end)
  support.fails("bad argument #3 to 'for_each' (table expected, got boolean)",
    function() exe:for_each(echo, {}, true) end)
  support.works(exe)
end

-- Items that take long among others that do not, next to each other: what a chunk
-- gives back is run, once, and its results come where they belong.
function TestLoops.test_clusters_of_slow_items()
  support.relaxed()
  local exe <close> = support.Executor(3)
  local n = support.size(20000)
  local first, last = n // 2, n // 2 + 11
  local function item(i)
    if i >= first and i <= last then
      local t = lfut.perf_counter() + 0.004
      while lfut.perf_counter() < t do
      end
    end
    return i
  end
  local list, numbers = {}, lfut.Array("double", n)
  for i = 1, n do
    list[i] = i
    numbers[i] = i
  end
  local sum = n * (n + 1) // 2
  for _, source in ipairs { list, lfut.range(n), lfut.range(1.0, n, 1.0), numbers } do
    local results = exe:map(item, source):list()
    lu.assertEquals(results.n, n)
    for i = 1, n do
      if results[i] ~= i then
        lu.assertEquals(results[i], i)
      end
    end
    local seen = 0
    for i, r in exe:map(item, source, { ordered = false }) do
      lu.assertTrue(i == r)
      seen = seen + r
    end
    lu.assertEquals(seen, sum)
    local total = lfut.Value("int64", 0)
    lu.assertEquals(exe:for_each(function(i) total:add(math.tointeger(item(i))) end, source), n)
    lu.assertEquals(total:get(), sum)
    lu.assertEquals(exe:reduce(item, source, function(a, b) return a + b end), sum)
    local function join(a, b) return { a[1], b[2], a[3] and b[3] and a[2] + 1 == b[1] } end
    lu.assertEquals(exe:reduce(function(i) return { item(i), i, true } end, source, join), { 1, n, true })
  end
end

function TestLoops.test_errors_in_clusters_of_slow_items()
  support.relaxed()
  local exe <close> = support.Executor(3)
  local n = support.size(20000)
  local bad = n // 2 + 5
  local function item(i)
    if i >= n // 2 and i <= bad + 5 then
      local t = lfut.perf_counter() + 0.004
      while lfut.perf_counter() < t do
      end
    end
    return i == bad and error({ i }) or i
  end
  local it, failed, sum = exe:map(item, lfut.range(n), { protected = true }), {}, 0
  for i, ok, r in it do
    if ok then
      sum = sum + r
    else
      failed[#failed + 1] = { i, r[1] }
    end
  end
  lu.assertEquals(failed, { { bad, bad } })
  lu.assertEquals(sum, n * (n + 1) // 2 - bad)
  local ok, e = pcall(exe.for_each, exe, item, lfut.range(n))
  lu.assertFalse(ok)
  lu.assertEquals(e, { bad })
  ok, e = pcall(exe.reduce, exe, item, lfut.range(n), math.max)
  lu.assertFalse(ok)
  lu.assertEquals(e, { bad })
end

local rc = support.run(TestLoops)
if rc ~= 0 then
  os.exit(rc)
end
