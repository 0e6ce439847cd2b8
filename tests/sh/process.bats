# SPDX-License-Identifier: MIT
# lfut.Process and lfut.Thread: the ends of programs that have some.

source "$srcdir/tests/helpers.sh"

# A function ready(), which tells the test that a process has come so far, and
# its number.
preamble='local lfut = require "lfut"
  local function ready()
    local file <close> = assert(io.open("ready", "w"))
    file:write(lfut.getpid(), "\n")
  end '

# start_children TEXT: runs it in the background, until two have called ready().
start_children() {
  mkfifo ready
  echo "$preamble $1" > script.lua
  start script.lua
  exec 6<> ready
  children=()
  while [ ${#children[@]} -lt 2 ]; do
    if read -r -t 1 child <&6; then
      children+=("$child")
    else
      kill -0 "$pid" || complain "$(cat out err)"
    fi
  done
  exec 6>&-
}

# Waits until the children are no more, or zombies of a parent that is not ours.
gone() {
  local state
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

nested='lfut.Process{ target = function()
    lfut.Process{ target = function() ready() lfut.sleep(1e6) end }:start()
    ready()
    lfut.sleep(1e6)
  end }:start() '

@test "no orphans after kill -9" {
  start_children "$nested lfut.sleep(1e6)"
  kill -KILL "$pid"
  gone
}

@test "no orphans of processes that tasks have started" {
  [ "${LFUT_SANITIZER:-no}" != thread ] ||
    skip "TSan's malloc does not survive a fork beside other threads"
  start_children 'local exe = lfut.ThreadPoolExecutor(2)
    for i = 1, 2 do
      exe:submit(function()
        lfut.Process{ target = function() ready() lfut.sleep(1e6) end }:start():join()
      end)
    end
    lfut.sleep(1e6)'
  kill -KILL "$pid"
  gone
}

@test "Ctrl-C ends the program, and its processes with it" {
  for wait in 'p:join()' '' 'lfut.sleep(1e6)'; do
    rm -f ready
    start_children "local p = $nested $wait"
    await_sleep
    kill -INT "${children[@]}" # is the parent's affair
    kill -INT "$pid"
    finish
    [ "$status" = 130 ] || complain "status $status" "$(cat out err)"
    contains "$(cat err)" 'interrupted!'
    gone
  done
}

@test "a script that catches the interruption goes on with its processes" {
  start_children "local p = $nested
    print(pcall(p.join, p))
    print(p:is_alive())
    p:kill()
    print(p:join(), p.exitcode)"
  await_sleep
  kill -INT "$pid"
  finish
  [ "$status" = 0 ] || complain "$(cat out err)"
  contains "$(cat out)" 'interrupted!'
  contains "$(cat out)" $'true\ntrue\t-9'
  gone
}

@test "os.exit, errors and SIGTERM end the processes, too" {
  for ending in 'os.exit(3)' 'error "boom"' 'os.exit(3, true)' \
    'os.execute("kill " .. lfut.getpid())'; do
    rm -f ready go
    mkfifo go
    start_children "$nested io.open('go'):read() $ending"
    echo > go
    finish
    [ "$status" != 0 ]
    gone
  done
}

@test "a process is waited for at the end; then the daemons are ended" {
  mkfifo ready
  echo "$preamble"'
    for i = 1, 3 do
      lfut.Process{ target = lfut.sleep, args = { 1e6 }, daemon = true }:start()
    end
    lfut.Process{ target = function() ready() io.open("go"):read() print "child" end }:start()
    print "parent"' > script.lua
  mkfifo go
  start script.lua
  meet ready
  echo > go
  finish
  [ "$status" = 0 ] || complain "$(cat out err)"
  [ "$(sort out)" = $'child\nparent' ]
  [ ! -s err ]
}

# Their end is known even if the program was started with SIGCHLD ignored.
@test "where the ends of children are ignored" {
  trap '' CHLD
  run lfut -e 'local p = require "lfut".Process{ target = os.exit, args = { 5 } }:start()
    p:join() print(p.exitcode)'
  trap - CHLD
  [ "$output" = 5 ]
}

@test "what stands in the standard input is read once" {
  seq 1000 > input
  run lfut -e 'local lfut, n = require "lfut", 0
    for line in io.lines() do
      n = n + tonumber(line)
      if n % 100 == 0 then lfut.Process{ target = function() end }:start():join() end
    end
    print(n)' < input
  [ "$output" = 500500 ]
}

@test "the system refuses" {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip 'a sanitizer needs the memory'
  ulimit -v 40000
  run lfut -e 'local lfut = require "lfut"
    local kept, size = {}, 2^24 -- there is no room for a stack any more
    while size > 2^18 do
      local ok, some = pcall(string.rep, "x", size)
      kept[#kept + 1] = ok and some or nil
      size = ok and size or size / 2
    end
    for _, kind in ipairs { "Process", "Thread" } do
      local x = lfut[kind]{ target = print }
      print(pcall(function() x:start() end))
      print(x:is_alive(), x.pid)
    end'
  [ "$output" = "false	(command line):10: cannot start a thread for a process
false	nil
false	(command line):10: cannot start a thread
false	nil" ] || complain "$output"
}

@test "in stock Lua" {
  needs_stock_lua
  cat > script.lua << 'END'
local lfut = require "lfut"
io.stdout:setvbuf("full", 10000)
io.write "parent "
local exe <close> = lfut.ThreadPoolExecutor(1)
print(exe:submit(math.max, 1, 2):result())
local p = lfut.Process{ target = function(n)
  local exe = lfut.ThreadPoolExecutor(1)
  io.write("child ", exe:submit(math.max, 1, n):result(), "\n")
  os.exit(n)
end, args = { 3 } }
p:start()
print(p:join(), p.exitcode)
p = lfut.Process{ target = error, args = { "boom" } }:start()
print(p:join(), p.exitcode)
p = lfut.Process{ target = function() end }:start()
print(p:join(), p.exitcode)
print(lfut.Thread{ target = math.min, args = { 4, 5 } }:start():result())
lfut.Process{ target = lfut.sleep, args = { 1e6 }, daemon = true }:start()
lfut.Thread{ target = lfut.sleep, args = { 1e6 }, daemon = true }:start()
LAST = lfut.Process{ target = function() lfut.sleep(0) print "last" end }:start()
END
  run --separate-stderr stock_lua script.lua
  [ "$status" = 0 ]
  [ "$output" = "parent 2
child 3
true	3
true	1
true	0
4
last" ] || complain "$output" "$stderr"
  contains "$stderr" 'lfut: boom'
}

@test "in stock Lua an error ends the processes, too" {
  needs_stock_lua
  mkfifo ready go
  echo "$preamble $nested io.open('go'):read() error 'boom'" > script.lua
  "$LFUT_LUA" script.lua > out 2> err < /dev/null 3>&- &
  pid=$!
  exec 6<> ready
  read -r one <&6
  read -r two <&6
  exec 6>&-
  children=("$one" "$two")
  echo > go
  finish
  [ "$status" = 1 ]
  gone
}
