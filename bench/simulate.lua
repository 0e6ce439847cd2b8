-- SPDX-License-Identifier: MIT
-- What would saturate with many workers: a simulation of one script that submits
-- tasks in bulk to a pool of threads, on as many processors as there are threads.
-- It counts in nanoseconds what has been measured on two processors, and lets the
-- common queue's lock be held by one at a time. Memory is not simulated: lines
-- that move between processors are in the times as far as two have to do with
-- them.
--
--   lua5.4 bench/simulate.lua [submit lock task result]
--
-- in nanoseconds: a submit, of which so much under the lock (as much as to take a
-- batch), a worker's own work for a task, and a result in the script.
local SUBMIT, LOCK, TASK, RESULT = 550, 100, 600, 300
local BATCH, BRIEF = 32, 5000 -- runtime/pool/sched.c: at most so many; of tasks so short
local TASKS = 20000

local function numbers(...)
  for i = 1, 4 do
    local given = tonumber((select(i, ...)))
    if i == 1 then SUBMIT = given or SUBMIT
    elseif i == 2 then LOCK = given or LOCK
    elseif i == 3 then TASK = given or TASK
    else RESULT = given or RESULT end
  end
end

-- A heap of workers by the time when they are free.
local function sift(heap, i)
  while true do
    local least = i
    for child = 2 * i, 2 * i + 1 do
      if heap[child] and heap[child].free < heap[least].free then
        least = child
      end
    end
    if least == i then
      return
    end
    heap[i], heap[least] = heap[least], heap[i]
    i = least
  end
end

-- How many tasks a worker takes, as batch_size does in runtime/pool/sched.c.
local function batch(w, now)
  local spent = now - w.since
  local brief = w.batch > 0 and spent < w.batch * BRIEF
  w.since, w.batch = now, math.min(brief and w.batch * 2 or 1, BATCH)
  return w.batch
end

-- The shares of time in which script, lock and workers are busy, and tasks/s.
local function simulate(workers, cost)
  local heap = {}
  for i = 1, workers do
    heap[i] = { free = 0, since = 0, batch = 0 }
  end
  local submitted, lock_free, held, busy, last = 0, 0, 0, 0, 0
  local taken, script = 0, 0
  -- The script's submits and the workers' takes in the order of time.
  while taken < TASKS do
    local w = heap[1]
    if submitted < TASKS and (script <= w.free or submitted == taken) then
      local at = math.max(script + SUBMIT - LOCK, lock_free)
      lock_free, held = at + LOCK, held + LOCK
      script, submitted = at + LOCK, submitted + 1
      if w.free < script and submitted == taken + 1 then
        w.free = math.max(w.free, script) -- it has waited for this one
      end
    else
      local at = math.max(w.free, lock_free)
      lock_free, held = at + LOCK, held + LOCK
      local n = math.min(batch(w, at), submitted - taken)
      taken = taken + n
      w.free = at + LOCK + n * (TASK + cost)
      busy = busy + n * (TASK + cost)
      last = math.max(last, w.free)
      sift(heap, 1)
    end
  end
  local results = script + TASKS * RESULT -- at best, beside the workers
  local time = math.max(last, results)
  return { rate = TASKS / time * 1e3, lock = held / time, workers = busy / time / workers,
    script = (TASKS * (SUBMIT + RESULT)) / time }
end

numbers(...)
print(("submit %g ns, lock %g, task %g, result %g"):format(SUBMIT, LOCK, TASK, RESULT))
print "task     workers   M tasks/s   script   lock   workers"
for _, cost in ipairs { 1000, 10000, 100000 } do
  for _, workers in ipairs { 1, 2, 4, 8, 16, 32, 64, 128, 256 } do
    local r = simulate(workers, cost)
    print(("%4g µs  %7d   %9.3f   %5.0f %%  %3.0f %%  %5.0f %%"):format(cost / 1000, workers, r.rate,
      100 * r.script, 100 * r.lock, 100 * r.workers))
  end
end
