-- SPDX-License-Identifier: MIT
--
-- Random graphs of tables, functions that share upvalues, and classes: what
-- arrives has the same shape, as a task's argument and result, through queues
-- and dictionaries.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestGraphs = {}

local random = math.random

local makers = {
  function(a, b) return function() return a, b end end,
  function(a, b) return function() a = b return a end end,
  function(a, b)
    local function f() return b end
    return function(x) if x then a = x end return a, f end
  end,
  function(a, b) return function() return type(a), b end end,
  function() return function() return 1 end end,
}

local function scalar()
  local k = random(7)
  return k == 1 and random(1000) or k == 2 and random() or k == 3 and ("s"):rep(random(0, 300)) or k == 4 and true
    or k == 5 and print or k == 6 and ("L"):rep(random(15000, 20000)) or -random(1 << 40)
end

local function one_of(list)
  return list[random(#list)]
end

-- A new object; 'known' classes are among them.
local function new_object(list, known)
  local k = random(10)
  if k <= 3 and #list > 0 then
    return one_of(makers)(one_of(list), random(2) == 1 and one_of(list) or scalar())
  elseif k == 4 then
    return { __name = "class", __index = random(2) == 1 and {} or nil }
  elseif k == 5 and #known > 0 then
    return one_of(known)
  end
  return {}
end

local function fill(t, list)
  local function any() return random(3) == 1 and scalar() or one_of(list) end
  for _ = 1, random(0, 5) do
    t[random(6)] = any()
  end
  for _ = 1, random(0, 4) do
    t[random(3) == 1 and one_of(list) or "k" .. random(10)] = any()
  end
  local meta = one_of(list)
  if random(4) == 1 and type(meta) == "table" then
    setmetatable(t, meta)
  end
end

local function first_local(f)
  local name = type(f) == "function" and debug.getupvalue(f, 1)
  return name and name ~= "_ENV"
end

local function new_graph(known)
  local list, is_known = {}, {}
  for _, class in ipairs(known) do
    is_known[class] = true
  end
  for i = 1, random(3, 25) do
    list[i] = new_object(list, known)
  end
  for _, t in ipairs(list) do
    if type(t) == "table" and not is_known[t] then
      fill(t, list)
    end
  end
  for _, f in ipairs(list) do
    local g = one_of(list)
    if first_local(f) and first_local(g) then
      debug.upvaluejoin(f, 1, g, 1)
    end
  end
  return list
end

-- Walks through two graphs side by side: raises where they differ. What is the
-- same object in both is (classes, what has a name).
local function compare(a, b)
  local there, back, cells, pairs_left = {}, {}, {}, {}
  local function same(x, y, path)
    assert(math.type(x) == math.type(y) and type(x) == type(y), path)
    if type(x) ~= "table" and type(x) ~= "function" then
      assert(x == y, path)
    elseif not rawequal(x, y) and there[x] == nil and back[y] == nil then
      there[x], back[y] = y, x
      pairs_left[#pairs_left + 1] = { x, y, path }
    else
      assert(rawequal(x, y) or rawequal(there[x], y) and rawequal(back[y], x), path)
    end
  end
  local function tables(x, y, path)
    assert(rawequal(debug.getmetatable(x), debug.getmetatable(y)), path .. "(metatable)")
    local n = 0
    for k, v in next, x do
      n = n + 1
      local other = there[k] or k
      if type(k) == "string" or type(k) == "number" or rawget(y, other) ~= nil then
        same(v, rawget(y, other), ("%s[%.10s]"):format(path, tostring(k)))
      end
    end
    for _ in next, y do
      n = n - 1
    end
    assert(n == 0, path)
  end
  local function functions(x, y, path)
    for i = 1, 255 do
      local name, value = debug.getupvalue(x, i)
      local other, copy = debug.getupvalue(y, i)
      assert(name == other, path)
      if not name then break end
      if name ~= "_ENV" then
        local cell, joined = debug.upvalueid(x, i), debug.upvalueid(y, i)
        assert(not cells[cell] or cells[cell] == joined, path .. name)
        cells[cell] = joined
        same(value, copy, path .. name)
      end
    end
  end
  same(a, b, "")
  for _, pair in ipairs(pairs_left) do
    local walk = type(pair[1]) == "table" and tables or functions
    walk(table.unpack(pair))
  end
end

local function note_classes(graph, known)
  local seen = {}
  for _, class in ipairs(known) do
    seen[class] = true
  end
  for _, t in ipairs(graph) do
    local class = type(t) == "table" and debug.getmetatable(t)
    if class and not seen[class] then
      seen[class] = true
      known[#known + 1] = class
    end
  end
end

function TestGraphs.test_shapes()
  support.relaxed()
  local exe <close> = support.Executor(1)
  local q, d = lfut.Queue(), lfut.Dict()
  for seed = 1, support.size(20) do
    local known = {}
    math.randomseed(seed)
    for _ = 1, 6 do
      local graph = new_graph(known)
      for turn = 1, 2 do
        local back = exe:submit(support.echo, graph):result()
        if turn == 2 then -- before, a table was not known to be a class
          compare(graph, back)
        end
      end
      q:put(graph)
      compare(graph, q:get())
      d:set("graph", graph)
      compare(graph, d:get "graph")
      local functions = exe:submit(function() return graph end):result()
      compare(graph, functions)
      note_classes(graph, known)
    end
  end
end

local rc = support.run(TestGraphs)
if rc ~= 0 then
  os.exit(rc)
end
