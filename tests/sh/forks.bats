# SPDX-License-Identifier: MIT
# Forks by other code than lfut: what the child does, and that it ends.

source "$srcdir/tests/helpers.sh"

# The child leaves to the parent what is the parent's.
export ASAN_OPTIONS=detect_leaks=0

executors='ThreadPoolExecutor ProcessPoolExecutor InlineExecutor'

# fork_and TEXT EXPECTED [EXECUTOR]: the child does that; its exit status.
fork_and() {
  cat > script.lua << END
local lfut = require "lfut"
local c = lfut.load("c", "int fork(void); int waitpid(int pid, int *status, int options);")
local exe = lfut.${3-ThreadPoolExecutor}(1)
exe:submit(math.abs, 1):result()
local pid = c.fork()
if pid == 0 then
  $1
end
local status = lfut.Array("int32", 1)
assert(c.waitpid(pid, status, 0) == pid)
io.stderr:write(("status %d, "):format(status[1] >> 8), exe:submit(math.abs, -7):result(), "\n")
END
  run lfut script.lua
  contains "$output" "status $2, 7"
}

@test "the child returns from the script" {
  for executor in $executors; do
    fork_and 'do return end' 0 $executor
    fork_and 'error "x"' 1 $executor
    fork_and 'os.exit(3)' 3 $executor
    fork_and 'os.exit(3, true)' 3 $executor
  done
}

@test "executors of the parent are refused in the child" {
  fork_and 'print(pcall(exe.submit, exe, print)) do return end' 0
  contains "$output" 'executor belongs to another process'
  fork_and 'print(pcall(exe.shutdown, exe)) do return end' 0
  contains "$output" 'executor belongs to another process'
}

@test "the child makes executors of its own" {
  for executor in $executors; do
    fork_and "local own <close> = lfut.$executor(1)
      print(own:submit(string.rep, 'x', 3):result()) do return end" 0 $executor
    contains "$output" xxx
  done
  fork_and 'coroutine.wrap(function()
      local own <close> = lfut.ThreadPoolExecutor(1)
      print(own:submit(string.rep, "x", 3):result())
    end)()
    collectgarbage() do return end' 0
  contains "$output" xxx
}

@test "a child of a task ends with the task" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local c = lfut.load("c", "int fork(void); int waitpid(int pid, int *status, int options);", { threads = "safe" })
local exe <close> = lfut.ThreadPoolExecutor(1)
local status = lfut.Array("int32", 1)
local function try(...)
  local pid = exe:submit(...):result()
  assert(c.waitpid(pid, status, 0) == pid)
  print(status[1] >> 8)
end
local function fork() return c.fork() end
local function fail()
  local pid = c.fork()
  if pid == 0 then
    error "in the child"
  end
  return pid
end
local function leave()
  local pid = c.fork()
  if pid == 0 then
    os.exit(5)
  end
  return pid
end
try(c.fork)
try(fork)
try(fail)
try(leave)
try(function() return coroutine.wrap(leave)() end)
print(exe:submit(math.abs, -7):result())
END
  run --separate-stderr lfut script.lua
  [ "$output" = $'0\n0\n1\n5\n5\n7' ] || complain "$output" "$stderr"
  contains "$stderr" 'in the child'
}
