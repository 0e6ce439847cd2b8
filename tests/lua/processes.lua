-- SPDX-License-Identifier: MIT
--
-- What is particular to ProcessPoolExecutor (API §7) when nobody dies: what
-- workers start from, their replacement, large and many values, and what they
-- leave in the system. Deaths: process_loss.lua.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestProcesses = {}

local with_both = support.with_both(TestProcesses)
local new = support.new_processes

-- Options

function TestProcesses.test_start_method()
  for _, method in ipairs { "thread", "", "Fork", "forkserver" } do
    local e = support.raised(function() lfut.ProcessPoolExecutor { start_method = method } end)
    lu.assertStrContains(e, "start_method")
    lu.assertStrMatches(e, "^" .. arg[0]:gsub("%p", "%%%0") .. ":%d+: .*")
  end
  for _, value in ipairs { 5, true, print } do
    local e = support.raised(function() lfut.ProcessPoolExecutor { start_method = value } end)
    lu.assertStrContains(e, "start_method")
    lu.assertStrContains(e, type(value))
  end
  local exe <close> = lfut.ProcessPoolExecutor(1)
  G_here = true
  lu.assertTrue(exe:submit(function() return _G.arg ~= nil and _G.TestProcesses ~= nil end):result()) -- forked
  G_here = nil
end

function TestProcesses.test_wrong_max_tasks_per_child()
  for _, n in ipairs { 0, -1, 1.5, "x", true, {} } do
    lu.assertStrContains(support.raised(function() lfut.ProcessPoolExecutor { max_tasks_per_child = n } end),
      "max_tasks_per_child")
  end
end

function TestProcesses.test_options_of_others()
  for _, new in ipairs { lfut.ThreadPoolExecutor, lfut.InlineExecutor } do
    for _, option in ipairs { "start_method", "max_tasks_per_child" } do
      local ok, exe = pcall(new, { [option] = option == "start_method" and "fork" or 5 })
      if ok then -- the three accept the same options
        support.works(exe)
        exe:shutdown()
      else
        lu.assertStrContains(exe, option)
      end
    end
  end
end

function TestProcesses.test_workers_are_processes()
  for _, method in ipairs { "fork", "spawn" } do
    local exe <close> = new(method, { max_workers = 2, name = "kinds" })
    local list = exe:broadcast(function() return require "lfut".worker(), require "lfut".getpid() end)
    lu.assertEquals(#list, 2)
    for i = 1, 2 do
      local w, pid = list[i]:result()
      lu.assertEquals(w, { kind = "process", id = w.id, name = "kinds_" .. w.id, pid = pid })
      lu.assertEquals(support.children(lfut.getpid())[pid].name, w.name)
    end
    lu.assertNotEquals(list[1]:result().pid, list[2]:result().pid)
  end
end

-- What workers start from

function TestProcesses.test_the_script_s_picture()
  Picture = {}
  for i = 1, support.size(1000000) do
    Picture[i] = i
  end
  local exe <close> = new("fork", { max_workers = 2 })
  Picture[1] = "later" -- not in the picture
  local function look()
    local list = _G["Picture"]
    list[2] = (list[2] or 0) + 1 -- a copy on write
    return #list, list[1], list[2], list[#list]
  end
  local n = #Picture
  lu.assertEquals({ exe:submit(look):result() }, { n, 1, 3, n })
  -- Replacements start from the same one.
  lu.assertFalse(pcall(function() exe:submit(os.execute, "kill -KILL $PPID"):result() end))
  for _, f in ipairs(exe:broadcast(look)) do
    local count, first, second = f:result()
    lu.assertEquals({ count, first }, { n, 1 })
    lu.assertTrue(second == 3 or second == 4)
  end
  lu.assertEquals({ Picture[1], Picture[2] }, { "later", 2 })
  Picture = nil
end

-- A change is seen whatever comes in the place of what was there: code, arrays
-- and strings lie where others have lain.
function TestProcesses.test_changes_of_a_large_table()
  local large = { f = load "return 0", text = ("x"):rep(20000), array = lfut.Array("int8", 1), list = {} }
  for i = 1, 20000 do large.list[i] = i end
  local exe <close> = new("fork", { max_workers = 1 })
  local function look() return large.f(), large.text:sub(-3), large.array[1], #large.list end
  lu.assertEquals({ exe:submit(look):result() }, { 0, "xxx", 0, 20000 })
  for i = 1, 60 do
    large.f = load("return " .. i)
    large.text = ("x"):rep(20000 - 3) .. ("%03d"):format(i)
    large.array = lfut.Array("int8", { i })
    lu.assertEquals({ exe:submit(look):result() }, { i, ("%03d"):format(i), i, 20000 })
    exe:submit(load("return " .. -i)):result()
    collectgarbage()
  end
end

function TestProcesses.test_a_clean_state()
  Picture = { 1, 2, 3 }
  package.loaded.mine = {}
  local exe <close> = new("spawn", { max_workers = 1 })
  local seen = exe:submit(function()
    return { _G["Picture"], package.loaded.mine, _G["TestProcesses"], n = 3 }
  end):result()
  lu.assertEquals(seen, { n = 3 })
  Picture, package.loaded.mine = nil
end

function TestProcesses.test_the_picture_has_its_local_state()
  local counter = 41
  local function count()
    counter = counter + 1
    return counter
  end
  count()
  local exe <close> = new("fork")
  counter = 100
  lu.assertEquals(exe:submit(count):result(), 101) -- captured at submit, as everywhere
  lu.assertEquals(exe:submit(function() return debug.getregistry() ~= nil end):result(), true)
  lu.assertEquals(counter, 100)
end

-- Modules that the script has loaded need no file in a forked worker.
function TestProcesses.test_modules_of_the_picture()
  package.loaded["lfut_test_made"] = { answer = function() return 42 end }
  local made = require "lfut_test_made"
  local exe <close> = new("fork")
  lu.assertEquals(exe:submit(function() return made.answer() end):result(), 42)
  package.loaded["lfut_test_made"] = nil
end

with_both("preloaded_modules", function(method)
  package.preload["lfut_test_early"] = function() return { answer = 42 } end
  local exe <close> = new(method)
  lu.assertEquals(exe:submit(function() return require "lfut_test_early".answer end):result(), 42)
  local early = require "lfut_test_early"
  lu.assertEquals(exe:submit(function() return early.answer end):result(), 42)
  package.preload["lfut_test_early"], package.loaded["lfut_test_early"] = nil
end)

function TestProcesses.test_futures_and_executors_of_the_picture()
  local threads <close> = lfut.ThreadPoolExecutor(1)
  local g <close>, held = support.held(threads)
  Picture = { exe = threads, done = threads:submit(echo, 5), held = held }
  local exe <close> = new("fork")
  -- A copy of what belongs to another process can do nothing, in words, and waits for nothing.
  local words = exe:submit(function()
    local p, words = _G["Picture"], {}
    for i, call in ipairs {
      function() return p.exe:submit(print) end,
      function() return p.held:result(0.01) end,
      function() return p.held:exception(0.01) end,
      function() return require "lfut".wait({ p.held }, 0.01) end,
      function() return p.exe:map(print, { 1 }) end,
      function() return p.exe:broadcast(print) end,
    } do
      local ok, e = pcall(call)
      words[i] = not ok and tostring(e) or "no error"
    end
    return words
  end):result()
  for _, text in ipairs(words) do
    lu.assertStrContains(text, "another process")
  end
  gate.open(g)
  held:result()
  Picture = nil
end

-- Executors of others and in others

-- What waits for a worker that is still starting need not wait for it when
-- another is free.
with_both("a_task_for_a_worker_that_starts_slowly", function(method)
  local busy <close> = gate.new()
  local slow <close> = gate.new()
  local marker = gate.filename()
  local function initialize(marker, slow)
    if io.open(marker) then
      require "gate".hold(slow)
    end
    assert(io.open(marker, "w")):close()
  end
  local exe <close> = new(method, { max_workers = 2, initializer = initialize, initargs = { marker, slow } })
  local first = exe:submit(gate.hold, busy, "first")
  gate.arrived(busy)
  local second = exe:submit(echo, first, "second")
  gate.arrived(slow)
  gate.open(busy)
  lu.assertEquals(select(2, second:result()), "second")
  lu.assertEquals(first:result(), "first")
  gate.open(slow)
  support.works(exe)
end)

with_both("beside_busy_threads", function(method)
  local threads <close> = lfut.ThreadPoolExecutor(3)
  local g <close> = gate.new()
  local busy = {}
  for i = 1, 3 do
    busy[i] = threads:submit(function(name)
      local n, t, file = 0, {}, nil
      require "gate".ring(g)
      repeat
        n = n + 1
        t[n % 100] = ("x"):rep(n % 1000) .. n
        io.write ""
        file = n % 50 == 0 and io.open(name)
      until file
      file:close()
      return n
    end, g.way .. ".open")
  end
  gate.arrived(g, 3)
  for i = 1, 10 do
    local exe <close> = new(method, { max_workers = 2 })
    lu.assertEquals(exe:submit(echo, i):result(), i)
    lu.assertEquals(exe:map(echo, { 1, 2, 3 }):list(), { 1, 2, 3, n = 3 })
  end
  assert(io.open(g.way .. ".open", "w")):close()
  for i = 1, 3 do
    lu.assertTrue(busy[i]:result() > 0)
  end
end)

with_both("made_in_a_thread_s_task", function(method)
  local threads <close> = lfut.ThreadPoolExecutor(2)
  local futures = {}
  for i = 1, 4 do
    futures[i] = threads:submit(function(i)
      local exe <close> = require "lfut".ProcessPoolExecutor { max_workers = 2, start_method = method }
      local list = exe:map(function(x) return x * i, lfut.worker().kind end, { 1, 2, 3 }):list()
      local _, kind = exe:submit(function() return 1, lfut.worker().kind end):result()
      return list[3], kind
    end, i)
  end
  for i = 1, 4 do
    lu.assertEquals({ futures[i]:result() }, { 3 * i, "process" })
  end
end)

with_both("made_in_a_process_s_task", function(method)
  local exe <close> = new(method)
  for _, inner in ipairs { "fork", "spawn" } do
    local mine, theirs, sum = exe:submit(function()
      local lfut = require "lfut"
      local exe <close> = lfut.ProcessPoolExecutor { max_workers = 2, start_method = inner }
      local sum = exe:reduce(function(x) return x end, lfut.range(100), function(a, b) return a + b end)
      return lfut.getpid(), exe:submit(lfut.getpid):result(), sum
    end):result()
    lu.assertNotEquals(mine, theirs)
    lu.assertEquals(sum, 5050)
  end
  support.works(exe)
end)

with_both("threads_made_in_a_process_s_task", function(method)
  local exe <close> = new(method)
  lu.assertEquals(exe:submit(function()
    local threads <close> = require "lfut".ThreadPoolExecutor(2)
    return threads:reduce(function(x) return x end, lfut.range(1000), function(a, b) return a + b end)
  end):result(), 500500)
  support.works(exe)
end)

with_both("several_pools", function(method)
  local exes = {}
  for i = 1, 4 do
    exes[i] = new(method, { max_workers = 2 })
  end
  for round = 1, 10 do
    local futures = {}
    for i = 1, 4 do
      futures[i] = exes[i]:submit(echo, i + round)
    end
    for i = 1, 4 do
      lu.assertEquals(futures[i]:result(), i + round)
    end
  end
  for i = 1, 4 do
    exes[i]:shutdown(i % 2 == 0)
  end
end)

-- From other threads of the program: the executor is a handle to the same one.
with_both("used_from_threads", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 2 })
  local threads <close> = lfut.ThreadPoolExecutor(3)
  local futures = {}
  for k = 1, 3 do
    futures[k] = threads:submit(function(exe)
      local sum = 0
      for i = 1, 200 do
        sum = sum + exe:submit(function(x) return x end, i):result()
      end
      local list = exe:map(function(x) return x * k end, lfut.range(100)):list()
      return sum, list[100]
    end, exe)
  end
  for k = 1, 3 do
    lu.assertEquals({ futures[k]:result() }, { 20100, 100 * k })
  end
end)

-- What has ended does not run, though its result has not been received.
with_both("running", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 2 })
  local most = 0
  for _ = 1, 5 do
    local futures = {}
    for i = 1, 4000 do
      futures[i] = exe:submit(math.sqrt, i)
      if i % 50 == 0 then
        most = math.max(most, exe:stats().running)
      end
    end
    lfut.wait(futures)
  end
  lu.assertTrue(most <= 2, most)
  for i = 1, 20 do -- of any kind
    pcall(function() exe:submit(error, i):result() end)
    exe:submit(math.sqrt, i):cancel()
    exe:map(math.sqrt, lfut.range(10), { chunksize = 1 }):list()
    exe:submit(function(exe) return exe:submit(math.sqrt, 1):result() end, exe):result()
  end
  pcall(function() exe:options { retries = 0 }:submit(os.exit):result() end)
  local g <close> = gate.new()
  for _ = 1, 2 do
    exe:submit(gate.hold, g)
  end
  gate.arrived(g, 2)
  lu.assertEquals({ exe:stats().running, exe:stats().queued }, { 2, 0 })
end)

-- max_tasks_per_child

with_both("max_tasks_per_child", function(method)
  local exe <close> = new(method, { max_workers = 1, max_tasks_per_child = 3 })
  local order, count = {}, {}
  for _ = 1, 12 do
    local pid = exe:submit(lfut.getpid):result()
    if not count[pid] then
      order[#order + 1] = pid
    end
    count[pid] = (count[pid] or 0) + 1
  end
  -- A worker that the system leaves no time is relieved of its last task.
  lu.assertTrue(#order >= 4 and #order <= 6)
  for _, pid in ipairs(order) do
    lu.assertTrue(count[pid] <= 3)
  end
  lu.assertEquals(exe:stats().finished, 12)
  lu.assertEquals(exe:stats().failed, 0)
end)

with_both("max_tasks_per_child_of_one", function(method)
  local exe <close> = new(method, { max_workers = 2, max_tasks_per_child = 1 })
  local futures, seen = {}, {}
  for i = 1, 30 do
    futures[i] = exe:submit(function() once = (once or 0) + 1 return lfut.getpid(), once end)
  end
  for i = 1, 30 do
    local pid, once = futures[i]:result()
    lu.assertEquals(once, 1)
    lu.assertNil(seen[pid])
    seen[pid] = true
  end
end)

with_both("max_tasks_per_child_and_max_workers", function(method)
  local exe <close> = new(method, { max_workers = 2, max_tasks_per_child = 2 })
  local other <close> = lfut.ThreadPoolExecutor(1)
  local never <close>, held = support.held(other)
  for _ = 1, 5 do
    local g <close> = gate.new()
    local futures = {}
    for i = 1, 6 do
      futures[i] = exe:submit(gate.hold, g, i)
    end
    gate.arrived(g, 2)
    lu.assertEquals(exe:stats().running, 2)
    support.fails_as("TimeoutError", nil, held.result, held, 0.02) -- would a third one arrive?
    lu.assertEquals(exe:stats().running, 2)
    gate.open(g)
    for i = 1, 6 do
      lu.assertEquals(futures[i]:result(), i)
    end
  end
  gate.open(never)
end)

with_both("max_tasks_per_child_with_parked_tasks", function(method)
  local exe <close> = new(method, { max_workers = 1, max_tasks_per_child = 2 })
  local futures = {}
  for i = 1, 6 do
    futures[i] = exe:submit(function(exe, i)
      return exe:submit(function(i) return i * 2 end, i):result() + 1
    end, exe, i)
  end
  for i = 1, 6 do
    lu.assertEquals(futures[i]:result(), i * 2 + 1)
  end
  lu.assertEquals(exe:map(function(i) return i end, lfut.range(50), { chunksize = 5 }):list()[50], 50)
end)

with_both("max_tasks_per_child_runs_the_initializer_again", function(method)
  local exe <close> = new(method, { max_workers = 1, max_tasks_per_child = 1, initializer = "ready = ...",
    initargs = { 7 } })
  for _ = 1, 5 do
    lu.assertEquals(exe:submit(function() return ready end):result(), 7)
  end
end)

-- Sizes and numbers

with_both("large_values_both_ways_at_once", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 3 })
  local n = support.size(32 << 20)
  local large, futures = ("x"):rep(n - 1) .. "!", {}
  for i = 1, 3 do
    futures[i] = exe:submit(function(s, i) return s:reverse(), #s + i end, large, i)
  end
  for i = 1, 3 do
    local s, len = futures[i]:result()
    lu.assertEquals({ #s, len, s:sub(1, 2) }, { n, n + i, "!x" })
    futures[i], s = nil
    collectgarbage()
  end
end)

with_both("values_of_all_sizes_around_the_rings", function(method)
  support.relaxed()
  local exe <close> = new(method)
  for _, base in ipairs { 0, 100, 4 << 10, 64 << 10, 256 << 10, 512 << 10 } do
    for d = -70, 70, 7 do
      local s = ("%d:"):format(d) .. ("z"):rep(base + d)
      lu.assertTrue(exe:submit(echo, s):result() == s)
    end
  end
  local list = {}
  for i = 1, 20000 do
    list[i] = { i, tostring(i), i / 3 }
  end
  local back = exe:submit(echo, list):result()
  lu.assertEquals(#back, 20000)
  for i = 1, 20000, 777 do
    lu.assertEquals(back[i], list[i])
  end
end)

with_both("many_tasks_and_results_unread", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 2 })
  local n = support.size(100000)
  local last
  for i = 1, n do
    last = exe:submit(echo, i)
  end
  lu.assertEquals(last:result(), n)
  exe:shutdown()
  lu.assertEquals(exe:stats().finished, n)
end)

with_both("many_results_of_some_size_unread", function(method)
  support.relaxed()
  local exe <close> = new(method, { max_workers = 2 })
  local futures, n = {}, support.size(5000)
  for i = 1, n do
    futures[i] = exe:submit(function(i) return ("r"):rep(i) end, i)
  end
  lfut.wait(futures)
  for i = 1, n do
    lu.assertEquals(#futures[i]:result(), i)
  end
end)

with_both("many_functions", function(method)
  support.relaxed()
  local exe <close> = new(method)
  for i = 1, support.size(2000) do
    lu.assertEquals(exe:submit(load("return " .. i)):result(), i)
  end
end)

with_both("cancelled_while_queued", function(method)
  support.relaxed()
  local exe <close> = new(method)
  local g <close> = support.held(exe)
  local futures = {}
  for i = 1, 10000 do
    futures[i] = exe:submit(echo, i)
  end
  for i = 1, 10000 do
    if i % 2 == 0 then
      lu.assertTrue(futures[i]:cancel())
    end
  end
  gate.open(g)
  lfut.wait(futures)
  for i = 1, 10000 do
    lu.assertEquals(futures[i]:state(), i % 2 == 0 and "cancelled" or "finished")
  end
  local s = exe:stats()
  lu.assertEquals({ s.finished, s.cancelled, s.queued }, { 5001, 5000, 0 })
end)

-- Hygiene

-- Whom the program has for children, when it has asked until there are none.
local function children()
  local list
  for _ = 1, 500 do
    list = support.children(lfut.getpid())
    if not next(list) then
      break
    end
  end
  return list
end

local function shared_memory()
  local pipe <close> = io.popen "ls -A /dev/shm"
  return pipe:read "a"
end

with_both("nothing_is_left", function(method)
  collectgarbage()
  collectgarbage()
  lu.assertEquals(children(), {})
  local shm, fds = shared_memory(), #support.descriptors(lfut.getpid())
  for round = 1, 5 do
    local exe = new(method, { max_workers = 3 })
    support.works(exe)
    for _, f in ipairs(exe:broadcast(echo)) do
      f:result()
    end
    exe:submit(os.execute, "kill -KILL $PPID"):exception()
    support.works(exe)
    if round == 4 then
      exe:kill_workers()
    end
    exe:shutdown()
    lu.assertEquals(children(), {}, "children")
  end
  local unused = new(method)
  unused:shutdown()
  lu.assertEquals(children(), {})
  -- The program's side may take a moment more to close.
  while #support.descriptors(lfut.getpid()) > fds do end
  lu.assertEquals(shared_memory(), shm)
end)

with_both("nothing_is_left_of_a_dropped_one", function(method)
  lu.assertEquals(children(), {})
  local fds = #support.descriptors(lfut.getpid())
  for _ = 1, 5 do
    local f = new(method, { max_workers = 2 }):submit(echo, 1)
    lu.assertEquals(f:result(), 1)
    collectgarbage()
    collectgarbage()
  end
  lu.assertEquals(children(), {})
  while #support.descriptors(lfut.getpid()) > fds do end
end)

with_both("a_worker_has_no_descriptors_of_others", function(method)
  local threads <close> = lfut.ThreadPoolExecutor(1)
  support.works(threads)
  local first <close> = new(method, { max_workers = 2 })
  support.works(first)
  local exe <close> = new(method, { max_workers = 3 })
  for _, pool in ipairs { first, exe } do
    for _, f in ipairs(pool:broadcast(lfut.getpid)) do
      local kinds = {}
      for _, target in ipairs(support.descriptors(f:result())) do
        local kind = target:match "^/memfd" or target:match "^anon_inode:%[?(%a+)" or target:match "^socket"
        if kind then
          kinds[kind] = (kinds[kind] or 0) + 1
        end
      end
      lu.assertTrue((kinds["/memfd"] or 0) <= 1, "memory of others")
      lu.assertTrue((kinds.eventfd or 0) <= 1, "others' bells")
      lu.assertNil(kinds.pidfd)
      lu.assertNil(kinds.eventpoll)
      lu.assertNil(kinds.socket)
    end
  end
end)

with_both("an_idle_pool_uses_no_time", function(method)
  local exe <close> = new(method, { max_workers = 2 })
  for _, f in ipairs(exe:broadcast(echo)) do
    f:result()
  end
  local other <close> = lfut.ThreadPoolExecutor(1)
  local g <close>, held = support.held(other)
  local function ticks()
    local stat <close> = io.open "/proc/self/stat"
    local user, system = stat:read "a":match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
    local own = user + system
    for _, child in pairs(support.children(lfut.getpid())) do
      own = own + child.ticks
    end
    return own
  end
  local before = ticks()
  support.fails_as("TimeoutError", nil, held.result, held, 0.4)
  -- Of 40 in this time; asking costs some.
  lu.assertTrue(ticks() - before <= 12, ("%d of 40"):format(ticks() - before))
end)

-- Output

with_both("buffered_output_appears_once", function(method)
  local out, err, status = support.program(([[
    local lfut = require "lfut"
    io.write "before "
    io.stdout:setvbuf "full"
    io.write "buffered "
    local file = io.tmpfile()
    file:write "in a file"
    local exe = lfut.ProcessPoolExecutor { max_workers = 2, start_method = "%s" }
    io.write "after "
    for _, f in ipairs(exe:broadcast(function() return 1 end)) do f:result() end
    exe:submit(package.loadlib, "libc.so.6", "exit"):exception()
    exe:submit(function() package.loadlib("libc.so.6", "exit")() end):exception()
    exe:submit(function() package.loadlib("libc.so.6", "abort")() end):exception()
    io.write "between "
    exe:submit(function() return 1 end):result()
    exe:shutdown()
    file:close()
    io.write "end\n"
  ]]):format(method))
  lu.assertEquals({ out, status }, { "before buffered after between end\n", 0 })
  if os.getenv "LFUT_SANITIZER" ~= "address" then -- it looks for leaks at exit
    lu.assertEquals(err, "")
  end
end)

-- The script's own open files are not written or closed by workers' ends.
with_both("open_files_of_the_script", function(method)
  local name = gate.filename()
  local file = assert(io.open(name, "w"))
  file:write "one "
  local exe = new(method, { max_workers = 2 })
  file:write "two "
  for _, f in ipairs(exe:broadcast(echo)) do
    f:result()
  end
  exe:submit(function() collectgarbage() return package.loadlib("libc.so.6", "exit")() end):exception()
  file:write "three"
  exe:shutdown()
  file:close()
  local again <close> = io.open(name)
  lu.assertEquals(again:read "a", "one two three")
end)

with_both("the_end_of_the_script_finishes_pending_work", function(method)
  local out, err, status = support.program(([[
    local exe = require "lfut".ProcessPoolExecutor { max_workers = 1, start_method = "%s" }
    for i = 1, 5 do exe:submit(print, i) end
  ]]):format(method))
  lu.assertEquals({ out, err, status }, { "1\n2\n3\n4\n5\n", "", 0 })
end)

with_both("uncaught", function(method)
  local _, err, status = support.program(([[
    local exe <close> = require "lfut".ProcessPoolExecutor { max_workers = 1, start_method = "%s" }
    exe:submit(os.execute, "kill -KILL $PPID"):result()
  ]]):format(method))
  lu.assertEquals(status, 1)
  lu.assertStrMatches(err, "lfut: script.lua:%d+: WorkerLost: worker %d+ died of SIGKILL while running [^\n]*\n.*")
end)

-- Questions about futures, by threads of a worker other than its own.
for name, start in pairs {
  thread = function(fn) lfut.Thread { target = fn }:start() end,
  pool = function(fn) lfut.ThreadPoolExecutor(1):submit(fn) end,
} do
  with_both("questions_of_another_" .. name, function(method)
    local exe <close> = new(method, { max_workers = 2 })
    local out, started, go = lfut.Queue(), lfut.Event(), lfut.Event()
    local function ask(fn)
      start(fn)
      return out:get()
    end
    local r = exe:submit(function()
      local running = exe:submit(function()
        started:set()
        go:wait()
        return 5
      end)
      started:wait()
      local queued = exe:submit(function() end) -- both workers are occupied
      local done = exe:submit(function() end)
      local r = ask(function()
        out:put { running:state(), running:running(), tostring(running), running:cancel(),
          queued:state(), queued:cancel(), queued:state(), exe:stats().running, done:cancel() }
      end)
      go:set()
      r[#r + 1] = ask(function() out:put(running:result()) end)
      r[#r + 1] = ask(function() out:put(running:state()) end)
      return r
    end):result()
    lu.assertEquals(r, { "running", true, "Future(running)", false, "pending", true, "cancelled", 2, true, 5,
      "finished" })
  end)
end

local rc = support.run(TestProcesses)
if rc ~= 0 then
  os.exit(rc)
end
