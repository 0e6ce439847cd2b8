# SPDX-License-Identifier: MIT
# Ctrl-C. Where a task has to be in the way, it is blocked for good.

source "$srcdir/tests/helpers.sh"

setup_file() {
  export LFUT_TEST_READY='local function ready()
    local gate <close> = io.open("ready", "w")
    gate:write "here\n"
  end '
}

# start_script TEXT: runs it with a function ready(), and waits for its call.
start_script() {
  mkfifo ready
  echo "$LFUT_TEST_READY $1" > script.lua
  start script.lua
  meet ready
}

# A busy machine may need more than two to have two within two seconds.
interrupt_often() {
  until timeout 0.2 tail -s 0.05 --pid="$pid" -f /dev/null; do
    kill -INT "$pid" 2> /dev/null || true
  done
}

interrupted() {
  finish
  [ "$status" = 130 ] || complain "status $status" "$(cat out err)"
  contains "$(cat err)" "${1:-interrupted!}"
}

@test "in a loop of Lua" {
  needs_signals
  start_script 'ready() while true do end'
  kill -INT "$pid"
  interrupted
  contains "$(cat err)" 'interrupted!'
  contains "$(cat err)" 'stack traceback:'
}

@test "in a statement of the command line" {
  needs_signals
  mkfifo ready
  start -e "$LFUT_TEST_READY ready() while true do end"
  meet ready
  kill -INT "$pid"
  interrupted
}

@test "in a blocking read" {
  mkfifo never
  start_script 'ready() print(io.open("never", "r+"):read())'
  await_sleep
  kill -INT "$pid"
  interrupted
}

@test "in exe:submit(), with as many waiting as may" {
  mkfifo never
  for class in ThreadPoolExecutor ProcessPoolExecutor; do
    start_script "
      local exe = require'lfut'.$class { max_workers = 1, max_queue = 2 }
      local function block() io.open('never', 'r+'):read() end
      exe:submit(block)
      exe:submit(block)
      ready()
      while true do exe:submit(block) end"
    await_sleep
    kill -INT "$pid"
    interrupted
    rm ready
  done
}

@test "in f:result(), with a worker that is blocked" {
  mkfifo never
  start_script 'local exe = require "lfut".ThreadPoolExecutor(1)
    local f = exe:submit(function() ready() io.open("never"):read() end)
    exe:submit(print, "queued")
    f:result()'
  await_sleep
  kill -INT "$pid"
  interrupted
  [ ! -s out ]
}

@test "in f:result(), with a worker that computes" {
  start_script 'local exe = require "lfut".ThreadPoolExecutor(1)
    exe:submit(function() ready() while true do end end):result()'
  await_sleep
  kill -INT "$pid"
  interrupted
}

@test "with workers in lfut.sleep, inside of a <close> executor" {
  start_script 'local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(2)
    exe:submit(lfut.sleep, 1e6)
    exe:submit(function() ready() lfut.sleep(1e6) end):result()'
  await_sleep
  kill -INT "$pid"
  interrupted
}

@test "in lfut.sleep, lfut.wait, as_completed, map, shutdown" {
  for call in 'lfut.sleep(1e6)' 'lfut.wait { f }' \
    'for _ in lfut.as_completed { f } do end' \
    'for _ in exe:map(block, { 1, 2 }) do end' \
    'exe:shutdown()'; do
    rm -f ready
    start_script "local lfut = require 'lfut'
      local exe = lfut.ThreadPoolExecutor(2)
      local function block() lfut.sleep(1e6) end
      local f = exe:submit(block)
      ready()
      $call"
    await_sleep
    kill -INT "$pid"
    interrupted
  done
}

@test "in an inline executor" {
  needs_signals
  start_script 'local exe = require "lfut".InlineExecutor()
    exe:submit(function() ready() while true do end end):result()'
  kill -INT "$pid"
  interrupted
}

@test "at the normal end, while pending work is finished" {
  start_script 'local lfut = require "lfut"
    lfut.ThreadPoolExecutor(1):submit(function() ready() lfut.sleep(1e6) end)'
  await_sleep
  kill -INT "$pid"
  interrupted
}

@test "queued work is cancelled" {
  start_script 'local lfut = require "lfut"
    local exe = lfut.ThreadPoolExecutor(1)
    local f = exe:submit(lfut.sleep, 1e6)
    local queued = exe:submit(print, "queued")
    print(pcall(function() ready() f:result() end))
    print(queued:state())'
  await_sleep
  kill -INT "$pid"
  finish
  [ "$status" = 0 ] || complain "$(cat out err)"
  contains "$(head -n 1 out)" 'interrupted!'
  [ "$(tail -n 1 out)" = cancelled ]
}

@test "a script that catches it goes on, with its executors" {
  needs_signals
  start_script 'local exe = require "lfut".ThreadPoolExecutor(1)
    local function work() ready() while true do end end
    print(pcall(function() exe:submit(work):result() end))
    print(exe:submit(string.rep, "x", 3):result())'
  await_sleep
  kill -INT "$pid"
  finish
  [ "$status" = 0 ] || complain "$(cat out err)"
  contains "$(head -n 1 out)" 'interrupted!'
  [ "$(tail -n 1 out)" = xxx ]
}

@test "an error after a caught one is an ordinary error" {
  needs_signals
  start_script 'pcall(function() ready() while true do end end) error "other"'
  kill -INT "$pid"
  finish
  [ "$status" = 1 ]
  contains "$(cat err)" other
}

@test "os.exit after a caught one has its own status" {
  needs_signals
  start_script 'pcall(function() ready() while true do end end) os.exit(7)'
  kill -INT "$pid"
  finish
  [ "$status" = 7 ]
}

@test "a second one soon after ends a program that catches them" {
  needs_signals
  mkfifo caught
  start_script 'local function busy() while true do end end
    pcall(function() ready() busy() end)
    io.open("caught", "w"):write("here\n"):close()
    while true do pcall(busy) end'
  kill -INT "$pid"
  meet caught
  interrupt_often
  finish
  [ "$status" = 130 ]
}

@test "a second one ends a program that is stuck in C" {
  needs_signals
  start_script 'ready() string.rep("x", 30):find(("x*"):rep(30) .. "y")'
  kill -INT "$pid"
  interrupt_often
  finish
  [ "$status" = 130 ]
}

@test "the default action holds for other signals" {
  start_script 'require "lfut".ThreadPoolExecutor(1):submit(function() end)
    ready() while true do end'
  kill -TERM "$pid"
  finish
  [ "$status" = 143 ]
}

@test "in coroutines of the script" {
  needs_signals
  for code in 'coroutine.wrap(loop)()' \
    'coroutine.wrap(function() coroutine.wrap(loop)() end)()' \
    'for _ in coroutine.wrap(loop) do end' \
    'coroutine.wrap(function() table.sort({ 1, 2 }, loop) end)()' \
    'local co = coroutine.create(function()
       local _ <close> = setmetatable({}, { __close = loop })
       coroutine.yield()
     end)
     coroutine.resume(co)
     error(select(2, coroutine.close(co)), 0)'; do
    rm -f ready
    start_script "local function loop() ready() while true do end end $code"
    kill -INT "$pid"
    interrupted
  done
}

@test "a script that catches it in a coroutine goes on" {
  needs_signals
  for call in 'coroutine.resume(coroutine.create(loop))' \
    'pcall(coroutine.wrap(loop))' 'coroutine.wrap(pcall)(loop)'; do
    rm -f ready
    start_script "local function loop() ready() while true do end end
      print(select(2, $call))
      print(coroutine.wrap(function() return 'on' end)())"
    kill -INT "$pid"
    finish
    [ "$status" = 0 ] || complain "$call: status $status" "$(cat err)"
    contains "$(head -n 1 out)" 'interrupted!'
    [ "$(tail -n 1 out)" = on ]
  done
}

@test "while coroutines are switched all the time" {
  needs_signals
  for _ in 1 2 3 4 5; do
    rm -f ready
    start_script 'local co = coroutine.wrap(function() while true do coroutine.yield() end end)
      co() ready() while true do co() end'
    kill -INT "$pid"
    interrupted
  done
}

@test "a hook of the script is kept" {
  needs_signals
  start_script 'local n = 0
    debug.sethook(function() n = n + 1 end, "", 1000)
    pcall(function() ready() while true do end end)
    local before = n
    for i = 1, 100000 do end
    print(n > before and debug.gethook() ~= nil)'
  kill -INT "$pid"
  finish
  [ "$(cat out)" = true ] || complain "$(cat out err)"
}

@test "Ctrl-C in a loop of an InlineExecutor is raised once" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe = lfut.InlineExecutor()
local pid = lfut.getpid()
local function item()
  os.execute("kill -INT " .. pid)
  while true do
  end
end
print(pcall(exe.for_each, exe, item, lfut.range(3)))
print(exe:submit(function() return "usable" end):result())
END
  run lfut script.lua
  [ "$output" = $'false\tinterrupted!\nusable' ] || complain "$output"
}
