-- SPDX-License-Identifier: MIT
--
-- Metatables, modules, __lfut_pack and __lfut_unpack (API §5).
local lu = require "luaunit"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestClasses = {}

local function new_point_class()
  local Point = { __name = "Point" }
  Point.__index = Point
  function Point.new(x, y) return setmetatable({ x = x, y = y }, Point) end
  function Point:norm() return math.sqrt(self.x ^ 2 + self.y ^ 2) end
  Point.__add = function(a, b) return Point.new(a.x + b.x, a.y + b.y) end
  Point.__eq = function(a, b) return a.x == b.x and a.y == b.y end
  return Point
end

function TestClasses.test_methods_in_the_worker()
  local exe <close> = support.Executor(1)
  local Point = new_point_class()
  lu.assertEquals(exe:submit(function(p) return p:norm() end, Point.new(3, 4)):result(), 5.0)
  local sum = exe:submit(function(a, b) return a + b end, Point.new(1, 2), Point.new(10, 20)):result()
  lu.assertEquals({ sum.x, sum.y }, { 11, 22 })
  lu.assertTrue(rawequal(getmetatable(sum), Point))
end

function TestClasses.test_identity_home()
  local exe <close> = support.Executor(2)
  local Point = new_point_class()
  local p = Point.new(3, 4)
  for _ = 1, 3 do
    local r = exe:submit(echo, p):result()
    lu.assertTrue(rawequal(getmetatable(r), Point))
    lu.assertFalse(rawequal(r, p))
    lu.assertEquals(r:norm(), 5.0)
    lu.assertTrue(r == p)
  end
  local nested = exe:submit(function(p) return { list = { p, p }, [p] = "key" } end, p):result()
  lu.assertTrue(rawequal(getmetatable(nested.list[1]), Point))
  lu.assertTrue(rawequal(nested.list[1], nested.list[2]))
end

function TestClasses.test_identity_of_objects_made_in_the_worker()
  local exe <close> = support.Executor(1)
  local Point = new_point_class()
  local r = exe:submit(function() return Point.new(1, 2) end):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  r = exe:submit(function() return setmetatable({ x = 6, y = 8 }, Point) end):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  lu.assertEquals(r:norm(), 10.0)
  local new = Point.new
  r = exe:submit(function() return new(1, 2) end):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  r = exe:submit(Point.new, 1, 2):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  r = exe:submit(function(p) return getmetatable(p).new(5, 5) end, Point.new(0, 0)):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  r = exe:submit(function(C) return C.new(5, 5) end, Point):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  lu.assertEquals(r.x, 5)
end

function TestClasses.test_identity_of_a_global_class()
  local exe <close> = support.Executor(1)
  G_class = new_point_class()
  local r = exe:submit(function() return G_class.new(3, 4) end):result()
  lu.assertTrue(rawequal(getmetatable(r), G_class))
  r = exe:submit(function() return setmetatable({}, G_class) end):result()
  lu.assertTrue(rawequal(getmetatable(r), G_class))
  G_class = nil
end

function TestClasses.test_identity_of_a_plain_metatable()
  local exe <close> = support.Executor(1)
  local mt = { info = "nothing special" }
  local r = exe:submit(function() return setmetatable({}, mt) end):result()
  lu.assertTrue(rawequal(getmetatable(r), mt))
  local empty = {}
  r = exe:submit(echo, setmetatable({}, empty)):result()
  lu.assertTrue(rawequal(getmetatable(r), empty))
end

function TestClasses.test_identity_in_errors()
  local exe <close> = support.Executor(1)
  local Problem = { __tostring = function(self) return "problem " .. self.what end }
  local f = exe:submit(function() error(setmetatable({ what = "here" }, Problem)) end)
  local e = f:exception()
  lu.assertTrue(rawequal(getmetatable(e), Problem))
  lu.assertEquals(tostring(e), "problem here")
end

function TestClasses.test_identity_through_several_executors()
  local exe <close> = support.Executor(1)
  local other <close> = support.Executor(1)
  local Point = new_point_class()
  local r = exe:submit(function(other, p)
    other = require "support".receive_executor(other)
    local q = other:submit(function(p) return p + p end, p):result()
    assert(rawequal(getmetatable(q), getmetatable(p)), "metatable on the way")
    return q
  end, support.send_executor(other), Point.new(1, 2)):result()
  lu.assertTrue(rawequal(getmetatable(r), Point))
  lu.assertEquals({ r.x, r.y }, { 2, 4 })
end

function TestClasses.test_one_copy_per_worker()
  local exe <close> = support.Executor(1)
  local Point = new_point_class()
  exe:submit(function(p) kept = p end, Point.new(1, 1)):result()
  lu.assertTrue(exe:submit(function(p, q)
    return rawequal(getmetatable(p), getmetatable(q)) and rawequal(getmetatable(p), getmetatable(kept)) and
      rawequal(getmetatable(p), Point)
  end, Point.new(2, 2), Point.new(3, 3)):result())
end

function TestClasses.test_brought_up_to_date_at_each_submit()
  local exe <close> = support.Executor(1)
  local Class = { version = 1 }
  Class.__index = Class
  function Class.old() return "old" end
  local function look(o) return o.version, o.old and o.old(), o.new and o.new() end
  lu.assertEquals({ exe:submit(look, setmetatable({}, Class)):result() }, { 1, "old" })
  exe:submit(function(o) kept = o end, setmetatable({}, Class)):result()
  Class.version = 2
  Class.old = nil
  function Class.new() return "new" end
  local r = table.pack(exe:submit(look, setmetatable({}, Class)):result())
  lu.assertEquals(r, { 2, nil, "new", n = 3 })
  lu.assertEquals(exe:submit(function() return kept.version, kept.old end):result(), 2)
end

function TestClasses.test_changed_in_the_worker_only()
  local exe <close> = support.Executor(1)
  local Class = { version = 1 }
  Class.__index = Class
  exe:submit(function(o) getmetatable(o).version = 99 end, setmetatable({}, Class)):result()
  lu.assertEquals(Class.version, 1)
end

function TestClasses.test_inheritance()
  local exe <close> = support.Executor(1)
  local Base = { __name = "Base" }
  Base.__index = Base
  function Base:kind() return "base of " .. self.name end
  local Derived = setmetatable({}, Base)
  Derived.__index = Derived
  function Derived:own() return "own " .. Base.kind(self) end
  local o = setmetatable({ name = "o" }, Derived)
  local a, b, r = exe:submit(function(o) return o:kind(), o:own(), o end, o):result()
  lu.assertEquals({ a, b }, { "base of o", "own base of o" })
  lu.assertTrue(rawequal(getmetatable(r), Derived))
  lu.assertEquals(r:own(), "own base of o")
end

function TestClasses.test_metatables_of_metatables_and_cycles()
  local exe <close> = support.Executor(1)
  local self = {}
  setmetatable(self, self)
  self.__index = function(_, k) return "no " .. k end
  local a, r = exe:submit(function(t) return t.x, t end, self):result()
  lu.assertEquals(a, "no x")
  lu.assertEquals(r.y, "no y")
  lu.assertTrue(rawequal(getmetatable(r), self) or rawequal(getmetatable(r), r))
  local A, B = {}, {}
  A.__index, B.__index = A, B
  A.other, B.other = B, A
  local ra, rb = exe:submit(function(a, b)
    assert(a.other.other == A and rawequal(b.other, getmetatable(a)))
    return a, b
  end, setmetatable({}, A), setmetatable({}, B)):result()
  lu.assertTrue(rawequal(getmetatable(ra), A) and rawequal(getmetatable(rb), B))
end

function TestClasses.test_an_object_in_its_class()
  local exe <close> = support.Executor(1)
  local Class = {}
  Class.__index = Class
  Class.instances = { setmetatable({ 1 }, Class) }
  Class.default = Class.instances[1]
  local r = exe:submit(function(o)
    assert(rawequal(o.default, o.instances[1]))
    assert(rawequal(getmetatable(o.default), getmetatable(o)))
    return o.default
  end, setmetatable({}, Class)):result()
  lu.assertTrue(rawequal(getmetatable(r), Class))
end

function TestClasses.test_two_classes_alike_stay_two()
  local exe <close> = support.Executor(1)
  local A, B = new_point_class(), new_point_class()
  local a, b = exe:submit(function(a, b)
    assert(not rawequal(getmetatable(a), getmetatable(b)))
    return a, b
  end, A.new(1, 1), B.new(1, 1)):result()
  lu.assertTrue(rawequal(getmetatable(a), A) and rawequal(getmetatable(b), B))
end

function TestClasses.test_a_metatable_of_the_worker()
  local exe <close> = support.Executor(1)
  local r = exe:submit(function()
    Local = Local or { __index = function(_, k) return k .. "!" end }
    return setmetatable({}, Local)
  end):result()
  lu.assertEquals(r.x, "x!")
end

function TestClasses.test_methods_share_upvalues_with_the_task()
  local exe <close> = support.Executor(1)
  local count = 0
  local Counter = {}
  Counter.__index = Counter
  function Counter:inc() count = count + 1 end
  local c = setmetatable({}, Counter)
  lu.assertEquals(exe:submit(function() c:inc() c:inc() return count end):result(), 2)
  lu.assertEquals(exe:submit(function(c) c:inc() return count end, c):result(), 1)
  lu.assertEquals(exe:submit(function(c, get) c:inc() return get() end, c, function() return count end):result(), 1)
end

function TestClasses.test_private_state_keyed_by_the_object()
  local exe <close> = support.Executor(1)
  local private = setmetatable({}, { __mode = "k" })
  local Class = {}
  Class.__index = Class
  function Class:get() return private[self] end
  function Class:set(v) private[self] = v end
  local o = setmetatable({}, Class)
  o:set "found"
  lu.assertEquals(exe:submit(function(o) return o:get() end, o):result(), "found")
  lu.assertEquals(exe:submit(function(o) o:set "new" return o:get() end, o):result(), "new")
  lu.assertEquals(o:get(), "found")
end

function TestClasses.test_a_class_and_its_subclass_share()
  local exe <close> = support.Executor(1)
  local registry = {}
  local Base = {}
  Base.__index = Base
  function Base:register() registry[#registry + 1] = self.name end
  local Derived = setmetatable({}, { __index = Base })
  Derived.__index = Derived
  function Derived:count() return #registry end
  lu.assertEquals(exe:submit(function(a, b)
    a:register()
    b:register()
    return b:count(), #registry
  end, setmetatable({ name = "a" }, Base), setmetatable({ name = "b" }, Derived)):result(), 2)
  lu.assertEquals(#registry, 0)
end

function TestClasses.test_a_hundred_thousand_objects_of_one_class()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local Point = new_point_class()
  local list = {}
  for i = 1, 100000 do
    list[i] = Point.new(i, -i)
  end
  local same, sum, back = exe:submit(function(list)
    local mt, same, sum = getmetatable(list[1]), true, 0
    for _, p in ipairs(list) do
      same = same and rawequal(getmetatable(p), mt)
      sum = sum + p.x
    end
    return same, sum, list
  end, list):result()
  lu.assertTrue(same)
  lu.assertEquals(sum, 100000 * 100001 // 2)
  for i = 1, #list do
    same = same and rawequal(getmetatable(back[i]), Point) and back[i].y == -i
  end
  lu.assertTrue(same)
end

function TestClasses.test_many_classes_at_once()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local list = {}
  for i = 1, 2000 do
    list[i] = setmetatable({}, { __index = function() return i end })
  end
  local sum, back = exe:submit(function(list)
    local sum = 0
    for _, o in ipairs(list) do
      sum = sum + o.x
    end
    return sum, list
  end, list):result()
  lu.assertEquals(sum, 2000 * 2001 // 2)
  for i = 1, 2000 do
    assert(rawequal(getmetatable(back[i]), getmetatable(list[i])))
  end
end

function TestClasses.test_protected_metatable()
  local exe <close> = support.Executor(1)
  local mt = { __metatable = "locked", __index = { x = 1 } }
  local x, locked, r = exe:submit(function(o) return o.x, getmetatable(o), o end, setmetatable({}, mt)):result()
  lu.assertEquals({ x, locked }, { 1, "locked" })
  lu.assertTrue(rawequal(debug.getmetatable(r), mt))
end

function TestClasses.test_weak_tables_stay_weak()
  local exe <close> = support.Executor(1)
  local cache = setmetatable({}, { __mode = "k" })
  lu.assertTrue(exe:submit(function(c)
    c[{}] = 1
    collectgarbage()
    return next(c) == nil
  end, cache):result())
end

-- A class is what is used as a metatable; keys with underscores make none.
function TestClasses.test_data_with_keys_like_those_of_metatables()
  local exe <close> = support.Executor(1)
  local cart = { __typename = "Cart", total = 0, parts = { __index = 1, n = 1 } }
  G_class = { __name = "data", n = 0 }
  local function add(x)
    cart.total, cart.parts.n, G_class.n = cart.total + x, cart.parts.n + x, G_class.n + x
    return cart.total, cart.parts.n, G_class.n, cart, G_class
  end
  for _ = 1, 3 do
    local total, n, g, home, global = exe:submit(add, 5):result()
    lu.assertEquals({ total, n, g }, { 5, 6, 5 })
    lu.assertEquals({ home.total, home.parts.n, global.n }, { 5, 6, 5 })
    lu.assertFalse(rawequal(home, cart))
  end
  lu.assertEquals({ cart.total, cart.parts.n, G_class.n }, { 0, 1, 0 })
  -- As arguments, results, items, in tables of tables.
  local deep = exe:submit(echo, { { { __gc = 1, __close = { __mode = "x" } } } }):result()
  lu.assertEquals(deep, { { { __gc = 1, __close = { __mode = "x" } } } })
  G_class = nil
end

-- A copy that has come home is not the original, whatever becomes of it.
function TestClasses.test_a_copy_of_a_table_that_comes_home()
  local exe <close> = support.Executor(1)
  local data = { __index = { x = 1 }, n = 1 }
  local copy = exe:submit(function() return data end):result()
  lu.assertFalse(rawequal(copy, data))
  copy.n = 2
  local a, b = exe:submit(function(a, b) return a, b end, setmetatable({}, copy), setmetatable({}, data)):result()
  lu.assertTrue(rawequal(getmetatable(a), copy) and rawequal(getmetatable(b), data))
  local n, m = exe:submit(function(a, b) return getmetatable(a).n, getmetatable(b).n end, a, b):result()
  lu.assertEquals({ n, m }, { 2, 1 })
end

-- Found to be a metatable only after it has been met as a table.
function TestClasses.test_a_table_that_is_a_metatable_after_all()
  local exe <close> = support.Executor(1)
  for _ = 1, 2 do
    local mt = { plain = true }
    local same, back, o = exe:submit(function(t, o)
      return rawequal(getmetatable(o), t), t, o
    end, mt, setmetatable({ 1 }, mt)):result()
    lu.assertTrue(same)
    lu.assertTrue(back.plain)
    lu.assertTrue(rawequal(getmetatable(o), mt))
    local again = exe:submit(function(o) return getmetatable(o).plain, o end, o)
    local plain, other = again:result()
    lu.assertTrue(plain and rawequal(getmetatable(other), mt))
    local itself = {}
    setmetatable(itself, itself)
    lu.assertTrue(exe:submit(function(t) return rawequal(getmetatable(t), t) end, itself):result())
  end
end

function TestClasses.test_classes_share_on_the_way_home()
  local exe <close> = support.Executor(1)
  local up, get, o, list, same = exe:submit(function()
    local n, list = 0, {}
    local C = { list = list }
    C.__index = C
    function C:up() n = n + 1 list[#list + 1] = n return n end
    C.same = C.up
    return function() n = n + 1 return n end, function() return n end, setmetatable({}, C), list, C.up
  end):result()
  lu.assertEquals({ up(), up(), get(), o:up(), get() }, { 1, 2, 2, 3, 3 })
  lu.assertEquals(list, { 3 })
  lu.assertTrue(rawequal(o.list, list) and rawequal(o.up, same) and rawequal(o.same, same))
  -- From task to task, and through several classes.
  local a, b, count = exe:submit(function()
    local n = 0
    local A, B = {}, {}
    A.__index, B.__index = A, B
    function A:up() n = n + 1 return n end
    function B:up() n = n + 10 return n end
    return setmetatable({}, A), setmetatable({}, B), function() return n end
  end):result()
  lu.assertEquals({ a:up(), b:up(), count() }, { 1, 11, 11 })
end

function TestClasses.test_a_method_shares_with_the_task()
  local exe <close> = support.Executor(1)
  local C = {}
  C.__index = C
  function C.f() return 1 end
  local o, f = setmetatable({}, C), C.f
  for _ = 1, 3 do
    lu.assertTrue(exe:submit(function(o, g) return rawequal(o.f, f) and rawequal(f, g) end, o, C.f):result())
    lu.assertTrue(exe:submit(function(o) return o.f() == 1 end, o):result())
    lu.assertTrue(exe:submit(function(t, o) return t[o.f] == "f" end, { [C.f] = "f" }, o):result())
  end
end

-- What a task assigns to a method's upvalues is gone for the next.
function TestClasses.test_methods_are_new_for_each_task()
  local exe <close> = support.Executor(1)
  local Other = { name = "other" }
  Other.__index = Other
  local count = 0
  local C = {}
  C.__index = C
  function C:forget() local was = Other and Other.name Other = nil return was end
  function C:count() count = count + 1 return count end
  function C:env() local was = G_flag _ENV = { G_flag = "left" } return was end
  local o = setmetatable({ other = setmetatable({}, Other) }, C)
  for _ = 1, 3 do
    lu.assertEquals({ exe:submit(function(o) return o:forget(), o:count(), o:env() end, o):result() }, { "other", 1, nil })
  end
end

function TestClasses.test_the_newest_method_every_time()
  local exe <close> = support.Executor(1)
  local C = { text = "" }
  C.__index = C
  local o = setmetatable({}, C)
  local function call(o) return o.f(), #o.text, o.text:sub(-4) end
  for i = 1, support.size(200) do
    C.f = load("return " .. 1000000 + i)
    C.text = ("x"):rep(20000) .. ("%04d"):format(i)
    local f, len, text = exe:submit(call, o):result()
    assert(f == 1000000 + i and len == 20004 and text == ("%04d"):format(i))
    exe:submit(load("return 'another', " .. i)):result() -- functions come and go
    exe:submit(echo, ("y"):rep(20000) .. i):result()
  end
end

-- A class that could not be unpacked is what it was before, and whole next time.
function TestClasses.test_what_fails_leaves_no_half_class()
  package.preload["lfut_test_flaky"] = function()
    local lfut = require "lfut"
    if lfut.worker() and not G_tried then
      G_tried = true
      error("not yet", 0)
    end
    return { f = function() return 1 end }
  end
  local exe <close> = support.Executor(1)
  local flaky = require "lfut_test_flaky"
  local C = { a = 1 }
  C.__index = C
  function C:hello() return "hello" .. self.a end
  local o = setmetatable({}, C)
  exe:submit(function(o) kept = o G_tried = nil end, o):result()
  C.a, C.helper, C.b = 2, flaky, 3
  local function call(o) return o:hello(), o.helper.f(), o.b end
  lu.assertEquals(support.raised(function() exe:submit(call, o):result() end), "not yet")
  lu.assertEquals({ exe:submit(function() return kept:hello(), kept.b end):result() }, { "hello1", nil })
  lu.assertEquals({ exe:submit(call, o):result() }, { "hello2", 1, 3 })
  lu.assertEquals({ exe:submit(function() return kept:hello(), kept.b end):result() }, { "hello2", 3 })
  package.preload["lfut_test_flaky"], package.loaded["lfut_test_flaky"] = nil, nil
end

function TestClasses.test_metatables_of_metatables_as_deep_as_memory()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local size = support.size(20000)
  local t = { depth = 0 }
  for i = 1, size do
    t = setmetatable({ depth = i }, t)
  end
  local function depth(t)
    local n = 0
    while getmetatable(t) do
      n, t = n + 1, getmetatable(t)
    end
    return n
  end
  local n, back = exe:submit(function(t) return depth(t), t end, t):result()
  lu.assertEquals(n, size)
  lu.assertTrue(rawequal(getmetatable(back), getmetatable(t)))
  -- Each named by a method of the next.
  local C = { __index = true }
  for _ = 1, size do
    local Parent = C
    C = { parent = function() return Parent end }
  end
  n = exe:submit(function(o)
    local n, C = 0, getmetatable(o)
    while C.parent do
      n, C = n + 1, C.parent()
    end
    return n
  end, setmetatable({}, C)):result()
  lu.assertEquals(n, size)
end

-- All name all.
function TestClasses.test_classes_that_know_each_other()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local list, size = {}, 60
  for i = 1, size do
    list[i] = {}
    list[i].__index = list[i]
  end
  local objects = {}
  for i = 1, size do
    for k = 1, size do
      local other = list[k]
      list[i]["m" .. k] = function(self) return other, self end
      list[i][k] = other
    end
    objects[i] = setmetatable({}, list[i])
  end
  for _ = 1, 3 do
    lu.assertTrue(exe:submit(function(objects)
      for i, o in ipairs(objects) do
        for k, p in ipairs(objects) do
          if not rawequal(o["m" .. k](o), getmetatable(p)) or not rawequal(o[k], getmetatable(p)) then
            return false
          end
        end
      end
      return true
    end, objects):result())
  end
end

-- Modules

package.preload["lfut_test_module"] = function(name)
  local M = { name = name, sub = { deep = { 1 } }, list = {} }
  local state = 0
  function M.count() state = state + 1 return state end
  function M.sub.f(x) return x * 2 end
  M.Class = { __index = { hello = function(self) return "hello " .. self.who end } }
  function M.new(who) return setmetatable({ who = who }, M.Class) end
  return M
end
local module = require "lfut_test_module"

function TestClasses.test_a_module_travels_by_name()
  local exe <close> = support.Executor(1)
  lu.assertTrue(exe:submit(function() return module == require "lfut_test_module" end):result())
  lu.assertTrue(exe:submit(function(m) return m == require "lfut_test_module" end, module):result())
  lu.assertTrue(rawequal(exe:submit(echo, module):result(), module))
end

function TestClasses.test_a_module_s_state_is_the_worker_s()
  local exe <close> = support.Executor(1)
  lu.assertEquals(module.count(), 1)
  lu.assertEquals(module.count(), 2)
  lu.assertEquals(exe:submit(function() return module.count() end):result(), 1)
  lu.assertEquals(exe:submit(module.count):result(), 2)
  lu.assertEquals(exe:submit(module.count):result(), 3)
  lu.assertEquals(module.count(), 3)
end

function TestClasses.test_what_is_found_in_a_module()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(module.sub.f, 21):result(), 42)
  lu.assertTrue(exe:submit(function(s) return s == require "lfut_test_module".sub end, module.sub):result())
  lu.assertTrue(rawequal(exe:submit(echo, module.list):result(), module.list))
  lu.assertTrue(rawequal(exe:submit(echo, module.count):result(), module.count))
  local o = exe:submit(function(o) return o, o:hello() end, module.new "me")
  local back, text = o:result()
  lu.assertEquals(text, "hello me")
  lu.assertTrue(rawequal(getmetatable(back), module.Class))
  lu.assertTrue(rawequal(getmetatable(exe:submit(module.new, "you"):result()), module.Class))
end

function TestClasses.test_a_module_from_the_path()
  local exe <close> = support.Executor(1)
  lu.assertTrue(exe:submit(function() return gate == require "gate" end):result())
  lu.assertTrue(exe:submit(function(h) return h == require "gate".hold end, gate.hold):result())
end

function TestClasses.test_a_module_that_is_not_there()
  local exe <close> = support.Executor(1)
  local only = { 1 }
  package.loaded["lfut_test_only_here"] = only
  local ok, e = pcall(function() return exe:submit(function() return only[1] end):result() end)
  package.loaded["lfut_test_only_here"] = nil
  lu.assertFalse(ok)
  lu.assertStrContains(tostring(e), "lfut_test_only_here")
  support.works(exe)
end

function TestClasses.test_a_module_that_fails_there()
  package.preload["lfut_test_fails"] = function()
    if require "lfut".worker() then
      error "not in a worker"
    end
    return {}
  end
  local exe <close> = support.Executor(1)
  local fails = require "lfut_test_fails"
  local ok, e = pcall(function() return exe:submit(function() return fails end):result() end)
  lu.assertFalse(ok)
  lu.assertStrContains(tostring(e), "not in a worker")
  support.works(exe)
end

function TestClasses.test_a_module_loaded_after_the_workers_started()
  local exe <close> = support.Executor(1)
  support.works(exe)
  package.preload["lfut_test_late"] = function() return { answer = 42 } end
  local late = require "lfut_test_late"
  lu.assertEquals(exe:submit(function() return late.answer end):result(), 42)
end

-- Modules have their own names, whatever else leads to them, and only while they
-- are there.

function TestClasses.test_a_submodule_in_its_parent()
  local exe <close> = support.Executor(1)
  for i = 1, 10 do
    local parent, name = "lfut_parent" .. i, "lfut_parent" .. i .. ".child"
    package.preload[parent] = function() return {} end
    package.preload[name] = function(n)
      local p = require(n:match "^[^.]+")
      p.child = { name = function() return n end, list = {} }
      p.func, p.list = p.child.name, p.child.list
      return p.child
    end
    local child = require(name)
    lu.assertEquals(exe:submit(function() return child.name() end):result(), name)
    lu.assertEquals(exe:submit(child.name):result(), name)
    lu.assertTrue(rawequal(exe:submit(echo, child):result(), child))
    lu.assertTrue(rawequal(exe:submit(echo, child.list):result(), child.list))
  end
end

function TestClasses.test_what_the_script_puts_into_a_module()
  local exe <close> = support.Executor(1)
  package.preload["lfut_test_tools"] = function() return { f = function() return 1 end, Class = {} } end
  package.preload["lfut_test_other"] = function() return {} end
  local tools = require "lfut_test_tools"
  local function late() return "late" end
  local Late = { __index = { hello = function() return "hello" end }, n = 1 }
  tools.late, tools.Late = late, Late
  local function try()
    local o, n = exe:submit(function(o) return o:hello(), Late.n end, setmetatable({}, Late)):result()
    lu.assertEquals({ exe:submit(late):result(), o, n }, { "late", "hello", Late.n })
    lu.assertTrue(exe:submit(function(f) return f == require "lfut_test_tools".f end, tools.f):result())
  end
  try()
  require "lfut_test_other"
  Late.n = 2
  try()
  tools.late, tools.Late = nil, nil
  try()
  -- What it replaces is the script's, both of them.
  local old = tools.f
  tools.f = function() return 2 end
  lu.assertEquals({ exe:submit(tools.f):result(), exe:submit(old):result() }, { 2, 1 })
  tools.f = old
  lu.assertTrue(exe:submit(function(f) return f == require "lfut_test_tools".f end, old):result())
end

function TestClasses.test_a_module_that_is_gone()
  local exe <close> = support.Executor(1)
  package.preload["lfut_test_gone"] = function() return { n = 1, f = function() return "f" end } end
  local gone = require "lfut_test_gone"
  lu.assertTrue(exe:submit(function(m) return m == require "lfut_test_gone" end, gone):result())
  package.loaded["lfut_test_gone"] = nil
  gone.n = 2
  lu.assertEquals({ exe:submit(function(m, f) return m.n, f(), m == package.loaded["lfut_test_gone"] end,
    gone, gone.f):result() }, { 2, "f", false })
  local again = require "lfut_test_gone"
  lu.assertFalse(rawequal(again, gone))
  lu.assertTrue(exe:submit(function(m) return m == require "lfut_test_gone" end, again):result())
  lu.assertFalse(exe:submit(function(m) return m == require "lfut_test_gone" end, gone):result())
  -- Under another name.
  package.loaded["lfut_test_gone"], package.loaded["lfut_test_renamed"] = nil, again
  package.preload["lfut_test_renamed"] = package.preload["lfut_test_gone"]
  lu.assertTrue(exe:submit(function(m) return m == require "lfut_test_renamed" end, again):result())
  package.loaded["lfut_test_renamed"] = nil
end

function TestClasses.test_a_metatable_that_is_no_table_there()
  local exe <close> = support.Executor(1)
  package.preload["lfut_test_shape"] = function() return require "lfut".worker() and "no table" or { __index = { sides = 4 } } end
  local Shape = require "lfut_test_shape"
  for _ = 1, 2 do
    local ok, e = pcall(function() return exe:submit(function(o) return o.sides end, setmetatable({}, Shape)):result() end)
    if not ok then
      lu.assertStrContains(e, "no table")
    else
      lu.assertEquals(e, 4) -- a forked worker has it
    end
    support.works(exe)
  end
end

-- Userdata that say how: files here, with a metatable of their own.

local Own = { __name = "Own" }

local function own_file(text)
  local file = io.tmpfile()
  file:write(text)
  file:seek "set"
  return debug.setmetatable(file, Own)
end

local plain_mt = getmetatable(io.stdout)

local function text_of(file)
  debug.setmetatable(file, plain_mt)
  file:seek "set"
  local text = file:read "a"
  debug.setmetatable(file, Own)
  return text
end

local sent = 0
function Own.__lfut_pack(file)
  sent = sent + 1
  local plain = getmetatable(io.stdout)
  debug.setmetatable(file, plain)
  file:seek "set"
  local text = file:read "a"
  debug.setmetatable(file, Own)
  return { text = text }
end
function Own.__lfut_unpack(v)
  local file = io.tmpfile()
  file:write(v.text, "+")
  file:seek "set"
  return debug.setmetatable(file, Own)
end

local function read_in_worker(file)
  debug.setmetatable(file, getmetatable(io.stdout))
  file:seek "set"
  return (file:read "a")
end

function TestClasses.test_packed_userdata()
  local exe <close> = support.Executor(1)
  sent = 0
  lu.assertEquals(exe:submit(read_in_worker, own_file "text"):result(), "text+")
  lu.assertEquals(sent, 1)
  lu.assertEquals(exe:submit(function(t) return read_in_worker(t.list[1]) end, { list = { own_file "x" } }):result(),
    "x+")
  local up = own_file "up"
  lu.assertEquals(exe:submit(function() return read_in_worker(up) end):result(), "up+")
end

function TestClasses.test_packed_userdata_is_shared()
  local exe <close> = support.Executor(1)
  local file = own_file "one"
  sent = 0
  lu.assertTrue(exe:submit(function(a, b, t) return a == b and a == t.x end, file, file, { x = file }):result())
  lu.assertEquals(sent, 1)
end

function TestClasses.test_packed_userdata_comes_back()
  local exe <close> = support.Executor(1)
  local back = exe:submit(echo, own_file "text"):result()
  lu.assertTrue(rawequal(debug.getmetatable(back), Own))
  lu.assertEquals(text_of(back), "text++")
end

function TestClasses.test_callable_userdata()
  local exe <close> = support.Executor(1)
  Own.__call = function(self, suffix) return read_in_worker(self) .. suffix end
  lu.assertEquals(exe:submit(own_file "text", "!"):result(), "text+!")
  Own.__call = nil
  support.fails_like("bad argument #1 to 'submit' (function expected, got ", ")",
    function() exe:submit(own_file "x") end)
end

function TestClasses.test_pack_that_raises()
  local exe <close> = support.Executor(1)
  local Bad = { __lfut_pack = function() error { code = 5 } end, __lfut_unpack = function() end }
  local file = debug.setmetatable(io.tmpfile(), Bad)
  lu.assertEquals(support.raised(function() exe:submit(echo, file) end), { code = 5 })
  debug.setmetatable(file, plain_mt)
  support.works(exe)
end

function TestClasses.test_unpack_that_raises()
  local exe <close> = support.Executor(1)
  local Bad = { __lfut_pack = function() return 1 end, __lfut_unpack = function() error "cannot unpack" end }
  local file = debug.setmetatable(io.tmpfile(), Bad)
  local ok, e = pcall(function() return exe:submit(echo, file):result() end)
  debug.setmetatable(file, plain_mt)
  lu.assertFalse(ok)
  lu.assertStrContains(tostring(e), "cannot unpack")
  support.works(exe)
end

function TestClasses.test_pack_without_unpack_is_refused()
  local exe <close> = support.Executor(1)
  local file = debug.setmetatable(io.tmpfile(), { __lfut_pack = function() return 1 end })
  support.fails_as("TransferError", "cannot send argument 1 (userdata) to a worker",
    function() exe:submit(echo, file) end)
  debug.setmetatable(file, plain_mt)
  support.works(exe)
end

function TestClasses.test_pack_gives_what_cannot_travel()
  local exe <close> = support.Executor(1)
  local Bad = { __lfut_pack = function() return coroutine.create(print) end, __lfut_unpack = echo }
  local file = debug.setmetatable(io.tmpfile(), Bad)
  local e = support.fails_as("TransferError", nil, function() exe:submit(echo, file) end)
  debug.setmetatable(file, plain_mt)
  lu.assertStrContains(e.message, "(thread)")
  support.works(exe)
end

local rc = support.run(TestClasses)
if rc ~= 0 then
  os.exit(rc)
end
