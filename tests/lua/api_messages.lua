-- SPDX-License-Identifier: MIT
--
-- What errors tell to those who have made a mistake: which method, which item,
-- what to write instead.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
local echo = support.echo

TestMessages = {}

local function message(fn, ...)
  return tostring(support.raised(fn, ...))
end

-- Methods

function TestMessages.test_methods_have_their_names_through_pcall()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo)
  local queue, lock = lfut.Queue(), lfut.Lock()
  for expected, e in pairs {
    ["bad argument #1 to 'submit' (function expected, got number)"] = message(exe.submit, exe, 5),
    ["bad argument #1 to 'map' (function expected, got no value)"] = message(exe.map, exe),
    ["bad argument #1 to 'result' (number expected, got table)"] = message(f.result, f, {}),
    ["bad argument #2 to 'put' (number expected, got string)"] = message(queue.put, queue, 1, "x"),
    ["bad argument #1 to 'acquire' (number expected, got string)"] = message(lock.acquire, lock, "x"),
  } do
    lu.assertEquals(e:gsub("^[^ ]*:%d+: ", ""), expected)
  end
end

function TestMessages.test_who_forgets_the_colon_is_told()
  local exe <close> = support.Executor(1)
  local f = exe:submit(echo)
  local class = "use ':': lfut.Executor expected"
  support.fails(("bad argument #1 to 'submit' (%s, got function)"):format(class), function() exe.submit(echo) end)
  support.fails(("bad argument #1 to 'map' (%s, got no value)"):format(class), function() exe.map() end)
  support.fails("bad argument #1 to 'result' (use ':': lfut.Future expected, got no value)", function() f.result() end)
  lu.assertStrContains(message(f.result), "bad argument #1 to 'result' (use ':'")
  lu.assertStrContains(message(exe.submit, 5), "'submit' (use ':': lfut.Executor expected, got number)")
  support.fails_like("bad argument #1 to 'with' (lfut.Executor expected", "", function() lfut.with(1) end)
end

-- Items

-- What a script that ends by an error of the loop says of the item.
local function uncaught(loop)
  local script = ([[
    local lfut = require "lfut"
    local exe = %s(2)
    local function fail(x) return x + 1 end
    local function add(a, b) return a + b end
    local items, words, pairs = {}, {}, {}
    for i = 1, 100 do
      items[i], words[i], pairs[i] = i, i, { i }
    end
    words[57], pairs[57] = "x", { {} }
    %s
  ]]):format(support.constructor, loop)
  local _, err, status = support.program(script)
  lu.assertEquals(status, 1, err)
  return err
end

function TestMessages.test_the_item_that_failed()
  local function at(x, n)
    return ("function(x) if x == %s then error 'here' end return x end"):format(x), n
  end
  for loop, item in pairs {
    ["exe:map(fail, words):list()"] = "item 57 of map",
    ["for _ in exe:map(fail, words, { ordered = false, chunksize = 10 }) do end"] = "item 57 of map",
    ["exe:starmap(fail, pairs):list()"] = "item 57 of starmap",
    ["exe:for_each(fail, words)"] = "item 57 of for_each",
    ["exe:reduce(fail, words, add)"] = "item 57 of reduce",
    ["exe:map(" .. at(30) .. ", lfut.range(10, 50)):list()"] = "item 21 of map",
    ["exe:for_each(" .. at(30) .. ", lfut.range(10, 50))"] = "item 21 of for_each",
    ["exe:for_each(" .. at(30) .. ", lfut.range(50, 10, -1))"] = "item 21 of for_each",
    ["exe:reduce(" .. at(30) .. ", lfut.range(10, 50, 2), add)"] = "item 11 of reduce",
    ["exe:for_each(" .. at(2.5) .. ", lfut.range(0, 10, 0.5))"] = "item 6 of for_each",
    ["exe:for_each(" .. at(3) .. ", lfut.Array('int32', { 1, 2, 3, 4 }))"] = "item 3 of for_each",
    ["exe:reduce(fail, words, add, nil, { chunksize = 100 })"] = "item 57 of reduce",
  } do
    lu.assertStrContains(uncaught(loop), item .. " at script.lua:10\n")
  end
end

function TestMessages.test_the_item_of_a_pool()
  lu.assertStrContains(uncaught "lfut.ThreadPool(2):map(fail, words)", "item 57 of map at script.lua:10\n")
  lu.assertStrContains(uncaught "lfut.ThreadPool(2):starmap(fail, pairs)", "item 57 of starmap at script.lua:10\n")
end

function TestMessages.test_errors_of_lfut_have_the_item()
  local exe <close> = support.Executor(2)
  local function take(x)
    if x == 3 then
      require "lfut".Queue():get(0)
    end
    return x
  end
  local items = lfut.range(5)
  lu.assertEquals(support.fails_as("Empty", nil, exe.for_each, exe, take, items).item, 3)
  lu.assertEquals(support.fails_as("Empty", nil, exe.reduce, exe, take, items, math.max).item, 3)
  local seen = {}
  for i, ok, e in exe:map(take, items, { protected = true }) do
    seen[i] = ok or e.item
  end
  lu.assertEquals(seen, { true, true, 3, true, true })
  lu.assertNil(support.fails_as("Empty", nil, take, 3).item)
end

local rc = support.run(TestMessages)
if rc ~= 0 then
  os.exit(rc)
end
