# SPDX-License-Identifier: MIT
# Commands: what os.execute and io.popen start, in the script and in tasks, and
# how they end. A command that has to be in the way reads from a fifo.

source "$srcdir/tests/helpers.sh"

executors='ThreadPoolExecutor ProcessPoolExecutor InlineExecutor'

# let_go FIFO: who reads from it, if anybody does, is at the end.
let_go() {
  exec 7<> "$1"
  exec 7>&-
}

# same_in_tasks TEXT: what stock Lua prints for the statements, lfut prints in
# the script and in tasks of each kind.
same_in_tasks() {
  echo "return function() $1 end" > body.lua
  run stock_lua -e 'dofile "body.lua"()'
  local want=$output
  run lfut -e 'dofile "body.lua"()'
  [ "$output" = "$want" ] || complain "script: $output" "not: $want"
  for executor in $executors; do
    run lfut -e "local exe = require 'lfut'.$executor(1)
      exe:submit(dofile 'body.lua'):result()"
    [ "$output" = "$want" ] || complain "$executor: $output" "not: $want"
  done
}

@test "results are those of stock Lua" {
  needs_stock_lua
  same_in_tasks 'print(os.execute "exit 3") print(os.execute "true")
    print(os.execute "kill -TERM $$") print(os.execute()) print((pcall(os.execute, {})))
    print(os.execute "no-such-command 2> /dev/null")'
  same_in_tasks 'local p = io.popen "echo one; echo two; exit 4"
    print(p:read "l", p:read "n", p:read "a") print(p:close()) print(io.type(p))
    print((pcall(p.read, p)))'
  same_in_tasks 'local p = io.popen("cat; exit 2", "w") p:write "to cat\n" print(p:close())'
  same_in_tasks 'for line in io.popen "echo 1; echo 2":lines() do print(line) end'
  same_in_tasks 'print((pcall(io.popen, "true", "rw"))) print((pcall(io.popen)))
    print(io.popen("kill -KILL $$"):close())'
  same_in_tasks 'print "before" print(io.popen("echo within"):read "a") os.execute "echo after"'
}

@test "no command begins with signals blocked or ignored" {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip 'a sanitizer wants to be loaded first'
  cat > look.c << 'END'
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
__attribute__((constructor)) static void look(void) {
  sigset_t set;
  int odd = 0;
  if (strcmp(program_invocation_short_name, "sh") != 0)
    return;
  sigprocmask(SIG_BLOCK, NULL, &set);
  for (int i = 1; i < 65; i++) {
    struct sigaction action;
    odd += sigismember(&set, i) == 1;
    odd += i == SIGINT && sigaction(i, NULL, &action) == 0 &&
           action.sa_handler == SIG_IGN;
  }
  FILE *out = fopen("masks", "a");
  fprintf(out, "%d\n", odd);
  fclose(out);
}
END
  "${CC:-cc}" -shared -fPIC -o look.so look.c
  cat > script.lua << 'END'
local lfut = require "lfut"
local c = lfut.load("c", "int system(const char *command);", { threads = "safe" })
local function commands()
  os.execute "true"
  io.popen "true":close()
  c.system "true"
end
commands()
for _, exe in ipairs { lfut.ThreadPoolExecutor(1), lfut.ProcessPoolExecutor(1),
  lfut.ProcessPoolExecutor { max_workers = 1, start_method = "spawn" } } do
  exe:submit(commands):result()
  exe:submit(c.system, "true"):result()
end
lfut.Thread { target = commands }:start():join()
local process = lfut.Process { target = commands }
process:start()
process:join()
END
  LD_PRELOAD=$PWD/look.so lfut script.lua
  [ "$(sort -u masks)" = 0 ] || complain "$(cat masks)"
  [ "$(wc -l < masks)" = 21 ] || complain "$(cat masks)"
}

@test "a command of a task can wait for its background job" {
  run lfut -e 'local exe = require "lfut".ThreadPoolExecutor(1)
    print(exe:submit(os.execute, "true & wait $!; exit 5"):result())
    print(exe:submit(function() return io.popen "true & wait $!; exit 6":close() end):result())'
  [ "$output" = $'nil\texit\t5\nnil\texit\t6' ] || complain "$output"
}

@test "a slow command keeps neither other commands nor files waiting" {
  mkfifo slow
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe = lfut.ThreadPoolExecutor(2)
local begun = lfut.Event()
local f = exe:submit(function()
  local pipe = io.popen "cat slow"
  begun:set()
  return pipe:read "a"
end)
begun:wait()
for _ = 1, 50 do
  assert(exe:submit(function() return io.popen "echo fast":read "a" end):result() == "fast\n")
  assert(io.popen "echo fast":read "a" == "fast\n")
  io.open "script.lua":close()
end
assert(f:running())
io.open("slow", "w"):write "slow\n":close()
print(f:result())
END
  run lfut script.lua
  [ "$output" = slow ] || [ "$output" = $'slow\n' ] || complain "$output"
}

@test "os.exit, an error, and Ctrl-C do not wait for commands of threads" {
  mkfifo slow
  for ending in 'os.exit(7)' 'error "x"' 'os.execute("kill -INT " .. lfut.getpid()) while true do end'; do
    run lfut -e "local lfut = require 'lfut'
      local exe = lfut.ThreadPoolExecutor(8)
      local begun = lfut.Event()
      exe:submit(function()
        local pipe = io.popen 'exec cat slow'
        begun:set()
        pipe:read 'a'
      end)
      begun:wait()
      for _ = 1, 7 do exe:submit(function() return io.popen 'true':read 'a' end) end
      $ending"
    case $ending in
    os.exit*) [ "$status" = 7 ] ;;
    error*) [ "$status" = 1 ] ;;
    *) [ "$status" = 130 ] ;;
    esac || complain "$ending: status $status" "$output"
    let_go slow
  done
}

@test "a lock of the C library that is never given back does not keep the end" {
  mkfifo slow
  run lfut -e 'local lfut = require "lfut"
    local c = lfut.load("c", "int fflush(void *stream);", { threads = "safe" })
    local exe = lfut.ThreadPoolExecutor(2)
    local begun = lfut.Event()
    exe:submit(function()
      local pipe = io.popen "exec cat slow"
      begun:set()
      pipe:read "a"
    end)
    begun:wait()
    exe:submit(c.fflush, nil) -- takes the lock on all files, and waits
    os.exit(7)'
  [ "$status" = 7 ] || complain "status $status" "$output"
  let_go slow
}

@test "forked workers run commands and look at clocks, though threads did at the fork" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local function work()
  local pipe = io.popen "echo x"
  local text = pipe:read "a"
  pipe:close()
  return text .. os.date("%Y", 0) .. #os.setlocale()
end
local want = work()
local threads, stop = lfut.ThreadPoolExecutor(2), lfut.Event()
threads:broadcast(function()
  while not stop:is_set() do
    work()
    os.time { year = 2000, month = 1, day = 1 }
  end
end)
for _ = 1, 20 do
  local pool <close> = lfut.ProcessPoolExecutor(1)
  assert(pool:submit(work):result() == want)
end
stop:set()
print "all"
END
  run lfut script.lua
  [ "$output" = all ] || complain "$output"
}

# interrupt_command EXECUTOR CALL: Ctrl-C for the program alone.
interrupt_command() {
  rm -f ready never command
  mkfifo ready never
  cat > script.lua << END
local exe = require "lfut".$1(1)
local command = "echo \$\$ > command; echo > ready; exec cat never"
local call = $2
exe:submit(call, command):result()
END
  start script.lua
  meet ready
  until [ "$(cat "/proc/$(cat command)/comm")" = cat ]; do
    kill -0 "$pid" # the shell is not gone yet, and would keep the signal
  done
  kill -INT "$pid"
  finish
  [ "$status" = 130 ] || complain "$1: status $status" "$(cat err)"
  for _ in {1..100}; do # an orphan that has ended may be there for a moment
    [ -d "/proc/$(cat command)" ] || return 0
    ! grep -q 'State:.Z' "/proc/$(cat command)/status" || return 0
    read -r -t 0.05 <> <(:) || true
  done
  complain "$1: the command goes on" "$(grep Sig "/proc/$(cat command)/status")" "$(cat err)"
}

@test "Ctrl-C ends what runs a command, and the command" {
  needs_signals
  for executor in $executors; do
    interrupt_command $executor os.execute
    interrupt_command $executor 'function(text) return io.popen(text):read "a" end'
  done
}

@test "a handle that an interrupted task has left keeps no worker" {
  needs_signals
  for executor in ThreadPoolExecutor ProcessPoolExecutor; do
    rm -f never ready
    mkfifo never ready
    cat > script.lua << END
local exe = require "lfut".$executor(1)
local f = exe:submit(function()
  local pipe = io.popen "echo > ready; cat never"
  pipe:read "a"
end)
print(pcall(f.result, f))
print(exe:submit(function()
  collectgarbage()
  collectgarbage()
  return "on"
end):result())
END
    start script.lua
    meet ready
    kill -INT "$pid"
    finish
    [ "$status" = 0 ] || complain "$executor: status $status" "$(cat out err)"
    [ "$(tail -n 1 out)" = on ] || complain "$(cat out err)"
  done
}

@test "Ctrl-C ends a command of the script" {
  needs_signals
  mkfifo ready never
  echo 'os.execute "echo > ready; exec cat never"' > script.lua
  start script.lua
  meet ready
  kill -INT "$pid"
  finish
  [ "$status" = 130 ] || complain "status $status"
  contains "$(cat err)" 'interrupted!'
}

@test "who writes into a closed pipe ends by SIGPIPE, also in a thread" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ThreadPoolExecutor(1)
while true do
  exe:submit(function()
    print "line"
    io.stdout:flush()
  end):result()
end
END
  run bash -c 'env --default-signal=PIPE timeout 60 "$0" script.lua | head -n 1
    exit "${PIPESTATUS[0]}"' "$LFUT"
  [ "$status" = 141 ] || complain "status $status"
}

# A worker process that dies of that takes the program with it.
@test "who writes into a closed pipe ends by SIGPIPE, however it writes, in all kinds of workers" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut[arg[1]](1)
while true do
  exe:submit(function()
    io.write "line\n"
    io.stdout:flush()
  end):result()
end
END
  for kind in ThreadPool ProcessPool Inline Async; do
    run bash -c 'env --default-signal=PIPE timeout 60 "$0" script.lua $1Executor | head -n 1
      exit "${PIPESTATUS[0]}"' "$LFUT" $kind
    [ "$status" = 141 ] || complain "$kind: status $status"
  done
}

@test "what a task has flushed is in the file" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut[arg[1]](1)
for _, flush in ipairs { io.flush, function() io.stdout:flush() end } do
  exe:submit(function(flush)
    io.write "line\n"
    flush()
  end, flush):result()
  local file <close> = io.open "out"
  io.stderr:write(#file:read "a", "\n")
end
END
  for kind in ThreadPool ProcessPool Inline Async; do
    lfut script.lua ${kind}Executor > out 2> err
    [ "$(cat err)" = $'5\n10' ] || complain "$kind: $(cat err)"
  done
}

@test "commands of workers inherit none of the descriptors of lfut" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ProcessPoolExecutor { max_workers = 2, start_method = arg[1] }
local list = "for f in /proc/self/fd/*; do readlink $f; done | grep -E 'eventfd|memfd|socket'; true"
io.write(exe:submit(function(list) return lfut.run { "sh", "-c", list, stdin = "" }.stdout end, list):result())
END
  for method in fork spawn; do
    run lfut script.lua $method
    [ "$status:$output" = 0: ] || complain "$method: $output"
  done
}
