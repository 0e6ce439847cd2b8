-- SPDX-License-Identifier: MIT
--
-- Everything at once, by chance: tasks that compute, map, lock, count, put and
-- cancel, in pools of threads and processes whose workers are killed. Each task
-- has a number, under which it is counted when it begins; afterwards the counts
-- have to fit what has become of the futures.
--
--   LFUT_CHAOS_TASKS=100000 LFUT_CHAOS_SEED=7 tests/run.sh tests/lua/chaos.lua
--
-- is longer, and begins with that seed (which failures tell).
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestChaos = {}

local seed = math.tointeger(os.getenv "LFUT_CHAOS_SEED" or os.time())
local count = math.tointeger(os.getenv "LFUT_CHAOS_TASKS" or support.size(1500))
local c = lfut.load("c", "int kill(int pid, int sig);", { threads = "safe" })

-- What tasks share. A process may be killed at any instruction.
local function new_world()
  return {
    begun = lfut.Array("uint8", count),
    locked = lfut.Array("int64", 2),
    lock = lfut.Lock(),
    semaphore = lfut.Semaphore(2),
    items = lfut.Queue(),
    dict = lfut.Dict(),
    total = lfut.Value("int64", 0),
  }
end

local works = {
  square = function(_, _, n) return n * n end,
  lock = function(world, _, n)
    world.lock:with(function()
      local t = world.locked
      t[1] = t[1] + 1
      t[2] = t[2] + 1
    end)
    return n * n
  end,
  semaphore = function(world, _, n)
    return (world.semaphore:acquire(0.001) and world.semaphore:release() or n) and n * n
  end,
  put = function(world, _, n)
    world.items:put(n)
    return n * n
  end,
  count = function(world, _, n)
    world.dict:incr(n % 7)
    world.total:add(1)
    return n * n
  end,
  map = function(_, exe, n)
    local sum = 0
    for _, r in exe:map(function(x) return x end, lfut.range(n % 20), { chunksize = n % 3 + 1 }) do
      sum = sum + r
    end
    return sum == (n % 20) * (n % 20 + 1) // 2 and n * n
  end,
  nested = function(_, exe, n)
    local a, b = exe:submit(function() return n end), exe:submit(function(x) return x end, n)
    return a:result() * b:result()
  end,
  error = function(_, _, n) error { n = n } end,
  close = function(world, _, n)
    local _ <close> = setmetatable({}, { __close = function() world.total:add(0) end })
    pcall(coroutine.wrap(function() os.exit(n % 2 == 0) end))
  end,
}

local names = {}
for name in pairs(works) do
  names[#names + 1] = name
end
table.sort(names)

local function run(world, exe, name, work, n)
  world.begun:add(n, 1)
  local r = work(world, exe, n)
  return r, require "lfut".getpid()
end

-- Kills a worker that has told its number.
local function kill_one(pids)
  local list = {}
  for pid in pairs(pids) do
    list[#list + 1] = pid
  end
  if #list > 0 then
    local pid = list[math.random(#list)]
    pids[pid] = nil
    c.kill(pid, 9)
  end
end

-- One thing or another, by chance.
local function go_on(pool, tasks)
  local dice = math.random(100)
  if dice <= 8 then
    local task = tasks[math.random(#tasks)]
    if task.future:cancel() then
      task.cancelled = true
    end
  elseif dice <= 10 and pool.pids then
    kill_one(pool.pids)
  elseif dice <= 20 then
    local task = tasks[math.random(#tasks)]
    local ok, _, pid = pcall(task.future.result, task.future, 0.001)
    if ok and pool.pids and task.pool == pool then
      pool.pids[pid] = true
    end
  end
end

local function start(world, pools)
  local tasks = {}
  for n = 1, count do
    local pool = pools[math.random(#pools)]
    local name = names[math.random(#names)]
    local future = pool.exe:submit(run, world, pool.exe, name, works[name], n)
    tasks[n] = { n = n, name = name, pool = pool, future = future }
    go_on(pool, tasks)
  end
  return tasks
end

-- What has become of it: "finished", "failed", "lost" or "cancelled".
local function check(world, task, about)
  if task.cancelled then
    lu.assertEquals(task.future:state(), "cancelled", about)
    lu.assertEquals(world.begun[task.n], 0, about)
    return "cancelled"
  end
  local e, failed = task.future:exception()
  lu.assertTrue(world.begun[task.n] <= 1, about)
  if not failed then
    lu.assertEquals((task.future:result()), task.n * task.n, about)
    lu.assertEquals(world.begun[task.n], 1, about)
    return "finished"
  end
  if lfut.is_error(e, "WorkerLost") then
    lu.assertNotNil(task.pool.pids, about)
    return "lost"
  end
  if task.name == "error" then
    lu.assertEquals(e.n, task.n, about)
  else
    lu.assertEquals(task.name, "close", about .. tostring(e))
    lu.assertStrContains(tostring(e), "os.exit", about)
  end
  return "failed"
end

local function between(low, n, high, about)
  lu.assertTrue(low <= n and n <= high, ("%s: %d <= %d <= %d"):format(about, low, n, high))
end

function TestChaos.test_everything()
  support.needs_processes()
  math.randomseed(seed)
  local world = new_world()
  local pools = {
    { exe = lfut.ThreadPoolExecutor(3) },
    { exe = lfut.ProcessPoolExecutor(2), pids = {} },
    { exe = lfut.ProcessPoolExecutor { max_workers = 2, start_method = "spawn", max_tasks_per_child = 40 }, pids = {} },
  }
  local tasks = start(world, pools)
  local ends = {}
  for _, name in ipairs(names) do
    ends[name] = { finished = 0, failed = 0, lost = 0, cancelled = 0 }
  end
  local put = {}
  for _, task in ipairs(tasks) do
    local about = ("LFUT_CHAOS_SEED=%d, task %d, %s: "):format(seed, task.n, task.name)
    local what = check(world, task, about)
    ends[task.name][what] = ends[task.name][what] + 1
    put[task.n] = task.name == "put" and what or nil
  end
  for _, pool in ipairs(pools) do
    pool.exe:shutdown()
  end
  local about = ("LFUT_CHAOS_SEED=%d"):format(seed)
  local l = ends.lock
  between(l.finished, world.locked[1], l.finished + l.lost, about .. ", under the lock")
  local n = ends.count
  between(n.finished, world.total:get(), n.finished + n.lost, about .. ", the value")
  local sum = 0
  for _, v in pairs(world.dict) do
    sum = sum + v
  end
  between(n.finished, sum, n.finished + n.lost, about .. ", the dictionary")
  world.items:close()
  for item in world.items:iter() do
    lu.assertTrue(put[item] == "finished" or put[item] == "lost", about .. ", an item")
    put[item] = nil
  end
  for item, what in pairs(put) do
    lu.assertNotEquals(what, "finished", about .. ", item " .. item)
  end
  lu.assertTrue(world.lock:acquire())
  if os.getenv "LFUT_CHAOS_TASKS" then
    for _, name in ipairs(names) do
      local t = ends[name]
      print(("# %s: %d finished, %d failed, %d lost, %d cancelled"):format(name, t.finished, t.failed, t.lost, t.cancelled))
    end
  end
end

os.exit(lu.LuaUnit.run())
