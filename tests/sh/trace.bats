# SPDX-License-Identifier: MIT
# Traces (lfut --trace, lfut.trace): what is in the file after every way of
# ending, and that it is what the format's rules ask for.

source "$srcdir/tests/helpers.sh"

setup() {
  in_empty_directory
  command -v python3 > /dev/null || skip 'there is no python3'
  # read_trace FILE: checks it and prints a summary, a word and a number a line.
  cat > read_trace.py <<'EOF'
import collections, json, sys

events = json.load(open(sys.argv[1]))
lines, flows, known = collections.defaultdict(list), {}, collections.Counter()
for e in events:
    ph = e["ph"]
    known[ph] += 1
    assert ph in "XMCstf", e
    assert isinstance(e["pid"], int) and isinstance(e["name"], str), e
    if ph == "X":
        assert e["dur"] >= 0 and e["ts"] >= 0, e
        assert e["cat"] in ("run", "native", "pack", "unpack", "wait"), e
        lines[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"], e))
    elif ph == "C":
        assert min(e["args"].values()) >= 0, e
    elif ph in "stf":
        flows.setdefault(e["id"], {})[ph] = e["ts"]
half = 0.0015  # times are cut to a thousandth of a microsecond
for line in lines.values():
    line.sort(key=lambda s: (s[0], -s[1]))
    open_ = []
    for start, end, e in line:
        while open_ and open_[-1] <= start + half:
            open_.pop()
        assert not open_ or end <= open_[-1] + half, ("slices overlap", e)
        open_.append(end)
for steps in flows.values():  # from submit to run to result
    if "s" in steps and "t" in steps:
        assert steps["s"] <= steps["t"] + half, steps
    if "t" in steps and "f" in steps:
        assert steps["t"] <= steps["f"] + half, steps
run, names = collections.Counter(), collections.Counter()
for line in lines.values():
    for _, _, e in line:
        if e["cat"] in ("run", "native"):
            names[e["name"]] += 1
            run[e["name"]] += e["dur"]
print("lines", len(lines))
print("processes", len({pid for pid, _ in lines}))
print("whole", sum(len(steps) == 3 for steps in flows.values()))
for name in names:
    print("slices", name, names[name])
    print("seconds", name, run[name] / 1e6)
for name in {e["name"] for e in events if e["ph"] == "C"}:
    print("counter", name)
highest = collections.Counter()
for e in events:
    if e["ph"] == "C":
        for whose, n in e["args"].items():
            highest[e["name"], whose] = max(n, highest[e["name"], whose])
for (name, whose), n in highest.items():
    print("highest", name, whose, n)
print("ways", sum("s" in steps and "t" in steps for steps in flows.values()))
named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
print("named", "all" if set(lines) <= named else set(lines) - named)
for e in events:
    if e["ph"] == "M":
        print(e["name"], e["args"]["name"])
EOF
}

read_trace() {
  run python3 read_trace.py "$1"
  [ "$status" = 0 ] || complain "$output" "$(head -c 1000 "$1")"
}

# has LINE: among those of the summary.
has() {
  [[ $'\n'$output$'\n' == *$'\n'"$1"$'\n'* ]] || complain "missing: $1" "$output"
}

kinds='ThreadPoolExecutor ProcessPoolExecutor InlineExecutor'

script() {
  cat > script.lua <<EOF
local lfut = require "lfut"
local exe = lfut.$1(2)
local function double(x)
  return 2 * x
end
local fs = {}
for i = 1, 50 do
  fs[i] = exe:submit(double, i)
end
for i = 1, 50 do
  assert(fs[i]:result() == 2 * i)
end
$2
EOF
}

# What is written to stderr is not to go where the trace goes.
@test "standard streams that are closed" {
  echo 'local lfut = require "lfut"
    local exe <close> = lfut[arg[1]](2)
    for i = 1, 20 do exe:submit(math.sqrt, i):result() end
    io.stderr:write "said\n"
    for _ in exe:map(math.sqrt, lfut.range(100), { progress = true }) do end
    if lfut.worker == nil or arg[2] then os.execute("kill -USR1 " .. lfut.getpid()) end' > script.lua
  for kind in ThreadPoolExecutor ProcessPoolExecutor; do
    "$LFUT" --trace trace --stats script.lua $kind usr1 2>&- >&- <&-
    python3 read_trace.py trace
  done
  "$LFUT" -e 'io.write("x") assert(not io.stdout:flush())' >&-
}

@test "tasks, from submit to run to result, on all kinds of workers" {
  for kind in $kinds; do
    script $kind 'exe:shutdown()'
    run --separate-stderr lfut --trace t.json script.lua
    [ "$status:$output$stderr" = 0: ] || complain "$status $output $stderr"
    read_trace t.json
    has 'slices script.lua:3 50'
    has 'whole 50'
  done
}

@test "workers have lines of their own" {
  script ThreadPoolExecutor 'exe:broadcast(double, 1)
    repeat until io.open("t.json"):read("a"):find "busy"
    exe:shutdown()'
  lfut --trace=t.json script.lua
  read_trace t.json
  has 'processes 1'
  has 'thread_name lfut_1'
  has 'thread_name lfut_2'
  has 'counter queue'
  has 'counter busy'
  script ProcessPoolExecutor 'exe:broadcast(double, 1) exe:shutdown()'
  lfut --trace=t.json script.lua
  read_trace t.json
  has 'processes 3'
  has 'process_name lfut_1'
  has 'thread_name lfut_2'
  sed -i 's/ProcessPoolExecutor(2)/ProcessPoolExecutor { start_method = "spawn", max_workers = 2 }/' script.lua
  lfut --trace=t.json script.lua
  read_trace t.json
  has 'processes 3'
  has 'slices script.lua:3 52'
}

@test "a trace is whole, however the program ends" {
  for kind in $kinds; do
    for ending in 'error "boom"' 'os.exit(3)' 'os.exit(3, true)' 'return' \
      'exe:submit(error, "boom") exe:shutdown()' \
      'io.popen("kill -9 " .. lfut.getpid()):close() while true do end'; do
      script $kind "$ending"
      rm -f t.json
      run lfut --trace t.json script.lua
      read_trace t.json
    done
  done
}

@test "a trace is whole when a worker is killed" {
  script ProcessPoolExecutor '
    local f = exe:submit(function() os.execute("kill -9 " .. require "lfut".getpid()) end)
    assert(not pcall(f.result, f))
    assert(exe:submit(double, 1):result() == 2)'
  lfut --trace t.json script.lua
  read_trace t.json # but for what the worker has not sent
  contains "$output" 'slices script.lua:3'
  has 'slices script.lua:14 1' # in the middle of that
}

@test "Ctrl-C" {
  mkfifo ready
  script ThreadPoolExecutor 'exe:submit(function()
    local gate = io.open("ready", "w")
    gate:write "here\n"
    gate:close()
    while true do end
  end):result()'
  start --trace t.json script.lua
  meet ready
  kill -INT "$pid"
  finish
  [ "$status" = 130 ] || complain "status $status" "$(cat err)"
  read_trace t.json
  has 'slices script.lua:3 50'
}

@test "more events than rings hold, and many workers" {
  cat > script.lua <<'EOF'
local lfut = require "lfut"
local exe <close> = lfut.ThreadPoolExecutor(60)
local function leaf(i)
  return i
end
local function branch(i)
  local fs = {}
  for j = 1, 50 do
    fs[j] = exe:submit(leaf, j)
  end
  for j = 1, 50 do
    fs[j]:result()
  end
end
local fs = {}
for i = 1, 200 do
  fs[i] = exe:submit(branch, i)
end
for i = 1, 200 do
  fs[i]:result()
end
EOF
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
  has 'slices script.lua:3 10000'
  has 'whole 10200'
}

# computing KIND: the beginning of a script with such an executor, and a function
# in its third line that takes the longer the larger its argument is.
computing() {
  cat <<EOF
local lfut = require "lfut"
local exe = lfut.$1(2)
local function work(n)
  local s = 0
  for i = 1, n do
    s = s + i
  end
  return s
end
EOF
}

@test "the slices' sums are the statistics" {
  for kind in $kinds; do
    cat > script.lua <<EOF
$(computing "$kind")
local fs = {}
for i = 1, 300 do
  fs[i] = exe:submit(work, i * 100)
end
for i = 1, 300 do
  fs[i]:result()
end
print(exe:profile().functions["script.lua:3"].run)
EOF
    run --separate-stderr lfut --trace t.json script.lua
    local want=$output
    read_trace t.json
    has 'slices script.lua:3 300'
    echo "$output" | awk -v want="$want" '
      $1 == "seconds" && $2 == "script.lua:3" { seen = $3 }
      END { d = seen - want; exit !(d < 1e-5 && d > -1e-5) }' ||
      complain "$want" "$output"
  done
}

@test "chunks of loops are as long as the statistics say" {
  for kind in ThreadPoolExecutor ProcessPoolExecutor AsyncExecutor; do
    cat > script.lua <<EOF
$(computing "$kind")
for _ in exe:map(work, lfut.range(8000)) do end -- the woken script takes a processor
print(exe:profile().functions["script.lua:3"].run)
EOF
    run --separate-stderr lfut --trace t.json script.lua
    local want=$output
    read_trace t.json
    echo "$output" | awk -v want="$want" '
      $1 == "seconds" && $2 == "script.lua:3" { seen = $3 }
      END { exit !(seen > 0.5 * want && seen < 1.1 * want) }' ||
      complain "$kind: $want" "$output"
  done
}

@test "C functions in worker processes, and what tasks are called there" {
  for method in fork spawn; do
    cat > script.lua <<EOF
local lfut = require "lfut"
local exe <close> = lfut.ProcessPoolExecutor { max_workers = 1, start_method = "$method" }
for i = 1, 5 do
  exe:submit(math.sqrt, i):result()
end
exe:options { name = "root" }:submit(math.sqrt, 9):result()
for _ in exe:map(string.upper, { "a", "b" }) do end
exe:submit(function(exe) exe:submit(math.abs, -1):result() end, exe):result()
EOF
    run --separate-stderr lfut --trace t.json script.lua
    [ "$status:$stderr" = 0: ] || complain "$stderr"
    read_trace t.json
    has 'slices math.sqrt 5'
    has 'slices root 1'
    has 'slices math.abs 1'
    contains "$output" 'slices string.upper'
    [[ $(< t.json) != *'"task"'* ]] || complain "$output"
  done
}

@test "loops, C functions, waits, names" {
  cat > script.lua <<'EOF'
local lfut = require "lfut"
local exe <close> = lfut.ThreadPoolExecutor(2)
local function square(x)
  return x * x
end
for _ in exe:map(square, { 1, 2, 3, 4, 5 }) do end
local libc = lfut.load("c", [[ int abs(int j); ]])
assert(exe:submit(libc.abs, -1):result() == 1)
local q = lfut.Queue()
local f = exe:submit(function() return q:get() end)
exe:submit(function() q:put(1) end)
f:result()
assert(exe:options { name = "the \"answer\"" }:submit(square, 2):result() == 4)
EOF
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
  has 'slices abs 1'
  has 'slices the "answer" 1'
  contains "$output" 'slices script.lua:3'
}

@test "lfut.trace begins and ends traces" {
  cat > script.lua <<'EOF'
local lfut = require "lfut"
for _, kind in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor", "InlineExecutor" } do
  local exe <close> = lfut[kind](1)
  local function before(x) return x end
  local function first(x) return x end
  local function between(x) return x end
  local function second(x) return x end
  exe:submit(before, 1):result()
  lfut.trace("1.json")
  exe:submit(first, 1):result()
  exe:submit(first, 1):result()
  lfut.trace(nil)
  exe:submit(between, 1):result()
  lfut.trace("2.json")
  exe:submit(second, 1):result()
  exe:submit(first, 1):result()
  lfut.trace("3.json")
  exe:submit(second, 1):result()
  exe:shutdown()
  lfut.trace(nil)
  lfut.trace(nil)
  for i = 1, 3 do
    os.rename(i .. ".json", kind .. i .. ".json")
  end
end
EOF
  run --separate-stderr lfut script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  for kind in $kinds; do
    for number in 1 2 3; do
      read_trace $kind$number.json
      [[ $output != *script.lua:4* && $output != *script.lua:6* ]] || complain "$output"
      has 'counter queue'
    done
    has 'slices script.lua:7 1'
    [[ $output != *script.lua:5* ]] || complain "$output"
  done
}

@test "wrong use" {
  local bad
  for bad in 'lfut.trace(1 == 1)' 'lfut.trace("")' 'lfut.trace("a\0b")' 'lfut.trace("no/such/file")' \
    'lfut.ThreadPoolExecutor(1):submit(function() require "lfut".trace("x") end):result()'; do
    run --separate-stderr lfut -e "local lfut = require 'lfut' $bad"
    [ "$status" = 1 ] || complain "$bad"
    contains "$stderr" 'trace'
  done
  [ ! -e a ]
  run --separate-stderr lfut --trace
  [ "$status" = 1 ]
  contains "$stderr" "'--trace' needs argument"
}

@test "a file that cannot be written is told, and the program goes on" {
  script ThreadPoolExecutor 'print "through"'
  for file in /no/such/file . /dev/full; do
    run --separate-stderr lfut --trace $file script.lua
    [ "$status:$output" = 0:through ] || complain "$status $output $stderr"
    contains "$stderr" "lfut: trace '$file': "
  done
  run --separate-stderr lfut --trace /dev/full script.lua 2>&-
  [ "$status:$output" = 0:through ]
}

@test "a pipe" {
  script ThreadPoolExecutor 'exe:shutdown()'
  lfut --trace /dev/stdout script.lua | cat > t.json
  read_trace t.json
  has 'whole 50'
}

@test "a forked process is not in the trace" {
  [ "${LFUT_SANITIZER:-no}" != thread ] || skip 'TSan does not go on after a fork of several threads'
  script ThreadPoolExecutor '
    local p = lfut.Process { target = function()
      local lfut = require "lfut"
      local exe <close> = lfut.ThreadPoolExecutor(1)
      exe:submit(function(x) return x end, 1):result()
    end }
    p:start() p:join() assert(p.exitcode == 0)'
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
  has 'processes 1'
}

@test "a forked process has a trace of its own" {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip "a sanitizer's own locks do not survive forks"
  script ThreadPoolExecutor '
    local function body()
      local lfut = require "lfut"
      lfut.trace("child.json")
      local exe <close> = lfut.ThreadPoolExecutor(1)
      exe:submit(function(x) return x end, 1):result()
    end
    for _ = 1, 20 do
      for i = 1, 100 do fs[i] = exe:submit(double, i) end -- others hold locks
      local p = lfut.Process { target = body }
      p:start() p:join() assert(p.exitcode == 0)
    end'
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace child.json
  has 'slices script.lua:18 1'
  has 'processes 1'
}

@test "the module in the stock interpreter" {
  needs_stock_lua
  script ThreadPoolExecutor 'exe:shutdown()'
  sed -i '1s/$/ lfut.trace "t.json"/' script.lua
  run --separate-stderr stock_lua script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
  has 'whole 50'
}

@test "what runs when the trace ends is in it" {
  for kind in ThreadPoolExecutor ProcessPoolExecutor; do
    cat > script.lua <<EOF
local lfut = require "lfut"
local exe = lfut.$kind(1)
local begun, go = lfut.Event(), lfut.Event()
local function long()
  begun:set()
  repeat until go:is_set()
end
local f = exe:submit(long)
begun:wait()
lfut.trace(nil)
go:set()
f:result()
lfut.trace("2.json")
begun:clear()
go:clear()
exe:submit(long)
begun:wait()
os.exit(0)
EOF
    lfut --trace 1.json script.lua
    for file in 1.json 2.json; do
      read_trace $file
      has 'slices script.lua:4 1'
    done
  done
}

# Executors that are made in worker processes: NAME, what makes it.
inner() {
  cat > script.lua <<EOF
local lfut = require "lfut"
local function leaf(x)
  return x
end
local function branch(begun, go)
  local exe = $2
  local fs = {}
  for i = 1, 100 do
    fs[i] = exe:submit(leaf, i)
  end
  for i = 1, 100 do
    fs[i]:result()
  end
  if begun then
    exe:submit(function() begun:set() go:wait() end)
    go:wait()
  end
  exe:shutdown()
end
local outer <close> = lfut.$1
$3
EOF
}

outers='ProcessPoolExecutor(1)
ProcessPoolExecutor{max_workers=1,start_method="spawn"}'
inners='lfut.ThreadPoolExecutor{max_workers=2,name="in"}
lfut.AsyncExecutor{max_workers=2,name="in"}
lfut.ProcessPoolExecutor{max_workers=2,name="in"}
lfut.InlineExecutor{name="in"}'

@test "executors in worker processes" {
  local outer inner
  for outer in $outers; do
    for inner in $inners; do
      inner "$outer" "$inner" 'outer:submit(branch):result()'
      run --separate-stderr lfut --trace t.json script.lua
      [ "$status:$stderr" = 0: ] || complain "$outer $inner: $stderr"
      read_trace t.json
      has 'slices script.lua:2 100'
      contains "$output" 'slices script.lua:5'
      has 'whole 101'
      has 'named all'
      [[ $inner = *Inline* ]] || contains "$output" 'thread_name in_'
    done
  done
}

@test "a trace ends when all is in the file, also of workers in the middle of a task" {
  local outer inner
  for outer in $outers; do
    for inner in $inners; do
      [[ $inner != *Inline* ]] || continue
      inner "$outer" "$inner" '
        local begun, go = lfut.Event(), lfut.Event()
        local f = outer:submit(branch, begun, go)
        begun:wait()
        lfut.trace(nil)
        go:set()
        f:result()'
      run --separate-stderr lfut --trace t.json script.lua
      [ "$status:$stderr" = 0: ] || complain "$outer $inner: $stderr"
      read_trace t.json
      has 'slices script.lua:2 100'
      has 'slices script.lua:15 1' # the others wait
      has 'ways 102'
      has 'named all'
    done
  done
}

@test "a worker process that does not answer does not keep a trace from ending" {
  inner 'ProcessPoolExecutor(1)' 'lfut.ThreadPoolExecutor(2)' '
    local pid = outer:submit(lfut.getpid):result()
    os.execute("kill -STOP " .. pid)
    lfut.trace(nil)
    os.execute("kill -CONT " .. pid)
    outer:submit(leaf, 1):result()'
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
}

@test "members of a cluster" {
  command -v redis-server > /dev/null || skip 'there is no redis-server'
  lfut cluster --help > /dev/null 2>&1 || skip 'without clusters'
  script ClusterExecutor 'for _ in exe:map(double, { 1, 2, 3 }) do end exe:shutdown()'
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
  has 'whole 50'
  contains "$output" "process_name lfut member $(uname -n) "
  contains "$output" 'thread_name lfut_'
  has 'named all'
  contains "$output" 'slices script.lua:3'
}

@test "counters of a cluster" {
  command -v redis-server > /dev/null || skip 'there is no redis-server'
  lfut cluster --help > /dev/null 2>&1 || skip 'without clusters'
  cat > script.lua <<'EOF'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor(2)
local path = arg[1]
local fs = {}
for i = 1, 20 do
  fs[i] = exe:submit(function() io.open(path):close() end) -- waits for who writes
end
local seen
repeat
  seen = io.open("t.json"):read("a")
until seen:find '"busy","args":{"lfut":[1-9]' and seen:find '"queue","args":{"lfut":[1-9]'
local gate <close> = io.open(path, "w")
for i = 1, 20 do
  fs[i]:result()
end
EOF
  mkfifo go
  run --separate-stderr lfut --trace t.json script.lua "$PWD/go"
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
}

@test "a cluster that runs nothing but loops" {
  command -v redis-server > /dev/null || skip 'there is no redis-server'
  lfut cluster --help > /dev/null 2>&1 || skip 'without clusters'
  cat > script.lua <<'EOF'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor(2)
local function double(x)
  return 2 * x
end
assert(exe:map(double, lfut.range(100)):list()[100] == 200)
EOF
  run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  read_trace t.json
  contains "$output" 'slices script.lua:3'
}
