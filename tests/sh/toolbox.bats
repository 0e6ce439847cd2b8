# SPDX-License-Identifier: MIT
# Waits for queues, locks and the like: Ctrl-C, the end of the program, what
# killed processes leave. Where something waits, it does so for good.

source "$srcdir/tests/helpers.sh"

# start_script TEXT: runs it with a function ready(), and waits for its call.
start_script() {
  mkfifo ready
  echo 'local lfut = require "lfut"
    local function ready()
      local gate <close> = io.open("ready", "w")
      gate:write "here\n"
    end '"$1" > script.lua
  start script.lua
  meet ready
}

interrupted() {
  await_sleep
  kill -INT "$pid"
  finish
  [ "$status" = 130 ] || complain "status $status" "$(cat out err)"
  contains "$(cat err)" 'interrupted!'
}


@test "Ctrl-C ends a wait for a queue" {
  start_script 'ready() lfut.Queue():get()'
  interrupted
}

@test "Ctrl-C ends a wait for room in a queue" {
  start_script 'local q = lfut.Queue(1) q:put(1) ready() q:put(2)'
  interrupted
}

@test "Ctrl-C ends waits for a lock, a semaphore, a condition, a barrier, an event" {
  for wait in 'lfut.Semaphore(0):acquire()' 'lfut.Event():wait()' \
    'lfut.Barrier(2):wait()' 'local c = lfut.Condition() c:acquire() c:wait()' \
    'local l = lfut.Lock() local t = lfut.Thread { target = function() l:acquire() end, daemon = true }
     t:start() t:join() l:acquire()'; do
    rm -f ready
    start_script "ready() $wait"
    interrupted
  done
}

@test "Ctrl-C ends a loop over a queue that stays open" {
  start_script 'local exe = lfut.ThreadPoolExecutor(1)
    ready() for _ in exe:map(print, lfut.Queue()) do end'
  interrupted
}

@test "Ctrl-C with tasks that wait, in threads and in processes" {
  for kind in ThreadPoolExecutor ProcessPoolExecutor; do
    rm -f ready
    start_script "local exe <close> = lfut.$kind(2)
      local q, l, here = lfut.Queue(), lfut.Lock(), lfut.Event()
      local f = exe:submit(function() l:acquire() here:set() q:get() end)
      here:wait()
      exe:submit(function() ready() l:acquire() end)
      f:result()"
    interrupted
  done
}

@test "a wait goes on after an interruption that is caught" {
  start_script 'local q = lfut.Queue()
    local l = lfut.RLock()
    local c = lfut.Condition(l)
    l:acquire()
    ready()
    print(pcall(q.get, q))
    print(l:locked())
    q:put "on it goes"
    print(q:get())
    print(c:wait(0.01))
    l:release()'
  await_sleep
  kill -INT "$pid"
  finish
  [ "$status" = 0 ] || complain "status $status" "$(cat out err)"
  contains "$(cat out)" 'interrupted!'
  contains "$(cat out)" 'on it goes'
}

@test "an error ends the program while tasks wait" {
  for kind in ThreadPoolExecutor ProcessPoolExecutor; do
    cat > script.lua <<< "local lfut = require 'lfut'
      local exe = lfut.$kind(1)
      local q, here = lfut.Queue(), lfut.Event()
      exe:submit(function() here:set() q:get() end)
      here:wait()
      error 'that is all'"
    run lfut script.lua
    [ "$status" = 1 ] || complain "status $status" "$output"
    contains "$output" 'that is all'
  done
}

@test "os.exit while threads and processes wait" {
  cat > script.lua <<< "local lfut = require 'lfut'
    local l, here = lfut.Lock(), lfut.Semaphore(0)
    l:acquire()
    for _, kind in ipairs { 'Thread', 'Process' } do
      lfut[kind] { target = function() here:release() l:acquire() end, daemon = true }:start()
      here:acquire()
    end
    os.exit(3)"
  run lfut script.lua
  [ "$status" = 3 ] || complain "status $status" "$output"
}

@test "kill -9 of the program leaves no process that waits" {
  start_script 'local q = lfut.Queue()
    local exe = lfut.ProcessPoolExecutor(2)
    for i = 1, 2 do exe:submit(function() q:get() end) end
    for i = 1, 2 do lfut.Process { target = function() q:get() end }:start() end
    ready()
    q:get()'
  children=$(cat /proc/"$pid"/task/*/children)
  [ -n "$children" ]
  kill -KILL "$pid"
  finish
  for child in $children; do
    timeout 60 tail -s 0.05 --pid="$child" -f /dev/null ||
      complain "process $child is left"
  done
  run find /dev/shm -newer script.lua -name '*lfut*'
  [ "$output" = '' ]
}

@test "who waits uses no processor time" {
  start_script 'local q = lfut.Queue()
    local exe = lfut.ProcessPoolExecutor(1)
    exe:submit(function() q:get() end)
    lfut.Thread { target = function() q:get() end, daemon = true }:start()
    ready()
    q:get()'
  ticks() {
    cat /proc/"$pid"/stat $(cat /proc/"$pid"/task/*/children |
      sed 's|\([0-9]*\) |/proc/\1/stat |g') | awk '{ n += $14 + $15 } END { print n }'
  }
  await_sleep
  before=$(ticks)
  timeout 1 tail -f /dev/null || true
  after=$(ticks)
  [ $((after - before)) -le 5 ] || complain "$((after - before)) ticks in a second"
  kill -KILL "$pid"
}

@test "the module in the stock interpreter" {
  needs_stock_lua
  cat > script.lua <<< "local lfut = require 'lfut'
    local q, l = lfut.Queue(), lfut.Lock()
    local p = lfut.Process { target = function() l:acquire() q:put 'from a process' end }
    p:start()
    print(q:get())
    p:join()
    print(l:acquire())"
  run stock_lua script.lua
  [ "$status" = 0 ]
  [ "$output" = "from a process
true	abandoned" ] || complain "$output"
}
