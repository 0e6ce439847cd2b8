-- SPDX-License-Identifier: MIT
--
-- Plugins (API §8): those that are examples, and how one that misbehaves is
-- treated.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo
local Array = lfut.Array

local vec = lfut.plugin(support.library "plugins/vec")
local mandelbrot = lfut.plugin(support.library "plugins/mandelbrot")
local text = lfut.plugin(support.library "plugins/text")
local bad = lfut.plugin(support.library "plugins/misbehave")

-- Called by the script, as a task, and in a Lua task: the results of each, which
-- are a list.
local function each_way(exe, fn, ...)
  return {
    { fn(...) },
    { exe:submit(fn, ...):result() },
    { exe:submit(function(fn, ...) return fn(...) end, fn, ...):result() },
    { select(2, exe:starmap(fn, { table.pack(...) })()) },
  }
end

-- The examples

TestExamples = {}

function TestExamples.test_vectors()
  local exe <close> = support.Executor(2)
  local x, y = Array("double", { 3, 4 }), Array("double", { 1, -1 })
  lu.assertEquals(each_way(exe, vec.norm, x, 2), { { 5.0 }, { 5.0 }, { 5.0 }, { 5.0 } })
  lu.assertEquals(each_way(exe, vec.sum, x, 1), { { 3.0 }, { 3.0 }, { 3.0 }, { 3.0 } })
  lu.assertEquals(each_way(exe, vec.dot, x, y, 2), { { -1.0 }, { -1.0 }, { -1.0 }, { -1.0 } })
  lu.assertEquals(each_way(exe, vec.axpy, 2, x, y, 2), { {}, {}, {}, {} })
  lu.assertEquals({ y:get() }, { 25.0, 31.0 })
  for _, fn in ipairs { vec.sum, vec.norm } do
    support.fails_like("", "argument 'x': needs 3 elements, has 2", function() local _ = fn(x, 3) end)
    support.fails_like("", "argument 'x': needs 3 elements, has 2", function() exe:submit(fn, x, 3) end)
  end
  lu.assertEquals(each_way(exe, vec.norm, x), { { 5.0 }, { 5.0 }, { 5.0 }, { 5.0 } })
  lu.assertEquals(each_way(exe, vec.dot, x, y), { { 199.0 }, { 199.0 }, { 199.0 }, { 199.0 } })
  lu.assertEquals({ vec.sum(nil), vec.sum(Array("double", 0)) }, { 0.0, 0.0 })
  support.fails("norm: 2 arguments expected, got 0 (x, n)", function() exe:submit(vec.norm) end)
  support.fails("axpy: 4 arguments expected, got 2 (a, x, y, n)", function() exe:submit(vec.axpy, 1, x) end)
  support.fails_like("", "argument 'y': needs 2 elements, has 1", function() exe:submit(vec.dot, x, y:slice(2)) end)
  support.fails_like("", "argument 'y': needs 2 elements, has 1", function() exe:submit(vec.dot, x, y:slice(2), 2) end)
  support.fails("axpy: argument 3 'y': the array is read-only",
    function() exe:submit(vec.axpy, 1, x, y:readonly(), 2) end)
end

function TestExamples.test_vectors_in_loops()
  local exe <close> = support.Executor(3)
  local all = Array("double", 1000)
  for i = 1, #all do
    all[i] = i
  end
  local parts, lengths, want = all:chunks(7), {}, {}
  for i, part in ipairs(parts) do
    lengths[i] = #part
    want[i] = vec.sum(part, #part)
  end
  want.n = #parts
  lu.assertEquals(exe:map(vec.sum, lfut.zip(parts, lengths)):list(), want)
  lu.assertEquals(exe:map(vec.sum, parts):list(), want)
  lu.assertEquals(exe:map(vec.sum, parts, { protected = true, chunksize = 3 }):list().n, #parts)
  local e = support.raised(function() exe:map(vec.sum, { parts[1], 5 }):list() end)
  lu.assertEquals(e, "sum: argument 1 'x': double array expected, got number")
  local function add(a, b) return a + b end
  lu.assertEquals(exe:reduce(vec.sum, lfut.zip(parts, lengths), add, 0), 500500.0)
end

function TestExamples.test_a_picture()
  local exe <close> = support.Executor(3)
  local width, height, rows = 60, 40, 7
  local whole, pixels = Array("uint8", width * height), Array("uint8", width * height)
  lu.assertEquals(mandelbrot.mandelbrot_rows(whole, width, height, 0, height), height)
  local calls = {}
  for i, part in ipairs(pixels:chunks(width * rows)) do
    calls[i] = { part, width, height, (i - 1) * rows, #part // width }
  end
  lu.assertEquals(exe:starmap(mandelbrot.mandelbrot_rows, calls):list(), { 7, 7, 7, 7, 7, 5, n = 6 })
  lu.assertTrue(pixels:tostring() == whole:tostring())
  lu.assertEquals(whole[20 * width + 42], 0) -- in the middle of the set
  lu.assertTrue(whole[1] > 250)
  support.fails_like("", "argument 'pixels': needs 2400 elements, has 60",
    function() exe:submit(mandelbrot.mandelbrot_rows, pixels:slice(1, 60), 60, 40, 0, 40) end)
end

function TestExamples.test_a_picture_tells_of_its_progress()
  local exe <close> = support.Executor(1)
  local f = exe:submit(mandelbrot.mandelbrot_rows, Array("uint8", 100), 10, 10, 0, 10)
  lu.assertEquals(f:result(), 10)
  lu.assertEquals({ f:progress() }, { 1.0 })
  lu.assertNil((exe:submit(echo, 1):progress()))
end

function TestExamples.test_text()
  local exe <close> = support.Executor(2)
  local s = "the cat\nand the dog\0and the end\n"
  local counts = Array("int64", 3)
  for _, call in ipairs { text.count, function(...) return exe:submit(text.count, ...):result() end } do
    counts:fill(-1)
    lu.assertEquals(select("#", call(s, #s, counts)), 0)
    lu.assertEquals({ counts:get() }, { 2, 8, #s })
  end
  text.count("", 0, counts)
  lu.assertEquals({ counts:get() }, { 0, 0, 0 })
  local most = { 3, "the" }
  lu.assertEquals(each_way(exe, text.most_frequent, s, #s), { most, most, most, most })
  lu.assertEquals({ text.most_frequent("b a b a", 7) }, { 2, "a" })
  lu.assertEquals({ text.most_frequent("x", 1) }, { 1, "x" })
  local results = {}
  for i, n, word in exe:map(text.most_frequent, lfut.zip({ "a", "b b", "c c c" }, { 1, 3, 5 })) do
    results[i] = word .. n
  end
  lu.assertEquals(results, { "a1", "b2", "c3" })
end

function TestExamples.test_text_that_has_no_word()
  local exe <close> = support.Executor(1)
  local message = "most_frequent of text.so: there is no word in the text"
  support.fails_as("NativeError", message, text.most_frequent, "1 2 3", 5)
  support.is_error(exe:submit(text.most_frequent, "", 0):exception(), "NativeError", message)
  local i, ok, e = exe:map(text.most_frequent, lfut.zip({ "-" }, { 1 }), { protected = true })()
  lu.assertEquals({ i, ok }, { 1, false })
  support.is_error(e, "NativeError", message)
end

function TestExamples.test_info()
  local info = vec:info()
  lu.assertEquals({ info.version, #info.path > 0 }, { "1.0", true })
  lu.assertEquals(info.functions.norm.prototype, "double norm(const double *x, size_t n)")
  lu.assertEquals(info.functions.norm.threads, "safe")
  lu.assertEquals(info.functions.norm.doc, "the length of a vector")
  lu.assertTrue(info.functions.norm.idempotent)
  lu.assertNil(info.functions.axpy.idempotent)
end

function TestExamples.test_the_task_is_no_parameter_of_the_script()
  local rows = mandelbrot:info().functions.mandelbrot_rows
  support.fails("mandelbrot_rows: 5 arguments expected, got 0 (pixels, width, height, first, count)",
    function() mandelbrot.mandelbrot_rows() end)
  support.fails("mandelbrot_rows: argument 2 'width': uint32_t expected, got string",
    function() mandelbrot.mandelbrot_rows(nil, "", 0, 0, 0) end)
  lu.assertTrue(rows.cancellable)
  lu.assertEquals(rows.prototype, "int mandelbrot_rows(uint8_t *pixels, uint32_t width, uint32_t height, " ..
    "uint32_t first, uint32_t count)")
end

function TestExamples.test_travel()
  local exe <close> = support.Executor(1)
  local plugin, norm, result = exe:submit(function()
    return vec, vec.norm, vec.norm(require "lfut".Array("double", { 3, 4 }), 2)
  end):result()
  lu.assertTrue(plugin == vec)
  lu.assertTrue(norm == vec.norm)
  lu.assertEquals(result, 5.0)
  lu.assertTrue(lfut.plugin(support.library "plugins/vec") == vec)
  support.fails("'no_such' is not declared for vec.so", function() local _ = vec.no_such end)
  lu.assertEquals(tostring(vec), "lfut.Library(vec.so)")
end

-- The one that misbehaves

TestMisbehaving = {}

function TestMisbehaving.test_set_error()
  local exe <close> = support.Executor(1)
  support.fails_as("NativeError", "fail of misbehave.so: no, thanks", bad.fail, "no, thanks")
  local f = exe:submit(bad.fail, "no, thanks")
  support.is_error(f:exception(), "NativeError", "fail of misbehave.so: no, thanks")
  lu.assertStrContains(f:exception().func, "fail of misbehave.so")
  lu.assertEquals(f:state(), "failed")
  support.is_error(exe:submit(bad.fail, ""):exception(), "NativeError")
  support.works(exe)
end

function TestMisbehaving.test_set_error_with_a_long_text()
  local exe <close> = support.Executor(1)
  for _, n in ipairs { 900, 1023, 1024, 100000 } do
    local text = ("x"):rep(n)
    local _, _, of_item = exe:map(bad.fail, { text }, { protected = true })()
    for _, e in ipairs { support.raised(bad.fail, text), exe:submit(bad.fail, text):exception(), of_item } do
      support.is_error(e, "NativeError")
      lu.assertTrue(e.message == "fail of misbehave.so: " .. text, #e.message)
    end
  end
end

function TestMisbehaving.test_prototypes_do_not_have_the_task()
  local functions = bad:info().functions
  for name, prototype in pairs {
    forget = "void forget(void)",
    deadline = "double deadline(void)",
    itself = "lfut_task *itself(void)",
    fail = "int fail(const char *message)",
    pour = "int pour(int times)",
    spin = "int spin(const uint8_t *bell, const uint8_t *file)",
  } do
    lu.assertEquals(functions[name].prototype, prototype)
  end
end

function TestMisbehaving.test_return_bytes()
  local exe <close> = support.Executor(2)
  for _, bytes in ipairs { "", "a\0b", ("x"):rep(100000) } do
    for times = 0, 3 do
      local want = { times }
      for i = 1, times do
        want[i + 1] = bytes
      end
      lu.assertEquals(each_way(exe, bad.give, bytes, #bytes, times), { want, want, want, want })
    end
  end
end

function TestMisbehaving.test_return_bytes_has_a_limit()
  local exe <close> = support.Executor(1)
  for times, taken in pairs { [249] = 249, [250] = 250, [251] = 250, [1000] = 250 } do
    local want = { taken }
    for i = 1, taken do
      want[i + 1] = "drop"
    end
    for _, results in ipairs(each_way(exe, bad.pour, times)) do
      lu.assertEquals(results, want)
    end
  end
end

-- Even if their results could not be kept, whatever the loop makes of that.
function TestMisbehaving.test_items_are_called_once()
  local exe <close> = support.Executor(1)
  for _, protected in ipairs { false, true } do
    local before = exe:submit(bad.count_pours):result()
    pcall(function() exe:map(bad.pour, { 3, 1000, 1000, 3 }, { chunksize = 4, protected = protected }):list() end)
    lu.assertEquals(exe:submit(bad.count_pours):result(), before + 4)
  end
end

function TestMisbehaving.test_leaks()
  local exe <close> = support.Executor(1)
  lu.skipIf((os.getenv "LFUT_SANITIZER" or "no") ~= "no" or support.is_wrapped, "it is reported")
  for _ = 1, 10 do
    exe:submit(bad.leak, 1000):result()
  end
  support.works(exe)
end

function TestMisbehaving.test_services()
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(bad.deadline):result(), math.huge)
  local f = exe:submit(bad.advance, 1000)
  lu.assertEquals(select("#", f:result()), 0)
  lu.assertEquals({ f:progress() }, { 1.0 })
  lu.assertEquals(select("#", bad.advance(5)), 0)
end

function TestMisbehaving.test_init_is_called_once_in_a_process()
  local exe <close> = support.Executor(2)
  lfut.plugin(support.library "plugins/misbehave")
  lu.assertEquals(bad.count_inits(), 1)
  lu.assertEquals(exe:submit(bad.count_inits):result(), 1)
  lu.assertEquals(bad.count_forks(), 0)
  local forks = exe:submit(bad.count_forks):result()
  if support.kind == "fork" then
    lu.assertTrue(forks >= 1, tostring(forks))
  else
    lu.assertEquals(forks, 0)
  end
end

function TestMisbehaving.test_crashes()
  lu.skipIf(not support.is_process, "threads: the program would end")
  lu.skipIf((os.getenv "LFUT_SANITIZER" or "no") ~= "no", "a sanitizer reports and exits")
  local exe <close> = support.Executor(1)
  for _, signal in ipairs { "SIGSEGV", "SIGABRT", "SIGFPE" } do
    local e = exe:submit(bad.crash, signal):exception()
    support.is_error(e, "WorkerLost", ("worker %d died of %s while running %s"):format(e.pid, signal, e.func))
    lu.assertStrContains(e.func, "crash of misbehave.so")
  end
  lu.assertEquals(exe:submit(bad.quit, 3):exception().exitcode, 3)
  support.works(exe)
end

-- Rules of its functions

TestRules = {}

local function hold(exe, g, fn)
  return exe:submit(fn, g.bell, g.way)
end

function TestRules.test_one_call_of_the_library_at_a_time()
  support.needs_workers()
  support.needs_threads()
  bad.forget()
  local exe <close> = support.Executor(3)
  local g <close> = gate.new()
  local futures = { hold(exe, g, bad.hold_serial) }
  gate.arrived(g)
  for i = 2, 9 do
    futures[i] = hold(exe, g, i % 2 == 0 and bad.hold_serial or bad.hold_also_serial)
  end
  for i = 1, 10 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  lu.assertEquals(futures[2]:state(), "pending")
  lu.assertEquals(futures[3]:state(), "pending")
  -- Those that are safe do not wait.
  local safe = hold(exe, g, bad.hold_safe)
  gate.arrived(g)
  gate.open(g)
  for i, f in ipairs(futures) do
    lu.assertEquals(f:result(), i % 2 == 0 and 0 or i == 1 and 0 or 1)
  end
  lu.assertEquals(safe:result(), 2)
  lu.assertEquals({ bad.overlap(0), bad.overlap(1), bad.overlap(-1) }, { 1, 1, 2 })
end

function TestRules.test_one_call_of_the_function_at_a_time()
  support.needs_workers()
  support.needs_threads()
  bad.forget()
  local exe <close> = support.Executor(4)
  local g <close> = gate.new()
  -- Two functions of that rule, and one for the library: all at once.
  local futures = { hold(exe, g, bad.hold_once), hold(exe, g, bad.hold_once_too), hold(exe, g, bad.hold_serial) }
  gate.arrived(g, 3)
  local second = hold(exe, g, bad.hold_once)
  for i = 1, 10 do
    lu.assertEquals(exe:submit(echo, i):result(), i)
  end
  lu.assertEquals(second:state(), "pending")
  gate.open(g)
  second:result()
  for _, f in ipairs(futures) do
    f:result()
  end
  for _, f in ipairs(futures) do
    f:result()
  end
  local calls = {}
  for i = 1, support.size(1000) do
    calls[i] = { n = 2 }
  end
  lu.assertEquals(exe:starmap(bad.hold_once, calls):list().n, #calls)
  lu.assertEquals(bad.overlap(3), 1)
end

function TestRules.test_safe_ones_overlap()
  support.needs_workers()
  support.needs_threads()
  bad.forget()
  local exe <close> = support.Executor(3)
  local g <close> = gate.new()
  local futures = { hold(exe, g, bad.hold_safe), hold(exe, g, bad.hold_safe), hold(exe, g, bad.hold_safe) }
  gate.arrived(g, 3)
  gate.open(g)
  for _, f in ipairs(futures) do
    f:result()
  end
  lu.assertEquals({ bad.overlap(2), bad.threads() }, { 3, 2 })
end

function TestRules.test_always_the_same_worker()
  support.needs_workers()
  support.needs_threads()
  bad.forget()
  local exe <close> = support.Executor(3)
  local futures = {}
  for i = 1, 100 do
    futures[i] = exe:submit(bad.hold_affine, nil, nil)
  end
  for _, f in ipairs(futures) do
    lu.assertEquals(f:result(), 5)
  end
  lu.assertEquals(bad.threads(), 1)
end

function TestRules.test_only_in_processes()
  local exe <close> = support.Executor(1)
  local function refused(fn, ...)
    local e = support.raised(fn, ...)
    lu.assertStrContains(e, "process of misbehave.so may only run in worker processes")
    lu.assertStrContains(e, "ProcessPoolExecutor")
  end
  refused(bad.process)
  if support.is_process then
    lu.assertEquals(exe:submit(bad.process):result(), exe:submit(lfut.getpid):result())
  else
    refused(exe.submit, exe, bad.process)
    refused(exe.starmap, exe, bad.process, { {} })
  end
end

local rc = support.run_on_one_machine(TestExamples, TestMisbehaving, TestRules)
if rc ~= 0 then
  os.exit(rc)
end
