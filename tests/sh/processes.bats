# SPDX-License-Identifier: MIT
# ProcessPoolExecutor as seen from outside: interrupts, ends of the program, and
# the module in stock Lua.

source "$srcdir/tests/helpers.sh"

# With METHOD for the start method, and two workers, that tell of themselves.
preamble='local lfut = require "lfut"
  local function ready()
    local file <close> = assert(io.open("ready", "a"))
    file:write(lfut.getpid(), "\n")
  end
  local function busy() ready() while true do end end
  local function asleep() ready() lfut.sleep(1e6) end
  local exe = lfut.ProcessPoolExecutor { max_workers = 2, start_method = "METHOD" } '

# start_workers METHOD TEXT: runs it, until two tasks have called ready(); what
# are children of the program then is in $children.
start_workers() {
  rm -f ready
  mkfifo ready
  echo "${preamble/METHOD/$1} $2" > script.lua
  start script.lua
  exec 6<> ready
  local count=0 _pid
  while [ $count -lt 2 ]; do
    if read -r -t 1 _pid <&6; then
      count=$((count + 1))
    else
      kill -0 "$pid" || complain "$(cat out err)"
    fi
  done
  exec 6>&-
  read -r -a children <<< "$(cat /proc/"$pid"/task/*/children)"
  [ ${#children[@]} -ge 1 ]
}

# Until none of $children is there, unless as somebody else's zombie.
gone() {
  local child state
  for child in "${children[@]}"; do
    for _ in {1..600}; do
      read -r _ _ state _ 2> /dev/null < "/proc/$child/stat" || break
      [ "$state" != Z ] || break
      timeout 0.1 tail -s 0.05 --pid="$child" -f /dev/null || true
    done
    [ ! -e "/proc/$child/stat" ] || [ "$state" = Z ] ||
      complain "$child is still there"
  done
}

interrupted() {
  finish
  [ "$status" = 130 ] || complain "status $status" "$(cat out err)"
  contains "$(cat err)" 'interrupted!'
}

@test "Ctrl-C in f:result(), with workers that compute" {
  needs_signals
  for method in fork spawn; do
    start_workers $method 'exe:submit(busy) exe:submit(busy):result()'
    await_sleep
    kill -INT "$pid"
    interrupted
    gone
  done
}

@test "Ctrl-C with workers in lfut.sleep, inside of a <close> executor" {
  for method in fork spawn; do
    start_workers $method 'local close <close> = exe
      exe:submit(asleep)
      exe:submit(asleep):result()'
    await_sleep
    kill -INT "$pid"
    interrupted
    gone
  done
}

@test "Ctrl-C in lfut.wait, map, for_each, shutdown" {
  for call in 'lfut.wait { exe:submit(asleep), exe:submit(asleep) }' \
    'for _ in exe:map(asleep, { 1, 2 }, { chunksize = 1 }) do end' \
    'exe:for_each(asleep, { 1, 2 }, { chunksize = 1 })' \
    'exe:submit(asleep) exe:submit(asleep) exe:shutdown()'; do
    start_workers fork "$call"
    await_sleep
    kill -INT "$pid"
    interrupted
    gone
  done
}

# A terminal sends it to the workers, too; they leave that to the program.
@test "Ctrl-C to the whole group" {
  for method in fork spawn; do
    start_workers $method 'require "lfut".on_unasked(function() end)
      local f = exe:submit(asleep)
      exe:submit(asleep)
      print(pcall(f.result, f))
      exe:kill_workers()'
    await_sleep
    kill -INT "${children[@]}"
    kill -INT "$pid"
    finish
    [ "$status" = 0 ] || complain "status $status" "$(cat out err)"
    contains "$(cat out)" 'interrupted!'
    [ ! -s err ] || complain "$(cat err)"
    gone
  done
}

@test "Ctrl-C at the normal end, while pending work is finished" {
  for method in fork spawn; do
    start_workers $method 'exe:submit(asleep) exe:submit(asleep)'
    await_sleep
    kill -INT "$pid"
    interrupted
    gone
  done
}

@test "a script that catches Ctrl-C goes on, with its executors" {
  needs_signals
  for method in fork spawn; do
    start_workers $method 'exe:submit(busy)
      local f = exe:submit(busy)
      print(pcall(f.result, f))
      print(exe:submit(string.rep, "x", 3):result())'
    await_sleep
    kill -INT "$pid"
    finish
    [ "$status" = 0 ] || complain "status $status" "$(cat out err)"
    contains "$(head -n 1 out)" 'interrupted!'
    [ "$(tail -n 1 out)" = xxx ]
    gone
  done
}

@test "no orphans after kill -9" {
  for method in fork spawn; do
    for task in asleep busy; do
      start_workers $method "exe:submit($task) exe:submit($task):result()"
      kill -KILL "$pid"
      finish
      [ "$status" = 137 ]
      gone
    done
  done
}

@test "no orphans after kill -9, with idle workers" {
  for method in fork spawn; do
    start_workers $method 'for _, f in ipairs(exe:broadcast(ready)) do f:result() end
      while true do lfut.sleep(1e6) end'
    kill -KILL "$pid"
    finish
    gone
  done
}

# Their program is a worker, which dies with its own.
@test "no orphans of pools within pools after kill -9" {
  for outer in fork spawn; do
    start_workers $outer 'exe:submit(function()
        local inner = lfut.ProcessPoolExecutor(2)
        inner:submit(asleep)
        inner:submit(asleep):result()
      end):result()'
    grandchildren=()
    for child in "${children[@]}"; do
      read -r -a found <<< "$(cat /proc/"$child"/task/*/children)"
      grandchildren+=("${found[@]}")
    done
    [ ${#grandchildren[@]} -ge 2 ]
    children+=("${grandchildren[@]}")
    kill -KILL "$pid"
    finish
    gone
  done
}

@test "an error and os.exit end the program at once" {
  mkfifo go
  for method in fork spawn; do
    for ending in 'error "the end"' 'io.stderr:write "the end" os.exit(1)'; do
      start_workers $method "exe:submit(asleep)
        exe:submit(asleep)
        exe:submit(print, 'queued')
        assert(io.open('go')):read()
        $ending"
      echo now > go
      finish
      [ "$status" = 1 ] || complain "status $status" "$(cat out err)"
      contains "$(cat err)" 'the end'
      [ ! -s out ] || complain "$(cat out)"
      gone
    done
  done
}

@test "no temporary file and nothing in /dev/shm is left" {
  before=$(ls -A /dev/shm)
  TMPDIR=$BATS_TEST_TMPDIR/tmp
  mkdir "$TMPDIR"
  export TMPDIR
  for method in fork spawn; do
    start_workers $method 'exe:submit(asleep) exe:submit(asleep):result()'
    kill -KILL "$pid"
    finish
    gone
  done
  [ "$(ls -A /dev/shm)" = "$before" ]
  [ "$(ls -A "$TMPDIR")" = '' ]
}

@test "standard input is the script's" {
  for method in fork spawn; do
    run lfut -e "local exe = require 'lfut'.ProcessPoolExecutor {
        max_workers = 1, start_method = '$method' }
      print(io.read())
      print(exe:submit(function() return 1 end):result())
      print(io.read())" <<< $'one\ntwo'
    [ "$status" = 0 ] || complain "$output"
    [ "$output" = $'one\n1\ntwo' ] || complain "$output"
  done
}

@test "standard input, output and error may be closed" {
  for method in fork spawn; do
    lfut -e "local exe <close> = require 'lfut'.ProcessPoolExecutor {
        max_workers = 2, start_method = '$method' }
      local list = exe:map(function(i) return i end, { 1, 2, 3 }):list()
      os.exit(#list + 4, true)" <&- >&- 2>&- || status=$?
    [ "$status" = 7 ] || complain "status $status"
  done
}

@test "in stock Lua" {
  needs_stock_lua
  for method in fork spawn; do
    run --separate-stderr stock_lua -e "local lfut = require 'lfut'
      Here = 5
      local exe <close> = lfut.ProcessPoolExecutor { max_workers = 2, start_method = '$method' }
      print(exe:submit(function(x) return x * x, lfut.worker().kind end, 7):result())
      print(exe:submit(function() return _G['Here'] end):result())
      print(exe:reduce(function(i) return i end, lfut.range(1000), function(a, b) return a + b end))
      local f = exe:submit(os.execute, 'kill -KILL \$PPID')
      print(f:exception().signal)
      print(exe:submit(function() return 1 end):result())"
    [ "$status" = 0 ] || complain "$output" "$stderr"
    here=5
    [ $method = fork ] || here=nil
    [ "$output" = $'49\tprocess\n'$here$'\n500500\nSIGKILL\n1' ] ||
      complain "$method: $output" "$stderr"
  done
}

@test "in stock Lua, the end of the script finishes pending work" {
  needs_stock_lua
  for method in fork spawn; do
    run stock_lua -e "local exe = require 'lfut'.ProcessPoolExecutor {
        max_workers = 1, start_method = '$method' }
      for i = 1, 3 do exe:submit(print, i) end"
    [ "$status" = 0 ]
    [ "$output" = $'1\n2\n3' ] || complain "$output"
  done
}

@test "-w and LFUT_WORKERS hold for processes" {
  run lfut -w 3 -e 'print(require "lfut".ProcessPoolExecutor().max_workers)'
  [ "$status:$output" = 0:3 ] || complain "$output"
  LFUT_WORKERS=4 run lfut -e 'print(require "lfut".ProcessPoolExecutor().max_workers)'
  [ "$status:$output" = 0:4 ] || complain "$output"
}

@test "-W reaches the workers" {
  for method in fork spawn; do
    run --separate-stderr lfut -W -e "local exe <close> = require 'lfut'.ProcessPoolExecutor {
        max_workers = 1, start_method = '$method' }
      exe:submit(warn, 'hello'):result()"
    [ "$status:$stderr" = '0:Lua warning: hello' ] || complain "$method: $stderr"
  done
}

# refuse ERROR FIRST: has the FIRST-th pidfd_open and later ones fail with that.
refuse() {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip 'a sanitizer wants to be loaded first'
  cat > refuse.c << 'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
long syscall(long number, ...) {
  static int calls;
  long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  long x[6];
  va_list args;
  va_start(args, number);
  for (int i = 0; i < 6; i++)
    x[i] = va_arg(args, long);
  va_end(args);
  if (number != SYS_pidfd_open || ++calls < FIRST)
    return next(number, x[0], x[1], x[2], x[3], x[4], x[5]);
  errno = ERROR;
  return -1;
}
END
  "${CC:-cc}" -shared -fPIC "-DERROR=$1" "-DFIRST=$2" -o refuse.so refuse.c
}

# As in systems before Linux 5.3, and in valgrind.
@test "without descriptors of processes there is no pool of them" {
  refuse ENOSYS 1
  LD_PRELOAD=./refuse.so run lfut -e 'print(pcall(require "lfut".ProcessPoolExecutor, 1))'
  [ "$output" = $'false\tcannot start worker processes: pidfd_open: Function not implemented' ] ||
    complain "$output"
}

@test "a worker without a descriptor works, and its end is seen" {
  refuse EMFILE 2
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ProcessPoolExecutor { max_workers = 2, start_method = arg[1] }
local lost = exe:submit(function() os.execute("kill -KILL " .. lfut.getpid()) end)
print(lost:exception().kind, lost:exception().signal)
for i = 1, 20 do
  assert(exe:submit(math.abs, -i):result() == i)
end
END
  for method in fork spawn; do
    LD_PRELOAD=./refuse.so run lfut script.lua $method
    [ "$output" = $'WorkerLost\tSIGKILL' ] || complain "$method: $output"
  done
}

@test "a pool has as many workers as there are descriptors for" {
  cat > script.lua << 'END'
local lfut = require "lfut"
for round = 1, 3 do
  local exe <close> = lfut.ProcessPoolExecutor { max_workers = 40, start_method = arg[1] }
  local futures = {}
  for i = 1, 100 do
    futures[i] = exe:submit(function(i) return i end, i)
  end
  for i = 1, 100 do
    assert(futures[i]:result() == i)
  end
  assert(exe:stats().workers >= 1)
end
END
  for method in fork spawn; do
    ulimit -n 30
    run lfut script.lua $method
    [ "$status:$output" = 0: ] || complain "$method: $status $output"
  done
}

# What could not be had for a moment.
@test "things that are shared, when there were no descriptors for the first" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local files = {}
repeat
  files[#files + 1] = io.open "/dev/null"
until not io.open "/dev/null"
assert(not pcall(lfut.Queue))
while #files > 0 do
  table.remove(files):close()
end
local queue = lfut.Queue()
queue:put(1)
local exe <close> = lfut.ProcessPoolExecutor(1)
print(exe:submit(function() return queue:get() end):result())
END
  ulimit -n 30
  run lfut script.lua
  [ "$status:$output" = 0:1 ] || complain "$output"
}

@test "things that are shared, after many threads, in little address space" {
  [ -z "$LFUT_SANITIZER" ] || skip 'a sanitizer takes more'
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ThreadPoolExecutor(16)
lfut.wait(exe:broadcast(function() end))
print(lfut.Queue():qsize())
END
  for limit in 300000 500000 800000; do
    run bash -c "ulimit -v $limit; exec \"\$0\" script.lua" "$LFUT"
    [ "$status:$output" = 0:0 ] || complain "$limit: $output"
  done
}

@test "a worker that cannot be started is tried again" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ProcessPoolExecutor { max_workers = 2, start_method = arg[1] }
local files = {}
repeat
  files[#files + 1] = io.open "/dev/null"
until not io.open "/dev/null"
local f = exe:submit(math.abs, -1)
if arg[2] == "later" then
  while #files > 0 do
    table.remove(files):close()
  end
  print(f:result())
else
  print(f:exception().kind)
end
END
  for method in fork spawn; do
    ulimit -n 30
    run lfut script.lua $method later
    [ "$output" = 1 ] || complain "$method: $output"
    run lfut script.lua $method never
    [ "$output" = BrokenProcessPool ] || complain "$method: $output"
  done
}

@test "a program of another Lua is refused as a worker" {
  needs_stock_lua
  local name modules=there/lib/lua/$LFUT_LUA_VERSION
  name=$(installed_as) || skip 'no build tree'
  mkdir -p there/bin "$modules"
  cp "$(dirname "$LFUT")/.libs/lfut.so" "$modules"
  printf '#!/bin/sh\nexec "%s" "$1" "Lua 0.1" "$3" "$4"\n' "$LFUT" > "there/bin/$name"
  chmod +x "there/bin/$name"
  LUA_CPATH="$PWD/$modules/?.so" run stock_lua -e 'local lfut = require "lfut"
    local exe = lfut.ProcessPoolExecutor { max_workers = 1, start_method = "spawn" }
    print(exe:submit(math.max, 1, 2):exception())'
  [ "$status" = 0 ] || complain "$output"
  contains "$output" BrokenProcessPool
  contains "$output" "the worker's lfut is for Lua $LFUT_LUA_VERSION, the program's for Lua 0.1"
}
