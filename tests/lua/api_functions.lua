-- SPDX-License-Identifier: MIT
--
-- How functions travel (API §5): upvalues, globals, recursion, debug information.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestFunctions = {}

-- The script's globals. Tests set them; their names are in no standard library.
G_number, G_table, G_base = nil, nil, nil

function TestFunctions.tearDown()
  G_number, G_table, G_base, G_function, G_other, G_third, G_class, G_flag = nil
end

function TestFunctions.test_upvalues_by_value()
  local exe <close> = support.Executor(1)
  local n, s, t, b, none = 7, "seven", { 7 }, false, nil
  local function task()
    return n, s, t[1], b, none
  end
  lu.assertEquals(table.pack(exe:submit(task):result()), { 7, "seven", 7, false, n = 5 })
  n, s, t, b = 8, "eight", { 8 }, true
  lu.assertEquals(table.pack(exe:submit(task):result()), { 8, "eight", 8, true, n = 5 })
end

function TestFunctions.test_the_first_upvalue_is_not_the_globals()
  local exe <close> = support.Executor(1)
  local first = "mine"
  lu.assertEquals(exe:submit(function() return first end):result(), "mine")
  lu.assertEquals(exe:submit(function() return first, type(print) end):result(), "mine")
  lu.assertEquals({ exe:submit(function() return type(print), first end):result() },
    { "function", "mine" })
end

function TestFunctions.test_a_task_s_changes_stay_in_the_worker()
  local exe <close> = support.Executor(1)
  local count = 10
  local function task()
    count = count + 1
    return count
  end
  lu.assertEquals(exe:submit(task):result(), 11)
  lu.assertEquals(exe:submit(task):result(), 11)
  lu.assertEquals(count, 10)
end

function TestFunctions.test_captured_at_submit()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local g <close> = support.held(exe)
  local n, t = 1, { 1 }
  local arg = { 1 }
  G_number, G_table = 1, { 1 }
  local f = exe:submit(function(a)
    return n, t[1], a[1], G_number, G_table[1]
  end, arg)
  n, t[1], arg[1], G_number, G_table[1] = 2, 2, 2, 2, 2
  gate.open(g)
  lu.assertEquals({ f:result() }, { 1, 1, 1, 1, 1 })
end

function TestFunctions.test_shared_upvalues_stay_shared()
  local exe <close> = support.Executor(1)
  local n = 5
  local function inc() n = n + 1 end
  local function get() return n end
  local function use(inc, get)
    inc()
    inc()
    return get()
  end
  lu.assertEquals(exe:submit(use, inc, get):result(), 7)
  lu.assertEquals(exe:submit(use, table.unpack { inc, get }):result(), 7)
  lu.assertEquals(exe:submit(function(t) t.inc() return t.get() end, { inc = inc, get = get }):result(), 6)
  lu.assertEquals(exe:submit(function() inc() return get(), n end):result(), 6)
  lu.assertEquals(n, 5)
end

function TestFunctions.test_upvalues_shared_come_home_shared()
  local exe <close> = support.Executor(1)
  local inc, get = exe:submit(function(n)
    return function() n = n + 1 end, function() return n end
  end, 3):result()
  inc()
  lu.assertEquals(get(), 4)
end

function TestFunctions.test_upvalues_not_shared_stay_apart()
  local exe <close> = support.Executor(1)
  local function counter()
    local n = 0
    return function() n = n + 1 return n end
  end
  local a, b = counter(), counter()
  a()
  lu.assertEquals({ exe:submit(function() return a(), a(), b() end):result() }, { 2, 3, 1 })
  lu.assertEquals({ exe:submit(function(a, b) return a(), a(), b() end, a, b):result() }, { 2, 3, 1 })
end

function TestFunctions.test_one_prototype_many_closures()
  local exe <close> = support.Executor(1)
  local list = {}
  for i = 1, 100 do
    list[i] = function() return i end
  end
  local sum = exe:submit(function(list)
    local sum = 0
    for _, f in ipairs(list) do
      sum = sum + f()
    end
    return sum
  end, list):result()
  lu.assertEquals(sum, 5050)
  local futures = {}
  for i = 1, 100 do
    futures[i] = exe:submit(list[i])
  end
  for i = 1, 100 do
    lu.assertEquals(futures[i]:result(), i)
  end
end

function TestFunctions.test_recursion()
  local exe <close> = support.Executor(1)
  local function fact(n) return n < 2 and 1 or n * fact(n - 1) end
  lu.assertEquals(exe:submit(fact, 20):result(), fact(20))
  local odd
  local function even(n) if n == 0 then return true end return odd(n - 1) end
  function odd(n) if n == 0 then return false end return even(n - 1) end
  lu.assertEquals({ exe:submit(even, 101):result() }, { false })
  lu.assertEquals({ exe:submit(odd, 101):result() }, { true })
end

function TestFunctions.test_a_function_in_its_own_upvalue()
  local exe <close> = support.Executor(1)
  local box = {}
  local function f() return box.f, rawequal(box.f, box[1]) end
  box.f, box[1] = f, f
  local back, same = exe:submit(f):result()
  lu.assertTrue(same)
  lu.assertIsFunction(back)
  local again = back()
  lu.assertTrue(rawequal(again, back))
  local function me() return me end
  lu.assertIsFunction(exe:submit(me):result())
  lu.assertTrue(exe:submit(function(f) return rawequal(f, f()) end, me):result())
end

function TestFunctions.test_the_same_function_twice_is_one()
  local exe <close> = support.Executor(1)
  local function f() end
  local up = f
  lu.assertTrue(exe:submit(function(a, b, t) return a == b and a == t[1] and a == up end, f, f, { f }):result())
end

function TestFunctions.test_functions_within_functions()
  local exe <close> = support.Executor(1)
  local function outer(x)
    local function middle(y)
      return function(z) return x + y + z end
    end
    return middle(10)(100)
  end
  lu.assertEquals(exe:submit(outer, 1):result(), 111)
  local add = exe:submit(function(x) return function(y) return x + y end end, 5):result()
  lu.assertEquals(add(6), 11)
  lu.assertEquals(exe:submit(add, 7):result(), 12)
end

function TestFunctions.test_varargs()
  local exe <close> = support.Executor(1)
  lu.assertEquals(table.pack(exe:submit(function(...) return select("#", ...), ... end, nil, 2, nil):result()),
    { 3, nil, 2, nil, n = 4 })
end

function TestFunctions.test_a_chain_of_upvalues()
  local exe <close> = support.Executor(1)
  local f = function() return 0 end
  for i = 1, 500 do
    local g = f
    f = function() return g() + i end
  end
  -- As deep as Lua's own C stack lets nobody go: built bottom-up, called so, too.
  lu.assertEquals(exe:submit(function(f) return type(f) end, f):result(), "function")
  lu.assertEquals(exe:submit(f):result(), 500 * 501 // 2)
end

function TestFunctions.test_255_upvalues()
  local exe <close> = support.Executor(1)
  local source = {}
  for i = 1, 190 do
    source[#source + 1] = ("local v%d = %d"):format(i, i)
  end
  source[#source + 1] = "return function() return v1"
  for i = 2, 190 do
    source[#source + 1] = " + v" .. i
  end
  source[#source + 1] = " end"
  local f = load(table.concat(source, "\n"))()
  lu.assertEquals(exe:submit(f):result(), 190 * 191 // 2)
end

function TestFunctions.test_debug_information()
  local exe <close> = support.Executor(1)
  local line = debug.getinfo(1, "l").currentline + 1
  local function task(x) error("at its place") end
  local f = exe:submit(task)
  lu.assertEquals(f:exception(), ("%s:%d: at its place"):format(arg[0], line))
  local info = exe:submit(function()
    local i = debug.getinfo(1, "Sl")
    return { i.short_src, i.linedefined, i.currentline }
  end):result()
  lu.assertEquals(info, { arg[0], line + 3, line + 4 })
  local named = exe:submit(function(some, other) return debug.getlocal(1, 2) end, 1, 2):result()
  lu.assertEquals(named, "other")
end

function TestFunctions.test_loaded_chunks()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(load "return 1 + ...", 41):result(), 42)
  lu.assertEquals(exe:submit(load("local a = ... return a, type(print)", "=chunk"), 1):result(), 1)
  G_number = 9
  lu.assertEquals(exe:submit(load "return G_number"):result(), 9)
  lu.assertEquals(exe:submit(load(string.dump(function() return 1 end, true))):result(), 1)
  local stripped = load(string.dump(function() return G_number end, true))
  lu.assertEquals(exe:submit(stripped):result(), 9)
end

function TestFunctions.test_an_environment_of_its_own()
  local exe <close> = support.Executor(1)
  local f = load("x = x + 1 return x", "=env", "t", { x = 1 })
  lu.assertEquals(exe:submit(f):result(), 2)
  local function g()
    local _ENV = { y = 5 }
    return y
  end
  lu.assertEquals(exe:submit(g):result(), 5)
  local _ENV = { z = 6 }
  local function h() return z end
  local r = exe:submit(h)
  _ENV = _G
  lu.assertEquals(r:result(), 6)
end

function TestFunctions.test_globals_are_captured_at_every_submit()
  local exe <close> = support.Executor(1)
  local function task() return G_number, G_table and G_table[1] end
  G_number, G_table = 1, { "one" }
  lu.assertEquals({ exe:submit(task):result() }, { 1, "one" })
  G_number, G_table = 2, { "two" }
  lu.assertEquals({ exe:submit(task):result() }, { 2, "two" })
  G_number, G_table = false, { false }
  lu.assertEquals({ exe:submit(task):result() }, { false, false })
end

function TestFunctions.test_globals_of_functions_that_it_reaches()
  local exe <close> = support.Executor(1)
  G_base = 100
  function G_other(x) return G_base + x end
  function G_function(x) return G_other(x) * 2 end
  lu.assertEquals(exe:submit(function(x) return G_function(x) end, 5):result(), 210)
  local function by_upvalue(x) return G_other(x) end
  lu.assertEquals(exe:submit(function(x) return by_upvalue(x) end, 6):result(), 106)
  lu.assertEquals(exe:submit(function(f) return f(7) end, by_upvalue):result(), 107)
  lu.assertEquals(exe:submit(function(t) return t.f(8) end, { f = by_upvalue }):result(), 108)
  -- named by a function inside of the function
  lu.assertEquals(exe:submit(function() return (function() return G_other(9) end)() end):result(), 109)
  -- named by a method
  local Class = {}
  Class.__index = Class
  function Class:get() return G_other(self.x) end
  lu.assertEquals(exe:submit(function(o) return o:get() end, setmetatable({ x = 10 }, Class)):result(), 110)
end

function TestFunctions.test_a_recursive_global()
  local exe <close> = support.Executor(2)
  function G_function(n) return n < 2 and n or G_function(n - 1) + G_function(n - 2) end
  lu.assertEquals(exe:submit(G_function, 15):result(), 610)
  lu.assertEquals(exe:map(G_function, lfut.range(10)):list(),
    { 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, n = 10 })
end

function TestFunctions.test_globals_stay_set_in_the_worker()
  local exe <close> = support.Executor(1)
  G_number = 3
  exe:submit(function() return G_number end):result()
  G_number = nil
  lu.assertEquals(exe:submit(function() return G_number end):result(), 3)
end

function TestFunctions.test_globals_not_set_are_the_worker_s()
  local exe <close> = support.Executor { max_workers = 1, initializer = function() G_flag = "initial" end }
  local function look() return G_flag end
  lu.assertEquals(exe:submit(look):result(), "initial")
  exe:submit(function() G_flag = "of a task" end):result()
  lu.assertEquals(exe:submit(look):result(), "of a task")
  lu.assertNil(G_flag)
  G_flag = "of the script"
  lu.assertEquals(exe:submit(look):result(), "of the script")
end

function TestFunctions.test_setting_a_global_in_a_task()
  local exe <close> = support.Executor(1)
  G_number = 1
  lu.assertEquals(exe:submit(function() G_number = G_number + 1 return G_number end):result(), 2)
  lu.assertEquals(G_number, 1)
  lu.assertEquals(exe:submit(function() return G_number end):result(), 1)
end

function TestFunctions.test_workers_have_globals_of_their_own()
  support.needs_workers()
  local exe <close> = support.Executor(2)
  local g <close> = gate.new()
  local function task(g, i)
    G_flag = i
    gate.hold(g)
    return G_flag
  end
  local a, b = exe:submit(task, g, 1), exe:submit(task, g, 2)
  gate.arrived(g, 2)
  gate.open(g)
  lu.assertEquals({ a:result(), b:result() }, { 1, 2 })
end

function TestFunctions.test_globals_share_references_with_arguments()
  local exe <close> = support.Executor(1)
  G_table = { 1 }
  local up = G_table
  lu.assertTrue(exe:submit(function(t, f) return t == G_table and t == up and f() == t end, G_table,
    function() return up end):result())
end

function TestFunctions.test_a_standard_function_used_by_name()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(function()
    return string.format("%s %d", type(print), #table.pack(1, 2)) .. tostring(select("#", nil, nil))
  end):result(), "function 22")
end

function TestFunctions.test_a_wrapper_of_a_library_function()
  local exe <close> = support.Executor(1)
  local original = tostring
  local function task(x) return tostring(x), original(x) end
  tostring = function(x) return "<" .. original(x) .. ">" end
  local results = {}
  for i = 1, 3 do
    results[i] = { pcall(function() return exe:submit(task, i):result() end) }
  end
  tostring = original
  lu.assertEquals(results, { { true, "<1>", "1" }, { true, "<2>", "2" }, { true, "<3>", "3" } })
end

function TestFunctions.test_a_global_that_is_a_library_function()
  local exe <close> = support.Executor(1)
  G_function = table.unpack
  lu.assertEquals({ exe:submit(function() return G_function { 1, 2 } end):result() }, { 1, 2 })
end

function TestFunctions.test_functions_added_to_a_library()
  local exe <close> = support.Executor(1)
  function string.lfut_test_trim(s) return (s:gsub("^%s+", "")) end
  local trim = string.lfut_test_trim
  local results = { exe:submit(function() return trim "  x" end):result(), exe:submit(trim, " y"):result() }
  string.lfut_test_trim = nil
  lu.assertEquals(results, { "x", "y" })
end

function TestFunctions.test_strict_globals()
  local exe <close> = support.Executor(1)
  setmetatable(_G, {
    __index = function(_, k) error("undefined " .. k, 2) end,
    __newindex = function(_, k) error("assigned " .. k, 2) end,
  })
  local r = table.pack(pcall(function()
    return exe:submit(function() return no_such_global, type(print) end):result()
  end))
  setmetatable(_G, nil)
  lu.assertEquals(r, { true, nil, "function", n = 3 })
end

-- Two instances of one function in one worker: the first is parked in a wait.
function TestFunctions.test_upvalues_of_an_interrupted_function_are_not_replaced()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo, "woken")
  local x, t = 1, { 1 }
  local function task(wait)
    local before = x
    if wait then
      x = x + 10
      wake:result()
    end
    return before, x, t[1]
  end
  local f1 = exe:submit(task, true)
  x, t = 2, { 2 }
  local f2 = exe:submit(task, false)
  lu.assertEquals({ f2:result() }, { 2, 2, 2 })
  x, t = 3, { 3 }
  local f3 = exe:submit(task, true)
  x = 4
  lu.assertEquals({ exe:submit(task, false):result() }, { 4, 4, 3 })
  gate.open(g)
  lu.assertEquals({ f1:result() }, { 1, 11, 1 })
  lu.assertEquals({ f3:result() }, { 3, 13, 3 })
end

function TestFunctions.test_globals_are_set_again_after_a_wait()
  support.needs_workers()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local g <close> = support.held(other)
  local wake = other:submit(echo)
  local function task(wait)
    local before = G_number
    if wait then
      wake:result()
    end
    return before, G_number
  end
  G_number = 1
  local f1 = exe:submit(task, true)
  G_number = 2
  lu.assertEquals({ exe:submit(task, false):result() }, { 2, 2 })
  G_number = 3
  local f3 = exe:submit(task, true)
  G_number = 4
  lu.assertEquals({ exe:submit(task, false):result() }, { 4, 4 })
  gate.open(g)
  lu.assertEquals({ f1:result() }, { 1, 1 })
  lu.assertEquals({ f3:result() }, { 3, 3 })
end

function TestFunctions.test_callable_tables()
  local exe <close> = support.Executor(1)
  local Adder = {}
  Adder.__index = Adder
  Adder.__call = function(self, a, b) return self.base + a + (b or 0) end
  local add = setmetatable({ base = 100 }, Adder)
  lu.assertEquals(exe:submit(add, 1, 2):result(), 103)
  add.base = 200
  lu.assertEquals(exe:submit(add, 1):result(), 201)
  lu.assertEquals(exe:map(add, { 1, 2, 3 }):list(), { 201, 202, 203, n = 3 })
end

function TestFunctions.test_captured_tables_are_not_kept_by_the_worker()
  local exe <close> = support.Executor(1)
  local t = { 1 }
  local function task()
    t[#t + 1] = "more"
    return #t
  end
  lu.assertEquals(exe:submit(task):result(), 2)
  lu.assertEquals(exe:submit(task):result(), 2)
end

-- Two that are made by one line are two, and the same one twice is one.
function TestFunctions.test_functions_without_upvalues_stay_apart()
  local exe <close> = support.Executor(1)
  local function token() return function() end end
  local a, b = token(), token()
  local function look(t, a, b, again)
    local n = 0
    for _ in pairs(t) do n = n + 1 end
    return n, rawequal(a, b), rawequal(a, again), t[a], t[b], a, b, again
  end
  for _ = 1, 3 do
    local r = table.pack(exe:submit(look, { [a] = "a", [b] = "b" }, a, b, a):result())
    lu.assertEquals({ table.unpack(r, 1, 5) }, { 2, false, true, "a", "b" })
    lu.assertTrue(rawequal(r[6], r[8]) and not rawequal(r[6], r[7]))
    lu.assertFalse(exe:submit(rawequal, a, b):result())
    lu.assertTrue(exe:submit(rawequal, a, a):result())
    lu.assertTrue(exe:submit(function(f, g) return rawequal(f, g) and rawequal(f, a) end, a, a):result())
    lu.assertFalse(rawequal(table.unpack(exe:submit(function() return { token(), token() } end):result())))
  end
  -- The task's function among its own arguments.
  local function me(f, g) return rawequal(f, g), debug.getinfo(1, "f").func == f end
  lu.assertEquals({ exe:submit(me, me, me):result() }, { true, true })
end

-- Whatever a task does to its function, the next one gets it as it was sent.
function TestFunctions.test_a_function_is_new_for_each_task()
  local exe <close> = support.Executor(1)
  local function assign()
    local was = G_flag
    _ENV = { G_flag = "by an earlier task" }
    return was
  end
  local function set()
    local was = G_flag
    debug.setupvalue(debug.getinfo(1, "f").func, 1, { G_flag = "set", debug = debug })
    return was
  end
  local function join()
    local was = G_flag
    local other = (function() local _ENV = { G_flag = "joined" } return function() return G_flag end end)()
    debug.upvaluejoin(debug.getinfo(1, "f").func, 1, other, 1)
    return was
  end
  local function nested()
    local was = G_flag
    local function inner() _ENV = { G_flag = "nested" } end
    inner()
    return was
  end
  local function leave()
    local was = left
    left = function() return 1 end
    debug.setupvalue(left, 1, { G_flag = "left" })
    left = nil
    return was or G_flag
  end
  for _, f in ipairs { assign, set, join, nested, leave } do
    for _ = 1, 4 do
      lu.assertNil(exe:submit(f):result())
    end
    for _ = 1, 3 do -- each loop
      lu.assertNil(exe:map(f, { 1 }):list()[1])
    end
  end
  for _, items in ipairs { { 1, 2, 3 }, lfut.range(3) } do -- each item
    lu.assertEquals(exe:map(assign, items):list(), { n = 3 })
    lu.assertEquals(exe:map(nested, items, { chunksize = 3 }):list(), { n = 3 })
    lu.assertEquals(exe:map(function(f) return f() end, { assign, set, join, assign }):list(), { n = 4 })
  end
  -- Upvalues, also of functions that it calls.
  local n, helper = 0, nil
  function helper() n = n + 1 return n end
  for _ = 1, 3 do
    lu.assertEquals({ exe:submit(function() return helper(), helper() end):result() }, { 1, 2 })
    lu.assertEquals({ exe:submit(function(f) return f(), f() end, helper):result() }, { 1, 2 })
  end
  -- What a task has left in its worker is not changed by the next.
  local function keep(x)
    kept = kept or {}
    kept[#kept + 1] = debug.getinfo(1, "f").func
    return #kept, not rawequal(kept[1], kept[2])
  end
  lu.assertEquals(exe:submit(keep):result(), 1)
  lu.assertEquals({ exe:submit(keep):result() }, { 2, true })
end

-- Bytecode without names of upvalues: as luac -s makes it.
function TestFunctions.test_stripped_functions()
  local exe <close> = support.Executor(1)
  local function strip(f) return load(string.dump(f, true)) end
  G_base = 10
  function G_other(x) return x * G_base end
  G_function = strip(function(x) return G_other(x) + 1 end)
  local stripped = G_function
  lu.assertEquals(exe:submit(stripped, 4):result(), 41)
  lu.assertEquals(exe:map(stripped, { 1, 2 }):list(), { 11, 21, n = 2 })
  lu.assertEquals(exe:submit(function(x) return stripped(x) + G_function(x) end, 1):result(), 22)
  -- _ENV is no first upvalue, and in a function within.
  local up, other = 5, { 6 }
  local deep = strip(function() return up, other[1], (function() return (function() return G_base end)() end)(), G_base end)
  debug.upvaluejoin(deep, 1, function() return up end, 1)
  debug.upvaluejoin(deep, 2, function() return other end, 1)
  for i = 1, 4 do
    local name, value = debug.getupvalue(deep, i)
    if name and value == nil then debug.upvaluejoin(deep, i, function() return G_base end, 1) end
  end
  lu.assertEquals({ exe:submit(deep):result() }, { 5, 6, 10, 10 })
  -- Names that are set only.
  exe:submit(strip(function() G_third = "set" end)):result()
  lu.assertEquals(exe:submit(strip(function() return G_third end)):result(), "set")
  -- Very many constants: _ENV is taken into a register.
  local source = { "local t = {}" }
  for i = 1, 300 do
    source[#source + 1] = ("t[%d] = 'text %d'"):format(i, i)
  end
  source[#source + 1] = "return G_base, #t"
  lu.assertEquals({ exe:submit(strip(load(table.concat(source, "\n")))):result() }, { 10, 300 })
  lu.assertEquals({ exe:submit(load(table.concat(source, "\n"))):result() }, { 10, 300 })
  -- Another environment is an upvalue.
  local apart = strip(function() return G_base end)
  debug.setupvalue(apart, 1, { G_base = "apart" })
  lu.assertEquals(exe:submit(apart):result(), "apart")
end

-- An alias of the globals table is no _ENV.
function TestFunctions.test_another_name_for_the_globals()
  local exe <close> = support.Executor(1)
  local G = _G
  G_number = 1
  lu.assertTrue(exe:submit(function() return G == _G end):result())
  lu.assertEquals(exe:submit(function() return G.type == type, G_number end):result(), true)
end

function TestFunctions.test_long_names_of_globals()
  local exe <close> = support.Executor(1)
  local names, list = {}, {}
  for i = 1, 60 do
    names[i] = ("a_name_longer_than_short_strings_are_in_lua_%d"):format(i)
    _G[names[i]] = i
    list[i] = load("return " .. names[i])
  end
  local sum = exe:submit(function(list)
    local sum = 0
    for _, f in ipairs(list) do sum = sum + f() end
    return sum
  end, list):result()
  for _, name in ipairs(names) do _G[name] = nil end
  lu.assertEquals(sum, 60 * 61 // 2)
end

function TestFunctions.test_as_many_upvalues_as_there_can_be()
  local exe <close> = support.Executor(1)
  for _, n in ipairs { 0, 1, 2, 199, 249, 250, 251, 254 } do
    local outer, inner = {}, { "return function() return 0" }
    for i = 1, n do
      local level = (i - 1) // 120
      outer[level] = outer[level] or {}
      table.insert(outer[level], ("local v%d = %d"):format(i, i))
      inner[#inner + 1] = "+ v" .. i
    end
    local text = table.concat(inner, " ") .. " end"
    for level = #outer, 0, -1 do
      if outer[level] then
        text = "return (function() " .. table.concat(outer[level], " ") .. " " .. text .. " end)()"
      end
    end
    local f = load(text)()
    for _ = 1, 3 do
      lu.assertEquals(exe:submit(f):result(), n * (n + 1) // 2)
    end
  end
end

function TestFunctions.test_a_chain_of_upvalues_as_deep_as_memory()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local size = support.size(20000)
  local f = function() end
  for i = 1, size do
    local g = f
    f = function() return g, i end
  end
  local function depth(f)
    local n, g = 0, f()
    while g do
      n, g = n + 1, g()
    end
    return n
  end
  local n, back = exe:submit(function(f) return depth(f), f end, f):result()
  lu.assertEquals(n, size)
  lu.assertEquals(depth(back), size)
end

-- Fresh closures and classes leave nothing behind, here or in the worker.
local function memory_after(exe, rounds, round)
  local function in_worker()
    return exe:submit(function()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end):result()
  end
  for i = 1, rounds do
    round(exe, i)
  end
  collectgarbage()
  collectgarbage()
  return collectgarbage "count", in_worker()
end

-- Tables that are cleaned from time to time may hold as much as 'limit' KB.
local function assert_no_growth(rounds, limit, round)
  support.relaxed()
  local exe <close> = support.Executor(1)
  local here, there = memory_after(exe, 1000, round)
  local here2, there2 = memory_after(exe, rounds, round)
  lu.assertTrue(here2 - here < limit, ("grown by %.0f KB here"):format(here2 - here))
  lu.assertTrue(there2 - there < limit, ("grown by %.0f KB there"):format(there2 - there))
end

function TestFunctions.test_fresh_closures_are_collected()
  assert_no_growth(5000, 150, function(exe, i)
    exe:submit(function() return i end):result()
  end)
end

function TestFunctions.test_fresh_chunks_are_collected()
  assert_no_growth(support.trips(30000), 1000, function(exe, i)
    exe:submit(load("return " .. i)):result()
  end)
end

function TestFunctions.test_fresh_classes_are_collected()
  assert_no_growth(5000, 150, function(exe, i)
    local Class = { __name = "class" .. i, f = function() return i end }
    Class.__index = Class
    exe:submit(function(o) return o.f() end, setmetatable({}, Class)):result()
  end)
end

-- A loop over it does not change how it travels.
function TestFunctions.test_a_module_s_function_is_the_worker_s_own()
  package.preload["lfut_test_counter"] = function()
    local n = 0
    return { count = function() n = n + 1 return n end }
  end
  local counter = require "lfut_test_counter"
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:map(counter.count, lfut.range(2), { chunksize = 1 }):list(), { 1, 2, n = 2 })
  lu.assertEquals(exe:submit(counter.count):result(), 3)
  lu.assertEquals(counter.count(), 1)
  package.preload["lfut_test_counter"], package.loaded["lfut_test_counter"] = nil, nil
end

-- Workers forget functions again, when there are very many.
function TestFunctions.test_more_than_are_remembered()
  local exe <close> = support.Executor(1)
  local futures = {}
  for i = 1, 4500 do
    futures[i] = exe:submit(load("return " .. i))
  end
  for i = 1, #futures do
    lu.assertEquals(futures[i]:result(), i)
  end
  lu.assertEquals(exe:submit(load "return 1"):result(), 1)
end

local rc = support.run(TestFunctions)
if rc ~= 0 then
  os.exit(rc)
end
