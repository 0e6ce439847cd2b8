# SPDX-License-Identifier: MIT
# kill -USR1: what runs and what waits. As a report may come too early, one is
# asked for until it says what it has to.

source "$srcdir/tests/helpers.sh"

setup() {
  needs_signals
  in_empty_directory
  mkfifo never
}

# reported: how many reports there are.
reported() {
  grep -ac '^lfut: process' err || true
}

# last_report: all lines of it.
last_report() {
  awk '/^lfut: process/ { text = "" } { text = text $0 "\n" }
    END { printf "%s", text }' err
}

# ask [PID]: has it report once more, and waits for that.
ask() {
  local before
  before=$(reported)
  kill -USR1 "${1:-$pid}"
  until [ "$(reported)" -gt "$before" ]; do
    kill -0 "$pid" || complain "ended: $(cat out err)"
    timeout 0.05 tail -s 0.05 --pid="$pid" -f /dev/null || true
  done
}

# has PATTERN...: does the last report have lines like these?
has() {
  local pattern
  for pattern; do
    last_report | grep -qE -- "$pattern" || return
  done
}

# says PATTERN...: a report comes to have lines like these.
says() {
  local tries=0
  until ask && has "$@"; do
    ((++tries < 200)) || complain "missing one of:" "$@" "in:" "$(last_report)"
  done
}

# run_script TEXT: in the background.
run_script() {
  rm -f here
  echo "local lfut = require 'lfut'; io.open('here', 'w'):close()
    local function loop() while true do end end
    local function busy() loop() end
    local function read() return io.open('never', 'r+'):read() end
    $1" > script.lua
  start script.lua
  running
}

# The program has begun with its script: it has set its handler.
running() {
  until [ -e here ]; do
    kill -0 "$pid" || complain "$(cat out err)"
  done
}

@test "threads: what runs, what waits for it, what is queued" {
  run_script 'local exe = lfut.ThreadPoolExecutor(1)
    local f = exe:submit(busy)
    exe:submit(print)
    f:result()'
  says "^the script: waits for the future of function <script.lua:3> \([0-9.]+ s\), which worker 1 of lfut runs, in 'result' at script.lua:8 in main chunk$" \
    '^lfut \(threads, max_workers=1\): 1 queued$' \
    "^  worker 1 \([0-9]+\): function <script.lua:3> for [0-9.]+ s, at script.lua:2 in (function|upvalue) 'loop', called at script.lua:3$"
}

# What it cannot look at now is not said to be nobody's.
@test "tasks parked below one that computes in C" {
  run_script 'local exe = lfut.ThreadPoolExecutor(1)
    local lock, locked = lfut.Lock(), lfut.Event()
    local other = lfut.ThreadPoolExecutor(1)
    local slow = other:submit(busy)
    exe:submit(function() lock:acquire() locked:set() return slow:result() end)
    locked:wait()
    exe:submit(string.find, ("a"):rep(60), ("a-"):rep(30) .. "b")
    lock:acquire()'
  says 'waits for lfut.Lock .*, held by nothing that runs here: .*, or one that does not answer' \
    '^    and 1 parked, of which it does not tell now$'
}

@test "a place in a queue that is full; the end of an executor" {
  run_script 'local exe = lfut.ThreadPoolExecutor { max_workers = 1, max_queue = 1 }
    for _ = 1, 3 do exe:submit(busy) end'
  says "^the script: waits for a place in an executor's queue \(max_queue\)"
  kill -9 "$pid"
  run_script 'local exe = lfut.ThreadPoolExecutor(1)
    exe:submit(busy)
    exe:shutdown()'
  says '^the script: waits for the end of an executor or a thread'
}

@test "processes: what was sent ahead is queued" {
  run_script 'local exe = lfut.ProcessPoolExecutor(2)
    local begun, go = lfut.Queue(), lfut.Event()
    for _ = 1, 8 do exe:submit(function() begun:put(1) go:wait() end) end
    begun:get() begun:get()
    go:wait()'
  says '^lfut \(processes, max_workers=2\): 6 queued$'
}

# The pipe is full, and nobody reads: the program ends all the same.
@test "a report that nobody reads" {
  mkfifo full
  exec 5<> full
  head -c 65536 /dev/zero >&5
  "$LFUT" -e 'local lfut = require "lfut"
    local exe = lfut.ThreadPoolExecutor(1)
    exe:submit(load "while true do end")
    for _ = 1, 50 do -- it is at the first of them
      os.execute("kill -USR1 " .. lfut.getpid())
    end
    io.open("over", "w"):close()
    os.exit(0)' 2> full &
  pid=$!
  wait "$pid"
  [ -e over ]
  exec 5>&-
}

@test "a task by its own name, of an executor with a name" {
  run_script 'local exe = lfut.ThreadPoolExecutor { max_workers = 1, name = "crawlers" }
    exe:options { name = "crawl" }:submit(busy):result()'
  says '^the script: waits for the future of crawl .* worker 1 of crawlers runs' \
    '^crawlers \(threads' '^  worker 1 .*: crawl for [0-9.]+ s, at script.lua:2'
}

@test "workers that are idle, together" {
  run_script 'local exe = lfut.ThreadPoolExecutor(3)
    exe:broadcast(function() end)
    read()'
  says '^  workers 1, 2, 3, each: idle$' "^the script: runs, in 'read' at script.lua:4"
}

@test "what is waited for: queues, events, conditions, semaphores, barriers, sleep, commands" {
  run_script 'local exe = lfut.ThreadPoolExecutor(8)
    local q, full = lfut.Queue(), lfut.Queue(1)
    full:put(1)
    exe:submit(function() q:get() end)
    exe:submit(function() full:put(2) end)
    exe:submit(function() full:join() end)
    exe:submit(function() lfut.Event():wait() end)
    exe:submit(function() lfut.Semaphore(0):acquire(1e5) end)
    exe:submit(function() lfut.Barrier(2):wait() end)
    exe:submit(function() lfut.sleep(1e6) end)
    exe:submit(function() os.execute "read line < never" end)
    local c = lfut.Condition()
    c:with(function() c:wait() end)'
  says 'waits for lfut.Queue 0x[0-9a-f]+ \(get\) .* at script.lua:8' \
    'waits for lfut.Queue 0x[0-9a-f]+ \(put\) .* at script.lua:9' \
    'waits for lfut.Queue 0x[0-9a-f]+ \(join\) .* at script.lua:10' \
    'waits for lfut.Event 0x[0-9a-f]+ .* at script.lua:11' \
    'waits for lfut.Semaphore 0x[0-9a-f]+ \([0-9.]+ s, 9[0-9.]+ s left\).* at script.lua:12' \
    'waits for lfut.Barrier 0x[0-9a-f]+ .* at script.lua:13' \
    'waits for the end of lfut.sleep[^,]+, [0-9.]+ s left\).* at script.lua:14' \
    'waits for a command \(process [0-9]+\) .* at script.lua:15' \
    "^the script: waits for lfut.Condition 0x[0-9a-f]+ .*in 'wait' at script.lua:17"
}

@test "wait, as_completed, map, shutdown" {
  for call in 'lfut.wait { f }' 'for _ in lfut.as_completed { f } do end' \
    'for _ in exe:map(read, { 1, 2 }) do end' 'exe:shutdown()'; do
    run_script "local exe = lfut.ThreadPoolExecutor(1)
      local f = exe:submit(read)
      $call"
    says '^the script: waits for (the future of|results of function|the end of an).* at script.lua:7'
    kill -KILL "$pid"
    finish
  done
}

# LOCKS: two tasks that each have a lock, and want the other one's.
LOCKS='local a, b, n = lfut.Lock(), lfut.Lock(), lfut.Barrier(2)
  local function one() a:acquire() n:wait() b:acquire() end
  local function two() b:acquire() n:wait() a:acquire() end'

@test "all hang in a deadlock of locks, of threads" {
  run_script "$LOCKS
    local exe = lfut.ThreadPoolExecutor(2)
    exe:submit(one)
    exe:submit(two):result()"
  says 'function <script.lua:6> .*lfut.Lock 0x[0-9a-f]+ .*, held by worker [12] in function <script.lua:7>' \
    'function <script.lua:7> .*lfut.Lock 0x[0-9a-f]+ .*, held by worker [12] in function <script.lua:6>' \
    '^these wait for each other, for ever: worker ([12]) of lfut -> worker [12] of lfut -> worker \1 of lfut$'
}

@test "all hang in a deadlock of locks, of processes" {
  for method in fork spawn; do
    run_script "$LOCKS
      local exe = lfut.ProcessPoolExecutor { max_workers = 2, start_method = '$method' }
      exe:submit(one)
      exe:submit(two):result()"
    says 'function <script.lua:6> .*lfut.Lock 0x[0-9a-f]+ .*, held by worker [12] in function <script.lua:7>' \
      '^these wait for each other, for ever: '
    kill -KILL "$pid"
    finish
  done
}

@test "the script has the lock that a task wants" {
  run_script 'local exe = lfut.ThreadPoolExecutor(1)
    local lock = lfut.Lock()
    lock:acquire()
    exe:submit(function() lock:acquire() end):result()'
  says "waits for lfut.Lock 0x.*, held by the script's thread," \
    "^these wait for each other, for ever: the script's thread -> worker 1 of lfut -> the script's thread\$"
}

@test "processes: one computes, one waits, one is blocked in C code" {
  for method in fork spawn; do
    run_script "local exe = lfut.ProcessPoolExecutor {
        max_workers = 4, start_method = '$method' }
      local q = lfut.Queue()
      exe:submit(busy)
      exe:submit(function() q:get() end)
      exe:submit(function() os.execute 'read line < never' end)
      exe:submit(read):result()"
    says "^the script: waits for the future of function <script.lua:4> .* runs" \
      "^  worker . .*: function <script.lua:3> for .*, at script.lua:2 in (function|upvalue) 'loop', called at script.lua:3" \
      '^  worker . .*: parked: function <script.lua:9> for .*lfut.Queue .*at script.lua:9' \
      '^  worker . .*: function <script.lua:10> for .*a command .*at script.lua:10' \
      "^  worker . .*: function <script.lua:4> for .* s, in 'read' at script.lua:4"
    kill -KILL "$pid"
    finish
  done
}

@test "a future that a worker process waits for, and who runs it" {
  run_script 'local exe = lfut.ProcessPoolExecutor(2)
    exe:submit(function(exe)
      exe:submit(read):result()
    end, exe):result()'
  says 'parked: function <script.lua:6> .*waits for the future of function <script.lua:4> .*, which worker [12] runs, .*at script.lua:7'
}

@test "a worker process that is stopped cannot answer" {
  run_script 'local exe = lfut.ProcessPoolExecutor(1)
    exe:submit(busy):result()'
  says "worker 1 \([0-9]+\): function <script.lua:3>"
  worker=$(last_report | sed -n 's/^  worker 1 (\([0-9]*\)).*/\1/p')
  kill -STOP "$worker"
  says '^  worker 1: function <script.lua:3>, does not answer'
  kill -CONT "$worker"
  says "worker 1 \([0-9]+\): function <script.lua:3>"
}

@test "an InlineExecutor" {
  run_script 'local exe = lfut.InlineExecutor()
    exe:submit(function()
      require "lfut".InlineExecutor():submit(busy)
    end)'
  says "^the script: below another on its stack, in 'submit' at script.lua:6" \
    '^    runs itself: function <script.lua:6> for .*, below another' \
    '^    runs itself: function <script.lua:3> for .*, at script.lua:2'
}

@test "an initializer" {
  for options in ThreadPoolExecutor 'ProcessPoolExecutor start_method = "fork",' \
    'ProcessPoolExecutor start_method = "spawn",'; do
    run_script "local exe = lfut.${options%% *} { ${options#${options%% *}} max_workers = 1, initializer = busy }
      exe:submit(print):result()"
    says 'function print .*, which has not begun' \
      '^  worker 1 .*: initializer, at script.lua:2'
    kill -KILL "$pid"
    finish
  done
}

@test "without workers: a loop, coroutines, a read, a command, code in C" {
  local scripts=('loop()'
    'local function turn() while true do coroutine.yield() end end
       local co = coroutine.wrap(turn)
       while true do co() end'
    'read()' 'os.execute "read line < never"' 'lfut.Queue():get()')
  for text in "${scripts[@]}"; do
    run_script "$text"
    says '^the script: (runs|waits for (a command|lfut.Queue)).* at script.lua:[0-9]+'
    kill -KILL "$pid"
    finish
  done
  run_script 'string.find(("a"):rep(60), ("a*"):rep(60) .. "b")'
  says '^the script: runs, in C code$'
}

@test "lfut does not need to be required" {
  start -e 'io.open("here", "w"):close() while true do end'
  running
  says '^the script: runs, at \(command line\):1 in main chunk$'
}

@test "very many waiters are told of together" {
  run_script 'local a, b = lfut.ThreadPoolExecutor(1), lfut.ThreadPoolExecutor(1)
    local f = b:submit(read)
    for _ = 1, 10000 do
      a:submit(function(f) return f:result() end, f)
    end
    f:result()'
  says 'parked: 10000 tasks like this: function <script.lua:8> for up to [0-9.]+ s, wait for the future of function <script.lua:4> '
  [ "$(last_report | wc -l)" -lt 12 ] || complain "$(last_report)"
}

@test "tasks that cannot be parked, and futures made of others" {
  run_script 'local exe = lfut.ThreadPoolExecutor(1)
    local f = lfut.ThreadPoolExecutor(1):submit(read)
    exe:submit(function(f)
      table.sort({ 3, 2, 1 }, function() return f:result() end)
    end, f)
    lfut.all { f }:result()'
  says '^the script: waits for a future made of others, of which 1 is not done, that of function <script.lua:4> .*, which worker 1 of lfut #2 runs' \
    '^  worker 1 .*: function <script.lua:7> .*waits for the future of function <script.lua:4> .*, which worker 1 of lfut #2 runs, in .result. at script.lua:8'
}

@test "what futures of futures wait for, by name" {
  run_script 'local exe = lfut.ThreadPoolExecutor { max_workers = 1, name = "one" }
    local f = exe:options { name = "source" }:submit(busy)
    local after = f:and_then(function(x) return x end)
    local any = lfut.any { lfut.all { after, exe:submit(print) }, after }
    any:result()'
  says '^the script: waits for a future made of others, of which 2 are not done, as that of one made of others, of which 2 are not done, as that of function <script.lua:7> after that of source .*, which worker 1 of one runs' \
    '^one .* 1 that wait for others first$'
}

@test "a Thread" {
  run_script 'lfut.Thread { target = busy, name = "thinker" }:start()
    read()'
  says '^thinker \(threads' '^  worker 1 .*: function <script.lua:3>'
}

@test "a Process reports for itself" {
  run_script 'local p = lfut.Process { target = busy }
    p:start()
    io.open("pid", "w"):write(p.pid, "\n"):close()
    p:join()'
  until [ -s pid ]; do :; done
  local child
  child=$(cat pid)
  until ask "$child" && has "^lfut: process $child " \
    'the script: runs, at script.lua:2'; do :; done
  says "^lfut: process $pid " '^the script: waits for the end of'
}

@test "several signals at once" {
  run_script 'local exe = lfut.ThreadPoolExecutor(1)
    local forked = lfut.ProcessPoolExecutor(2)
    exe:submit(busy)
    forked:submit(busy)
    forked:submit(read):result()'
  says 'worker 1 .*script.lua:3'
  for _ in {1..20}; do
    kill -USR1 "$pid" && kill -USR1 "$pid"
  done
  says 'worker 1 .*script.lua:3' "^the script: waits .* in 'result' at"
  kill -0 "$pid"
}

@test "everything goes on as if nothing had been" {
  mkfifo {r,c}{1..3}
  run_script 'local q = lfut.Queue()
    local hooked = 0
    debug.sethook(function() hooked = hooked + 1 end, "l")
    local exes = { lfut.ThreadPoolExecutor(4), lfut.ProcessPoolExecutor(4),
      lfut.ProcessPoolExecutor { max_workers = 4, start_method = "spawn" } }
    local futures = {}
    local function all(i, e)
      local function add(...) futures[#futures + 1] = e:submit(...) end
      add(function() return q:get() end)
      add(function() return io.open("r" .. i):read() end)
      add(function()
        return (select(3, os.execute("read line < c" .. i .. "; exit 7")))
      end)
      add(function()
        local n = 0
        while not io.open "counted" do n = n + 1 end
        return "counted"
      end)
    end
    for i, e in ipairs(exes) do all(i, e) end
    for i = 12, 1, -1 do
      lfut.wait { futures[i] }
      if i == 10 then for _ = 1, 3 do q:put "item" end end
      futures[i] = tostring((futures[i]:result()))
    end
    print(table.concat(futures, " "))
    print(hooked > 0 and debug.gethook() ~= nil)'
  says "'wait' at script.lua:2[0-9]" 'lfut.Queue' 'a command' \
    "in '(open|read)' at"
  for _ in {1..6}; do
    ask
  done
  touch counted
  says "'wait' at script.lua:2[0-9]" 'lfut.Queue' 'a command' \
    "in '(open|read)' at"
  for i in 1 2 3; do
    echo text > "r$i"
    ask
    echo text > "c$i"
  done
  finish
  [ "$status" = 0 ] || complain "$(cat out err)"
  local all='item text 7 counted'
  [ "$(cat out)" = "$all $all $all"$'\n'true ] || complain "$(cat out)"
}

@test "a worker that gets the signal lives on" {
  for method in fork spawn; do
    rm -f line out
    mkfifo line
    run_script "local exe = lfut.ProcessPoolExecutor {
        max_workers = 1, start_method = '$method' }
      print(exe:submit(function() return io.open 'line':read() end):result())"
    says "worker 1 \([0-9]+\): function <script.lua:7>"
    worker=$(last_report | sed -n 's/^  worker 1 (\([0-9]*\)).*/\1/p')
    kill -USR1 "$worker"
    says "worker 1 \($worker\): function <script.lua:7>"
    echo done > line
    finish
    [ "$(cat out)" = done ] || complain "$(cat out err)"
  done
}

@test "a program that is started with the signal ignored leaves it so" {
  mkfifo line
  (trap '' USR1 && exec "$LFUT" -e 'print(io.open "line":read())' > out 2> err \
    < /dev/null 3>&-) &
  pid=$!
  exec 7> line
  kill -USR1 "$pid"
  echo done >&7
  exec 7>&-
  finish
  [ "$status" = 0 ]
  [ "$(cat out)" = done ]
  [ ! -s err ]
}

@test "at the end of the program" {
  run_script 'for i = 1, 20 do
      local exe = lfut.ThreadPoolExecutor(4)
      local forked = lfut.ProcessPoolExecutor(1)
      exe:submit(function() return 1 end)
      forked:submit(function() return 1 end)
    end'
  while kill -USR1 "$pid" 2> /dev/null; do
    timeout 0.01 tail -s 0.01 --pid="$pid" -f /dev/null || true
  done
  finish
  [ "$status" = 0 ] || complain "status $status" "$(cat out err)"
}
