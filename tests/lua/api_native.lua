-- SPDX-License-Identifier: MIT
--
-- Native tasks (API §8): what C functions take and refuse, what they return, how
-- they fail; and libraries and functions as values.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local libraries = require "libraries"
local support = require "support"
local Array = lfut.Array
local echo = support.echo

local zlib, path, values_text = libraries.z_text, libraries.values_path, libraries.values_text
local z, v = libraries.z "safe", libraries.values "safe"
local z_name = z:info().name -- libz.so, or with a number

-- Calls fn in every way there is. Results with their number.
local function each_way(exe, fn, ...)
  return {
    { "call", table.pack(fn(...)) },
    { "submit", table.pack(exe:submit(fn, ...):result()) },
    { "in a task", table.pack(exe:submit(function(fn, ...) return fn(...) end, fn, ...):result()) },
    { "starmap", table.pack(select(2, exe:starmap(fn, { table.pack(...) })())) },
  }
end

-- fn(value) gives 'expected', of the same kind of number, in every way.
local function takes(exe, fn, value, expected)
  for _, way in ipairs(each_way(exe, fn, value)) do
    local name, r = ("%s(%s), %s"):format(fn, value, way[1]), way[2]
    lu.assertEquals(r.n, 1, name)
    lu.assertEquals(r[1], expected, name)
    lu.assertEquals(math.type(r[1]), math.type(expected), name)
  end
end

-- fn(...) is refused with that text: in the caller, where it is called or
-- submitted, and at the item of a loop.
local function refuses(exe, text, fn, ...)
  local args = table.pack(...)
  support.fails(text, function() local _ = fn(table.unpack(args, 1, args.n)) end)
  support.fails(text, function() exe:submit(fn, table.unpack(args, 1, args.n)) end)
  local i, ok, e = exe:starmap(fn, { args }, { protected = true })()
  lu.assertEquals({ i, ok }, { 1, false })
  lu.assertStrContains(e, text)
end

-- Arguments: numbers

TestArguments = {}

local integers = {
  int8_t = { -128, 127 }, uint8_t = { 0, 255 }, int16_t = { -32768, 32767 }, uint16_t = { 0, 65535 },
  int32_t = { -(1 << 31), (1 << 31) - 1 }, uint32_t = { 0, (1 << 32) - 1 }, char = { -128, 127 },
  int64_t = { math.mininteger, math.maxinteger },
}

function TestArguments.test_integers()
  local exe <close> = support.Executor(2)
  for name, limits in pairs(integers) do
    local fn = v["same_" .. name]
    for _, x in ipairs { limits[1], limits[2], 0, 1 } do
      takes(exe, fn, x, x)
    end
    takes(exe, fn, 7.0, 7)
    takes(exe, fn, -0.0, 0)
  end
end

function TestArguments.test_what_is_no_integer_of_the_type()
  local exe <close> = support.Executor(2)
  for name, limits in pairs(integers) do
    local fn = v["same_" .. name]
    local argument = ("same_%s: argument 1 'x': "):format(name)
    for _, x in ipairs { 1e20, -1.9, 0.5, math.huge, -math.huge, 0 / 0, 2.0 ^ 63 } do
      refuses(exe, ("%s%s does not fit %s"):format(argument, x, name), fn, x)
    end
    if name ~= "int64_t" then
      refuses(exe, ("%s%s does not fit %s"):format(argument, limits[1] - 1, name), fn, limits[1] - 1)
      refuses(exe, ("%s%s does not fit %s"):format(argument, limits[2] + 1, name), fn, limits[2] + 1)
      refuses(exe, ("%s%s does not fit %s"):format(argument, limits[2] + 1.0, name), fn, limits[2] + 1.0)
    end
    for _, x in ipairs { true, false, "1", {} } do
      refuses(exe, ("%s%s expected, got %s"):format(argument, name, type(x)), fn, x)
    end
    refuses(exe, ("%s%s expected, got nil"):format(argument, name), fn, nil)
  end
end

function TestArguments.test_large_unsigned_integers_are_their_bits()
  local exe <close> = support.Executor(2)
  for _, fn in ipairs { v.same_uint64_t, v.same_size_t } do
    takes(exe, fn, -1, -1)
    takes(exe, fn, math.mininteger, math.mininteger)
    takes(exe, fn, 2.0 ^ 63, math.mininteger)
    takes(exe, fn, 2.0 ^ 63 + 2048, math.mininteger + 2048)
    takes(exe, fn, math.maxinteger, math.maxinteger)
  end
  for _, fn in ipairs { v.same_uint64_t, v.same_size_t } do
    for _, x in ipairs { -1.0, -2.0 ^ 63 } do
      local name = fn == v.same_size_t and "size_t" or "uint64_t"
      refuses(exe, ("same_%s: argument 1 'x': %s does not fit %s"):format(name, x, name), fn, x)
    end
    takes(exe, fn, -0.0, 0)
  end
  refuses(exe, ("same_uint64_t: argument 1 'x': %s does not fit uint64_t"):format(2.0 ^ 64), v.same_uint64_t, 2.0 ^ 64)
  refuses(exe, "same_uint64_t: argument 1 'x': 1.5 does not fit uint64_t", v.same_uint64_t, 1.5)
  refuses(exe, "same_size_t: argument 1 'x': size_t expected, got string", v.same_size_t, "1")
end

function TestArguments.test_booleans()
  local exe <close> = support.Executor(2)
  takes(exe, v.same_bool, true, true)
  takes(exe, v.same_bool, false, false)
  for _, x in ipairs { 1, 0, 1.0, "true", {} } do
    refuses(exe, "same_bool: argument 1 'x': boolean expected, got " .. type(x), v.same_bool, x)
  end
  refuses(exe, "same_bool: argument 1 'x': boolean expected, got nil", v.same_bool, nil)
end

function TestArguments.test_floats()
  local exe <close> = support.Executor(2)
  for _, x in ipairs { 0.1, -0.5, 1e300, math.huge, -math.huge, 5e-324 } do
    takes(exe, v.same_double, x, x)
  end
  takes(exe, v.same_double, 3, 3.0)
  takes(exe, v.same_double, (1 << 53) + 1, 2.0 ^ 53)
  takes(exe, v.same_float, 0.5, 0.5)
  takes(exe, v.same_float, 0.1, string.unpack("f", string.pack("f", 0.1)))
  takes(exe, v.same_float, 7, 7.0)
  for _, way in ipairs(each_way(exe, v.same_double, 0 / 0)) do
    lu.assertTrue(way[2][1] ~= way[2][1], way[1])
  end
  lu.assertEquals(1 / exe:submit(v.same_double, -0.0):result(), -math.huge)
  for _, name in ipairs { "float", "double" } do
    for _, x in ipairs { "1.5", true, {} } do
      refuses(exe, ("same_%s: argument 1 'x': %s expected, got %s"):format(name, name, type(x)), v["same_" .. name], x)
    end
  end
end

function TestArguments.test_each_arrives_where_it_belongs()
  local exe <close> = support.Executor(2)
  for _, way in ipairs(each_way(exe, v.mix, -1, 2.5, 0.5, 3, true, -4, 2.5, 5, 200, 0.125)) do
    lu.assertEquals(way[2][1], -1 + 25 + 50 + 3e3 + 1e4 - 4e5 + 25e5 + 5e7 + 2e10 + 0.125e9, way[1])
  end
end

function TestArguments.test_their_number()
  local exe <close> = support.Executor(1)
  refuses(exe, "compress2: 5 arguments expected, got 4 (dest, destLen, src, n, level)", z.compress2, nil, nil, "", 0)
  refuses(exe, "compress2: 5 arguments expected, got 6 (dest, destLen, src, n, level)", z.compress2,
    nil, nil, "", 0, 6, 7)
  refuses(exe, "same_bool: 1 argument expected, got 0 (x)", v.same_bool)
  refuses(exe, "nothing: 0 arguments expected, got 1", v.nothing, 1)
  local unnamed = lfut.load(path, "int64_t sum_bytes(const uint8_t *, size_t);")
  refuses(exe, "sum_bytes: 2 arguments expected, got 1 (const uint8_t *, size_t)", unnamed.sum_bytes, "")
  refuses(exe, "sum_bytes: argument 2: size_t expected, got string", unnamed.sum_bytes, "", "")
end

function TestArguments.test_messages_of_the_manual()
  local exe <close> = support.Executor(1)
  local dest, length = Array("uint8", 100), Array("uint64", { 100 })
  refuses(exe, "compress2: argument 5 'level': int expected, got string", z.compress2, dest, length, "x", 1, "6")
  refuses(exe, "compress2: argument 5 'level': 1e+20 does not fit int", z.compress2, dest, length, "x", 1, 1e20)
end

-- Arguments: strings, arrays, pointers

function TestArguments.test_text()
  local exe <close> = support.Executor(2)
  takes(exe, v.measure, "", 0)
  takes(exe, v.measure, "hello", 5)
  takes(exe, v.measure, ("x"):rep(100000), 100000)
  takes(exe, v.measure, nil, -1)
  takes(exe, v.same_text, "ü\n", "ü\n")
  refuses(exe, "measure: argument 1 's': string contains '\\0'; pass a length and use const uint8_t *",
    v.measure, "a\0b")
  refuses(exe, "measure: argument 1 's': string contains '\\0'; pass a length and use const uint8_t *",
    v.measure, "\0")
  refuses(exe, "measure: argument 1 's': string expected, got number", v.measure, 5)
  refuses(exe, "measure: argument 1 's': string expected, got table", v.measure, {})
  refuses(exe, "measure: argument 1 's': string expected, got uint8 array", v.measure, Array("uint8", 1))
end

function TestArguments.test_bytes()
  local exe <close> = support.Executor(2)
  local function sum(...)
    local results = {}
    for _, way in ipairs(each_way(exe, v.sum_bytes, ...)) do
      results[#results + 1] = way[2][1]
    end
    return results
  end
  lu.assertEquals(sum("\1\0\2\0", 4), { 3, 3, 3, 3 })
  lu.assertEquals(sum(nil, 0), { 0, 0, 0, 0 })
  lu.assertEquals(sum(Array("uint8", { 1, 2, 3 }), 3), { 6, 6, 6, 6 })
  lu.assertEquals(sum(Array("int32", { 1, 256 }), 8), { 2, 2, 2, 2 })
  lu.assertEquals(sum(Array("uint8", { 1, 2, 3 }):slice(2, 3), 2), { 5, 5, 5, 5 })
  lu.assertEquals(sum(Array("uint8", { 1, 2, 3 }):readonly(), 3), { 6, 6, 6, 6 })
  refuses(exe, "sum_bytes: argument 1 's': string or array expected, got number", v.sum_bytes, 1, 1)
  refuses(exe, "sum_bytes: argument 1 's': string or array expected, got function", v.sum_bytes, print, 1)
  refuses(exe, "sum_bytes: argument 1 's': string or array expected, got lfut.Out", v.sum_bytes, lfut.Out(), 1)
end

function TestArguments.test_bytes_are_where_words_could_be()
  local exe <close> = support.Executor(2)
  for n = 0, 16 do
    local before, s = ("x"):rep(n), ("y"):rep(17 - n)
    for _, way in ipairs(each_way(exe, v.misaligned, before, s)) do
      lu.assertEquals(way[2][1], 0, way[1])
    end
    lu.assertEquals(exe:submit(v.misaligned, nil, s):result(), 0)
  end
end

function TestArguments.test_arrays_are_written_by_the_task()
  local exe <close> = support.Executor(2)
  for name in ("int8 uint8 int16 uint16 int32 uint32 int64 uint64 float double"):gmatch "%S+" do
    local fn = v["raise_" .. name .. (name:find "int" and "_t" or "")]
    local a = Array(name, { 1, 2, 3 })
    fn(a, 3)
    lu.assertEquals({ a:get() }, { 2, 3, 4 }, name)
    lu.assertEquals(select("#", exe:submit(fn, a, 3):result()), 0)
    lu.assertEquals({ a:get() }, { 3, 4, 5 }, name)
    exe:starmap(fn, { { a, 3 }, { a:slice(2), 2 } }, { chunksize = 2 }):list()
    lu.assertEquals({ a:get() }, { 4, 6, 7 }, name)
    exe:submit(function(fn, a) fn(a, 1) end, fn, a):result()
    lu.assertEquals({ a:get() }, { 5, 6, 7 }, name)
    fn(nil, 0)
  end
end

function TestArguments.test_arrays_of_other_types()
  local exe <close> = support.Executor(2)
  local fits = { int32 = { "int32" }, double = { "double" }, uint64 = { "uint64" } }
  for name in pairs(fits) do
    local fn_name = "raise_" .. name .. (name:find "int" and "_t" or "")
    for other in ("int8 uint8 int16 uint16 int32 uint32 int64 uint64 float double"):gmatch "%S+" do
      if other ~= name then
        refuses(exe, ("%s: argument 1 'x': %s array expected, got %s array"):format(fn_name, name, other),
          v[fn_name], Array(other, 1), 1)
      end
    end
    refuses(exe, ("%s: argument 1 'x': %s array expected, got string"):format(fn_name, name), v[fn_name], "1234", 1)
    refuses(exe, ("%s: argument 1 'x': %s array expected, got table"):format(fn_name, name), v[fn_name], {}, 1)
    refuses(exe, ("%s: argument 1 'x': the array is read-only"):format(fn_name), v[fn_name],
      Array(name, 1):readonly(), 1)
  end
end

function TestArguments.test_pointers_to_bytes_take_any_array()
  local exe <close> = support.Executor(2)
  local a = Array("uint16", { 1, 1 })
  exe:submit(v.raise_uint8_t, a, 4):result()
  lu.assertEquals({ a:get() }, { 0x0102, 0x0102 })
  a = Array("int32", { 0x00636261 })
  takes(exe, v.same_place, a, "abc")
  refuses(exe, "raise_uint8_t: argument 1 'x': array expected, got string", v.raise_uint8_t, "abc", 3)
  refuses(exe, "raise_uint8_t: argument 1 'x': the array is read-only", v.raise_uint8_t, a:readonly(), 3)
  refuses(exe, "same_place: argument 1 's': array expected, got string", v.same_place, "abc")
  refuses(exe, "same_place: argument 1 's': the array is read-only", v.same_place, a:readonly())
end

function TestArguments.test_c_names_of_element_types()
  local exe <close> = support.Executor(1)
  local c = lfut.load(path, [[
    void raise_int32_t(int *x, unsigned long n);
    void raise_int64_t(long *x, size_t n);
    void raise_uint64_t(size_t *x, size_t n);
    void raise_int16_t(short *x, size_t n);
    void raise_uint8_t(unsigned char *x, size_t n);
    void raise_int8_t(signed char *x, size_t n);
  ]])
  for fn, name in pairs { raise_int32_t = "int32", raise_int64_t = "int64", raise_uint64_t = "uint64",
    raise_int16_t = "int16", raise_uint8_t = "uint8", raise_int8_t = "int8" } do
    local a = Array(name, { 6 })
    exe:submit(c[fn], a, 1):result()
    lu.assertEquals(a[1], 7)
  end
  refuses(exe, "raise_int64_t: argument 1 'x': int64 array expected, got uint64 array", c.raise_int64_t,
    Array("uint64", 1), 1)
end

function TestArguments.test_functions()
  local exe <close> = support.Executor(2)
  for _, way in ipairs(each_way(exe, v.apply, v.same_int32_t, -7)) do
    lu.assertEquals(way[2][1], -7, way[1])
  end
  for _, way in ipairs(each_way(exe, v.apply, nil, 5)) do
    lu.assertEquals(way[2][1], 0, way[1])
  end
  local c = lfut.load("c", "int abs(int x);")
  lu.assertEquals(exe:submit(v.apply, c.abs, -7):result(), 7)
  for _, fn in ipairs { function(x) return x end, print } do
    support.fails("apply: argument 1 'f': Lua callbacks cannot be passed to native tasks",
      function() exe:submit(v.apply, fn, 1) end)
    support.fails("apply: argument 1 'f': Lua callbacks cannot be passed to native tasks",
      function() v.apply(fn, 1) end)
  end
  refuses(exe, "apply: argument 1 'f': function of a library expected, got number", v.apply, 1, 1)
end

function TestArguments.test_arrays_and_strings_live_as_long_as_the_task()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local futures = {}
  for i = 1, 200 do
    local text = ("x"):rep(i) .. i
    futures[i] = { exe:submit(v.sum_bytes, Array("int16", { i, 1, 1 }), 6), exe:submit(v.same_text, text), text }
  end
  collectgarbage()
  collectgarbage()
  gate.open(g)
  for i, f in ipairs(futures) do
    lu.assertEquals(f[1]:result(), i + 2)
    lu.assertEquals(f[2]:result(), f[3])
  end
end

-- Results

TestResults = {}

function TestResults.test_nothing()
  local exe <close> = support.Executor(2)
  for _, way in ipairs(each_way(exe, v.nothing)) do
    lu.assertEquals(way[2].n, 0, way[1])
  end
  local f = exe:submit(v.nothing)
  lu.assertNil(f:exception())
  lu.assertEquals(tostring(f), "Future(finished)")
end

function TestResults.test_text_is_copied_and_null_is_nil()
  local exe <close> = support.Executor(2)
  lu.assertStrMatches(exe:submit(z.zlibVersion):result(), "%d+%.%d+.*")
  lu.assertEquals(exe:submit(z.zlibVersion):result(), z.zlibVersion())
  takes(exe, v.same_text, "", "")
  takes(exe, v.same_text, nil, nil)
  takes(exe, v.same_place, nil, nil)
  takes(exe, v.same_pointer, nil, nil)
  local long = ("0123456789"):rep(10000)
  takes(exe, v.same_text, long, long)
end

function TestResults.test_unsigned_above_2_63()
  local exe <close> = support.Executor(2)
  local xx = lfut.load("xxhash", "typedef uint64_t XXH64_hash_t;\n" ..
    "XXH64_hash_t XXH64(const void *input, size_t length, XXH64_hash_t seed);", { threads = "safe" })
  for _, way in ipairs(each_way(exe, xx.XXH64, "", 0, 0)) do
    lu.assertEquals(way[2][1], 0xEF46DB3751D8E999, way[1])
    lu.assertTrue(math.ult(1 << 62, way[2][1]))
  end
  -- Such a result can be an argument.
  local seed = xx.XXH64("", 0, 0)
  lu.assertEquals(exe:submit(xx.XXH64, "abc", 3, seed):result(), xx.XXH64("abc", 3, seed))
  lu.assertNotEquals(xx.XXH64("abc", 3, seed), xx.XXH64("abc", 3, 0))
end

function TestResults.test_libraries_of_debian()
  local exe <close> = support.Executor(2)
  lu.assertEquals(exe:submit(z.crc32, 0, "123456789", 9):result(), 0xcbf43926)
  local m = lfut.load("m", "double tgamma(double); double jn(int n, double x);", { threads = "safe" })
  lu.assertEquals(exe:submit(m.tgamma, 5):result(), 24.0)
  lu.assertEquals(exe:submit(m.jn, 0, 0.0):result(), 1.0)
  local c = lfut.load("c", "size_t strlen(const char *s); int abs(int x); int toupper(int c);", { threads = "safe" })
  lu.assertEquals(exe:submit(c.strlen, "four"):result(), 4)
  lu.assertEquals(exe:submit(c.abs, -5):result(), 5)
  local crypto = lfut.load("crypto", "unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md);",
    { threads = "safe" })
  local digest = Array("uint8", 32)
  exe:submit(crypto.SHA256, "abc", 3, digest):result()
  lu.assertEquals(digest:tostring(1, 4), "\xba\x78\x16\xbf")
end

function TestResults.test_what_compress_makes()
  local exe <close> = support.Executor(2)
  local text = ("All work and no play. "):rep(1000)
  local dest = Array("uint8", z.compressBound(#text))
  local length = Array("uint64", { #dest })
  lu.assertEquals(exe:submit(z.compress2, dest, length, text, #text, 6):result(), 0)
  lu.assertTrue(length[1] > 10 and length[1] < 1000)
  local back, n = Array("uint8", #text), Array("uint64", { #text })
  local more = lfut.load("z", "int uncompress(uint8_t *dest, unsigned long *destLen, const uint8_t *src, " ..
    "unsigned long n);")
  lu.assertEquals(exe:submit(more.uncompress, back, n, dest, length[1]):result(), 0)
  lu.assertTrue(back:tostring() == text)
end

-- Handles and Out

TestHandles = {}

function TestHandles.test_in_their_process()
  local exe <close> = support.Executor(2)
  local t = v.get_thing(2)
  lu.assertEquals(v.get_number(t), 2)
  lu.assertNil(v.get_thing(9))
  lu.assertEquals(v.get_number(nil), -1)
  lu.assertTrue(v.get_thing(2) == t)
  lu.assertFalse(v.get_thing(1) == t)
  lu.assertStrMatches(tostring(t), "lfut%.Handle%(0x%x+, process " .. lfut.getpid() .. "%)")
  local number, other = exe:submit(function(v)
    local t = v.get_thing(1)
    return v.get_number(t), v.get_number(v.same_pointer and t)
  end, v):result()
  lu.assertEquals({ number, other }, { 1, 1 })
end

function TestHandles.test_between_tasks()
  support.needs_threads()
  local exe <close> = support.Executor(2)
  local t = exe:submit(v.get_thing, 2):result()
  lu.assertTrue(t == v.get_thing(2))
  for _, way in ipairs(each_way(exe, v.get_number, t)) do
    lu.assertEquals(way[2][1], 2, way[1])
  end
  lu.assertTrue(exe:submit(echo, { t }):result()[1] == t)
end

function TestHandles.test_from_elsewhere()
  lu.skipIf(not support.is_process, "threads: there is no elsewhere")
  local exe <close> = support.Executor(1)
  local theirs, pid = exe:submit(function(v) return v.get_thing(2), require "lfut".getpid() end, v):result()
  lu.assertStrContains(tostring(theirs), ("process %d)"):format(pid))
  support.fails(("get_number: argument 1 't': handle belongs to process %d"):format(pid),
    function() v.get_number(theirs) end)
  -- A task carries it home.
  lu.assertEquals(exe:submit(v.get_number, theirs):result(), 2)
  lu.assertEquals(exe:submit(function(v, t) return v.get_number(t) end, v, theirs):result(), 2)
  local message = ("get_number: argument 1 't': handle belongs to process %d"):format(lfut.getpid())
  support.fails(message, function() exe:submit(v.get_number, v.get_thing(2)) end)
  lu.assertStrContains(exe:submit(function(v, t) return v.get_number(t) end, v, v.get_thing(2)):exception(), message)
  support.works(exe)
end

function TestHandles.test_back_where_they_were_made()
  local exe <close> = support.Executor(1)
  local t = exe:submit(v.get_thing, 1):result()
  lu.assertEquals(exe:submit(v.get_number, t):result(), 1)
  lu.assertTrue(exe:submit(v.same_pointer, t):result() == t)
  lu.assertEquals(exe:map(v.get_number, { t, t }):list(), { 1, 1, n = 2 })
  lu.assertEquals(exe:submit(function(exe, v, t)
    return exe:submit(v.get_number, t):result() + exe:submit(v.get_number, v.get_thing(2)):result()
  end, exe, v, t):result(), 3)
end

function TestHandles.test_of_another_library()
  local exe <close> = support.Executor(1)
  local crypto = lfut.load("crypto", "typedef struct evp_md_st EVP_MD; const EVP_MD *EVP_sha256(void);")
  for _, call in ipairs { v.get_number, function(t) exe:submit(v.get_number, t) end } do
    lu.assertStrContains(support.raised(call, crypto.EVP_sha256()),
      "get_number: argument 1 't': handle belongs to another library")
  end
end

function TestHandles.test_of_the_same_library_under_another_name()
  local text = "typedef struct thing thing; thing *get_thing(int i);"
  lu.assertEquals(v.get_number(lfut.load(path, text).get_thing(1)), 1)
  local link = gate.filename()
  assert(os.execute(("ln -s %s %s"):format(path, link)))
  lu.assertEquals(v.get_number(lfut.load(link, text).get_thing(1)), 1)
end

function TestHandles.test_what_is_none()
  local exe <close> = support.Executor(1)
  for _, x in ipairs { 1, "x", {} } do
    refuses(exe, "get_number: argument 1 't': handle (const thing *) expected, got " .. type(x), v.get_number, x)
  end
  refuses(exe, "get_number: argument 1 't': handle (const thing *) expected, got int8 array", v.get_number,
    Array("int8", 1))
  local e = support.raised(v.same_int8_t, v.get_thing(1))
  lu.assertStrContains(e, "int8_t expected, got lfut.Handle")
end

function TestHandles.test_out()
  local exe <close> = support.Executor(1)
  local out = lfut.Out()
  lu.assertNil(out:get())
  lu.assertEquals(v.find_thing(2, out), 0)
  lu.assertEquals(v.get_number(out:get()), 2)
  lu.assertEquals(v.find_thing(9, out), -1)
  lu.assertNil(out:get())
  lu.assertEquals(v.find_thing(1, nil), 0)
  refuses(exe, "find_thing: argument 2 'out': lfut.Out expected, got table", v.find_thing, 1, {})
  refuses(exe, "find_thing: argument 2 'out': lfut.Out expected, got uint64 array", v.find_thing, 1,
    Array("uint64", 1))
end

function TestHandles.test_out_of_a_task()
  local exe <close> = support.Executor(1)
  local out = lfut.Out()
  lu.assertEquals(exe:submit(v.find_thing, 2, out):result(), 0)
  local t = out:get()
  if support.is_process then
    local pid = exe:submit(lfut.getpid):result()
    support.fails(("get_number: argument 1 't': handle belongs to process %d"):format(pid),
      function() v.get_number(t) end)
  else
    lu.assertEquals(v.get_number(t), 2)
  end
  lu.assertEquals(exe:submit(function(v, t) return v.get_number(t) end, v, t):result(), 2)
  -- As an argument of Lua tasks, which may come back for it.
  local inner = lfut.Out()
  exe:submit(function(v, out) v.find_thing(1, out) end, v, inner):result()
  lu.assertEquals(exe:submit(function(v, out) return v.get_number(out:get()) end, v, inner):result(), 1)
end

-- Failures

TestFailures = {}

local checked = lfut.load(path, values_text, {
  threads = "safe",
  error = { fail_with = "nonzero", null_with = "null" },
  args = { sum_bytes = "s:in[n]", raise_int32_t = "x:inout[n]", raise_int16_t = "x:inout[2*n]" },
})

-- e is the NativeError of fail_with.
local function assert_failed(e, code, text, errno)
  support.is_error(e, "NativeError", ("fail_with of values.so returned %d%s"):format(code, text))
  lu.assertEquals(e.code, code)
  lu.assertEquals(e.errno, errno)
  lu.assertStrContains(e.func, "fail_with of values.so")
end

function TestFailures.test_error_of_a_task()
  local exe <close> = support.Executor(2)
  local f = exe:submit(checked.fail_with, 2, -5)
  local e, failed = f:exception()
  assert_failed(e, -5, " (No such file or directory)", 2)
  lu.assertTrue(failed)
  lu.assertEquals(f:state(), "failed")
  assert_failed(support.raised(f.result, f), -5, " (No such file or directory)", 2)
  lu.assertFalse(rawequal(f:exception(), f:exception()))
  lu.assertTrue(lfut.is_error(e, "NativeError"))
  lu.assertEquals(exe:stats().failed, 1)
  assert_failed(exe:submit(checked.fail_with, 0, 1):exception(), 1, "", nil)
  lu.assertEquals(exe:submit(checked.fail_with, 2, 0):result(), 0)
end

function TestFailures.test_error_of_a_call()
  assert_failed(support.raised(checked.fail_with, 13, 7), 7, " (Permission denied)", 13)
  local exe <close> = support.Executor(1)
  local f = exe:submit(function(fn) return fn(13, 7) end, checked.fail_with)
  assert_failed(f:exception(), 7, " (Permission denied)", 13)
end

function TestFailures.test_error_of_an_item()
  local exe <close> = support.Executor(2)
  local calls = {}
  for i = 1, 20 do
    calls[i] = { 0, i % 7 == 0 and i or 0 }
  end
  for _, chunksize in ipairs { 1, 4, 20 } do
    for i, ok, r in exe:starmap(checked.fail_with, calls, { protected = true, chunksize = chunksize }) do
      lu.assertEquals(ok, i % 7 ~= 0)
      if ok then
        lu.assertEquals(r, 0)
      else
        assert_failed(r, i, "", nil)
      end
    end
  end
  local it = exe:starmap(checked.fail_with, { { 0, 0 }, { 0, 3 }, { 0, 0 } })
  lu.assertEquals({ it() }, { 1, 0 })
  assert_failed(support.raised(it), 3, "", nil)
  lu.assertEquals({ it() }, { 3, 0 })
  assert_failed(support.raised(exe.for_each, exe, function(x) return checked.fail_with(0, x) end, { 0, 4, 5 }), 4, "")
end

function TestFailures.test_which_results_mean_it()
  local exe <close> = support.Executor(1)
  for rule, bad in pairs { nonzero = { 1, -1 }, negative = { -1, -2 }, zero = { 0, 0 } } do
    local lib = lfut.load(path, "int fail_with(int number, int result);", { error = { fail_with = rule } })
    for _, code in ipairs(bad) do
      assert_failed(exe:submit(lib.fail_with, 0, code):exception(), code, "")
    end
    local good = rule == "nonzero" and 0 or 1
    lu.assertEquals(exe:submit(lib.fail_with, 0, good):result(), good)
  end
  local e = exe:submit(checked.null_with, 12):exception()
  support.is_error(e, "NativeError", "null_with of values.so returned NULL (Cannot allocate memory)")
  lu.assertEquals(exe:submit(checked.null_with, 0):result(), "fine")
  -- Others are results.
  lu.assertEquals(exe:submit(v.fail_with, 2, -5):result(), -5)
end

function TestFailures.test_results_that_are_no_integers()
  local exe <close> = support.Executor(1)
  local lib = lfut.load(path, "double same_double(double x); float same_float(float x);",
    { threads = "safe", error = { same_double = "negative", same_float = "negative" } })
  for name, fn in pairs { same_double = lib.same_double, same_float = lib.same_float } do
    for _, x in ipairs { -1.5, -2.0 ^ 70 } do
      local _, _, of_item = exe:map(fn, { x }, { protected = true })()
      for _, e in ipairs { support.raised(fn, x), exe:submit(fn, x):exception(), of_item } do
        support.is_error(e, "NativeError", ("%s of values.so returned %.14g"):format(name, x))
        lu.assertEquals(e.code, x)
        lu.assertEquals(math.type(e.code), "float")
      end
    end
    takes(exe, fn, 0.5, 0.5)
  end
end

function TestFailures.test_lengths()
  local exe <close> = support.Executor(1)
  refuses(exe, "sum_bytes: argument 's': needs 100 elements, has 64", checked.sum_bytes, ("x"):rep(64), 100)
  refuses(exe, "sum_bytes: argument 's': needs 9 elements, has 8", checked.sum_bytes, Array("int32", 2), 9)
  refuses(exe, "sum_bytes: argument 's': needs 1 elements, has 0", checked.sum_bytes, nil, 1)
  refuses(exe, "raise_int32_t: argument 'x': needs 4 elements, has 3", checked.raise_int32_t, Array("int32", 3), 4)
  refuses(exe, "raise_int16_t: argument 'x': needs 4 elements, has 3", checked.raise_int16_t, Array("int16", 3), 2)
  lu.assertEquals(exe:submit(checked.sum_bytes, "ab", 2):result(), 97 + 98)
  lu.assertEquals(exe:submit(checked.sum_bytes, nil, 0):result(), 0)
  lu.assertEquals(exe:submit(checked.sum_bytes, Array("int32", 2), 8):result(), 0)
  -- As a size_t that is a large number.
  refuses(exe, "sum_bytes: argument 's': its length is negative or too large", checked.sum_bytes, "ab", -1)
end

function TestFailures.test_stored_lengths()
  local exe <close> = support.Executor(1)
  local lib = lfut.load("z", zlib, { args = { compress2 = "src:in[n] dest:out[*destLen]" } })
  local length = Array("uint64", { 100 })
  refuses(exe, "compress2: argument 'src': needs 100 elements, has 64", lib.compress2, Array("uint8", 100), length,
    ("x"):rep(64), 100, 6)
  refuses(exe, "compress2: argument 'dest': needs 100 elements, has 99", lib.compress2, Array("uint8", 99), length,
    "x", 1, 6)
  lu.assertEquals(exe:submit(lib.compress2, Array("uint8", 100), length, "x", 1, 6):result(), 0)
  -- Where nothing is stored.
  for _, none in ipairs { Array("uint64", 0), length:slice(2) } do
    refuses(exe, "compress2: argument 'dest': its length is negative or too large", lib.compress2,
      Array("uint8", 100), none, "x", 1, 6)
  end
end

-- Libraries and functions as values

TestLibraries = {}

function TestLibraries.test_are_upvalues_globals_arguments_results()
  local exe <close> = support.Executor(2)
  a_native_function = v.same_int32_t
  local r = table.pack(exe:submit(function(v)
    return z.crc32(0, "123456789", 9), a_native_function(3), v.same_bool(true), v, v.measure, { v.nothing }
  end, v):result())
  a_native_function = nil
  lu.assertEquals({ r[1], r[2], r[3] }, { 0xcbf43926, 3, true })
  lu.assertTrue(r[4] == v)
  lu.assertTrue(r[5] == v.measure)
  lu.assertTrue(r[6][1] == v.nothing)
  -- A worker may load a library of its own.
  local fn, result = exe:submit(function()
    local m = require "lfut".load("m", "double floor(double x);")
    return m.floor, m.floor(2.5)
  end):result()
  lu.assertEquals({ result, fn(3.5) }, { 2.0, 3.0 })
end

function TestLibraries.test_the_same_text_is_the_same_library()
  lu.assertTrue(lfut.load("z", zlib, { threads = "safe" }) == z)
  lu.assertTrue(lfut.load("z", zlib, { threads = "safe" }).crc32 == z.crc32)
  lu.assertFalse(lfut.load("z", zlib) == z)
end

function TestLibraries.test_constants()
  local lib = lfut.load("c", [[
    enum color { RED, GREEN = 5, BLUE };
    typedef enum { LOW = -1, HIGH = LOW + (1 << 4) } level;
    #define LIMIT 100
    #define MASK 0xFFu
    int abs(int x);
  ]])
  lu.assertEquals({ lib.RED, lib.GREEN, lib.BLUE, lib.LOW, lib.HIGH, lib.LIMIT, lib.MASK },
    { 0, 5, 6, -1, 15, 100, 255 })
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(function(lib) return lib.HIGH + lib.abs(-1) end, lib):result(), 16)
end

function TestLibraries.test_declarations_are_the_libraries_own()
  local one = lfut.load(path, "int8_t same_int8_t(int8_t x);\n#define N 1")
  local other = lfut.load(path, "uint8_t same_uint8_t(uint8_t x);\n#define N 2")
  lu.assertEquals({ one.N, other.N }, { 1, 2 })
  support.fails("'same_uint8_t' is not declared for values.so", function() local _ = one.same_uint8_t end)
  support.fails("'same_int8_t' is not declared for values.so", function() local _ = other.same_int8_t end)
  local _ = lfut.load(path, "void nothing(void); extern void nothing(void);").nothing()
end

function TestLibraries.test_info()
  local info = z:info()
  lu.assertEquals(info.name, z_name)
  lu.assertStrMatches(info.path, "/.*/libz%.so[.%d]*")
  lu.assertEquals(info.threads, "safe")
  lu.assertEquals(info.functions.crc32.prototype,
    "unsigned long crc32(unsigned long crc, const uint8_t *buf, unsigned int len)")
  lu.assertEquals(lfut.load("z", zlib):info().threads, "serial")
  lu.assertEquals(v:info().name, "values.so")
  lu.assertEquals(tostring(z), ("lfut.Library(%s)"):format(z_name))
  lu.assertEquals(tostring(z.zlibVersion), ("function zlibVersion of %s: const char *zlibVersion(void)"):format(z_name))
end

function TestLibraries.test_variadic_functions()
  local exe <close> = support.Executor(2)
  local c = lfut.load("c", "int snprintf(char *s, size_t n, const char *format, ...); int abs(int x);",
    { threads = "safe" })
  local s = Array("uint8", 64)
  refuses(exe, "snprintf: give the types of its further arguments first, as in lib.snprintf:types('int, double')",
    c.snprintf, s, 64, "%d", 1)
  local two = c.snprintf:types("int, double")
  for _, way in ipairs(each_way(exe, two, s, 64, "%d and %.2f", 3, 1.5)) do
    lu.assertEquals({ way[2][1], s:tostring(1, 11) }, { 10, "3 and 1.50\0" }, way[1])
  end
  local text = c.snprintf:types("const char *")
  exe:submit(text, s, 64, "<%s>", "x"):result()
  lu.assertEquals(s:tostring(1, 3), "<x>")
  exe:submit(two, s, 64, "%d and %.2f", 4, 2.5):result()
  lu.assertEquals(s:tostring(1, 10), "4 and 2.50")
  refuses(exe, "snprintf: 4 arguments expected, got 3 (s, n, format, const char *)", text, s, 64, "")
  refuses(exe, "snprintf: argument 4: int expected, got string", two, s, 64, "%d%f", "3", 1.5)
  support.fails("abs is not variadic", function() c.abs:types("int") end)
  lu.assertStrContains(support.raised(function() c.snprintf:types("itn") end), "unknown type name 'itn'")
  lu.assertTrue(c.snprintf:types("int, double") == two)
end

function TestLibraries.test_variadic_functions_are_checked()
  local exe <close> = support.Executor(2)
  local c = lfut.load("c", "int snprintf(char *s, size_t n, const char *format, ...);",
    { threads = "safe", error = { snprintf = "nonzero" }, args = { snprintf = "s:out[n]" } })
  local one = c.snprintf:types("int")
  refuses(exe, "snprintf: argument 's': needs 100 elements, has 4", one, Array("uint8", 4), 100, "%d", 12345)
  local e = exe:submit(one, Array("uint8", 8), 8, "%d", 12345):exception()
  support.is_error(e, "NativeError")
  lu.assertEquals(e.code, 5)
end

local rc = support.run_on_one_machine(TestArguments, TestResults, TestHandles, TestFailures, TestLibraries)
if rc ~= 0 then
  os.exit(rc)
end
