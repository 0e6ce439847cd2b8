-- SPDX-License-Identifier: MIT
--
-- The module and its helpers (API §6).
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestHelpers = {}

function TestHelpers.test_the_module()
  lu.assertTrue(rawequal(require "lfut", lfut))
  lu.assertIsString(lfut._VERSION)
  lu.assertNil(_G.lfut)
  for _, name in ipairs { "ThreadPoolExecutor", "InlineExecutor", "Process", "Thread", "with", "wait", "as_completed", "is_error",
    "cpu_count", "getpid", "worker", "sleep", "perf_counter", "time", "range", "zip", "poll" } do
    lu.assertIsFunction(lfut[name], name)
  end
end

function TestHelpers.test_cpu_count()
  local n = lfut.cpu_count()
  lu.assertEquals(math.type(n), "integer")
  lu.assertTrue(n >= 1)
  -- Aware of affinity:
  local _, err, status = support.program("assert(require 'lfut'.cpu_count() == 1)")
  local pipe <close> = io.popen("taskset -c 0 " .. os.getenv "LFUT" .. [[ -e 'print(require "lfut".cpu_count())' 2>&1]])
  local one = pipe:read "a"
  if not one:find "not found" then
    lu.assertEquals(one, "1\n")
  else
    lu.assertTrue(n == 1 or status ~= 0, err)
  end
end

function TestHelpers.test_getpid()
  local stat <close> = io.open "/proc/self/stat"
  lu.assertEquals(lfut.getpid(), stat:read "n")
  lu.assertEquals(math.type(lfut.getpid()), "integer")
end

function TestHelpers.test_worker()
  lu.assertNil(lfut.worker())
  lu.assertEquals(select("#", lfut.worker()), 1)
end

function TestHelpers.test_clocks()
  local a, b = lfut.perf_counter(), lfut.perf_counter()
  lu.assertEquals(math.type(a), "float")
  lu.assertTrue(b >= a)
  local t = lfut.time()
  lu.assertEquals(math.type(t), "float")
  lu.assertTrue(math.abs(t - os.time()) <= 2)
  local before = lfut.perf_counter()
  lfut.sleep(0.02)
  lu.assertTrue(lfut.perf_counter() - before >= 0.02)
end

function TestHelpers.test_sleep()
  lu.assertEquals(select("#", lfut.sleep(0)), 0)
  lfut.sleep(-1)
  lfut.sleep(-math.huge)
  lfut.sleep(0.001)
  lfut.sleep "0.001"
  support.fails("bad argument #1 to 'sleep' (number expected, got no value)", function() lfut.sleep() end)
  support.fails("bad argument #1 to 'sleep' (number expected, got nil)", function() lfut.sleep(nil) end)
  support.fails("bad argument #1 to 'sleep' (number expected, got string)", function() lfut.sleep "x" end)
end

function TestHelpers.test_not_a_number_is_no_time()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local f, nan = exe:submit(support.echo, 1), 0 / 0
  support.fails_like("bad argument #1 to 'sleep' (", ")", function() lfut.sleep(nan) end)
  support.fails_like("bad argument #1 to 'result' (", ")", function() f:result(nan) end)
  support.fails_like("bad argument #1 to 'exception' (", ")", function() f:exception(nan) end)
  support.fails_like("bad argument #2 to 'wait' (", ")", function() lfut.wait({ f }, nan) end)
  support.fails_like("bad argument #2 to 'as_completed' (", ")", function() lfut.as_completed({ f }, nan) end)
  lu.assertFalse(pcall(function() exe:map(support.echo, { 1 }, { timeout = nan }) end))
  lu.assertEquals(f:result(), 1)
end

function TestHelpers.test_poll()
  lu.assertEquals(select("#", lfut.poll()), 0)
end

function TestHelpers.test_ranges_as_values()
  local r = lfut.range(3, 9, 2)
  lu.assertIsString(tostring(r))
  local seen = {}
  local exe <close> = lfut.InlineExecutor()
  for _ = 1, 2 do -- more than once
    for _, x in exe:map(support.echo, r) do
      seen[#seen + 1] = x
    end
  end
  lu.assertEquals(seen, { 3, 5, 7, 9, 3, 5, 7, 9 })
end

function TestHelpers.test_inline_runs_at_submit()
  local exe <close> = lfut.InlineExecutor()
  local f = exe:submit(function() return 1 end)
  lu.assertEquals(f:state(), "finished")
  f = exe:submit(error, "x", 0)
  lu.assertEquals(f:state(), "failed")
  lu.assertEquals(exe.max_workers, 1)
  lu.assertEquals(exe:submit(function() return require "lfut".worker().kind end):result(), "inline")
end

function TestHelpers.test_workers_option()
  local function workers(options, env)
    local out = support.program([[
      print(require "lfut".ThreadPoolExecutor().max_workers, require "lfut".InlineExecutor().max_workers,
        require "lfut".ThreadPoolExecutor(2).max_workers)
    ]], options)
    return out
  end
  lu.assertEquals(workers "-w 3", "3\t1\t2\n")
  lu.assertEquals(workers "--workers 7", "7\t1\t2\n")
  lu.assertEquals(workers "", (lfut.cpu_count() + 4) .. "\t1\t2\n")
end

local rc = support.run(TestHelpers)
if rc ~= 0 then
  os.exit(rc)
end
