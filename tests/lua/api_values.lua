-- SPDX-License-Identifier: MIT
--
-- What travels (API §5): plain values and tables.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local echo = support.echo

TestValues = {}

-- What a worker gets to see, in words.
local function describe(...)
  local words = table.pack(...)
  for i = 1, words.n do
    local v = words[i]
    words[i] = (math.type(v) or type(v)) .. " " ..
      (type(v) == "number" and v ~= v and "nan" or
        type(v) == "number" and string.format("%q", v) or tostring(v))
  end
  return words
end

local numbers = {
  0, 1, -1, 127, 128, -128, -129, 255, 256, 65535, 2^31 | 0, -(2^31 | 0), 2^32 | 0,
  (1 << 53) + 1, -(1 << 53) - 1, math.maxinteger, math.mininteger,
  0.0, -0.0, 1.0, -1.0, 0.1, 1e15, 2.0^53, 2.0^63, -2.0^63, 1e300, 5e-324,
  2.2250738585072014e-308, 1.7976931348623157e308, math.huge, -math.huge, math.pi,
}

function TestValues.test_numbers()
  local exe <close> = support.Executor(2)
  lu.assertEquals(exe:submit(describe, table.unpack(numbers)):result(),
    describe(table.unpack(numbers)))
  local back = table.pack(exe:submit(echo, table.unpack(numbers)):result())
  lu.assertEquals(describe(table.unpack(back)), describe(table.unpack(numbers)))
  lu.assertEquals(back.n, #numbers)
end

function TestValues.test_numbers_in_a_table()
  local exe <close> = support.Executor(2)
  local back = exe:submit(echo, numbers):result()
  lu.assertEquals(describe(table.unpack(back)), describe(table.unpack(numbers)))
  lu.assertEquals(exe:submit(function(t) return describe(table.unpack(t)) end, numbers):result(),
    describe(table.unpack(numbers)))
end

function TestValues.test_negative_zero_keeps_its_sign()
  local exe <close> = support.Executor(1)
  local inverse, back = exe:submit(function(z) return 1 / z, z end, -0.0):result()
  lu.assertEquals(inverse, -math.huge)
  lu.assertEquals(1 / back, -math.huge)
  lu.assertEquals(1 / exe:submit(echo, { 0.0, -0.0 }):result()[2], -math.huge)
end

function TestValues.test_nan()
  local exe <close> = support.Executor(1)
  local nan = 0 / 0
  local f = exe:submit(function(x, t) return x ~= x, x, t end, nan, { nan, x = nan })
  local is_nan, back, t = f:result()
  lu.assertTrue(is_nan)
  lu.assertTrue(back ~= back)
  lu.assertTrue(t[1] ~= t[1])
  lu.assertTrue(t.x ~= t.x)
end

function TestValues.test_integer_and_float_stay_what_they_are()
  local exe <close> = support.Executor(1)
  local r = exe:submit(echo, { 1, 1.0, 2, 2.0, [7] = 7.0, x = 3, y = 3.0 }):result()
  lu.assertEquals(math.type(r[1]), "integer")
  lu.assertEquals(math.type(r[2]), "float")
  lu.assertEquals(math.type(r[3]), "integer")
  lu.assertEquals(math.type(r[4]), "float")
  lu.assertEquals(math.type(r[7]), "float")
  lu.assertEquals(math.type(r.x), "integer")
  lu.assertEquals(math.type(r.y), "float")
end

function TestValues.test_long_runs_of_floats_with_others_between()
  local exe <close> = support.Executor(1)
  local t = {}
  for i = 1, 3000 do
    t[i] = i % 700 == 0 and i or i % 1000 == 0 and "s" .. i or i + 0.5
  end
  lu.assertEquals(exe:submit(echo, t):result(), t)
end

function TestValues.test_nil_and_booleans()
  local exe <close> = support.Executor(1)
  lu.assertEquals(select("#", exe:submit(echo):result()), 0)
  lu.assertEquals(table.pack(exe:submit(echo, nil):result()), { n = 1 })
  lu.assertEquals(table.pack(exe:submit(echo, nil, false, nil, true, nil):result()),
    { nil, false, nil, true, nil, n = 5 })
  lu.assertEquals(exe:submit(select, "#", nil, nil, nil):result(), 3)
end

function TestValues.test_many_arguments_and_results()
  local exe <close> = support.Executor(1)
  local list = {}
  for i = 1, 5000 do
    list[i] = i
  end
  lu.assertEquals(exe:submit(select, "#", table.unpack(list)):result(), 5000)
  lu.assertEquals({ exe:submit(table.unpack, list):result() }, list)
end

function TestValues.test_strings()
  local exe <close> = support.Executor(1)
  local all = {}
  for i = 0, 255 do
    all[#all + 1] = string.char(i)
  end
  all = table.concat(all)
  for _, s in ipairs { "", "\0", "a\0b", "\0\0\0", all, ("x"):rep(39), ("x"):rep(40), ("x"):rep(41),
    ("x"):rep(254), ("x"):rep(255), ("x"):rep(256), ("x"):rep(257), all:rep(1000), "\n\r\27", "ü€😀" } do
    local len, back = exe:submit(function(s) return #s, s end, s):result()
    lu.assertEquals(len, #s)
    lu.assertTrue(back == s)
  end
  local r = exe:submit(echo, { [all] = all, [""] = "", ["\0"] = "\0" }):result()
  lu.assertTrue(r[all] == all and r[""] == "" and r["\0"] == "\0")
end

function TestValues.test_a_long_string()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local s = ("0123456789abcdef"):rep(1 << 20) .. "\0end"
  local back, len, last = exe:submit(function(s) return s, #s, s:sub(-4) end, s):result()
  lu.assertTrue(back == s)
  lu.assertEquals(len, (16 << 20) + 4)
  lu.assertEquals(last, "\0end")
end

function TestValues.test_tables()
  local exe <close> = support.Executor(1)
  for _, t in ipairs {
    {}, { 1 }, { {} }, { { {} } }, { 1, 2, 3 }, { a = 1 }, { 1, 2, a = 3, b = { 4, c = 5 } },
    { [1.5] = "x", [true] = "y", [false] = "z", [-1] = "m", [0] = "0", [math.mininteger] = "min",
      [math.maxinteger] = "max", [math.huge] = "inf", [-math.huge] = "-inf" },
    { ["a b"] = 1, [""] = 2, ["end"] = 3, n = 4 },
  } do
    lu.assertEquals(exe:submit(echo, t):result(), t)
  end
end

function TestValues.test_holes()
  local exe <close> = support.Executor(1)
  local t = { 1, nil, 3, nil, nil, 6, n = 8 }
  lu.assertEquals(exe:submit(echo, t):result(), t)
  lu.assertEquals(exe:submit(function(t)
    return t[1], t[2], t[3], t[4], t[5], t[6], t[7], t.n
  end, t):result(), 1)
  local r = table.pack(exe:submit(function(t) return table.unpack(t, 1, t.n) end, t):result())
  lu.assertEquals(r, t)
  lu.assertEquals(exe:submit(echo, { [1000000] = 1 }):result(), { [1000000] = 1 })
  local sparse = {}
  for i = 1, 1000, 7 do
    sparse[i] = i
  end
  lu.assertEquals(exe:submit(echo, sparse):result(), sparse)
end

-- Records: the same keys again and again, of any kind and length; more of them than
-- can be remembered; and in what the packed form of a userdata has.
function TestValues.test_records()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local keys = { "id", "name", "", "\0", "__name", "__x", "_", 7, 0.5, true }
  for _, length in ipairs { 39, 40, 41, 255, 256, 20000 } do
    keys[#keys + 1] = ("k"):rep(length)
  end
  for i = 1, 600 do
    keys[#keys + 1] = "key " .. i
  end
  local list = {}
  for i = 1, 400 do
    local record = { id = i, name = "name " .. i, list = { { id = -i }, { id = i, [1] = i } } }
    for k = 1, i % 9 do
      record[keys[(i * 17 + k * k) % #keys + 1]] = i + k
    end
    list[i] = record
  end
  lu.assertEquals(exe:submit(echo, list):result(), list)
  lu.assertEquals({ exe:submit(echo, list, list[3], { id = 1 }):result() }, { list, list[3], { id = 1 } })
  for _, key in ipairs(keys) do
    local few, many = {}, {}
    for i = 1, 8 do
      few[i], many[i] = { [key] = i }, { [key] = i, other = i, [i] = key }
    end
    lu.assertEquals({ exe:submit(echo, few, many):result() }, { few, many })
  end
end

-- A table that is used as a metatable only after others with the same keys.
function TestValues.test_records_and_a_class_with_their_keys()
  local exe <close> = support.Executor(1)
  local list = {}
  for i = 1, 20 do
    list[i] = { __name = "record", __index = { id = i }, id = i }
  end
  local C = list[20]
  list[21] = setmetatable({ __name = "object" }, C)
  local back = exe:submit(function(list)
    assert(getmetatable(list[21]) == list[20] and list[21].id == 20)
    return list
  end, list):result()
  lu.assertTrue(rawequal(getmetatable(back[21]), C))
  for i = 1, 19 do
    lu.assertEquals(back[i], list[i])
  end
end

function TestValues.test_a_table_larger_than_any_stack()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local t, h = {}, {}
  for i = 1, 300000 do
    t[i] = i
  end
  for i = 1, 50000 do
    h["k" .. i] = i
  end
  local sum, rt, rh = exe:submit(function(t, h)
    local sum = 0
    for _, v in ipairs(t) do
      sum = sum + v
    end
    for _, v in pairs(h) do
      sum = sum + v
    end
    return sum, t, h
  end, t, h):result()
  lu.assertEquals(sum, 300000 * 300001 // 2 + 50000 * 50001 // 2)
  local same = #rt == #t
  for i = 1, #t do
    same = same and rt[i] == i
  end
  for k, v in pairs(h) do
    same = same and rh[k] == v
  end
  lu.assertTrue(same)
end

function TestValues.test_a_copy_is_deep_and_apart()
  local exe <close> = support.Executor(1)
  local t = { inner = { 1 } }
  local f = exe:submit(function(t)
    t.inner[1] = 2
    t.new = true
    return t
  end, t)
  local r = f:result()
  lu.assertEquals(r, { inner = { 2 }, new = true })
  lu.assertEquals(t, { inner = { 1 } })
  lu.assertFalse(rawequal(r, t))
end

function TestValues.test_shared_references()
  local exe <close> = support.Executor(1)
  local s = { 1 }
  local t = { s, s, x = s, y = { s } }
  local function look(t, s, s2)
    return rawequal(t[1], t[2]) and rawequal(t.x, t[1]) and rawequal(t.y[1], s) and
      rawequal(s, s2) and rawequal(t.x, s), t, s, t[1]
  end
  local seen, rt, rs, rs2 = exe:submit(look, t, s, s):result()
  lu.assertTrue(seen)
  lu.assertTrue(rawequal(rt[1], rt[2]) and rawequal(rt[1], rt.x) and rawequal(rt.x, rt.y[1]))
  lu.assertTrue(rawequal(rt[1], rs) and rawequal(rs, rs2))
end

function TestValues.test_equal_tables_are_not_made_one()
  local exe <close> = support.Executor(1)
  local same, a, b = exe:submit(function(a, b) return rawequal(a, b), a, b end, { 1 }, { 1 }):result()
  lu.assertFalse(same)
  lu.assertFalse(rawequal(a, b))
end

function TestValues.test_cycles()
  local exe <close> = support.Executor(1)
  local t = { name = "t" }
  t.self = t
  t[1] = { back = t }
  t[t] = t
  local ok, r = exe:submit(function(t)
    return t.self == t and t[1].back == t and t[t] == t, t
  end, t):result()
  lu.assertTrue(ok)
  lu.assertTrue(r.self == r and r[1].back == r and r[r] == r and r.name == "t")
  local a, b = {}, {}
  a.b, b.a = b, a
  local ra, rb = exe:submit(echo, a, b):result()
  lu.assertTrue(ra.b == rb and rb.a == ra)
end

function TestValues.test_tables_as_keys()
  local exe <close> = support.Executor(1)
  local k = { "key" }
  local r = exe:submit(function(t)
    assert(t.map[t.k] == "value")
    assert(next(t.map) == t.k)
    return t
  end, { k = k, map = { [k] = "value" } }):result()
  lu.assertEquals(r.map[r.k], "value")
  lu.assertEquals(next(r.map), { "key" })
  local nested = { [{ [{ 1 }] = { 2 } }] = 3 }
  local n = exe:submit(echo, nested):result()
  local outer, v = next(n)
  local inner, w = next(outer)
  lu.assertEquals({ inner, w, v }, { { 1 }, { 2 }, 3 })
end

function TestValues.test_functions_as_keys()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(t) return t[print], t end, { [print] = "p", [string.format] = "f" }):result()
  lu.assertEquals(r, "p")
  local _, t = exe:submit(function(t) return 0, t end, { [print] = "p" }):result()
  lu.assertEquals(t[print], "p")
end

-- Both ways at once, because making them is what takes time.
function TestValues.test_a_linked_list_of_a_million_nodes()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local size = support.size(1000000)
  local list
  for _ = 1, size do
    list = { next = list }
  end
  local function length(l)
    local n = 0
    while l do
      n, l = n + 1, l.next
    end
    return n
  end
  local n, back = exe:submit(function(l) return length(l), l end, list):result()
  lu.assertEquals(n, size)
  lu.assertEquals(length(back), size)
end

function TestValues.test_nesting_of_a_hundred_thousand()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local size = support.size(100000)
  local function nested(n)
    local t = {}
    for _ = 1, n do
      t = { t }
    end
    return t
  end
  local function depth(t)
    local n = 0
    while t[1] do
      n, t = n + 1, t[1]
    end
    return n
  end
  local n, back = exe:submit(function(t) return depth(t), t end, nested(size)):result()
  lu.assertEquals(n, size)
  lu.assertEquals(depth(back), size)
  -- The same through keys, and around a corner.
  local t = {}
  for _ = 1, size // 2 do
    t = { [t] = true }
  end
  local m = exe:submit(function(t)
    local n = 0
    while next(t) do
      n, t = n + 1, next(t)
    end
    return n
  end, t):result()
  lu.assertEquals(m, size // 2)
end

function TestValues.test_no_metamethod_is_called()
  local exe <close> = support.Executor(1)
  local function never()
    error "metamethod called"
  end
  local t = setmetatable({ 1, 2, x = { 3 } }, {
    __index = never, __newindex = never, __len = never, __pairs = never, __eq = never,
    __tostring = never, __name = "trap",
  })
  local r = exe:submit(function(t)
    return rawget(t, 1), rawlen(t), rawget(t, "x")[1], t
  end, t)
  local a, n, x, back = r:result()
  lu.assertEquals({ a, n, x }, { 1, 2, 3 })
  lu.assertEquals(rawget(back, 2), 2)
end

function TestValues.test_standard_files()
  local exe <close> = support.Executor(1)
  local function look(i, o, e, t)
    return i == io.stdin and o == io.stdout and e == io.stderr and t.out == io.stdout, i, o, e, t
  end
  local ok, i, o, e, t = exe:submit(look, io.stdin, io.stdout, io.stderr, { out = io.stdout }):result()
  lu.assertTrue(ok)
  lu.assertTrue(i == io.stdin and o == io.stdout and e == io.stderr and t.out == io.stdout)
end

function TestValues.test_library_functions()
  local exe <close> = support.Executor(1)
  local function look(p, f, c, s)
    return p == print and f == string.format and c == coroutine and s == string, p, f, c, s
  end
  local ok, p, f, c, s = exe:submit(look, print, string.format, coroutine, string):result()
  lu.assertTrue(ok)
  lu.assertTrue(p == print and f == string.format and c == coroutine and s == string)
  lu.assertEquals(exe:submit(string.rep, "ab", 3):result(), "ababab")
  lu.assertEquals(exe:submit(math.max, 1, 3, 2):result(), 3)
  lu.assertEquals(exe:submit(_G.tostring, 12):result(), "12")
  lu.assertEquals(exe:submit(pcall, error, "x"):result(), false)
  lu.assertTrue(exe:submit(function(g) return g == _G end, _G):result())
  lu.assertTrue(exe:submit(function(l) return l == require "lfut" end, lfut):result())
end

function TestValues.test_errors_of_lfut_travel()
  local exe <close> = support.Executor(1)
  local e = support.raised(function() exe:submit(echo, coroutine.create(print)) end)
  local is, kind, text, back = exe:submit(function(e)
    local lfut = require "lfut"
    return lfut.is_error(e, "TransferError"), e.kind, tostring(e), e
  end, e):result()
  lu.assertTrue(is)
  lu.assertEquals(kind, "TransferError")
  lu.assertEquals(text, tostring(e))
  support.is_error(back, "TransferError", e.message)
end

function TestValues.test_futures_and_executors_as_arguments()
  local exe <close> = support.Executor(2)
  local other <close> = support.Executor(1)
  local f = other:submit(echo, 42)
  lu.assertEquals(exe:submit(function(f) return f:result() + 1 end, f):result(), 43)
  local back, nested = exe:submit(function(f) return f, { f = f } end, f):result()
  lu.assertEquals(back:result(), 42)
  lu.assertEquals(nested.f:result(), 42)
  for _, o in ipairs(support.is_process and { exe } or { exe, other }) do
    lu.assertEquals(exe:submit(function(o, x)
      return o:submit(function(x) return x * 2 end, x):result()
    end, o, 21):result(), 42)
    local made = exe:submit(function(o) return o:submit(function() return "made" end) end, o):result()
    lu.assertEquals(made:result(), "made")
    local same = exe:submit(function(o) return o end, o):result()
    lu.assertTrue(same == o)
    lu.assertEquals(same:submit(echo, 1):result(), 1)
  end
end

function TestValues.test_the_task_s_own_executor_as_argument()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function(e)
    return e:submit(function() return 5 end):result(), e.max_workers, e.name
  end, exe)
  lu.assertEquals({ r:result() }, { 5, exe.max_workers, exe.name })
end

function TestValues.test_ranges_travel()
  local exe <close> = support.Executor(1)
  local list = exe:submit(function(r, e) return e:map(function(i) return i end, r):list() end,
    lfut.range(3, 1, -1), exe):result()
  lu.assertEquals(list, { 3, 2, 1, n = 3 })
end

local rc = support.run(TestValues)
if rc ~= 0 then
  os.exit(rc)
end
