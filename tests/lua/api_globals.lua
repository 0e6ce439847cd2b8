-- SPDX-License-Identifier: MIT
--
-- What a script does to its globals and to the libraries is its own business:
-- lfut does not look there (API §5).
local lu = require "luaunit"
local support = require "support"

TestGlobals = {}

-- What a script of its own prints, which has 'lfut' and some locals in the place
-- of the globals that it takes away.
local head = [[
  local lfut = require "lfut"
  local require, print, pairs, exit, pcall, tostring, error = require, print, pairs, os.exit, pcall, tostring, error
  local concat, abs, draw, yield, wrap = table.concat, math.abs, math.random, coroutine.yield, coroutine.wrap
  local Executor = ]] .. support.constructor .. "\n"

local use = [[
  local exe = Executor(1)
  local n = 10
  local function task(x) return n * x end
  print(exe:submit(task, 1):result(), exe:submit(abs, -2):result())
  print(concat(exe:map(task, { 1, 2, 3 }):list(), " "))
  print(exe:reduce(task, lfut.range(10), function(a, b) return a + b end))
  local a = exe:map(function() return draw(1000000) end, lfut.range(3), { seed = 5 }):list()
  local b = exe:map(function() return draw(1000000) end, lfut.range(3), { seed = 5 }):list()
  print(a[1] == b[1] and a[3] == b[3])
  local ok, e = pcall(exe.submit, exe, print, wrap(print))
  print(lfut.is_error(e, "TransferError"))
  exe:shutdown()
  local pool = lfut.ThreadPool(1)
  print(concat(pool:map(abs, { -1, -2 }), " "), (tostring(pool):gsub("%s", "")))
  print(pcall(pool.map, pool, 5, {}))
  pool:close()
  pool:join()
  local thread = lfut.Thread { target = task, args = { 7 } }
  thread:start()
  print(thread:result())
]]

local expected = "10\t2\n10 20 30\n550\ntrue\ntrue\n1 2\tThreadPool(processes=1)\n" ..
  "false\tbad argument #1 to 'map' (function expected, got number)\n70\n"

local function uses(change)
  local out, err, status = support.program(head .. change .. use)
  lu.assertEquals(out, expected)
  lu.assertEquals({ err, status }, { "", 0 })
end

function TestGlobals.test_libraries_that_are_gone()
  for _, name in ipairs { "io", "os", "coroutine", "math", "string", "table", "package", "debug", "utf8" } do
    uses(name .. " = nil\n")
  end
  uses "io, os, coroutine, math, string, table, package, debug, utf8 = nil\n"
end

function TestGlobals.test_functions_that_are_gone()
  uses [[
    for name, value in pairs(_G) do
      if name ~= "_G" then _G[name] = nil end
    end
  ]]
end

function TestGlobals.test_names_of_functions_used_otherwise()
  uses [[
    for i, name in pairs { "type", "pairs", "ipairs", "next", "select", "tostring", "setmetatable", "pcall", "error",
      "rawget", "require", "print", "assert" } do
      _G[name] = i % 2 == 0 and i or { name }
    end
  ]]
end

function TestGlobals.test_libraries_used_otherwise()
  uses [[
    io, os, coroutine, math, package = "in", "linux", { 1 }, function() end, 5
    table = { pack = "age", unpack = 1, concat = true }
  ]]
end

function TestGlobals.test_functions_taken_from_the_libraries()
  uses [[
    table.pack, table.unpack, math.tointeger, io.output, coroutine.running = nil
  ]]
end

function TestGlobals.test_strict_globals()
  uses [[
    setmetatable(_G, {
      __index = function(_, k) error("undefined " .. tostring(k), 2) end,
      __newindex = function(_, k) error("assigned " .. tostring(k), 2) end,
    })
  ]]
end

-- A script that came first, in the stock interpreter.
function TestGlobals.test_globals_changed_before_the_module_is_loaded()
  lu.skipIf((os.getenv "LFUT_SANITIZER" or "no") ~= "no", "a sanitizer is not in stock Lua")
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "w"))
  file:write('local require = require\ntype, pairs, print2, select, math = "fast", 5, print, nil, nil\n', [[
    local lfut = require "lfut"
    local pool = lfut.ThreadPool(1)
    print(table.concat(pool:map(function(x) return -x end, { -1, -2 }), " "))
  ]])
  file:close()
  local stock = io.popen(("command -v $LFUT_LUA >/dev/null || exit 77; $LFUT_LUA %s 2>&1"):format(name))
  local text = stock:read "a"
  local _, _, status = stock:close()
  os.remove(name)
  lu.skipIf(status == 77, "no stock interpreter")
  lu.assertEquals(text, "1 2\n")
end

-- In a worker, too.
function TestGlobals.test_in_a_task()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(function()
    local lfut = require "lfut"
    local abs = math.abs
    local kept = { type, table, math }
    type, table, math = "fast", nil, nil
    local pool = lfut.ThreadPool(1)
    local list = pool:map(abs, { -1, -2 })
    pool:terminate()
    type, table, math = kept[1], kept[2], kept[3]
    return #list
  end):result(), 2)
end

function TestGlobals.test_the_module_required_again()
  local exe <close> = support.Executor(1)
  local function again()
    local first = require "lfut"
    package.loaded.lfut = nil
    local second = require "lfut"
    return rawequal(first, second), second.cpu_count() >= 1, rawequal(package.loaded.lfut, first)
  end
  lu.assertEquals({ again() }, { true, true, true })
  lu.assertEquals({ exe:submit(again):result() }, { true, true, true })
  lu.assertEquals({ exe:submit(again):result() }, { true, true, true })
end

local rc = support.run(TestGlobals)
if rc ~= 0 then
  os.exit(rc)
end
