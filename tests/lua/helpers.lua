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
  for _, call in ipairs {
    function() exe:map(support.echo, { 1 }, { timeout = nan }) end,
    function() exe:starmap(support.echo, { { 1 } }, { timeout = nan }) end,
    function() exe:for_each(support.echo, { 1 }, { timeout = nan }) end,
    function() exe:reduce(support.echo, { 1 }, math.max, nil, { timeout = nan }) end,
    function() lfut.wait({ f }, { timeout = nan }) end,
    function() lfut.as_completed({ f }, { timeout = nan }) end,
  } do
    support.fails("bad option 'timeout' (not a number of seconds)", call)
  end
  lu.assertEquals(f:result(), 1)
end

-- Values in tables of options are told by their names, and strings are no
-- numbers there.
function TestHelpers.test_options_that_are_none()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local f, echo = exe:submit(support.echo, 1), support.echo
  local loops = {
    function(o) exe:map(echo, { 1 }, o) end,
    function(o) exe:starmap(echo, { { 1 } }, o) end,
    function(o) exe:for_each(echo, { 1 }, o) end,
    function(o) exe:reduce(echo, { 1 }, math.max, nil, o) end,
  }
  for _, loop in ipairs(loops) do
    support.fails("bad option 'seed' (integer expected, got string)", function() loop { seed = "5" } end)
    support.fails("bad option 'seed' (number has no integer representation)", function() loop { seed = 5.5 } end)
    support.fails("bad option 'timeout' (number expected, got string)", function() loop { timeout = "5" } end)
    support.fails("bad option 'chunksize' (integer expected, got string)", function() loop { chunksize = "5" } end)
    support.fails("bad option 'buffersize' (integer expected, got string)", function() loop { buffersize = "5" } end)
    loop { seed = 5.0, timeout = 100, chunksize = 1.0 }
  end
  for _, wait in ipairs { lfut.wait, lfut.as_completed } do
    support.fails("bad option 'timeout' (number expected, got string)", function() wait({ f }, { timeout = "5" }) end)
    support.fails("bad option 'timeout' (number expected, got boolean)", function() wait({ f }, { timeout = true }) end)
  end
  support.fails("bad option 'return_when' (invalid option 'x')", function() lfut.wait({ f }, { return_when = "x" }) end)
  support.fails("bad option 'return_when' (invalid option '5')", function() lfut.wait({ f }, { return_when = 5 }) end)
  support.fails("bad option 'max_tasks_per_child' (integer expected, got string)",
    function() lfut.ProcessPoolExecutor { max_tasks_per_child = "5" } end)
  lu.assertFalse(pcall(lfut.ThreadPoolExecutor, { max_workers = "5" }))
end

-- What can be called is as good as a function.
function TestHelpers.test_callable_tables()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local seen
  local call = setmetatable({}, { __call = function(_, ...) seen = table.pack(...) return ... end })
  local f = exe:submit(math.abs, -1)
  f:result()
  f:add_done_callback(call)
  lfut.poll()
  lu.assertTrue(rawequal(seen[1], f))
  local other = lfut.ThreadPoolExecutor(1)
  lu.assertTrue(rawequal(lfut.with(other, call), other))
  support.fails_like("bad argument #2 to 'with' (function expected, got ", ")", function() lfut.with(exe, {}) end)
  support.fails_like("bad argument #1 to 'add_done_callback' (function expected, got ", ")",
    function() f:add_done_callback {} end)
  local setter = setmetatable({}, { __call = function(_, x) G_flag = x end })
  for _, Executor in ipairs { lfut.ThreadPoolExecutor, lfut.InlineExecutor } do
    local set <close> = Executor { initializer = setter, initargs = { "set" } }
    lu.assertEquals(set:submit(function() return G_flag end):result(), "set")
  end
  support.fails("bad option 'initializer' (function or source text expected, got table)",
    function() lfut.ThreadPoolExecutor { initializer = {} } end)
  local lock = lfut.Lock()
  lu.assertEquals(lock:with(call, 5), 5)
end

-- A script may have changed a range or a zip: then its uses raise.
function TestHelpers.test_sources_that_a_script_has_changed()
  lu.skipIf(os.getenv "LFUT_SANITIZER" == "thread", "TSan has no room for calls so deep")
  support.relaxed()
  local exe <close> = lfut.ThreadPoolExecutor(1)
  local function uses(source)
    for _, use in ipairs {
      function() exe:map(math.max, source):list() end,
      function() exe:for_each(math.max, source) end,
      function() exe:map(math.max, lfut.zip(source, { 1 })):list() end,
    } do
      lu.assertFalse(pcall(use))
    end
  end
  for _, fields in ipairs { { step = 0 }, { step = 0.0 }, { step = 0 / 0 }, { step = "1" }, { step = false }, { n = -1 },
    { n = 1.5 }, { n = "3" }, { n = {} }, { first = "1" }, { first = {} } } do
    local r = lfut.range(5)
    for k, v in pairs(fields) do
      r[k] = v
    end
    uses(r)
    lu.assertFalse(pcall(r, nil, 3))
    lu.assertFalse(pcall(function() return #r end))
  end
  local r = lfut.range(5)
  r.step = -1
  lu.assertNil(r(nil, math.mininteger))
  local z = lfut.zip { 1 }
  z[1] = z
  uses(z)
  local a, b = lfut.zip { 1 }, lfut.zip { 1 }
  a[1], b[1] = b, a
  uses(a)
  for _, n in ipairs { 0, -1, 2, math.maxinteger, "1", 1.5 } do
    z = lfut.zip { 1 }
    z.n = n
    uses(z)
  end
  z = lfut.zip { 1 }
  z[1] = 5
  uses(z)
  local deep = { 7 }
  for _ = 1, 1000 do
    deep = lfut.zip(deep)
  end
  lu.assertEquals(exe:map(math.max, deep):list(), { 7, n = 1 })
  support.works(exe)
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
