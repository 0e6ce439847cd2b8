-- SPDX-License-Identifier: MIT
--
-- The option 'finalizer' of executors (API §2).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

TestFinalizer = {}

local function append(name, text)
  local f <close> = assert(io.open(name, "a"))
  f:write(text .. "\n") -- at once: so do the others
end

local function lines(name)
  local list = {}
  for line in io.lines(name) do
    list[#list + 1] = line
  end
  return list
end

function TestFinalizer.test_once_in_each_worker()
  local name, n = gate.filename(), support.is_inline and 1 or 3
  append(name, "begin")
  do
    local exe <close> = support.Executor {
      max_workers = n,
      initializer = function(what) opened = what end, -- luacheck: ignore
      initargs = { "log" },
      finalizer = function() append(name, "closed " .. opened) end, -- luacheck: ignore
    }
    for _, f in ipairs(exe:broadcast(support.echo)) do
      f:result()
    end
    lu.assertEquals(lines(name), { "begin" })
  end
  collectgarbage()
  collectgarbage()
  local expected = { "begin" }
  for _ = 1, n do
    expected[#expected + 1] = "closed log"
  end
  lu.assertEquals(lines(name), expected)
end

function TestFinalizer.test_at_the_end_of_the_program()
  local script = [[
    local exe = %s
    exe:submit(function() end):result()
  ]]
  local options = "{ max_workers = 1, finalizer = function() error('told', 0) end }"
  local new = support.kind == "spawn"
    and ("require'lfut'.ProcessPoolExecutor { start_method = 'spawn', %s"):format(options:sub(2))
    or support.constructor .. options
  local out, err, status = support.program(script:format(new))
  lu.assertEquals(out, "")
  lu.assertEquals(status, 0)
  lu.assertEquals(err, "lfut: error in finalizer: told\n")
end

function TestFinalizer.test_not_after_a_failed_initializer()
  local name = gate.filename()
  append(name, "begin")
  local exe <close> = support.Executor {
    max_workers = 1,
    initializer = "error 'no'",
    finalizer = function() append(name, "closed") end,
  }
  pcall(function() exe:submit(support.echo):result() end)
  exe:shutdown()
  lu.assertEquals(lines(name), { "begin" })
end

function TestFinalizer.test_replaced_workers()
  lu.skipIf(not support.is_process, "threads are not replaced")
  local name = gate.filename()
  append(name, "begin")
  local exe <close> = support.Executor {
    max_workers = 1,
    max_tasks_per_child = 1,
    finalizer = function() append(name, "closed") end,
  }
  for _ = 1, 3 do
    exe:submit(support.echo):result()
  end
  exe:shutdown()
  local list = lines(name)
  lu.assertTrue(#list >= 4, #list)
end

function TestFinalizer.test_bad_ones()
  support.fails("bad option 'finalizer' (function expected, got string)",
    function() support.Executor { finalizer = "x" } end)
  local e = support.raised(support.Executor, { finalizer = coroutine.wrap(print) })
  support.is_error(e, "TransferError", "cannot send finalizer (C function made by coroutine.wrap) to a worker")
end

function TestFinalizer.test_pools_have_it()
  local name = gate.filename()
  append(name, "begin")
  local pool = lfut.ThreadPool { processes = 1, finalizer = function() append(name, "closed") end }
  pool:apply(support.echo)
  pool:close()
  pool:join()
  lu.assertEquals(lines(name), { "begin", "closed" })
end

local rc = support.run(TestFinalizer)
if rc ~= 0 then
  os.exit(rc)
end
