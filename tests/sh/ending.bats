# SPDX-License-Identifier: MIT
# The end of the program with work in hand: a normal end finishes it, any other
# leaves it. What must not be waited for here would never end.

source "$srcdir/tests/helpers.sh"

# A script with one worker that is blocked for good in the task of its first
# future, four more tasks in the queue, and $1 as its end.
stuck_script() {
  mkfifo started never
  cat > script.lua << END
local lfut = require "lfut"
local exe = lfut.ThreadPoolExecutor(1)
local blocked = exe:submit(function()
  local gate = io.open("started", "w")
  gate:write "here\n"
  gate:close()
  io.open("never"):read()
end)
for i = 1, 4 do
  exe:submit(function() io.open("queued" .. i, "w"):close() end)
end
io.open("started"):read()
io.write "said"
$1
END
}

nothing_queued_ran() {
  run compgen -G 'queued*'
  [ "$output" = '' ]
}

@test "a normal end finishes pending work" {
  cat > script.lua << 'END'
local exe = require "lfut".ThreadPoolExecutor(1)
for i = 1, 5 do
  exe:submit(function() io.open("task" .. i, "w"):close() end)
end
END
  run lfut script.lua
  [ "$status:$output" = 0: ]
  [ "$(echo task*)" = 'task1 task2 task3 task4 task5' ]
}

@test "a normal end waits for a task that is running" {
  mkfifo gate started
  cat > script.lua << 'END'
local exe = require "lfut".ThreadPoolExecutor(1)
exe:submit(function()
  local started <close> = io.open("started", "w")
  started:write "here\n"
  started:flush()
  print(io.open("gate"):read())
end)
END
  start script.lua
  meet started
  echo opened > gate
  finish
  [ "$status" = 0 ]
  [ "$(cat out)" = opened ]
}

@test "work submitted by pending work is finished, too" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe = lfut.ThreadPoolExecutor(2)
exe:submit(function()
  exe:submit(function()
    exe:submit(function() print "grandchild" end)
    print "child"
  end):result()
end)
END
  run lfut script.lua
  [ "$status" = 0 ]
  contains "$output" grandchild
}

@test "callbacks that fall due at the normal end are called" {
  run lfut -e 'local exe = require "lfut".ThreadPoolExecutor(1)
    exe:submit(string.rep, "x", 3):add_done_callback(function(f)
      print("called", f:result())
    end)'
  [ "$status" = 0 ]
  [ "$output" = $'called\txxx' ]
}

@test "a failed future that nobody asked is not an error" {
  run lfut -e 'local exe = require "lfut".ThreadPoolExecutor(1)
    exe:submit(error, "unseen")'
  [ "$status" = 0 ]
}

@test "a normal end at the end of input finishes work, too" {
  run lfut -i <<< 'require "lfut".ThreadPoolExecutor(1):submit(print, "done")'
  [ "$status" = 0 ]
  contains "$output" done
}

@test "an error waits for nothing" {
  stuck_script 'error "bad"'
  run --separate-stderr lfut script.lua
  [ "$status" = 1 ]
  [ "$output" = said ]
  contains "$stderr" 'script.lua:14: bad'
  nothing_queued_ran
}

@test "os.exit waits for nothing" {
  stuck_script 'os.exit(3)'
  run --separate-stderr lfut script.lua
  [ "$status:$output" = 3:said ]
  nothing_queued_ran
}

@test "os.exit that closes the state waits for nothing" {
  stuck_script 'os.exit(4, true)'
  run --separate-stderr lfut script.lua
  [ "$status:$output" = 4:said ]
  nothing_queued_ran
}

@test "os.exit waits for no worker that computes" {
  cat > script.lua << 'END'
local exe = require "lfut".ThreadPoolExecutor(1)
local f = exe:submit(function() while true do end end)
while not f:running() do end
os.exit(true)
END
  run lfut script.lua
  [ "$status" = 0 ]
}

@test "a statement that fails waits for nothing" {
  stuck_script ''
  run --separate-stderr lfut -e 'dofile "script.lua" error "after"'
  [ "$status" = 1 ]
  contains "$stderr" after
  nothing_queued_ran
}

@test "an executor in a <close> variable is waited for on an error" {
  run --separate-stderr lfut -e '
    local exe <close> = require "lfut".ThreadPoolExecutor(1)
    for i = 1, 3 do exe:submit(print, i) end
    error "bad"'
  [ "$status" = 1 ]
  [ "$output" = $'1\n2\n3' ]
}
