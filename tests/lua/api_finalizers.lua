-- SPDX-License-Identifier: MIT
--
-- Finalizers run whenever something is allocated, also in the middle of lfut's
-- calls, and may call anything of lfut: nobody's values are changed by that.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local echo = support.echo

TestFinalizers = {}

-- Calls fn(i) 'n' times while finalizers call 'act'; how often they did.
local function amid(n, act, fn)
  local ran, busy = 0, false
  local meta = { __gc = function()
    if not busy then
      busy = true
      ran = ran + 1
      act(ran)
      busy = false
    end
  end }
  collectgarbage "generational"
  collectgarbage("generational", 2)
  for i = 1, support.size(n) do
    setmetatable({}, meta)
    for k = 1, i % 11 do local _ = { k } end
    local _ = ("x"):rep(1000) .. i -- so that there is something to collect
    fn(i)
  end
  meta.__gc = nil -- not at the end of the program, too
  collectgarbage "incremental"
  support.eager()
  lu.assertTrue(ran > 0 or support.size(n) <= 100)
end

local texts = {}
for i = 1, 100 do
  texts[i] = ("%06d"):format(i):rep(i % 3 == 0 and 3000 or i % 3 == 1 and 100 or 1)
end

-- What finalizers do.
local log, words = lfut.Queue(), lfut.Dict()
local acts = {
  function(i) log:put("from the finalizer " .. i) log:get(0) end,
  function(i) log:put(("long"):rep(1000)) log:put { i } log:get(0) log:get(0) end,
  function(i) words:set("key", ("v"):rep(500)) words:get "key" words:incr "n" words:set("t", { i }) end,
  function(i) log:put(load("return " .. i)) log:get(0) end,
  function() pcall(log.put, log, coroutine.create(print)) pcall(words.set, words, {}, 1) end,
}

local function each_act(n, fn)
  for _, act in ipairs(acts) do
    amid(n, act, fn)
  end
end

function TestFinalizers.test_queues()
  local q = lfut.Queue()
  each_act(1500, function(i)
    local item = texts[i % 100 + 1]
    q:put(item)
    assert(q:get() == item)
    q:put { item, i }
    local t = q:get()
    assert(t[1] == item and t[2] == i)
  end)
end

function TestFinalizers.test_iterating()
  each_act(60, function()
    local q, n = lfut.Queue(), 0
    for i = 1, 20 do q:put(texts[i]) end
    q:close()
    for v in q:iter() do
      n = n + 1
      assert(v == texts[n])
    end
    assert(n == 20)
  end)
end

function TestFinalizers.test_a_full_queue()
  local q = lfut.Queue(1)
  q:put "first"
  each_act(1500, function(i)
    assert(not pcall(q.put, q, texts[i % 100 + 1], 0))
    assert(not pcall(q.put, q, { texts[i % 100 + 1] }, 0))
  end)
  lu.assertEquals({ q:get(), q:qsize() }, { "first", 0 })
end

function TestFinalizers.test_dictionaries()
  local d = lfut.Dict()
  each_act(400, function(i)
    local k, v = texts[i % 10 * 3 + 1], texts[i % 100 + 1]
    d:set(k, v)
    assert(d:get(k) == v)
    d:set(i, { v, k })
    assert(d:get(i)[1] == v)
    if i % 50 == 0 then
      for key, value in d:pairs() do
        assert(key ~= i or value[1] == v)
      end
    end
    d:set(i, nil)
  end)
end

function TestFinalizers.test_submitting()
  local exe <close> = support.Executor(1)
  -- Functions that name many globals: sending one takes a while.
  local names = {}
  for i = 1, 200 do
    names[i] = "a" .. ("x"):rep(50) .. i
  end
  local rest = ", " .. table.concat(names, ",")
  local function many(i) -- other functions are sent, and dropped
    for k = 1, 300 do
      log:put(load("return " .. i .. "," .. k))
      log:get(0)
    end
    collectgarbage()
  end
  amid(60, many, function(i)
    assert(exe:submit(load("return " .. i .. rest)):result() == i)
    assert(exe:map(load("return " .. i .. rest), { 1 }):list()[1] == i)
  end)
  each_act(100, function(i)
    local up, t = i, { i, { texts[i % 100 + 1] } }
    local a, b = exe:submit(function(x) return x + up, t end, i):result()
    assert(a == 2 * i and b[2][1] == texts[i % 100 + 1])
    assert(exe:submit(#texts[i % 100 + 1] > 0 and load("return " .. i)):result() == i)
  end)
end

function TestFinalizers.test_loops()
  local exe <close> = support.Executor(1)
  each_act(15, function(k)
    local n = 0
    for i, text, t in exe:map(function(i) return texts[i], { texts[i] } end, lfut.range(40)) do
      n = n + 1
      assert(i == n and text == texts[n] and t[1] == text)
    end
    assert(n == 40)
    local q = lfut.Queue()
    for i = 1, 20 do q:put(texts[i]) end
    q:close()
    local list = exe:map(echo, q):list()
    for i = 1, 20 do assert(list[i] == texts[i]) end
  end)
end

-- One that leaves the loop that is being read.
function TestFinalizers.test_leaving_a_loop()
  local exe <close> = support.Executor(1)
  local it
  amid(200, function() if it then it:close() end end, function(i)
    it = exe:map(function(i) return { i, { i } }, texts[i] end, lfut.range(30), { chunksize = 30 })
    for k = 1, 30 do
      local got, t = it()
      if got == nil then break end
      assert(got == k and t[2][1] == k)
    end
    it = nil
  end)
end

function TestFinalizers.test_classes_and_refusals()
  local exe <close> = support.Executor(1)
  local C = {}
  C.__index = C
  for m = 1, 20 do
    C["m" .. m] = function(self) return self.x + m end
  end
  each_act(60, function(i)
    assert(exe:submit(function(o) return o:m5() end, setmetatable({ x = i }, C)):result() == i + 5)
    local list = coroutine.create(print)
    for _ = 1, 50 do list = { next = list, text = texts[i % 100 + 1] } end
    local ok, e = pcall(exe.submit, exe, print, list)
    assert(not ok and e.message:find("argument 1.next.next", 1, true))
  end)
end

local rc = support.run(TestFinalizers)
if rc ~= 0 then
  os.exit(rc)
end
