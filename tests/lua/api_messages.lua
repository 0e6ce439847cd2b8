-- SPDX-License-Identifier: MIT
--
-- What errors tell to those who have made a mistake: which method, which item,
-- what to write instead.
local lu = require "luaunit"
local lfut = require "lfut"
local libraries = require "libraries"
local support = require "support"
local echo = support.echo

TestMessages = {}

local function message(fn, ...)
  return tostring(support.raised(fn, ...))
end

-- Objects

-- LuaJIT's string.format has the text so far in a buffer that its collector makes
-- smaller.
function TestMessages.test_objects_in_formats_while_garbage_is_collected()
  local exe <close> = support.Executor(1)
  local pool <close> = lfut.ThreadPool(1)
  local f, result = exe:submit(echo), pool:apply_async(echo)
  f:result()
  result:get()
  local z = libraries.z()
  collectgarbage("incremental", 0, 0) -- all of it each time, in LuaJIT
  collectgarbage()
  for length = 0, 60, 4 do
    local rest = ("x"):rep(length)
    for _, object in ipairs { z, z.crc32, exe, f, pool, result, lfut.Queue(), lfut.Array("double", 1) } do
      lu.assertEquals(("%s(%s)"):format(object, rest), tostring(object) .. "(" .. rest .. ")")
    end
  end
  support.relaxed()
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

-- Options

function TestMessages.test_unknown_options_are_answered_by_the_known()
  local exe <close> = support.Executor(1)
  support.fails("unknown option 'chunk_size' (options: chunksize, ordered, timeout, buffersize, protected, seed, progress)",
    function() exe:map(echo, {}, { chunk_size = 1 }) end)
  lu.assertStrContains(message(support.Executor, { workers = 1 }), "unknown option 'workers' (options: max_workers, name")
  lu.assertStrContains(message(lfut.wait, {}, { time = 1 }), "unknown option 'time' (options: timeout, return_when)")
  lu.assertStrContains(message(lfut.ThreadPool, { workers = 1 }), "unknown option 'workers' (options: finalizer, initargs, ")
end

-- Lists

local function each_loop(exe)
  return {
    map = function(...) return exe:map(echo, ...) end,
    starmap = function(...) return exe:starmap(echo, ...) end,
    for_each = function(...) return exe:for_each(echo, ...) end,
    reduce = function(items, options) return exe:reduce(echo, items, echo, nil, options) end,
  }
end

function TestMessages.test_tables_without_a_list_are_no_items()
  local exe <close> = support.Executor(1)
  for name, loop in pairs(each_loop(exe)) do
    local e = message(loop, { a = 1 })
    lu.assertStrContains(e, ("bad argument #2 to '%s' (table has keys, but no list of items"):format(name))
    lu.assertFalse((pcall(loop, { [0] = 1 })))
    lu.assertTrue((pcall(loop, {})))
    lu.assertTrue((pcall(loop, { n = 0, a = 1 })))
    lu.assertTrue((pcall(loop, { { 1 }, a = 1 })))
    lu.assertTrue((pcall(loop, setmetatable({ a = 1 }, { __len = function() return 0 end }))))
  end
  lu.assertStrContains(message(lfut.zip, { 1 }, { a = 1 }), "table has keys, but no list of items")
  local pool <close> = lfut.ThreadPool(1)
  support.fails_like("bad argument #2 to 'map' (table has keys, but no list", "", function() pool:map(echo, { a = 1 }) end)
end

function TestMessages.test_what_pairs_returns_is_no_items()
  local exe <close> = support.Executor(1)
  local words = { a = 1, b = 2 }
  for name, loop in pairs(each_loop(exe)) do
    local expected = ("bad argument #2 to '%s' (what pairs"):format(name)
    lu.assertStrContains(message(loop, pairs(words)), expected)
    lu.assertStrContains(message(loop, next), expected)
  end
  support.fails_like("bad argument #2 to 'map' (what pairs or ipairs", "", function() exe:map(echo, ipairs { 1, 2 }) end)
  local pool <close> = lfut.ThreadPool(1)
  support.fails_like("bad argument #2 to 'map' (what pairs", "", function() pool:map(echo, pairs(words)) end)
end

function TestMessages.test_a_second_list_is_no_options()
  local exe <close> = support.Executor(1)
  support.fails_like("bad argument #3 to 'map' (", "lfut.zip(a, b) is for several lists)",
    function() exe:map(math.max, { 1, 2 }, { 3, 4 }) end)
  support.fails_like("bad argument #3 to 'for_each' (", "lfut.zip(a, b) is for several lists)",
    function() exe:for_each(math.max, { 1, 2 }, { 3, 4 }) end)
end

-- Futures

function TestMessages.test_futures_may_be_keys()
  local exe <close> = support.Executor(1)
  local names, order = {}, {}
  for i = 1, 50 do
    local f = exe:submit(echo, i)
    names[f], order[i] = i, f
  end
  local done, not_done = lfut.wait(names)
  lu.assertEquals(#not_done, 0)
  for i = 1, 50 do
    lu.assertTrue(rawequal(done[i], order[i]))
  end
  local n = 0
  for f in lfut.as_completed(names) do
    n = n + 1
    lu.assertEquals(f:result(), names[f])
  end
  lu.assertEquals(n, 50)
  lu.assertNil(lfut.as_completed {}())
end

function TestMessages.test_tables_without_futures()
  support.fails_like("bad argument #1 to 'wait' (futures expected in a list or as keys, got a key that is a string)", "",
    function() lfut.wait { a = 1 } end)
  support.fails_like("bad argument #1 to 'as_completed' (futures expected in a list or as keys", "",
    function() lfut.as_completed { [{}] = 1 } end)
end

-- Values that do not travel

function TestMessages.test_c_functions_without_a_name()
  local exe <close> = support.Executor(1)
  local function refused(what, ...)
    support.fails_as("TransferError", ("cannot send %s to a worker"):format(what), exe.submit, exe, ...)
  end
  refused("function (C function made by coroutine.wrap)", coroutine.wrap(print))
  refused("argument 1 (C function made by string.gmatch)", print, ("x"):gmatch "x")
  refused("argument 1 (C function made by ipairs)", print, (ipairs {}))
  refused("argument 1 (C function made by io.lines)", print, (io.lines(arg[0])))
end

function TestMessages.test_modules_that_the_worker_lacks()
  local exe <close> = support.Executor(1)
  lu.skipIf(support.kind == "fork", "forked workers have it")
  package.loaded.lacking = { f = function() return 1 end }
  local mine = require "lacking"
  lacking = mine -- luacheck: ignore
  local where = debug.getinfo(1, "l").currentline + 1
  local e = tostring(exe:submit(function() return mine.f() end):exception())
  lu.assertStrContains(e, ("upvalue 'mine' of function <%s:%d>: module 'lacking' not found"):format(arg[0], where))
  e = tostring(exe:submit(function() return lacking.f() end):exception()) -- luacheck: ignore
  lu.assertStrContains(e, "global 'lacking': module 'lacking' not found")
  package.loaded.lacking, lacking = nil, nil -- luacheck: ignore
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
  lu.skipIf(support.is_cluster, "cluster: no array crosses")
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

-- What calls the item's function is not seen in its messages.
function TestMessages.test_functions_of_c_in_loops()
  local exe <close> = support.Executor(2)
  local function message_of(f, ...)
    local ok, e = pcall(f, ...)
    lu.assertFalse(ok)
    return tostring(e)
  end
  local submitted = message_of(function() exe:submit(string.rep, 1):result() end)
  lu.assertStrContains(submitted, "bad argument #2 to 'string.rep'")
  lu.assertEquals(message_of(function() exe:map(string.rep, { 1 }):list() end), submitted)
  lu.assertEquals(message_of(exe.for_each, exe, string.rep, lfut.range(1)), submitted)
  lu.assertEquals(message_of(exe.reduce, exe, string.rep, lfut.range(1), math.max), submitted)
  local function second() error("caller's", 2) end
  lu.assertEquals(message_of(exe.for_each, exe, second, { 1 }), "caller's")
end

function TestMessages.test_tracebacks_of_items()
  local text = uncaught "exe:for_each(function(x) if x == 9 then fail{} end end, lfut.range(9))"
  lu.assertStrContains(text, "item 9 of for_each")
  lu.assertNotStrContains(text, "\n\tlfut:")
  lu.assertNotStrContains(text, "\n\t?:")
end

local rc = support.run(TestMessages)
if rc ~= 0 then
  os.exit(rc)
end
