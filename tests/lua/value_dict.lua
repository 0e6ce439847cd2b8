-- SPDX-License-Identifier: MIT
--
-- lfut.Value and lfut.Dict, between threads and processes; what all handles to
-- shared objects have in common.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local concurrent = require "concurrent"

TestValue = {}

function TestValue.test_types()
  for _, type in ipairs { "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64" } do
    local v = lfut.Value(type, 5)
    lu.assertEquals(v:get(), 5)
    lu.assertEquals(v:add(2), 5)
    lu.assertEquals(v:get(), 7)
    lu.assertTrue(v:cas(7, 1))
    lu.assertFalse(v:cas(7, 2))
    lu.assertEquals(v:get(), 1)
    v:set(0)
    lu.assertEquals(v:get(), 0)
    lu.assertEquals(tostring(v), ("lfut.Value(%s, 0)"):format(type))
  end
  for _, type in ipairs { "float", "double" } do
    local v = lfut.Value(type, 0.5)
    lu.assertEquals(v:get(), 0.5)
    lu.assertTrue(v:cas(0.5, 2))
    lu.assertEquals(v:get(), 2.0)
    v:set(-0.0)
    lu.assertTrue(v:cas(0, 1)) -- equal, though of other bits
    v:set(0 / 0)
    lu.assertFalse(v:cas(0 / 0, 1))
    support.fails(("cannot add to a value of %s, only to integers"):format(type), function() v:add(1) end)
  end
  lu.assertEquals(lfut.Value "int32":get(), 0)
end

function TestValue.test_wraps()
  local v = lfut.Value("int8", 127)
  lu.assertEquals(v:add(1), 127)
  lu.assertEquals(v:get(), -128)
  v = lfut.Value("int64", math.maxinteger)
  v:add(1)
  lu.assertEquals(v:get(), math.mininteger)
end

function TestValue.test_strict()
  lu.assertErrorMsgContains("unknown type 'int'", lfut.Value, "int")
  lu.assertErrorMsgContains("string expected", lfut.Value)
  lu.assertErrorMsgContains("300 does not fit uint8", lfut.Value, "uint8", 300)
  local v = lfut.Value "int32"
  lu.assertErrorMsgContains("1.5 does not fit int32", v.set, v, 1.5)
  lu.assertErrorMsgContains("int32 expected, got string", v.set, v, "1")
  lu.assertErrorMsgContains("value expected", v.set, v)
  lu.assertErrorMsgContains("does not fit", v.cas, v, 0, 2 ^ 40)
  lu.assertErrorMsgContains("lfut.Value expected", v.get, lfut.Dict())
end

concurrent.add(TestValue, "add_loses_nothing", function(start)
  for _, type in ipairs { "int32", "uint64" } do
    local v = lfut.Value(type)
    local list = {}
    for i = 1, 3 do
      list[i] = start(function()
        for _ = 1, 10000 do
          v:add(1)
        end
      end)
    end
    concurrent.join(list)
    lu.assertEquals(v:get(), 30000)
  end
end)

concurrent.add(TestValue, "cas_loses_nothing", function(start)
  local v = lfut.Value "double"
  local list = {}
  for i = 1, 3 do
    list[i] = start(function()
      for _ = 1, 1000 do
        local old
        repeat
          old = v:get()
        until v:cas(old, old + 0.5)
      end
    end)
  end
  concurrent.join(list)
  lu.assertEquals(v:get(), 1500.0)
end)

TestDict = {}

function TestDict.test_keys_and_values()
  local d = lfut.Dict()
  local function f() return 42 end
  for k, v in pairs { a = 1, [1] = "one", [2.5] = 2.5, [true] = false, ["a\0b"] = { 1, { 2 } }, [""] = f } do
    d:set(k, v)
  end
  lu.assertEquals(d:len(), 6)
  lu.assertEquals(#d, 6)
  lu.assertEquals({ d:get "a", d:get(1), d:get(2.5), d:get(true), d:get "a\0b" }, { 1, "one", 2.5, false, { 1, { 2 } } })
  lu.assertEquals(d:get ""(), 42)
  lu.assertNil(d:get "nothing")
  lu.assertNil(d:get(false))
  lu.assertEquals(tostring(d), "lfut.Dict(6 entries)")
end

function TestDict.test_integers_and_floats()
  local d = lfut.Dict()
  d:set(1, "one")
  lu.assertEquals(d:get(1.0), "one") -- the same key, as in a table
  lu.assertNil(d:get "1")
  d:set("i", 3)
  d:set("f", 3.0)
  lu.assertEquals(math.type(d:get "i"), "integer")
  lu.assertEquals(math.type(d:get "f"), "float")
  d:set("i", 4.5)
  lu.assertEquals(d:get "i", 4.5)
  d:set("i", "text")
  lu.assertEquals(d:get "i", "text")
end

function TestDict.test_nil_removes()
  local d = lfut.Dict()
  d:set("a", 1)
  d:set("a", nil)
  d:set("b", nil)
  lu.assertEquals(#d, 0)
  lu.assertNil(d:get "a")
  d:set("a", 2)
  lu.assertEquals(d:get "a", 2)
end

function TestDict.test_copies()
  local d = lfut.Dict()
  local t = { 1 }
  d:set("t", t)
  t[1] = 2
  local back = d:get "t"
  lu.assertEquals(back, { 1 })
  back[1] = 3
  lu.assertEquals(d:get "t", { 1 })
end

function TestDict.test_incr()
  local d = lfut.Dict()
  lu.assertEquals({ d:incr "n", d:incr "n", d:incr("n", 10), d:incr("n", -2) }, { 1, 2, 12, 10 })
  lu.assertEquals(math.type(d:get "n"), "integer")
  lu.assertEquals({ d:incr("x", 0.5), d:incr "x", d:incr("n", 0.5) }, { 0.5, 1.5, 10.5 })
  d:set("s", "text")
  support.fails("the value of key 's' is not a number", function() d:incr "s" end)
  lu.assertErrorMsgContains("number expected", d.incr, d, "n", {})
  lu.assertErrorMsgContains("number expected", d.incr, d, "n", "1")
end

function TestDict.test_pairs()
  local d = lfut.Dict()
  for i = 1, 100 do
    d:set(i, i * i)
  end
  for _, iterate in ipairs { function() return d:pairs() end, function() return pairs(d) end } do
    local seen = {}
    local n = 0
    for k, v in iterate() do
      n = n + 1
      seen[k] = v
      d:set(k + 1000, nil) -- not in it, and no harm
      d:set("new", n)
    end
    lu.assertEquals(seen[10], 100)
    lu.assertTrue(n >= 100)
    d:set("new", nil)
  end
  for _ in lfut.Dict():pairs() do
    lu.fail "it is empty"
  end
end

-- What the iterator has not come to is held by it.
function TestDict.test_pairs_and_removed_handles()
  local d = lfut.Dict()
  for i = 1, 5 do
    d:set(i, { lfut.Array("int32", 4):fill(i), lfut.Lock() })
  end
  collectgarbage()
  local it, other = d:pairs(), d:pairs()
  for i = 1, 5 do
    d:set(i, nil)
  end
  collectgarbage()
  local others = {}
  for i = 1, 1000 do
    others[i] = lfut.Array("int32", 4):fill(99)
  end
  local n = 0
  for k, v in it do
    n = n + 1
    lu.assertEquals({ v[1]:get() }, { k, k, k, k })
    lu.assertTrue(v[2]:acquire(0))
  end
  lu.assertEquals(n, 5)
  other() -- the rest is dropped with it
end

function TestDict.test_many_and_large()
  local d = lfut.Dict()
  local n = support.size(20000)
  support.relaxed()
  for round = 1, 3 do
    for i = 1, n do
      d:set(i, ("v"):rep(i % 50) .. round)
    end
  end
  lu.assertEquals(#d, n)
  for i = 1, n do
    lu.assertTrue(d:get(i) == ("v"):rep(i % 50) .. 3)
  end
  local large = ("L"):rep(1000000)
  d:set("large", large)
  d:set(large, "key")
  lu.assertTrue(d:get "large" == large)
  lu.assertEquals(d:get(large), "key")
end

function TestDict.test_bad_arguments()
  local d = lfut.Dict()
  lu.assertErrorMsgContains("string, number or boolean expected, got nil", d.set, d, nil, 1)
  lu.assertErrorMsgContains("string, number or boolean expected, got table", d.get, d, {})
  lu.assertErrorMsgContains("key is NaN", d.set, d, 0 / 0, 1)
  lu.assertErrorMsgContains("value expected", d.set, d, "k")
  local e = support.fails_as("TransferError", nil, d.set, d, "k", { io.tmpfile() })
  lu.assertEquals(e.message, "cannot send value[1] (userdata FILE*) to a dictionary")
end

function TestDict.test_handles()
  local d = lfut.Dict()
  d:set("lock", lfut.Lock())
  d:set("array", lfut.Array("int8", { 7 }))
  collectgarbage()
  local p = lfut.Process { target = function()
    d:get "array"[1] = 8
    d:get "lock":acquire()
  end }
  p:start()
  p:join()
  lu.assertEquals(d:get "array"[1], 8)
  lu.assertEquals({ d:get "lock":acquire() }, { true, "abandoned" })
  d:set("array", nil)
end

concurrent.add(TestDict, "shared", function(start)
  local d = lfut.Dict()
  local list = {}
  for i = 1, 3 do
    list[i] = start(function()
      for k = 1, 500 do
        d:incr "total"
        d:set(k % 50, { i, k })
        assert(#d:get(k % 50) == 2)
        d:set("mine" .. i, k)
      end
    end)
  end
  concurrent.join(list)
  lu.assertEquals(d:get "total", 1500)
  lu.assertEquals({ d:get "mine1", d:get "mine2", d:get "mine3" }, { 500, 500, 500 })
  lu.assertEquals(#d, 54)
end)

function TestDict.test_killed_writers()
  local d = lfut.Dict()
  for _ = 1, 20 do
    concurrent.killed(function(ready)
      for i = 1, math.huge do
        d:set(i % 20, ("w"):rep(i % 3000))
        d:incr "n"
        ready:set()
      end
    end)
    local n = 0
    for k, v in pairs(d) do
      n = n + 1
      lu.assertTrue(k == "n" or v == ("w"):rep(#v))
    end
    lu.assertEquals(n, #d)
  end
end

-- --- Handles ---

TestHandle = {}

local constructors = {
  lfut.Queue, lfut.Lock, lfut.RLock, lfut.Semaphore, lfut.BoundedSemaphore, lfut.Event, lfut.Condition,
  function() return lfut.Barrier(1) end,
  function() return lfut.Value "int32" end,
  lfut.Dict,
}

function TestHandle.test_equal_when_it_is_the_same_object()
  for i, new in ipairs(constructors) do
    local a, b, q = new(), new(), lfut.Queue()
    q:put(a)
    local again = q:get()
    lu.assertTrue(again == a)
    lu.assertFalse(rawequal(again, a))
    lu.assertFalse(a == b)
    lu.assertEquals(getmetatable(a), "lfut")
    lu.assertStrContains(tostring(a), "lfut.")
    lu.assertFalse(a == constructors[i % #constructors + 1]())
  end
end

-- As an argument, an upvalue, in a result.
for _, kind in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor", "spawn" } do
  TestHandle["test_travels_" .. kind] = function()
    if kind ~= "ThreadPoolExecutor" then
      support.needs_processes()
    end
    local options = { max_workers = 1 }
    if kind == "spawn" then
      options.start_method = "spawn"
    end
    local exe <close> = (lfut[kind] or lfut.ProcessPoolExecutor)(options)
    for _, new in ipairs(constructors) do
      local up = new()
      local arg, back = exe:submit(function(a) return a, up end, up):result()
      lu.assertTrue(arg == up)
      lu.assertTrue(back == up)
      -- made in the worker
      local own = exe:submit(function() return require "lfut".Value("int32", 5) end):result()
      lu.assertEquals(own:add(1), 5)
    end
    local c = lfut.Condition()
    lu.assertFalse(exe:submit(function(c) return c:with(function() return c:wait(0) end) end, c):result())
    c:acquire()
    lu.assertFalse(exe:submit(function(c) return c:acquire(0) end, c):result())
    c:release()
  end
end

function TestHandle.test_many_come_and_go()
  support.relaxed()
  for i = 1, support.size(20000) do
    local q = constructors[i % #constructors + 1]()
    if i % #constructors == 0 then
      lfut.Queue():put(("x"):rep(i))
    end
    lu.assertNotNil(q)
  end
end

-- Changes in one step

function TestDict.test_pop()
  local d = lfut.Dict()
  lu.assertNil(d:pop "a")
  d:set("a", { 1, x = "y" })
  lu.assertEquals(d:pop "a", { 1, x = "y" })
  lu.assertNil(d:get "a")
  lu.assertEquals(d:len(), 0)
  local q = lfut.Queue()
  d:set("q", q)
  lu.assertEquals(d:pop "q", q)
end

function TestDict.test_setdefault()
  local d = lfut.Dict()
  lu.assertEquals(d:setdefault("a", { 1 }), { 1 })
  lu.assertEquals(d:setdefault("a", { 2 }), { 1 })
  lu.assertEquals(d:setdefault("n", 5), 5)
  lu.assertEquals(d:setdefault("n", 6), 5)
  lu.assertEquals(d:setdefault("f", false), false)
  lu.assertEquals(d:setdefault("f", true), false)
  support.fails("bad argument #2 to 'setdefault' (value expected)", function() d:setdefault("b", nil) end)
end

function TestDict.test_cas()
  local d = lfut.Dict()
  lu.assertTrue(d:cas("a", nil, 1))
  lu.assertFalse(d:cas("a", nil, 2))
  lu.assertFalse(d:cas("a", 2, 3))
  lu.assertTrue(d:cas("a", 1.0, "one")) -- equal, though a float
  lu.assertFalse(d:cas("a", 1, 2))
  lu.assertFalse(d:cas("a", "on", 2))
  lu.assertTrue(d:cas("a", "one", { 1 }))
  lu.assertFalse(d:cas("a", "one", 2))
  d:set("a", true)
  lu.assertFalse(d:cas("a", false, 2))
  lu.assertTrue(d:cas("a", true, nil))
  lu.assertNil(d:get "a")
  lu.assertTrue(d:cas("a", nil, nil))
  lu.assertEquals(d:len(), 0)
  d:set("big", math.maxinteger)
  lu.assertFalse(d:cas("big", 2.0 ^ 63, 0))
  support.fails("bad argument #2 to 'cas' (nil, boolean, number or string expected, got table)",
    function() d:cas("a", {}, 1) end)
end

function TestDict.test_cas_among_processes()
  local d = lfut.Dict()
  d:set("n", 0)
  local exe <close> = lfut.ProcessPoolExecutor(2)
  exe:for_each(function()
    for _ = 1, 100 do
      local old
      repeat
        old = d:get "n"
      until d:cas("n", old, old + 1)
    end
  end, lfut.range(4))
  lu.assertEquals(d:get "n", 400)
end

os.exit(support.run(TestValue, TestDict, TestHandle))
