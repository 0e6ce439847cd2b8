-- SPDX-License-Identifier: MIT
--
-- lfut.load and lfut.plugin (API §8): what cannot be loaded, and in which words
-- that is said.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local libraries = require "libraries"
local support = require "support"

local path, values_text = libraries.values_path, libraries.values_text
local z = libraries.z "safe"
local z_name = z:info().name -- libz.so, or with a number

TestLoading = {}

local function no_load(text, ...)
  local args = table.pack(...)
  support.fails(text, function() lfut.load(table.unpack(args, 1, args.n)) end)
end

function TestLoading.test_declarations()
  no_load("cdef:1:10: ')' expected before end of text\nint f(int\n         ^", "c", "int f(int")
  no_load("cdef:1:1: unknown type name 'itn' (did you mean 'int'?)\nitn f(int);\n^", "c", "itn f(int);")
  local function first(text, declarations)
    local e = support.raised(lfut.load, "c", declarations)
    lu.assertStrContains(e:match "^[^\n]*", text)
  end
  first("unknown type name 'z_stream' (declare it: typedef struct z_stream_s z_stream;)", "int f(z_stream *s);")
  first("'#include' is not read (paste the prototypes)", "#include <zlib.h>")
  first("parameter 'x' of type void (leave it out)", "int f(void x);")
  first("parameter expected before '...' (C needs one)", "int f(...);")
  first("'float' does not go with 'unsigned", "unsigned float f(void);")
  first("'f' declared again with another type (first: line 1: int f(int))", "int f(int); long f(long);")
  first("cdef:3:", "int abs(int);\n\nint f(struct x y);")
end

function TestLoading.test_text_before_symbols_before_libraries()
  lu.assertStrContains(support.raised(lfut.load, "no_such_library", "int f(int"), "')' expected")
  lu.assertStrContains(support.raised(lfut.load, "c", "int no_such_function(void); int f(int"), "')' expected")
end

function TestLoading.test_libraries_that_are_not_there()
  no_load("cannot load 'zstdd': tried libzstdd.so, any version of it (similar: zstd)", "zstdd", "")
  no_load("cannot load 'qqqqqqqqqqqqqqqqqqqq': tried libqqqqqqqqqqqqqqqqqqqq.so, any version of it",
    "qqqqqqqqqqqqqqqqqqqq", "")
  local name = gate.filename()
  no_load(("cannot load '%s': No such file or directory"):format(name), name, "")
end

function TestLoading.test_files_that_are_no_libraries()
  local directory = gate.filename():match "^(.*)/"
  no_load(("'%s' is not a shared library (it is a directory)"):format(directory), directory, "")
  local function file(bytes)
    local name = gate.filename()
    local f <close> = assert(io.open(name, "wb"))
    assert(f:write(bytes))
    return name
  end
  local text = file "not a library at all"
  no_load(("'%s' is not a shared library (it is not an ELF file)"):format(text), text, "")
  local empty = file ""
  no_load(("'%s' is not a shared library (it is not an ELF file)"):format(empty), empty, "")
  local f <close> = assert(io.open(path, "rb"))
  local bytes = f:read "a"
  local machine = bytes:sub(19, 20) == "\xf3\0" and "\x3e\0" or "\xf3\0" -- RISC-V
  local foreign = file(bytes:sub(1, 18) .. machine .. bytes:sub(21))
  no_load(("'%s' is not a shared library (it is for another architecture)"):format(foreign), foreign, "")
end

function TestLoading.test_symbols()
  no_load(z_name .. " has no function 'compres2' (similar: compress2)", "z", "int compres2(void);")
  no_load(z_name .. " has no function 'qqqqqqqqqq'", "z", "int qqqqqqqqqq(void);")
  local e = support.raised(lfut.load, path, "int a_variable(void);")
  lu.assertStrContains(e, "'a_variable' is a variable of ")
  -- What other libraries have is not this one's.
  lu.assertStrContains(support.raised(lfut.load, "z", "int lua_gettop(void *);"), "has no function 'lua_gettop'")
end

function TestLoading.test_what_load_is_given()
  no_load("bad argument #1 to 'load' (string expected, got no value)")
  no_load("bad argument #1 to 'load' (name of a library expected)", "", "")
  no_load("bad argument #2 to 'load' (string expected, got no value)", "c")
  no_load("bad argument #1 to 'load' (string contains '\\0')", "c\0", "")
  no_load("bad argument #2 to 'load' (string contains '\\0')", "c", "int abs(int);\0")
  no_load("bad argument #3 to 'load' (table expected, got number)", "c", "", 1)
  no_load("unknown option 'thread' (options: threads, error, args)", "c", "", { thread = "safe" })
  no_load("bad option 'threads' (string expected, got number)", "c", "", { threads = 1 })
  no_load("bad option 'threads' ('serial', 'safe', 'affine' or 'process' expected, got 'odd')", "c", "",
    { threads = "odd" })
  no_load("bad option 'error' (table expected, got string)", "c", "", { error = "nonzero" })
  no_load("bad option 'args' (strings by functions' names expected)", "c", "", { args = { "x" } })
  no_load("bad option 'error' (string contains '\\0')", "c", "", { error = { ["f\0"] = "zero" } })
  no_load("bad option 'error' (string contains '\\0')", "c", "", { error = { f = "zero\0" } })
end

function TestLoading.test_options_of_functions()
  local function refused(text, options)
    no_load(text, path, values_text, options)
  end
  refused("option 'error': 'no_such' is not declared", { error = { no_such = "nonzero" } })
  refused("option 'error': fail_with = 'odd' ('nonzero', 'negative', 'null' or 'zero' expected)",
    { error = { fail_with = "odd" } })
  refused("option 'error': fail_with returns int, which is never null", { error = { fail_with = "null" } })
  refused("option 'error': nothing returns void, which is never zero", { error = { nothing = "zero" } })
  for _, name in ipairs { "bool", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "size_t" } do
    refused(("option 'error': same_%s returns %s, which is never negative"):format(name, name),
      { error = { ["same_" .. name] = "negative" } })
  end
  refused("option 'args': 'no_such' is not declared", { args = { no_such = "" } })
  for text in ("s:in[q] s:in[n s:at[n] q:in[n] n:in[n] s:in[*n] s:in[] s s:in[n]n s:in[2?] s:in[n*2?] s:in[?] s:in[n?"):gmatch "%S+" do
    refused(("option 'args': sum_bytes: '%s' is not understood ('name:in[n]', 'name:out[*m]' expected, " ..
      "by the names of its parameters)"):format(text), { args = { sum_bytes = text } })
  end
end

function TestLoading.test_lengths_that_may_be_left_out()
  local lib = lfut.load(path, "int64_t sum_bytes(const uint8_t *s, size_t n);", { args = { sum_bytes = "s:in[n?]" } })
  lu.assertEquals({ lib.sum_bytes("\1\0\2"), lib.sum_bytes(lfut.Array("int16", { 1, 2, 3 })) }, { 3, 6 })
  lu.assertEquals({ lib.sum_bytes("\1\0\2", 2), lib.sum_bytes(nil) }, { 1, 0 })
  support.fails("sum_bytes: argument 's': needs 4 elements, has 3", function() local _ = lib.sum_bytes("abc", 4) end)
  support.fails("sum_bytes: 2 arguments expected, got 0 (s, n)", function() local _ = lib.sum_bytes() end)
  support.fails("sum_bytes: 2 arguments expected, got 3 (s, n)", function() local _ = lib.sum_bytes("a", 1, 2) end)
end

function TestLoading.test_options_need_no_library_of_lua()
  local library <close> = setmetatable({ table }, { __close = function(t) table = t[1] end })
  table = nil
  local lib = lfut.load(path, "int fail_with(int number, int result);", { error = { fail_with = "zero" } })
  lu.assertEquals(lib.fail_with(0, 1), 1)
end

function TestLoading.test_nothing_is_left_of_a_failure()
  for _ = 1, 3 do
    lu.assertStrContains(support.raised(lfut.load, "z", "int compres2(void);"), "has no function")
    lu.assertEquals(lfut.load("z", "const char *zlibVersion(void);").zlibVersion(), z.zlibVersion())
  end
end

function TestLoading.test_members_that_are_not_declared()
  support.fails("'no_such' is not declared for " .. z_name, function() local _ = z.no_such end)
  support.fails("'1' is not declared for " .. z_name, function() local _ = z[1] end)
end

-- Plugins

TestPlugins = {}

local function broken(name)
  return support.library("tests/plugins/" .. name):gsub("%.libs/", "")
end

-- The plugin is refused with that text, as often as it is tried.
local function refused(name, text)
  for _ = 1, 2 do
    support.fails(text, function() lfut.plugin((broken(name))) end)
  end
end

function TestPlugins.test_what_is_no_plugin()
  support.fails("libz.so.1 is not a plugin for interface 1 (no function lfut_plugin_v1)",
    function() lfut.plugin(z:info().path:match "^.*/" .. "libz.so.1") end)
  refused("no_entry", "no_entry.so is not a plugin for interface 1 (no function lfut_plugin_v1)")
  refused("bad_magic", "plugin bad_magic.so: its descriptor does not begin as one")
  support.fails("cannot load './no_such.so': No such file or directory", function() lfut.plugin "./no_such.so" end)
  support.fails("bad argument #1 to 'plugin' (string expected, got no value)", function() lfut.plugin() end)
  support.fails("bad argument #1 to 'plugin' (path of a plugin expected)", function() lfut.plugin "" end)
end

function TestPlugins.test_found_by_name()
  local norm = lfut.plugin "vec".norm
  lu.assertEquals(norm(lfut.Array("double", { 3, 4 })), 5.0)
  lu.assertEquals(lfut.plugin "vec.so":info().name, "vec.so")
  lu.assertErrorMsgContains("cannot load 'no_such_plugin'", lfut.plugin, "no_such_plugin")
end

function TestPlugins.test_versions()
  refused("other_major", "plugin other_major.so is for interface 2.0, this is 1.0")
  refused("newer_minor", "plugin newer_minor.so needs interface 1.1, this is 1.0")
  refused("word_size", ("plugin word_size.so has words of 4 bytes, not %d"):format(string.packsize "T"))
  refused("short_plugin", "plugin short_plugin.so: its descriptor is too short (24 bytes)")
  local grown = lfut.plugin((broken "grown"))
  lu.assertEquals({ grown.good(2), grown.twice(4), grown:info().version }, { 4, 8, "2.3" })
end

function TestPlugins.test_functions()
  refused("no_name", "plugin no_name.so: name, version or functions are missing")
  refused("no_functions", "plugin no_functions.so: name, version or functions are missing")
  refused("no_prototype", "plugin broken 2.3: function 2 has no prototype")
  refused("no_address", "plugin broken 2.3: function 2 has no entry")
  refused("unknown_flag", "plugin broken 2.3: unknown flag 0x4000 of 'int twice(int x)'")
  refused("unknown_rule", "plugin broken 2.3: unknown flag 0x9 of 'int twice(int x)'")
  refused("bad_args", "plugin broken 2.3: option 'args': twice: 'y:in[x]' is not understood ('name:in[n]', " ..
    "'name:out[*m]' expected, by the names of its parameters)")
  refused("bad_error", "plugin broken 2.3: option 'error': twice returns int, which is never null")
end

-- The same, by the message's beginning and what it mentions.
local function refused_with(name, first, part)
  local e = support.raised(lfut.plugin, (broken(name)))
  lu.assertEquals(e:sub(1, #first), first)
  lu.assertStrContains(e, part)
end

function TestPlugins.test_prototypes()
  refused_with("bad_prototype", "plugin broken 2.3: cdef:", "unknown type name 'itn' (did you mean 'int'?)")
  refused_with("two_prototypes", "plugin broken 2.3: 'int twice(", "' is more than one function")
end

function TestPlugins.test_a_function_that_is_there_twice()
  refused("duplicate", "plugin broken 2.3: function 'good' is there twice")
end

-- Their further types could be given by nobody.
function TestPlugins.test_variadic_functions()
  refused_with("variadic", "plugin broken 2.3: ", "variadic")
end

function TestPlugins.test_functions_that_are_too_short()
  refused_with("short_function", "plugin short_function.so: ", "(8 bytes)")
end

function TestPlugins.test_init()
  refused("init_failed", "plugin broken 2.3: its init has failed (3)")
end

function TestPlugins.test_init_that_forks()
  for _ = 1, 2 do
    lu.assertEquals(lfut.plugin((broken "init_forks")).good(2), 4)
  end
end

local rc = support.run(TestLoading, TestPlugins)
if rc ~= 0 then
  os.exit(rc)
end
