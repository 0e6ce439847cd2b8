# SPDX-License-Identifier: MIT
# Statistics at the end (lfut --stats): what they count, and their advice, each
# for a program that deserves it and for one that does not.

source "$srcdir/tests/helpers.sh"

# Functions that take long by the clock of the machine, not by its speed.
prelude='local lfut = require "lfut"
local function spend(seconds)
  local till = lfut.perf_counter() + seconds
  repeat until lfut.perf_counter() >= till
end
local function run(exe, fn, list)
  local fs = {}
  for i, x in ipairs(list) do fs[i] = exe:submit(fn, x) end
  for i = 1, #fs do fs[i]:result() end
end
'

# stats TEXT [OPTION]: the statistics of that script are in $stderr.
stats() {
  echo "$prelude$1" > script.lua
  run --separate-stderr lfut "${2:---stats}" script.lua
  [ "$status" = 0 ] || complain "status $status" "$stderr"
}

advises() {
  contains "$stderr" "  * "
  contains "$stderr" "$1"
}

is_quiet() {
  [[ $stderr != *'  * '* ]] || complain "$stderr"
}

@test "counts by function, on all kinds of workers" {
  for kind in ThreadPoolExecutor ProcessPoolExecutor InlineExecutor; do
    stats "local exe <close> = lfut.$kind { max_workers = 2, name = 'mine' }
      local function good(x) return x end
      local function bad(x) error 'no' end
      run(exe, good, { 1, 2, 3 })
      for i = 1, 2 do pcall(function() exe:submit(bad, 1):result() end) end
      for _ in exe:map(good, { 1, 2, 3, 4 }) do end"
    contains "$stderr" 'lfut: executor mine: '
    [[ $stderr =~ script.lua:12\ +7\ +0\  ]] || complain "$stderr"
    [[ $stderr =~ script.lua:13\ +2\ +2\  ]] || complain "$stderr"
  done
}

@test "as JSON" {
  stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
    local function f(x) return x end
    run(exe, f, { 1, 2, 3 })
    local other = lfut.InlineExecutor()
    other:submit(f, 1)' --stats=json
  echo "$stderr" > stats.json
  cat > read.lua <<'EOF'
local json = require "cjson"
local all = json.decode(io.open("stats.json"):read "a").executors
assert(#all == 2)
local p = all[1]
assert(p.kind == "thread" and p.name == "lfut" and p.workers >= 1 and p.seconds > 0)
assert(p.busy >= 0 and p.busy <= 1)
local name, f = next(p.functions)
assert(name == "script.lua:12" and f.calls == 3 and f.failures == 0)
for _, field in ipairs { "run", "mean", "longest", "queued", "packed", "unpacked" } do
  assert(f[field] >= 0, field)
end
assert(f.sent > 0 and f.received > 0)
assert(all[2].kind == "inline")
EOF
  run lfut read.lua
  [ "$status" = 0 ] || complain "$output" "$stderr"
}

@test "a long call among many short ones counts once" {
  for kind in ThreadPoolExecutor ProcessPoolExecutor InlineExecutor; do
    stats "local exe <close> = lfut.$kind(1)
      local list = {}
      for i = 1, 5000 do list[i] = 0 end
      for i = 1, 8 do list[500 * i + i] = 0.04 end
      run(exe, function(x) if x > 0 then spend(x) end end, list)" --stats=json
    echo "$stderr" > stats.json
    cat > read.lua <<'EOF'
local _, f = next(require "cjson".decode(io.open("stats.json"):read "a").executors[1].functions)
assert(f.calls == 5000)
assert(f.longest >= 0.03, f.longest)
assert(f.run >= 8 * 0.03 and f.run < 8 * 0.2, f.run)
EOF
    run --separate-stderr lfut read.lua
    [ "$status" = 0 ] || complain "$kind: $stderr"
  done
}

@test "at every end of the program" {
  for ending in 'error "boom"' 'os.exit(3)' 'os.exit(3, true)' 'return'; do
    echo "${prelude}run(lfut.ThreadPoolExecutor(1), function(x) return x end, { 1 }) $ending" > script.lua
    run --separate-stderr lfut --stats script.lua
    contains "$stderr" 'lfut: executor lfut: 1 thread worker, busy'
  done
  run --separate-stderr lfut --stats -e 'print "x"'
  [ "$status:$output:$stderr" = '0:x:lfut: no task was run' ] || complain "$stderr"
  run --separate-stderr lfut --stats -e 'print "x"' 2>&-
  [ "$status:$output" = 0:x ]
}

@test "wrong use" {
  run --separate-stderr lfut --stats=xml -e ''
  [ "$status" = 1 ]
  contains "$stderr" "'json' expected"
}

@test "advice: tasks that are too short" {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip 'a sanitizer makes them longer'
  stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
    local list = {}
    for i = 1, 2000 do list[i] = i end
    run(exe, function(x) return x end, list)'
  advises 'less than it takes to hand a task to a worker'
  stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
    for _ in exe:map(function(x) return x end, lfut.range(2000)) do end'
  is_quiet
}

@test "advice: one long task at the end" {
  stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
    run(exe, spend, { 0.01, 0.01, 0.01, 0.01, 0.3 })'
  advises 'submit the long ones first, or divide them'
  stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
    local w = lfut.Barrier(2) -- both workers are there
    run(exe, function(x) w:wait() spend(x) end, { 0.1, 0.1, 0.1, 0.1 })'
  [[ $stderr != *'long ones first'* ]] || complain "$stderr"
}

@test "advice: more copying than computing" {
  stats 'local exe <close> = lfut.ProcessPoolExecutor(1)
    local big = {}
    for i = 1, 20000 do big[i] = { i, tostring(i) } end
    run(exe, function(t) return #t end, { big, big, big, big, big, big, big, big })'
  advises 'copying the arguments and results of script.lua:14 takes'
  stats 'local exe <close> = lfut.ProcessPoolExecutor(1)
    run(exe, spend, { 0.05, 0.05 })'
  is_quiet
}

# Each result is waited for before the next task is submitted.
@test "advice: a script that waits too early, on all kinds of workers" {
  for kind in 'ThreadPoolExecutor(2)' 'ThreadPoolExecutor(4)' 'ProcessPoolExecutor(4)'; do
    for _ in 1 2 3 4 5; do # on a machine that has much else to do, tasks wait
      stats "local exe <close> = lfut.$kind
        for i = 1, 40 do exe:submit(spend, 0.01):result() end"
      [[ $stderr != *'  * '* ]] || break
    done
    advises 'the script does not submit fast enough'
  done
  stats 'local exe <close> = lfut.ThreadPoolExecutor(1)
    for i = 1, 40 do exe:submit(spend, 0.01):result() end'
  [[ $stderr != *'fast enough'* ]] || complain "$stderr"
}

# They compute nothing, and are there all the same.
@test "advice: none for tasks that wait" {
  for kind in 'ThreadPoolExecutor(2)' 'AsyncExecutor(2)'; do
    stats "local exe <close> = lfut.$kind
      local all <const> = {}
      for i = 1, 40 do all[i] = 0.01 end
      run(exe, lfut.sleep, all)"
    [[ $stderr != *'fast enough'* ]] || complain "$stderr"
  done
}

# Those of one name are told of together, wherever their tasks were.
@test "executors that tasks have made" {
  for kind in 'ThreadPoolExecutor {' 'ProcessPoolExecutor {' 'ProcessPoolExecutor { start_method = "spawn",'; do
    for inner in Thread Process; do
      stats "local exe = lfut.$kind max_workers = 2 }
        local function work(x) return x end
        local function nest(n)
          local exe <close> = lfut.${inner}PoolExecutor { max_workers = 2, name = 'inner' }
          for i = 1, n do exe:submit(work, i):result() end
        end
        run(exe, nest, { 5, 5, 5, 5, 5, 5 })"
      contains "$stderr" 'executor inner (made in tasks): '
      echo "$stderr" | grep -qE '^  script.lua:[0-9]+ +30 ' || complain "$stderr"
    done
  done
}

# Many that end at the same time.
@test "executors that tasks have made beside each other" {
  stats "local exe = lfut.ThreadPoolExecutor(8)
    local function work(x) return x end
    local list = {}
    for i = 1, 100 do list[i] = 3 end
    run(exe, function(n)
      local exe <close> = lfut.ThreadPoolExecutor { max_workers = 1, name = 'inner' }
      for i = 1, n do exe:submit(work, i):result() end
    end, list)"
  [ "$(echo "$stderr" | grep -c 'executor inner')" = 1 ] || complain "$stderr"
  echo "$stderr" | grep -qE '^  script.lua:[0-9]+ +300 ' || complain "$stderr"
}

@test "tasks with a name of their own" {
  for kind in Thread Process; do
    stats "local exe <close> = lfut.${kind}PoolExecutor(2)
      local named = exe:options { name = 'mine' }
      for i = 1, 3 do named:submit(math.sqrt, i):result() end
      named:map(function(x) return x end, lfut.range(4)):list()
      exe:submit(math.sqrt, 1):result()"
    echo "$stderr" | grep -qE '^  mine +7 ' || complain "$stderr"
    echo "$stderr" | grep -qE '^  math.sqrt +1 ' || complain "$stderr"
  done
}

@test "advice: a script that does not submit fast enough" {
  for _ in 1 2 3 4 5; do # on a machine that has much else to do, tasks wait
    stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
      for i = 1, 21 do
        spend(0.05)
        exe:submit(spend, 0.02):result()
      end'
    [[ $stderr != *'  * '* ]] || break
  done
  advises 'the script does not submit fast enough'
  stats 'local exe <close> = lfut.ThreadPoolExecutor(2)
    local list = {}
    for i = 1, 30 do list[i] = 0.003 end
    run(exe, spend, list)'
  [[ $stderr != *'fast enough'* ]] || complain "$stderr"
}
