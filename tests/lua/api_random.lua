-- SPDX-License-Identifier: MIT
--
-- Random values, there and back, with collectors as eager as they get on both
-- sides (API §5). The seed is fixed.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestRandom = {}

local library = { print, string.format, math.max, string, math, io.stdout, pcall }
local classes = {}
for i = 1, 3 do
  classes[i] = { __name = "class" .. i, tag = i }
  classes[i].__index = classes[i]
end

-- A generator of random values, some of which occur more than once.
local function generator(seed)
  math.randomseed(seed)
  local pool, value = {}, nil
  local function scalar()
    local k = math.random(8)
    if k == 1 then
      return math.random(0)
    elseif k == 2 then
      return math.random(-200, 200)
    elseif k == 3 then
      return (math.random() - 0.5) * 10.0 ^ math.random(-300, 300)
    elseif k == 4 then
      return math.random() < 0.5
    elseif k == 5 then
      return ("\0x"):rep(math.random(0, 200))
    elseif k == 6 then
      return "k" .. math.random(20)
    elseif k == 7 then
      return math.random(1, 5) + 0.0
    end
    return library[math.random(#library)]
  end
  local function fill(t, depth)
    for _ = 1, math.random(0, 4) do
      t[#t + 1] = value(depth - 1)
    end
    for _ = 1, math.random(0, 2) do
      t[value(depth - 1)] = value(depth - 1)
    end
    if math.random() < 0.2 then
      setmetatable(t, classes[math.random(#classes)])
    end
  end
  local function closure(depth)
    local a, b = value(depth - 1), value(depth - 1)
    local function get() return a, b end
    local function set(x) a = x end
    return { get = get, set = set }
  end
  function value(depth)
    local k = math.random()
    if depth <= 0 or k < 0.35 then
      return scalar()
    elseif k < 0.5 and #pool > 0 then
      return pool[math.random(#pool)]
    elseif k < 0.6 then
      local c = closure(depth)
      pool[#pool + 1] = c
      return c
    end
    local t = {}
    pool[#pool + 1] = t
    fill(t, depth)
    return t
  end
  return value
end

-- Are the graphs alike, with what is shared? 'seen' maps objects of a to b's.
local same

-- The pairs of a table by what can be compared at once; others in the order of
-- their count only.
local function same_tables(a, b, seen)
  if not rawequal(getmetatable(a), getmetatable(b)) then
    return false
  end
  local others_a, others_b = {}, {}
  for k, v in next, a do
    if type(k) == "table" then
      others_a[#others_a + 1] = { k, v }
    elseif not same(v, rawget(b, k), seen) then
      return false
    end
  end
  for k, v in next, b do
    if type(k) == "table" then
      others_b[#others_b + 1] = { k, v }
    elseif rawget(a, k) == nil then
      return false
    end
  end
  return #others_a == #others_b
end

local function same_functions(f, g, seen)
  if debug.getinfo(f, "S").what == "C" then
    return f == g
  end
  local i = 1
  while true do
    local name, v = debug.getupvalue(f, i)
    local name2, w = debug.getupvalue(g, i)
    if name ~= name2 then
      return false
    elseif not name then
      return true
    end
    local id, id2 = debug.upvalueid(f, i), debug.upvalueid(g, i)
    if seen[id] == nil then
      seen[id] = id2
    elseif seen[id] ~= id2 then
      return false
    end
    if not same(v, w, seen) then
      return false
    end
    i = i + 1
  end
end

function same(a, b, seen)
  if type(a) ~= type(b) or math.type(a) ~= math.type(b) then
    return false
  elseif type(a) ~= "table" and type(a) ~= "function" then
    return a == b or a ~= a and b ~= b
  elseif seen[a] then
    return rawequal(seen[a], b)
  elseif rawequal(a, b) then -- by name
    return true
  end
  seen[a] = b
  if type(a) == "table" then
    return same_tables(a, b, seen)
  end
  return same_functions(a, b, seen)
end

local function eager_executor()
  return support.Executor { max_workers = 1, initializer = function() collectgarbage("incremental", 10, 400) end }
end

-- What makes the comparison itself worth something.
function TestRandom.test_the_comparison()
  local function alike(a, b) return same(a, b, {}) end
  local s = { 1 }
  lu.assertTrue(alike({ s, s }, { s, s }))
  lu.assertTrue(alike({ { 1 }, { 1 } }, { { 1 }, { 1 } }))
  lu.assertFalse(alike({ s, s }, { { 1 }, { 1 } }))
  lu.assertFalse(alike({ 1 }, { 1.0 }))
  lu.assertFalse(alike({ x = 1 }, {}))
  lu.assertFalse(alike({}, { x = 1 }))
  lu.assertFalse(alike({}, setmetatable({}, classes[1])))
  local a, b = 1, 1
  lu.assertFalse(alike(function() return a end, function() return b, a end))
end

function TestRandom.test_there_and_back()
  local exe <close> = eager_executor()
  for seed = 1, 25 do
    local value = generator(seed)
    local sent = table.pack(value(6), value(3), value(6))
    local back = table.pack(exe:submit(support.echo, sent[1], sent[2], sent[3]):result())
    lu.assertEquals(back.n, 3)
    lu.assertTrue(same(sent, back, {}), "seed " .. seed)
  end
end

function TestRandom.test_there_as_upvalues_and_globals()
  local exe <close> = eager_executor()
  for seed = 1, 20 do
    local value = generator(1000 + seed)
    local up
    up, G_value = value(5), value(5)
    local arg = value(3)
    local back = table.pack(exe:submit(function(x) return { up, x, G_value, up } end, arg):result())
    lu.assertTrue(same({ up, arg, G_value, up }, back[1], {}), "seed " .. seed)
  end
  G_value = nil
end

-- Compared in the worker too: what is shared, and between arguments and upvalues.
function TestRandom.test_the_same_in_the_worker()
  local exe <close> = eager_executor()
  for seed = 1, 60 do
    local value = generator(2000 + seed)
    local t = { value(5), value(5) }
    local ok = exe:submit(function(a)
      return rawequal(a, t) and same({ a, t }, { t, t }, {})
    end, t):result()
    lu.assertTrue(ok, "seed " .. seed)
  end
end

function TestRandom.test_through_maps()
  local exe <close> = eager_executor()
  for seed = 1, 3 do
    local value = generator(3000 + seed)
    local items = { n = 20 }
    for i = 1, 20 do
      items[i] = value(4)
    end
    for i, x in exe:map(support.echo, items) do
      lu.assertTrue(same(items[i], x, {}), "seed " .. seed)
    end
    for i, x in exe:map(support.echo, items, { chunksize = 3 }) do
      lu.assertTrue(same(items[i], x, {}), "seed " .. seed)
    end
  end
end

function TestRandom.test_with_the_generational_collector()
  collectgarbage "generational"
  local exe <close> = support.Executor { max_workers = 2, initializer = "collectgarbage 'generational'" }
  for seed = 1, 100 do
    local value = generator(4000 + seed)
    local sent = value(6)
    local f, g = exe:submit(support.echo, sent), exe:submit(support.echo, sent)
    if seed % 10 == 0 then
      collectgarbage "step"
    end
    lu.assertTrue(same(sent, f:result(), {}), "seed " .. seed)
    lu.assertTrue(same(sent, g:result(), {}), "seed " .. seed)
  end
  collectgarbage "incremental"
end

-- Results that nobody waits for in time, errors, cancelled tasks, in any order.
function TestRandom.test_many_things_at_once()
  local exe <close> = support.Executor { max_workers = 3, initializer = "collectgarbage('incremental', 10, 400)" }
  math.randomseed(5)
  local waiting, sum, expected, cancelled = {}, 0, 0, 0
  local function task(exe, i)
    local k = i % 5
    if k == 0 then
      error(i)
    elseif k == 1 then
      return exe:submit(function(x) return x end, i):result()
    elseif k == 2 then
      return #exe:map(function(x) return x end, { 1, 2, 3 }):list() + i - 3
    elseif k == 3 then
      local ok, e = pcall(function() return exe:submit(error, i, 0):result() end)
      return e
    end
    return i
  end
  for i = 1, 500 do
    local f = exe:submit(task, exe, i)
    waiting[#waiting + 1] = f
    if math.random(10) == 1 and f:cancel() then
      cancelled = cancelled + 1
    else
      expected = expected + i
    end
    if math.random(3) == 1 then
      f = table.remove(waiting, math.random(#waiting))
      if not f:cancelled() then
        local e = f:exception()
        sum = sum + (e or f:result())
      end
    end
  end
  for f in lfut.as_completed(waiting) do
    if not f:cancelled() then
      sum = sum + (f:exception() or f:result())
    end
  end
  lu.assertEquals(sum, expected)
  lu.assertEquals(exe:stats().cancelled, cancelled)
end

local rc = support.run(TestRandom)
if rc ~= 0 then
  os.exit(rc)
end
