-- SPDX-License-Identifier: MIT
-- The figures, in the order of the table. One entry:
--   name      what `bench/run NAME` selects
--   about     one line for `bench/run --list`
--   unit      what the programs print; "…/s" is a rate (more is better),
--             anything else a cost (less is better)
--   size      $size of the commands; $tenth is a tenth of it
--   quick     the size under --quick (default: a tenth)
--   lfut      the command measured; it prints one number on its last line
--   at_most   a limit on lfut's own number, where there is no peer
--   against   the peers: { label, command, at_least = , at_most = , bound = }
--             at_least: how many times better than the peer lfut should be
--             at_most: how many times the peer's cost lfut may take
--             bound: what could be reached at best, or lfut itself, but not
--             what one would use instead: left out of the picture
--   parallel  it shows how well work is shared by processors: how much more
--             two threads of C compute than one is measured beside it
-- In commands, $lfut $python $luv $lua $c are the interpreters and the C
-- program, $jit and $luajit the same of LuaJIT, $beside runs a program beside busy loops, $together two of them at
-- once (c/machine.c), $dir is this folder. A command whose interpreter is missing is
-- left out, and so is its column.

local figures = {}

local function figure(entry)
  figures[#figures + 1] = entry
end

-- Dispatch ----------------------------------------------------------------

figure {
  name = "submit", unit = "tasks/s", size = 100000,
  about = "submit + result of 100 000 tasks, 2 workers",
  lfut = "$lfut $dir/lfut/submit.lua $size ThreadPoolExecutor",
  against = {
    { "python threads",
      "$python $dir/python/submit.py $size ThreadPoolExecutor",
      at_least = 20 },
    { "luv new_work", "$luv $dir/luv/submit.lua $size", at_least = 2 },
  },
}

figure {
  name = "round-trip", unit = "s", size = 20000,
  about = "one submit and its result, again and again, 2 warm workers",
  lfut = "$lfut $dir/lfut/round_trip.lua $size ThreadPoolExecutor",
  against = {
    { "python threads",
      "$python $dir/python/round_trip.py $size ThreadPoolExecutor",
      at_least = 10 },
    { "luv new_work", "$luv $dir/luv/round_trip.lua $size" },
  },
}

-- A round trip where there are less processors than threads that want one.
for _, kind in ipairs { "Thread", "Process" } do
  local prefix = kind == "Process" and "process-" or ""
  local python = "python " .. (kind == "Process" and "processes" or "threads")
  for _, where in ipairs {
    { "one-cpu", "taskset -c 0 ", "on one processor" },
    { "loaded", "$beside ", "beside a busy loop on each processor" },
  } do
    local executor = "$size " .. kind .. "PoolExecutor"
    local against = {
      { python, where[2] .. "$python $dir/python/round_trip.py " .. executor,
        at_least = kind == "Process" and 5 or 1 / 0.7 },
    }
    if kind == "Thread" then
      against[2] = { "luv new_work", where[2] .. "$luv $dir/luv/round_trip.lua $size", at_least = 1 / 1.2 }
    end
    figure {
      name = prefix .. "round-trip-" .. where[1], unit = "s", size = 5000,
      about = "the same " .. where[3] .. (kind == "Process" and ", processes" or ""),
      lfut = where[2] .. "$lfut $dir/lfut/round_trip.lua " .. executor,
      against = against,
    }
  end
end

figure {
  name = "sustained", unit = "tasks/s", size = 2000000,
  about = "submit + result of 2*10^6 tasks, 10^5 at a time",
  lfut = "$lfut $dir/lfut/submit.lua $size ThreadPoolExecutor 100000",
  against = {
    { "the first 10^5", "$lfut $dir/lfut/submit.lua 100000 ThreadPoolExecutor",
      at_least = 0.7, bound = true },
  },
}

-- What a task costs the script's thread, however many workers there are.
for kind, workers in pairs { Thread = 256, Process = 64 } do
  figure {
    name = "cpu-" .. workers .. "-" .. kind:lower() .. (kind == "Process" and "es" or "s"),
    unit = "s", size = 100000, quick = 100000,
    about = ("the script's processor time for a task in bulk, %d idle workers"):format(workers),
    lfut = ("$lfut $dir/lfut/cost.lua $size %sPoolExecutor %d cpu"):format(kind, workers),
    against = {
      { "2 workers", ("$lfut $dir/lfut/cost.lua $size %sPoolExecutor 2 cpu"):format(kind),
        at_most = 1.3, bound = true },
    },
  }
end

figure {
  name = "event-set", unit = "s", size = 4000, quick = 4000,
  about = "processor time to wake 4000 waiters of an Event",
  lfut = "$lfut $dir/lfut/event_set.lua $size",
  against = {
    { "a tenth", "$lfut $dir/lfut/event_set.lua $tenth", at_most = 15, bound = true },
  },
}

figure {
  name = "trace", unit = "tasks/s", size = 1000000,
  about = "submit + result of 10^6 tasks with a trace, 2 workers",
  lfut = "$lfut --trace /dev/null $dir/lfut/submit.lua $size ThreadPoolExecutor",
  against = {
    { "without", "$lfut $dir/lfut/submit.lua $size ThreadPoolExecutor",
      at_least = 0.95, bound = true },
  },
}

figure {
  name = "stats", unit = "tasks/s", size = 1000000,
  about = "submit + result of 10^6 tasks with --stats, 2 workers",
  lfut = "$lfut --stats $dir/lfut/submit.lua $size ThreadPoolExecutor 2> bench-build/stats",
  against = {
    { "without", "$lfut $dir/lfut/submit.lua $size ThreadPoolExecutor",
      at_least = 0.95, bound = true },
  },
}

-- Loops -------------------------------------------------------------------

figure {
  name = "map-table", unit = "items/s", size = 1000000,
  about = "map of a trivial function over a table of 10^6, to a list",
  lfut = "$lfut $dir/lfut/map.lua $size ThreadPoolExecutor table",
  against = {
    { "python Pool.map", "$python $dir/python/pool_map.py $size",
      at_least = 2.5 },
    { "lua loop", "$lua $dir/lua/map.lua $size" },
  },
  parallel = true,
}

figure {
  name = "map-range", unit = "items/s", size = 1000000,
  about = "the same over lfut.range(10^6)",
  lfut = "$lfut $dir/lfut/map.lua $size ThreadPoolExecutor range",
  against = {
    { "python Pool.map", "$python $dir/python/pool_map.py $size",
      at_least = 5 },
  },
  parallel = true,
}

figure {
  name = "for-each", unit = "items/s", size = 10000000,
  about = "for_each over range(10^7), trivial function, 2 workers",
  lfut = "$lfut $dir/lfut/for_each.lua $size ThreadPoolExecutor",
  against = {
    { "lua loop", "$lua $dir/lua/for_each.lua $size", at_least = 1.8 },
  },
  parallel = true,
}

figure {
  name = "reduce", unit = "items/s", size = 10000000,
  about = "reduce over range(10^7), trivial functions, 2 workers",
  lfut = "$lfut $dir/lfut/reduce.lua $size ThreadPoolExecutor",
  against = {
    { "lua loop", "$lua $dir/lua/reduce.lua $size", at_least = 1.8 },
  },
  parallel = true,
}

figure {
  name = "mandelbrot", unit = "s", size = 800, quick = 200,
  about = "Mandelbrot set, 800 rows mapped over 2 workers",
  lfut = "$lfut $dir/lfut/mandelbrot.lua $size ThreadPoolExecutor 2",
  against = {
    { "lua loop", "$lua $dir/lua/mandelbrot.lua $size", at_least = 1.9 },
    { "2 × lua", "$together 2 $lua $dir/lua/mandelbrot_half.lua $size",
      at_least = 0.97, bound = true },
  },
  parallel = true,
}

figure {
  name = "mandelbrot-1", unit = "s", size = 800, quick = 200,
  about = "the same over 1 worker",
  lfut = "$lfut $dir/lfut/mandelbrot.lua $size ThreadPoolExecutor 1",
  against = {
    { "lua loop", "$lua $dir/lua/mandelbrot.lua $size", at_least = 0.97,
      bound = true },
  },
}

figure {
  name = "fib", unit = "s", size = 20, quick = 15,
  about = "fib(20) by nested futures, 2 workers, against plain calls",
  lfut = "$lfut $dir/lfut/fib.lua $size ThreadPoolExecutor",
  against = {
    { "lua calls", "$lua $dir/lua/fib.lua $size" },
  },
}

-- Data --------------------------------------------------------------------

figure {
  name = "string", unit = "B/s", size = 2000,
  about = "a 1 MiB string to a worker, its length back; one string (hot)",
  lfut = "$lfut $dir/lfut/string.lua $size ThreadPoolExecutor 1",
  against = {
    { "C memcpy", "$c memcpy $size 1", at_least = 0.35, bound = true },
    { "luv new_work", "$luv $dir/luv/string.lua $size 1" },
  },
}

figure {
  name = "string-rotated", unit = "B/s", size = 2000,
  about = "the same with 64 strings in turn (more than the cache holds)",
  lfut = "$lfut $dir/lfut/string.lua $size ThreadPoolExecutor 64",
  against = {
    { "C memcpy", "$c memcpy $size 64", at_least = 0.35, bound = true },
    { "luv new_work", "$luv $dir/luv/string.lua $size 64" },
  },
}

figure {
  name = "floats", unit = "floats/s", size = 300, quick = 50,
  about = "a table of 10^5 floats to a worker, its length back",
  lfut = "$lfut $dir/lfut/floats.lua $size ThreadPoolExecutor",
  against = {
    { "C lua_rawseti", "$c rawseti $size", at_least = 0.5, bound = true },
  },
}

-- Processes: the same programs with the other executor ----------------------

figure {
  name = "process-submit", unit = "tasks/s", size = 100000,
  about = "submit + result of 100 000 tasks, 2 process workers",
  lfut = "$lfut $dir/lfut/submit.lua $size ProcessPoolExecutor",
  against = {
    { "python processes",
      "$python $dir/python/submit.py $size ProcessPoolExecutor",
      at_least = 60 },
  },
}

figure {
  name = "process-round-trip", unit = "s", size = 20000,
  about = "one submit and its result, 2 warm process workers",
  lfut = "$lfut $dir/lfut/round_trip.lua $size ProcessPoolExecutor",
  against = {
    { "python processes",
      "$python $dir/python/round_trip.py $size ProcessPoolExecutor",
      at_least = 33 },
  },
}

for _, items in ipairs { "table", "range" } do
  figure {
    name = "process-map-" .. items, unit = "items/s", size = 1000000,
    about = ("map of a trivial function over a %s of 10^6, to a list"):format(
      items),
    lfut = "$lfut $dir/lfut/map.lua $size ProcessPoolExecutor " .. items,
    against = {
      { "python Pool.map", "$python $dir/python/pool_map.py $size",
        at_least = 1.5 },
    },
  }
end

-- Here one core is lfut's own, so that only the second one can be gained.
figure {
  name = "process-mandelbrot", unit = "s", size = 800, quick = 200,
  about = "Mandelbrot set, 800 rows mapped over 2 process workers",
  lfut = "$lfut $dir/lfut/mandelbrot.lua $size ProcessPoolExecutor 2",
  against = {
    { "lfut's loop", "$lfut $dir/lua/mandelbrot.lua $size", at_least = 1.9 },
    { "2 × lua", "$together 2 $lua $dir/lua/mandelbrot_half.lua $size",
      at_least = 0.97, bound = true },
  },
  parallel = true,
}

figure {
  name = "process-string", unit = "B/s", size = 2000,
  about = "a 1 MiB string to a process, its length back; one string (hot)",
  lfut = "$lfut $dir/lfut/string.lua $size ProcessPoolExecutor 1",
  against = {
    { "python processes",
      "$python $dir/python/payload.py $size ProcessPoolExecutor string",
      at_least = 4 },
  },
}

figure {
  name = "process-floats", unit = "floats/s", size = 300, quick = 50,
  about = "a table of 10^5 floats to a process, its length back",
  lfut = "$lfut $dir/lfut/floats.lua $size ProcessPoolExecutor",
  against = {
    { "python processes",
      "$python $dir/python/payload.py $size ProcessPoolExecutor floats",
      at_least = 2.5 },
  },
}

figure {
  name = "process-records", unit = "records/s", size = 5, quick = 2,
  about = "a table of 10^5 small records to a process and back",
  lfut = "$lfut $dir/lfut/records.lua $size ProcessPoolExecutor",
  against = {
    { "python processes",
      "$python $dir/python/records.py $size ProcessPoolExecutor", at_least = 3 },
  },
}

figure {
  name = "process-pool", unit = "s", size = 200,
  about = "a pool of 2 process workers: made, one task, shut down",
  lfut = "$lfut $dir/lfut/pool.lua $size ProcessPoolExecutor",
  against = {
    { "python processes",
      "$python $dir/python/pool.py $size ProcessPoolExecutor", at_least = 6 },
  },
}

-- Native tasks --------------------------------------------------------------

figure {
  name = "native-submit", unit = "tasks/s", size = 100000,
  about = "submit + result of 100 000 calls of a C function, 2 workers",
  lfut = "$lfut $dir/lfut/native_submit.lua $size ThreadPoolExecutor native",
  against = {
    { "lua tasks",
      "$lfut $dir/lfut/native_submit.lua $size ThreadPoolExecutor lua",
      at_least = 1, bound = true },
  },
}

figure {
  name = "native-map", unit = "items/s", size = 1000000,
  about = "map of libm's fabs over an array of 10^6, to a list",
  lfut = "$lfut $dir/lfut/native_map.lua $size map",
  against = {
    { "calls in a loop", "$lfut $dir/lfut/native_map.lua $size loop",
      at_least = 5 },
    { "C, ffi_call", "$cnative ffi $size", at_least = 0.5, bound = true },
  },
}

figure {
  name = "array-sum", unit = "B/s", size = 10000000, quick = 10000000,
  about = "the sum of an array of 10^7 doubles by the plugin vec, 2 workers",
  lfut = "$lfut $dir/lfut/array_sum.lua $size $plugins",
  against = {
    { "C, 2 threads", "$cnative sum $size", at_least = 0.8, bound = true },
  },
  parallel = true,
}

figure {
  name = "array-pass", unit = "s", size = 800000000, quick = 800000000,
  about = "an array of 800 MB to a worker process, its length back",
  lfut = "$lfut $dir/lfut/array_pass.lua $size",
  against = {
    { "8 bytes", "$lfut $dir/lfut/array_pass.lua 8", at_most = 1.1,
      bound = true },
  },
}

figure {
  name = "native-mandelbrot", unit = "s", size = 1000, quick = 500,
  about = "the Mandelbrot set by the plugin, 2 workers",
  lfut = "$lfut $dir/lfut/native_mandelbrot.lua $size $plugins",
  against = {
    { "C, 2 threads", "$cnative mandelbrot $size", at_most = 1.1,
      bound = true },
  },
  parallel = true,
}

-- What it costs to be there -------------------------------------------------

figure {
  name = "start-up", unit = "s", size = 300, quick = 50,
  about = "lfut -e '' against lua5.4 -e '', the whole process",
  lfut = "$c spawn $size $lfut -e ''",
  against = {
    { "lua -e ''", "$c spawn $size $lua -e ''", at_most = 1.5 },
    { "python -c ''", "$c spawn 5 $python -c ''" },
  },
}

figure {
  name = "idle-cpu", unit = "s", size = 1, quick = 1,
  about = "CPU time of the process in an idle second, 2 warm workers",
  lfut = "$lfut $dir/lfut/idle_cpu.lua $size",
  -- Nothing but the measurement itself: going to sleep and waking up.
  at_most = 0.0005,
  against = {},
}

figure {
  name = "task-memory", unit = "B", size = 100000,
  about = "memory of a queued task with two arguments, with its future",
  lfut = "$lfut $dir/lfut/task_memory.lua $size",
  at_most = 400,
  against = {
    { "python threads", "$python $dir/python/task_memory.py $size" },
  },
}

figure {
  name = "worker-memory", unit = "B", size = 50, quick = 50,
  about = "memory of an idle worker, of 50",
  lfut = "$lfut $dir/lfut/worker_memory.lua $size",
  at_most = 80000,
  against = {
    { "python threads", "$python $dir/python/worker_memory.py $size" },
  },
}

figure {
  name = "process-memory", unit = "B", size = 2, quick = 2,
  about = "private memory of an idle forked worker, of 2",
  lfut = "$lfut $dir/lfut/process_memory.lua $size",
  at_most = 1000000,
  against = {
    { "python processes", "$python $dir/python/process_memory.py $size" },
  },
}

-- What threads and processes share ------------------------------------------

figure {
  name = "queue-threads", unit = "items/s", size = 300000,
  about = "put and get of 300 000 integers, from thread to thread",
  lfut = "$lfut $dir/lfut/queue.lua $size Thread",
  against = {
    { "python queue.Queue", "$python $dir/python/queues.py $size Queue",
      at_least = 3 },
  },
}

figure {
  name = "queue-processes", unit = "items/s", size = 100000,
  about = "put and get of 100 000 integers, from process to process",
  lfut = "$lfut $dir/lfut/queue.lua $size Process",
  against = {
    { "python mp.Queue", "$python $dir/python/queues.py $size mp.Queue",
      at_least = 10 },
    { "mp.SimpleQueue", "$python $dir/python/queues.py $size mp.SimpleQueue" },
  },
}

figure {
  name = "lock", unit = "s", size = 1000000,
  about = "acquire and release of a lock nobody else wants",
  lfut = "$lfut $dir/lfut/lock.lua $size pair",
  against = {
    { "empty C call", "$lfut $dir/lfut/lock.lua $size call", at_most = 4,
      bound = true },
  },
}

figure {
  name = "value", unit = "additions/s", size = 200000,
  about = "two processes add 100 000 times each to one value",
  lfut = "$lfut $dir/lfut/value.lua $size",
  against = {
    { "python mp.Value", "$python $dir/python/value.py $size", at_least = 10 },
  },
}

-- Many futures: ten times as many should take ten times as long. The limit
-- leaves room for data that outgrows the caches, which alone can double a
-- linear cost; a quadratic one shows 100.

for _, what in ipairs { "cancel", "wait", "as_completed" } do
  local program = "$lfut $dir/lfut/pending.lua %s " .. what
  figure {
    name = "pending-" .. what:gsub("_", "-"), unit = "s", size = 100000,
    about = ("10^5 pending futures: %s, against 10^4"):format(
      what == "cancel" and "cancel of each"
        or what .. " until the last has run"),
    lfut = program:format("$size"),
    against = {
      { "a tenth", program:format("$tenth"), at_most = 20, bound = true },
    },
  }
end

-- Both again over futures that are all cancelled: they are done at once, so
-- only the waiting itself is measured.
for _, what in ipairs { "wait", "as_completed" } do
  local program = "$lfut $dir/lfut/pending.lua %s cancelled_" .. what
  figure {
    name = "cancelled-" .. what:gsub("_", "-"), unit = "s", size = 100000,
    about = ("10^5 cancelled futures: %s, against 10^4"):format(what),
    lfut = program:format("$size"),
    against = {
      { "a tenth", program:format("$tenth"), at_most = 20, bound = true },
    },
  }
end

-- Clusters: of this machine alone, by a server of its own --------------------

figure {
  name = "cluster-submit", unit = "tasks/s", size = 100000,
  about = "submit + result of 100 000 tasks, a cluster of 2 workers",
  lfut = "$lfut $dir/lfut/submit.lua $size ClusterExecutor",
  against = {
    { "python processes",
      "$python $dir/python/submit.py $tenth ProcessPoolExecutor",
      at_least = 4 },
    { "dask", "$dask $dir/python/dask_submit.py 2000", at_least = 20 },
    { "rq", "$rq $dir/python/rq_submit.py 200" },
  },
}

figure {
  name = "cluster-round-trip", unit = "s", size = 3000,
  about = "one submit and its result, a cluster of 2 workers",
  lfut = "$lfut $dir/lfut/round_trip.lua $size ClusterExecutor",
  against = {
    { "hiredis echo", "$redis $size", at_most = 3, bound = true },
    { "lfut processes",
      "$lfut $dir/lfut/round_trip.lua $size ProcessPoolExecutor",
      bound = true },
  },
}

figure {
  name = "cluster-map", unit = "items/s", size = 1000000,
  about = "map of a trivial function over 10^6, a cluster of 2 workers",
  lfut = "$lfut $dir/lfut/map.lua $size ClusterExecutor table",
  against = {
    { "python Pool.map", "$python $dir/python/pool_map.py $size",
      at_least = 1 },
  },
}

figure {
  name = "cluster-string", unit = "B/s", size = 300,
  about = "a 1 MiB string to a cluster's worker, its length back",
  lfut = "$lfut $dir/lfut/string.lua $size ClusterExecutor 1",
  against = {
    { "lfut processes",
      "$lfut $dir/lfut/string.lua $size ProcessPoolExecutor 1",
      bound = true },
  },
}

-- Control -------------------------------------------------------------------

for _, kind in ipairs { "Thread", "Process" } do
  local prefix = kind == "Process" and "process-" or ""
  figure {
    name = prefix .. "timeout", unit = "s", size = 2000,
    about = "what a limit of time costs a task, more than one without",
    lfut = "$lfut $dir/lfut/limits.lua $size " .. kind .. "PoolExecutor",
    at_most = 150e-9,
    against = {},
  }
  figure {
    name = prefix .. "stop", unit = "s", size = 200, quick = 50,
    about = "a task that computes is cancelled, until who waits is woken",
    lfut = "$lfut $dir/lfut/stop.lua $size " .. kind .. "PoolExecutor",
    at_most = 0.002,
    against = {},
  }
end

figure {
  name = "stop-many", unit = "s", size = 1000, quick = 1000,
  about = "1000 tasks that run, parked but for two, are cancelled",
  lfut = "$lfut $dir/lfut/stop_many.lua $size",
  against = {
    { "100 of them", "$lfut $dir/lfut/stop_many.lua 100", at_most = 20,
      bound = true },
  },
}

figure {
  name = "replace", unit = "s", size = 51, quick = 11,
  about = "a worker process that hangs is killed, another has run a task",
  lfut = "$lfut $dir/lfut/replace.lua $size worker",
  against = {
    { "a new pool", "$lfut $dir/lfut/replace.lua $size pool", at_most = 2,
      bound = true },
  },
}

-- Waiting --------------------------------------------------------------------

figure {
  name = "sleepers", unit = "s", size = 100000,
  about = "10^5 tasks that sleep for a second each, to the end, 2 threads",
  lfut = "$lfut $dir/lfut/sleepers.lua $size",
  against = {
    { "asyncio", "$python $dir/python/sleepers.py $size", at_most = 0.4 },
    { "node", "$node $dir/node/sleepers.js $size", at_most = 1 },
  },
}

figure {
  name = "deadlines", unit = "s", size = 100000,
  about = "the same for up to a second, each for another time",
  lfut = "$lfut $dir/lfut/sleepers.lua $size 1 distinct",
  against = {
    { "equal ones", "$lfut $dir/lfut/sleepers.lua $size", at_most = 1.3,
      bound = true },
  },
}

figure {
  name = "sleeper-memory", unit = "B", size = 100000,
  about = "one of 10^5 tasks that sleep, with its future",
  lfut = "$lfut $dir/lfut/sleeper_memory.lua $size",
  at_most = 2200,
  against = {},
}

figure {
  name = "echo", unit = "requests/s", size = 100, quick = 10,
  about = "64 bytes there and back over 1000 connections, in one program",
  lfut = "ulimit -n 4096; $lfut $dir/lfut/echo.lua 1000 $size",
  against = {
    { "asyncio", "ulimit -n 4096; $python $dir/python/echo.py 1000 $size",
      at_least = 3 },
    { "node", "ulimit -n 4096; $node $dir/node/echo.js 1000 $size",
      at_least = 0.8 },
  },
}

figure {
  name = "commands", unit = "commands/s", size = 2000,
  about = "short commands, 64 at a time",
  lfut = "$lfut $dir/lfut/commands.lua $size",
  against = {
    { "asyncio", "$python $dir/python/commands.py $size", at_least = 2 },
  },
}

-- LuaJIT ---------------------------------------------------------------------

figure {
  name = "luajit-mandelbrot", unit = "s", size = 800, quick = 800,
  about = "lfut for LuaJIT: Mandelbrot set, 800 rows mapped over 2 workers",
  lfut = "$jit $dir/lfut/mandelbrot.lua $size ThreadPoolExecutor 2",
  against = {
    { "luajit", "$luajit $dir/lua/mandelbrot.lua $size", at_least = 1.8 },
    { "2 × luajit", "$together 2 $luajit $dir/lua/mandelbrot_half.lua $size",
      at_least = 0.9, bound = true },
    { "node, 2 threads", "$node $dir/node/mandelbrot.js $size 2", at_least = 1 },
  },
  parallel = true,
}

figure {
  name = "luajit-submit", unit = "tasks/s", size = 100000,
  about = "lfut for LuaJIT: submit + result of 100 000 tasks, 2 workers",
  lfut = "$jit $dir/lfut/submit.lua $size ThreadPoolExecutor",
  against = {
    { "lfut, Lua 5.4", "$lfut $dir/lfut/submit.lua $size ThreadPoolExecutor",
      bound = true },
  },
}

figure {
  name = "luajit-map-range", unit = "items/s", size = 10000000,
  about = "lfut for LuaJIT: map of a trivial function over range(10^7)",
  lfut = "$jit $dir/lfut/map.lua $size ThreadPoolExecutor range",
  against = {
    { "lfut, Lua 5.4", "$lfut $dir/lfut/map.lua $size ThreadPoolExecutor range",
      at_least = 3, bound = true },
  },
}

-- Text, commands --------------------------------------------------------------

figure {
  name = "text", unit = "s", size = 300000000, quick = 30000000,
  about = "the words of a file of 300 MB, 2 workers",
  lfut = "$lfut $dir/lfut/text.lua $size lfut",
  against = {
    { "2 × lua", "$lfut $dir/lfut/text.lua $size lua $lua", at_least = 0.95 },
  },
  parallel = true,
}

figure {
  name = "text-memory", unit = "B", size = 300000000, quick = 30000000,
  about = "what the program grows by meanwhile",
  lfut = "$lfut $dir/lfut/text.lua $size memory",
  at_most = 20000000,
  against = {},
}

figure {
  name = "run", unit = "s", size = 500, quick = 100,
  about = "lfut.run of `true`, start to exit",
  lfut = "$lfut $dir/lfut/run.lua $size",
  against = {
    { "C, posix_spawn", "$c spawn $size true", at_most = 1.3, bound = true },
  },
}

return figures
