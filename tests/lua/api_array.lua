-- SPDX-License-Identifier: MIT
--
-- lfut.Array (API §8): what it does in the script, and that it is the same
-- memory wherever it is sent, whoever has made it, whoever dies.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo
local Array = lfut.Array

local integers = { "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64" }
local floats = { "float", "double" }
local sizes = { int8 = 1, uint8 = 1, int16 = 2, uint16 = 2, int32 = 4, uint32 = 4, int64 = 8, uint64 = 8,
  float = 4, double = 8 }

-- The arena's memory that is in use, in bytes.
local function resident()
  local pipe <close> = assert(io.popen(([[
    for f in /proc/%d/fd/*; do
      case $(readlink "$f") in *memfd:lfut-arrays*) stat -Lc %%b "$f";; esac
    done]]):format(lfut.getpid())))
  return (tonumber(pipe:read("l")) or 0) * 512
end

-- For tests that look at it: a tool such as valgrind reads through all memory
-- when a process ends, and reading makes it be there.
local function needs_calm()
  lu.skipIf(support.is_wrapped, "something else reads the memory")
end

-- What is garbage anywhere is given back: the worker says so before it runs the
-- second task.
local function collect_all(exe)
  for _ = 1, 2 do
    collectgarbage()
    for _, f in ipairs(exe:broadcast(function() collectgarbage() collectgarbage() end)) do
      f:result()
    end
  end
  collectgarbage()
  exe:submit(echo):result()
  exe:submit(echo):result()
end

local function list(a)
  return { a:get() }
end

-- The script alone

TestArray = {}

function TestArray.test_begins_with_zeroes()
  for name, size in pairs(sizes) do
    local a = Array(name, 5)
    lu.assertEquals({ #a, a.type, a:bytes() }, { 5, name, 5 * size })
    for i = 1, 5 do
      lu.assertEquals(a[i], 0)
      lu.assertEquals(math.type(a[i]), (name == "float" or name == "double") and "float" or "integer")
    end
  end
end

function TestArray.test_from_a_table()
  lu.assertEquals(list(Array("int16", { 1, -2, 3.0 })), { 1, -2, 3 })
  lu.assertEquals(list(Array("double", { 1, 0.5 })), { 1.0, 0.5 })
  lu.assertEquals(#Array("double", {}), 0)
  lu.assertEquals(#Array("double", 0), 0)
end

function TestArray.test_is_shown()
  lu.assertEquals(tostring(Array("double", 10)), "lfut.Array(double, 10)")
  lu.assertEquals(tostring(Array("uint8", 0):readonly()), "lfut.Array(uint8, 0, read-only)")
  lu.assertNil(Array("int8", 1).nothing)
  lu.assertEquals(getmetatable(Array("int8", 1)), "lfut")
end

function TestArray.test_ipairs_ends_behind_the_last()
  local seen = {}
  for i, x in ipairs(Array("int32", { 5, 6, 7 })) do
    seen[i] = x
  end
  lu.assertEquals(seen, { 5, 6, 7 })
  lu.assertEquals({ table.unpack(Array("int8", 2), 1, 3) }, { 0, 0, nil })
end

local limits = {
  int8 = { -128, 127 }, uint8 = { 0, 255 }, int16 = { -32768, 32767 }, uint16 = { 0, 65535 },
  int32 = { -2147483648, 2147483647 }, uint32 = { 0, 4294967295 },
  int64 = { math.mininteger, math.maxinteger }, uint64 = { math.mininteger, math.maxinteger },
}

function TestArray.test_integers_to_their_limits()
  for name, limit in pairs(limits) do
    local a = Array(name, 3)
    for i, x in ipairs(limit) do
      a[2] = x
      lu.assertEquals({ a:get() }, { 0, x, 0 })
      if sizes[name] < 8 then
        a[2] = x + 0.0
        lu.assertTrue(rawequal(a[2], x))
        support.fails(("%d does not fit %s"):format(x + (i == 1 and -1 or 1), name),
          function() a[2] = x + (i == 1 and -1 or 1) end)
      end
    end
  end
end

function TestArray.test_large_unsigned_numbers_are_their_bits()
  local a = Array("uint64", { -1, 2.0 ^ 63, 1 })
  lu.assertEquals(list(a), { -1, math.mininteger, 1 })
  lu.assertTrue(math.ult(a[3], a[1]))
  lu.assertEquals(a:tostring(1, 1), ("\xff"):rep(8))
end

function TestArray.test_floats()
  local a = Array("float", { 0.1, 1e300, -math.huge, 2 ^ 24 + 1 })
  lu.assertAlmostEquals(a[1], 0.1, 1e-7)
  lu.assertEquals({ a:get(2) }, { math.huge, -math.huge, 2.0 ^ 24 })
  local b = Array("double", { 0.1, -0.0, 0 / 0, (1 << 53) + 1 })
  lu.assertEquals({ b[1], 1 / b[2], b[4] }, { 0.1, -math.huge, 2.0 ^ 53 })
  lu.assertTrue(b[3] ~= b[3])
end

function TestArray.test_what_an_element_cannot_be()
  for _, name in ipairs(integers) do
    local a = Array(name, { 1 })
    local function refuses(text, value)
      support.fails(text, function() a[1] = value end)
      support.fails("bad argument #1 to 'fill' (" .. text .. ")", function() a:fill(value) end)
      support.fails("value 2: " .. text, function() Array(name, { 1, value }) end)
      lu.assertEquals(a[1], 1)
    end
    refuses("1e+20 does not fit " .. name, 1e20)
    refuses("-1.9 does not fit " .. name, -1.9)
    refuses("inf does not fit " .. name, math.huge)
    refuses(("%s does not fit %s"):format(0 / 0, name), 0 / 0)
    refuses(name .. " expected, got string", "1")
    refuses(name .. " expected, got boolean", true)
    refuses(name .. " expected, got table", {})
  end
  for _, name in ipairs(floats) do
    local a = Array(name, 1)
    support.fails(name .. " expected, got string", function() a[1] = "1" end)
    support.fails(name .. " expected, got nil", function() a[1] = nil end)
    support.fails(name .. " expected, got boolean", function() a[1] = false end)
  end
end

function TestArray.test_what_an_index_cannot_be()
  local a = Array("int8", 10)
  for _, i in ipairs { 0, -1, 11, 12, math.maxinteger, math.mininteger } do
    local text = ("index %d is out of range (length 10)"):format(i)
    support.fails(text, function() return a[i] end)
    support.fails(text, function() a[i] = 1 end)
  end
  support.fails("index 11 is out of range (length 10)", function() a:add(11, 1) end)
  support.fails("array index must be an integer, got 1.5", function() return a[1.5] end)
  support.fails("array index must be an integer, got boolean", function() return a[true] end)
  support.fails("array index must be an integer, got string", function() a["1"] = 1 end)
  support.fails("array index must be an integer, got string", function() a.type = "x" end)
  a[2.0] = 5
  lu.assertEquals({ a[2], a[2.0] }, { 5, 5 })
end

function TestArray.test_what_the_constructor_refuses()
  support.fails_like("bad argument #1 to 'Array' (unknown type 'int'", ")", function() Array("int", 1) end)
  support.fails("bad argument #1 to 'Array' (string expected, got nil)", function() Array(nil, 1) end)
  support.fails("bad argument #2 to 'Array' (number of elements, table or string expected, got no value)",
    function() Array("int8") end)
  for _, n in ipairs { -1, 1.5, 0 / 0, 1e300 } do
    support.fails("bad argument #2 to 'Array' (not a number of elements)", function() Array("int8", n) end)
  end
  for _, n in ipairs { math.maxinteger, 1 << 60, 1 << 40 } do
    support.fails("not enough memory", function() Array("double", n) end)
  end
end

function TestArray.test_get_counts_as_string_sub_does()
  local text = "abcde"
  local a = Array("uint8", { text:byte(1, -1) })
  for i = -7, 7 do
    lu.assertEquals({ a:get(i) }, { text:sub(i):byte(1, -1) })
    for j = -7, 7 do
      local want = text:sub(i, j)
      lu.assertEquals({ a:get(i, j) }, { want:byte(1, -1) })
      lu.assertEquals(a:tostring(i, j), want)
      lu.assertEquals(a:slice(i, j):tostring(), want)
    end
  end
  local far = { math.mininteger, math.maxinteger }
  for _, i in ipairs(far) do
    for _, j in ipairs(far) do
      lu.assertEquals(a:tostring(i, j), text:sub(i, j))
    end
  end
  lu.assertEquals({ #a:slice(), a:tostring() }, { 5, text })
  support.fails("too many elements for a list of results", function() Array("int8", 1 << 21):get() end)
end

function TestArray.test_set()
  local a = Array("int16", 6)
  lu.assertTrue(rawequal(a:set(2, { 7, 8 }), a))
  a:set(6, { 9 }):set(1, {}):set(7, {})
  lu.assertEquals(list(a), { 0, 7, 8, 0, 0, 9 })
  support.fails("index 7 is out of range (length 6)", function() a:set(6, { 1, 2 }) end)
  support.fails("index 0 is out of range (length 6)", function() a:set(0, { 1 }) end)
  support.fails("index 8 is out of range (length 6)", function() a:set(8, {}) end)
  support.fails("value 2: 70000 does not fit int16", function() a:set(1, { 1, 70000 }) end)
  lu.assertEquals(list(a), { 1, 7, 8, 0, 0, 9 })
end

function TestArray.test_fill_and_copy()
  for name in pairs(sizes) do
    local a, b = Array(name, 33), Array(name, 33)
    lu.assertTrue(rawequal(a:slice(2, 32):fill(7):copy(a:slice(2, 32)).type, name))
    lu.assertTrue(rawequal(b:copy(a), b))
    lu.assertEquals({ b:get(1, 3) }, { 0, 7, 7 })
    lu.assertEquals({ b:get(31) }, { 7, 7, 0 })
  end
  local a = Array("int32", { 1, 2, 3, 4, 5 })
  a:slice(2):copy(a:slice(1, 4))
  lu.assertEquals(list(a), { 1, 1, 2, 3, 4 })
  support.fails("bad argument #1 to 'copy' (array of int32 expected, got one of uint32)",
    function() a:copy(Array("uint32", 5)) end)
  support.fails("bad argument #1 to 'copy' (5 elements expected, got 4)", function() a:copy(a:slice(2)) end)
  support.fails("bad argument #1 to 'copy' (lfut.Array expected, got table)", function() a:copy {} end)
end

function TestArray.test_slices_are_the_same_memory()
  local a = Array("double", { 1, 2, 3, 4, 5 })
  local s = a:slice(2, 4)
  local t = s:slice(2, 2)
  t[1] = 30
  a[2] = 20
  lu.assertEquals({ list(s), #t, a[3] }, { { 20.0, 30.0, 4.0 }, 1, 30.0 })
  a = nil
  collectgarbage()
  lu.assertEquals({ s[2], t[1] }, { 30.0, 30.0 })
end

function TestArray.test_chunks()
  local a = Array("int32", 10)
  local function lengths(n)
    local all = {}
    for i, c in ipairs(a:chunks(n)) do
      all[i] = #c
    end
    return all
  end
  lu.assertEquals({ lengths(4), lengths(5), lengths(10), lengths(math.maxinteger) },
    { { 4, 4, 2 }, { 5, 5 }, { 10 }, { 10 } })
  a:chunks(4)[3][2] = 7
  lu.assertEquals(a[10], 7)
  lu.assertEquals(Array("int8", 0):chunks(3), {})
  support.fails("bad argument #1 to 'chunks' (must be at least 1)", function() a:chunks(0) end)
end

function TestArray.test_add_wraps_around()
  for _, name in ipairs(integers) do
    local a = Array(name, { limits[name][2] })
    lu.assertEquals(a:add(1, 1), limits[name][2])
    lu.assertEquals(a[1], limits[name][1])
    lu.assertEquals(a:add(1, -1), limits[name][1])
    lu.assertEquals(a[1], limits[name][2])
    a[1] = 5
    lu.assertEquals(a:add(1, 2.0), 5)
    lu.assertEquals(a[1], 7)
    support.fails_like("bad argument #2 to 'add' (1.5 does not fit ", ")", function() a:add(1, 1.5) end)
    support.fails_like("bad argument #2 to 'add' (", " expected, got string)", function() a:add(1, "1") end)
  end
  for _, name in ipairs(floats) do
    support.fails(("cannot add to an array of %s, only of integers"):format(name),
      function() Array(name, 1):add(1, 1) end)
  end
end

function TestArray.test_readonly()
  local a = Array("int32", { 1, 2, 3 })
  local r = a:readonly()
  for _, v in ipairs { r, r:slice(1), r:chunks(3)[1], r:readonly() } do
    support.fails("array is read-only", function() v[1] = 5 end)
    support.fails("array is read-only", function() v:fill(5) end)
    support.fails("array is read-only", function() v:set(1, { 5 }) end)
    support.fails("array is read-only", function() v:copy(a) end)
    support.fails("array is read-only", function() v:add(1, 1) end)
    lu.assertEquals(list(v), { 1, 2, 3 })
  end
  a[2] = 20
  lu.assertEquals(r[2], 20)
  lu.assertEquals(list(Array("int32", 3):copy(r)), { 1, 20, 3 })
end

function TestArray.test_equality_is_the_same_elements()
  local a = Array("int32", 3)
  lu.assertTrue(a == a:slice() and a:slice(2) == a:slice(2, 3) and a == a:readonly())
  lu.assertFalse(a == Array("int32", 3) or a == a:slice(2) or a:slice(1, 2) == a:slice(2, 3))
  lu.assertFalse(a == 1 or a == {})
end

function TestArray.test_methods_take_arrays_only()
  local a = Array("int8", 1)
  for _, name in ipairs { "get", "set", "fill", "slice", "chunks", "copy", "bytes", "tostring", "readonly", "add" } do
    support.fails_like("bad argument #1 to '", "' (use ':': lfut.Array expected, got table)", function()
      local _ = a[name]({})
    end)
    support.fails_like("bad argument #1 to '", " expected, got FILE*)", function()
      local _ = a[name](io.stdout)
    end)
  end
  local meta = debug.getmetatable(a)
  for _, name in ipairs { "__index", "__newindex", "__len", "__tostring" } do
    lu.assertStrContains(support.raised(meta[name], io.stdout, 1, 1), "lfut.Array expected")
  end
  local dead = Array("int8", 1)
  meta.__gc(dead)
  lu.assertStrContains(support.raised(function() return dead[1] end), "lfut.Array expected")
  lu.assertStrContains(support.raised(function() return #dead end), "lfut.Array expected")
end

function TestArray.test_large_garbage_is_collected()
  needs_calm()
  support.relaxed()
  local before = resident()
  for _ = 1, 40 do
    Array("int8", 8 << 20):fill(1)
  end
  lu.assertTrue(resident() - before < 100 << 20)
end

-- In workers

TestSent = {}

-- The workers are there before the array.
local function warm(n)
  local exe = support.Executor(n or 1)
  for _, f in ipairs(exe:broadcast(echo)) do
    f:result()
  end
  return exe
end

function TestSent.test_worker_and_script_see_what_the_other_writes()
  local exe <close> = warm()
  for name in pairs(sizes) do
    local a = Array(name, { 1, 2, 3 })
    local seen, size = exe:submit(function(a)
      local seen = { a.type, #a, a:get() }
      a[2] = 20
      return seen, a:bytes()
    end, a):result()
    lu.assertEquals(seen, { name, 3, 1, 2, 3 })
    lu.assertEquals({ a[2], size }, { 20, a:bytes() })
    a[3] = 30
    lu.assertEquals(exe:submit(function(a) return a[3] end, a):result(), 30)
  end
end

function TestSent.test_both_at_the_same_time()
  support.needs_workers()
  local exe <close> = warm()
  local a = Array("int32", 2)
  local f = exe:submit(function(a)
    while a[1] == 0 do end
    a[2] = a[1] + 1
  end, a)
  a[1] = 41
  while a[2] == 0 do end
  lu.assertEquals(a[2], 42)
  f:result()
end

function TestSent.test_wherever_it_is_named()
  local exe <close> = warm()
  local a, b = Array("int32", { 1 }), Array("int32", { 2 })
  counters = Array("int32", { 3 })
  lu.assertEquals({ exe:submit(function(t)
    a[1] = a[1] + 10
    t.deep.b[1] = t.deep.b[1] + 10
    counters[1] = counters[1] + 10
    for key in pairs(t.keys) do
      key[1] = key[1] + 100
    end
    return rawequal(t.deep.b, t.again), t.again == b
  end, { deep = { b = b }, again = b, keys = { [b] = true } }):result() }, { true, true })
  lu.assertEquals({ a[1], b[1], counters[1] }, { 11, 112, 13 })
  counters = nil
end

function TestSent.test_in_an_initializer()
  local a = Array("int32", 2)
  local exe <close> = support.Executor {
    max_workers = 1,
    initializer = function(x) x:add(1, 1) mine = x end,
    initargs = { a },
  }
  exe:submit(function() mine:add(2, 5) end):result()
  lu.assertEquals(list(a), { 1, 5 })
end

function TestSent.test_views_and_read_only_ones()
  local exe <close> = warm()
  local a = Array("int16", { 1, 2, 3, 4, 5 })
  local r, s = exe:submit(function(r, s, e)
    local ok, text = pcall(function() r[1] = 9 end)
    assert(not ok and text:find("array is read-only", 1, true), text)
    s[2] = 30
    return r, s:slice(2), #e
  end, a:readonly(), a:slice(2, 4), a:slice(3, 2)):result()
  lu.assertEquals({ list(r), list(s) }, { { 1, 2, 30, 4, 5 }, { 30, 4 } })
  lu.assertTrue(s == a:slice(3, 4))
  support.fails("array is read-only", function() r[1] = 9 end)
  s[1] = 31
  lu.assertEquals(a[3], 31)
end

function TestSent.test_comes_home_as_the_same()
  local exe <close> = warm()
  local a = Array("double", 10)
  lu.assertTrue(exe:submit(echo, a):result() == a)
  local b, t = exe:submit(function(a) return a, { a } end, a):result()
  lu.assertTrue(b == a and t[1] == a)
  local ok, e = pcall(function() exe:submit(error, a):result() end)
  lu.assertTrue(not ok and e == a)
end

function TestSent.test_items_of_loops()
  local exe <close> = warm(2)
  local a = Array("int32", 1000)
  exe:for_each(function(part)
    for i = 1, #part do
      part[i] = part[i] + i
    end
  end, a:chunks(100))
  for i = 1, 1000 do
    lu.assertEquals(a[i], (i - 1) % 100 + 1)
  end
  for i, part in exe:map(function(part) return part:slice(1, 1) end, a:chunks(100), { chunksize = 3 }) do
    lu.assertTrue(part == a:slice((i - 1) * 100 + 1, (i - 1) * 100 + 1))
  end
  lu.assertEquals(exe:reduce(function(part) return part[2] end, a:chunks(10), math.max), 92)
end

function TestSent.test_elements_as_items()
  local exe <close> = warm(2)
  local a = Array("int16", 100)
  for i = 1, #a do
    a[i] = 3 * i
  end
  local function add(x, y) return x + (y or 0) end
  lu.assertEquals(exe:reduce(add, a, math.max), 300)
  lu.assertEquals(exe:map(add, a:slice(1, 3)):list(), { 3, 6, 9, n = 3 })
  lu.assertEquals(exe:map(add, lfut.zip(a, lfut.range(2))):list(), { 4, 8, n = 2 })
  lu.assertEquals(exe:map(add, Array("int8", 0)):list(), { n = 0 })
end

function TestSent.test_adding_loses_nothing()
  local exe <close> = warm(3)
  local n = support.size(20000)
  for _, name in ipairs(integers) do
    local a = Array(name, 3)
    local futures = {}
    for i = 1, 3 do
      futures[i] = exe:submit(function(a)
        for _ = 1, n do
          a:add(2, 1)
        end
      end, a)
    end
    for _ = 1, n do
      a:add(2, 1)
    end
    lfut.wait(futures)
    local bits = 8 * sizes[name]
    local all = 2 ^ bits
    lu.assertEquals(a[2] % all, (4 * n) % all)
    lu.assertEquals({ a[1], a[3] }, { 0, 0 })
  end
end

function TestSent.test_a_task_keeps_what_it_was_given()
  support.needs_workers()
  local exe <close> = warm()
  local g <close> = support.held(exe)
  local f = exe:submit(function(a, s) return a[1], s[1] end, Array("int32", 1000):fill(7),
    Array("int32", 1000):fill(8):slice(500))
  collectgarbage()
  collectgarbage()
  local others = {}
  for i = 1, 100 do
    others[i] = Array("int32", 1000):fill(9)
  end
  gate.open(g)
  lu.assertEquals({ f:result() }, { 7, 8 })
end

function TestSent.test_a_worker_keeps_what_it_has()
  local exe <close> = warm()
  exe:submit(function(a) kept = a end, Array("int32", 1000):fill(7)):result()
  collectgarbage()
  collectgarbage()
  local others = {}
  for i = 1, 100 do
    others[i] = Array("int32", 1000):fill(9)
  end
  lu.assertEquals(exe:submit(function() return rawget(_G, "kept")[1000] end):result(), 7)
end

function TestSent.test_large_ones_cost_nothing()
  needs_calm()
  support.relaxed()
  local exe <close> = warm()
  local before = resident()
  local a = Array("double", 100 * 1000 * 1000)
  a[#a] = 5
  lu.assertEquals({ exe:submit(function(a, s)
    s[1] = a[#a] + 1
    return #a, a:bytes(), a[50000000]
  end, a, a:slice(#a // 2, #a // 2)):result() }, { 100000000, 800000000, 6.0 })
  lu.assertTrue(resident() - before < 1 << 20)
  a:slice(1, 1000000):fill(1)
  lu.assertTrue(resident() - before >= 8000000)
  a = nil
  collect_all(exe)
  lu.assertTrue(resident() - before < 1 << 20)
end

function TestSent.test_many_small_ones_leave_nothing()
  needs_calm()
  support.relaxed()
  local exe <close> = warm()
  collect_all(exe)
  local before = resident()
  local n = support.size(10000)
  local task = function(a)
    a[2] = a[1] + 1
    return a, lfut.Array("int32", 500):fill(a[1])
  end
  for i = 1, n, 100 do
    local futures = {}
    for k = 1, 100 do
      futures[k] = exe:submit(task, Array("int32", 500):fill(i + k))
    end
    for k, f in ipairs(futures) do
      local a, b = f:result()
      lu.assertEquals({ a[2], b[500] }, { i + k + 1, i + k })
    end
  end
  collect_all(exe)
  lu.assertTrue(resident() - before < 2 << 20, resident() - before)
end

function TestSent.test_nested()
  local exe <close> = warm()
  local a = Array("int32", 10)
  local b = exe:submit(function(exe, a)
    local mine = require "lfut".Array("int32", { 1, 2, 3 })
    local f = exe:submit(function(a, mine)
      a[1] = 7
      mine[1] = 70
      return mine:slice(2), require "lfut".Array("int8", { 5 })
    end, a, mine)
    local view, other = f:result()
    assert(view == mine:slice(2) and other[1] == 5)
    view[1] = 20
    a[2] = other[1]
    return mine
  end, exe, a):result()
  lu.assertEquals({ a:get(1, 2) }, { 7, 5 })
  lu.assertEquals(list(b), { 70, 20, 3 })
end

function TestSent.test_futures_of_arrays()
  local exe <close> = warm(2)
  local f = exe:submit(function() return require "lfut".Array("int32", { 1, 2 }) end)
  local g = exe:submit(function(f)
    local a = f:result()
    a[1] = 10
    return a
  end, f)
  local a, b = f:result(), g:result()
  lu.assertTrue(a == b)
  lu.assertEquals(list(a), { 10, 2 })
end

-- Made in workers

TestMade = {}

local function make(...)
  return require "lfut".Array("int32", { ... }), require "lfut".getpid()
end

function TestMade.test_is_returned_and_sent_back()
  local exe <close> = warm()
  local a = exe:submit(make, 1, 2, 3):result()
  a[1] = 10
  local b, seen = exe:submit(function(a)
    a[2] = 20
    return a, a[1]
  end, a):result()
  lu.assertTrue(a == b)
  lu.assertEquals({ seen, list(a) }, { 10, { 10, 20, 3 } })
end

function TestMade.test_goes_on_to_another_executor()
  local one <close> = warm()
  local other <close> = warm()
  local a = one:submit(make, 1, 2, 3):result()
  lu.assertTrue(other:submit(function(a) a[1] = 5 return a end, a):result() == a)
  lu.assertEquals(one:submit(function(a) return a[1] end, a):result(), 5)
end

function TestMade.test_outlives_its_executor()
  local a
  do
    local exe <close> = warm(2)
    a = exe:submit(make, 1, 2, 3):result()
  end
  a[2] = 5
  lu.assertEquals(list(a), { 1, 5, 3 })
  local exe <close> = warm()
  lu.assertTrue(exe:submit(function(a) a[1] = 7 return a end, a):result() == a)
  lu.assertEquals(list(a), { 7, 5, 3 })
end

local function kill(pid)
  os.execute("kill -KILL " .. pid)
end

function TestMade.test_survives_the_death_of_its_worker()
  needs_calm()
  lu.skipIf(not support.is_process, "only processes die alone")
  local exe <close> = warm()
  collect_all(exe)
  local before = resident()
  for round = 1, 5 do
    local a, pid = exe:submit(make, 1, 2, round):result()
    local large = exe:submit(function()
      lost = require "lfut".Array("int8", 5 << 20):fill(2) -- nobody else has it
      return require "lfut".Array("int8", 10 << 20):fill(1)
    end):result()
    kill(pid)
    local now, seen
    repeat -- the replacement
      local ok, r, s = pcall(function()
        return exe:submit(function(a) a[2] = a[3] return lfut.getpid(), a[1] end, a):result()
      end)
      now, seen = ok and r or pid, s
    until now ~= pid
    lu.assertEquals({ seen, list(a) }, { 1, { 1, round, round } })
    lu.assertEquals({ large[1], large[#large] }, { 1, 1 })
  end
  collect_all(exe)
  lu.assertTrue(resident() - before < 2 << 20, resident() - before)
end

function TestMade.test_death_in_numbers()
  needs_calm()
  lu.skipIf(not support.is_process, "only processes die alone")
  support.relaxed()
  local exe <close> = warm(3)
  collect_all(exe)
  local before = resident()
  local kept, shared = {}, Array("int64", 1)
  local n = support.size(1000)
  local futures = {}
  for i = 1, n do
    futures[i] = exe:submit(function(i, shared, kept)
      shared:add(1, 1)
      local a = require "lfut".Array("int32", 100):fill(i)
      if i % 50 == 0 then
        os.execute("kill -KILL " .. require "lfut".getpid())
      end
      return a, kept and kept[1] == kept[100] and kept or nil
    end, i, shared, kept[#kept])
    if i % 20 == 0 then
      local ok, a = pcall(futures[i - 1].result, futures[i - 1])
      kept[#kept + 1] = ok and a or nil
    end
  end
  for i, f in ipairs(futures) do
    local ok, a = pcall(f.result, f)
    if ok then
      lu.assertEquals({ a[1], a[100] }, { i, i })
    else
      support.is_error(a, "WorkerLost")
    end
  end
  lu.assertTrue(#kept > 0)
  for _, a in ipairs(kept) do
    lu.assertEquals(a[1], a[100])
  end
  kept, futures = nil, nil
  collect_all(exe)
  lu.assertTrue(resident() - before < 4 << 20, resident() - before)
end

-- A pool that a task has made: its worker's array comes through the task's.
function TestMade.test_from_a_worker_s_worker()
  lu.skipIf(support.kind ~= "fork", "processes of processes")
  local exe <close> = warm()
  local a, pid = exe:submit(function()
    local lfut = require "lfut"
    local inner <close> = lfut.ProcessPoolExecutor(1)
    local a = inner:submit(function() return lfut.Array("int32", { 1, 2, 3 }) end):result()
    return a, lfut.getpid()
  end):result()
  lu.assertEquals(list(a), { 1, 2, 3 })
  kill(pid)
  pcall(exe.submit, exe, echo)
  support.works(exe)
  a[1] = 5
  lu.assertEquals({ exe:submit(function(a) return a:get() end, a):result() }, { 5, 2, 3 })
end

-- Other processes and threads

TestOther = {}

function TestOther.test_a_process_inherits_it()
  local a = Array("int32", 10)
  local p = lfut.Process { target = function()
    a[1] = 5
    a:slice(2, 3):fill(6)
    local own = Array("int32", 100):fill(9)
    a[4] = own[100]
  end }
  p:start()
  p:join()
  lu.assertEquals({ p.exitcode, a:get(1, 5) }, { 0, 5, 6, 6, 9, 0 })
end

function TestOther.test_a_process_keeps_it()
  local g <close> = gate.new()
  local seen, p = Array("int32", 1), nil
  do
    local a = Array("int32", 1000):fill(3)
    p = lfut.Process { target = function()
      gate.hold(g)
      seen[1] = a[1]
      a:fill(4)
      a = nil
      collectgarbage()
    end }
    p:start()
  end
  gate.arrived(g)
  collectgarbage()
  collectgarbage()
  local others = {}
  for i = 1, 50 do
    others[i] = Array("int32", 1000)
  end
  gate.open(g)
  p:join()
  lu.assertEquals({ p.exitcode, seen[1] }, { 0, 3 })
  for _, b in ipairs(others) do
    lu.assertEquals({ b[1], b[1000] }, { 0, 0 })
  end
end

function TestOther.test_a_process_with_workers_of_its_own()
  lu.skipIf(support.kind ~= "fork" and support.kind ~= "spawn", "processes of processes")
  local a = Array("int32", 3)
  local p = lfut.Process { target = function()
    local exe <close> = support.Executor(1)
    local b = exe:submit(function(a)
      a[1] = 5
      return require "lfut".Array("int32", { 7 })
    end, a):result()
    a[2] = b[1]
  end }
  p:start()
  p:join()
  lu.assertEquals({ p.exitcode, a:get() }, { 0, 5, 7, 0 })
end

function TestOther.test_a_thread()
  local a = Array("int32", 3)
  local t = lfut.Thread { target = function(b)
    a[1], b[2] = 5, 6
    return require "lfut".Array("int32", { 7 }), a
  end, args = { a } }
  t:start()
  local made, home = t:result()
  lu.assertTrue(home == a)
  lu.assertEquals({ made[1], a:get() }, { 7, 5, 6, 0 })
end

-- Forked workers have it from their beginning; the script may have dropped it.
function TestOther.test_what_a_forked_worker_finds_in_its_copy()
  lu.skipIf(support.kind ~= "fork", "forked workers")
  _G.preloaded = Array("int32", 1000):fill(3)
  local exe <close> = warm()
  local function look(value)
    local a = rawget(_G, "preloaded")
    local seen = a[1000]
    a:fill(value)
    return seen, a
  end
  local seen, home = exe:submit(look, 4):result()
  lu.assertEquals({ seen, preloaded[1], home == preloaded }, { 3, 4, true })
  preloaded, home = nil, nil
  collectgarbage()
  collectgarbage()
  local others = {}
  for i = 1, 50 do
    others[i] = Array("int32", 1000)
  end
  seen, home = exe:submit(look, 5):result()
  lu.assertEquals({ seen, home[1] }, { 4, 5 })
  for _, b in ipairs(others) do
    lu.assertEquals({ b[1], b[1000] }, { 0, 0 })
  end
end

function TestOther.test_large_preloaded_tables_with_arrays()
  lu.skipIf(support.kind ~= "fork", "forked workers")
  local large = { Array("int32", { 1 }) }
  for i = 2, 20000 do
    large[i] = i
  end
  local exe <close> = warm()
  local function bump() large[1][1] = large[1][1] + 1 return large[1] end
  lu.assertTrue(exe:submit(bump):result() == large[1])
  lu.assertEquals(large[1][1], 2)
  large[1] = nil
  collectgarbage()
  large[1] = Array("int32", { 10 })
  exe:submit(bump):result()
  lu.assertEquals(large[1][1], 11)
end

local function entries(path)
  local pipe <close> = assert(io.popen("ls -A " .. path .. " | wc -l"))
  return tonumber(pipe:read("l"))
end

function TestOther.test_no_names_and_no_descriptors()
  Array("int8", 1)
  local names, before = entries "/dev/shm", #support.descriptors(lfut.getpid())
  for _ = 1, 3 do
    local exe = warm()
    local all = {}
    for i = 1, 200 do
      all[i] = exe:submit(make, i):result()
      all[-i] = Array("int32", 5000)
      exe:submit(echo, all[-i]):result()
    end
    exe:shutdown()
  end
  lu.assertTrue(#support.descriptors(lfut.getpid()) < before + 20) -- the last pool's may be there yet
  lu.assertEquals(entries "/dev/shm", names)
end

-- Bytes and files

TestBytes = {}

function TestBytes.test_strings()
  local bytes = "a\0b\255" .. ("x"):rep(1000)
  local a = lfut.Array("uint8", bytes)
  lu.assertEquals(#a, #bytes)
  lu.assertEquals(a:tostring(), bytes)
  lu.assertEquals(a:set(2, "YZ"):tostring(1, 5), "aYZ\255x")
  lu.assertEquals(#lfut.Array("double", ""), 0)
  local d = lfut.Array("double", { 1, 2, 3 })
  lu.assertEquals({ lfut.Array("double", d:tostring()):get() }, { 1, 2, 3 })
  lu.assertEquals({ d:set(2, d:tostring(1, 1)):get() }, { 1, 1, 3 })
  support.fails("bad argument #2 to 'Array' (3 bytes are no whole number of elements of 4 bytes)",
    function() lfut.Array("int32", "abc") end)
  support.fails("bad argument #2 to 'set' (9 bytes are no whole number of elements of 8 bytes)",
    function() d:set(1, ("x"):rep(9)) end)
  support.fails("index 4 is out of range (length 3)", function() d:set(3, ("x"):rep(16)) end)
  support.fails("array is read-only", function() d:readonly():set(1, ("x"):rep(8)) end)
end

function TestBytes.test_files()
  local f <close> = assert(io.tmpfile())
  local a, b = lfut.Array("int32", { 1, 2, 3, 4 }), lfut.Array("int32", 6)
  lu.assertEquals(a:write(f), 4)
  lu.assertEquals(a:write(f, 2, 3), 2)
  f:seek("set")
  lu.assertEquals(b:read(f, 2, 3), 2)
  lu.assertEquals({ b:get() }, { 0, 1, 2, 0, 0, 0 })
  lu.assertEquals(b:read(f), 4)
  lu.assertEquals({ b:get() }, { 3, 4, 2, 3, 0, 0 })
  lu.assertEquals(b:read(f), 0)
  f:seek("set", 1)
  support.fails("the file ends within an element", function() b:read(f) end)
end

function TestBytes.test_bad_files()
  local a = lfut.Array("int8", 3)
  support.fails("bad argument #1 to 'read' (file expected, got string)", function() a:read "x" end)
  local f = assert(io.tmpfile())
  f:close()
  support.fails("bad argument #1 to 'write' (the file is closed)", function() a:write(f) end)
  local only <close> = assert(io.open(arg[0]))
  local n, e = a:write(only)
  lu.assertNil(n)
  lu.assertIsString(e)
  support.fails("array is read-only", function() a:readonly():read(only) end)
end

local rc = support.run_on_one_machine(TestBytes, TestArray, TestSent, TestMade, TestOther)
if rc ~= 0 then
  os.exit(rc)
end
