# SPDX-License-Identifier: MIT
# Lack of memory at any moment: debug builds fail the allocation of which
# LFUT_FAIL_ALLOC is the number, of the runtime or of a worker's interpreter.
#
# The first some hundred allocations are failed one by one, from then on about
# one in n / 100 (LFUT_ALLOC_ALL=1: each of them).

source "$srcdir/tests/helpers.sh"

# Does a bit of everything; goes on after each error. What is wrong in another
# way than by an error ends it with status 3.
write_script() {
  cat > script.lua << 'END'
local lfut = require "lfut"
local factor, wrong = 2, nil

local function check(ok, what)
  if not ok then
    wrong = what
  end
end

local function try(f, ...)
  local ok, message = pcall(f, ...)
  check(ok or message ~= nil and message ~= "", "an error without words")
end

local function double(x)
  return x * factor
end

local function closure(t)
  return t.a + factor, { t }, "text"
end

local function fail(x)
  error { code = x }
end

local function fib(exe, n)
  if n < 2 then
    return n
  end
  local a, b = exe:submit(fib, exe, n - 1), exe:submit(fib, exe, n - 2)
  return a:result() + b:result()
end

local function sort(exe, t)
  table.sort(t, function(a, b)
    return exe:submit(function(u, v) return u < v end, a, b):result()
  end)
  return t[1], t[3]
end

local function count_to(n)
  local i = 0
  return function()
    i = i + 1
    return i <= n and i or nil
  end
end

local function sum(exe, n)
  local s = 0
  for _, r in exe:map(double, lfut.range(n)) do
    s = s + r
  end
  return s
end

local function each(items, ...)
  for i, r in items, ... do
    check(r == 2 * i, "a result of map")
  end
end

local function use(exe)
  local f, g, futures = nil, nil, {}
  try(function()
    f = exe:submit(closure, { a = 1, b = { 2, 3 }, s = ("x"):rep(500) })
    local n, t, text = f:result()
    check(n == 3 and t[1].b[2] == 3 and text == "text", "a result")
  end)
  try(function()
    g = exe:submit(fail, 1)
    g:result()
  end)
  try(function()
    g:exception()
    g:traceback()
    tostring(g)
  end)
  try(function() each(exe:map(double, { 1, 2, 3, 4, 5 })) end)
  try(function() each(exe:map(double, lfut.range(40), { chunksize = 7 })) end)
  try(function() each(exe:map(double, count_to(20), { ordered = false })) end)
  try(function()
    local sums = exe:map(math.max, lfut.zip({ 1, 2 }, { 3, 4 })):list()
    check(sums.n == 2 and sums[1] == 3 and sums[2] == 4, "a list")
  end)
  try(function()
    check(exe:for_each(double, lfut.range(20)) == 20, "for_each")
  end)
  try(function()
    local add = function(a, b) return a + b end
    check(exe:reduce(double, lfut.range(20), add, 0) == 420, "reduce")
  end)
  try(function()
    for i = 1, 6 do
      futures[i] = exe:submit(double, i)
    end
  end)
  for _, future in ipairs(futures) do
    try(function() future:add_done_callback(function() end) end)
  end
  try(function()
    for future in lfut.as_completed(futures) do
      future:result()
    end
  end)
  try(function() lfut.wait(futures, 60, "FIRST_EXCEPTION") end)
  try(function()
    check(exe:submit(fib, exe, 5):result() == 5, "nested submits")
  end)
  try(function()
    check(exe:submit(sum, exe, 10):result() == 110, "a nested map")
  end)
  try(function()
    local first, last = exe:submit(sort, exe, { 3, 1, 2 }):result()
    check(first == 1 and last == 3, "submits in a comparator")
  end)
  try(function()
    for _, future in ipairs(exe:broadcast(double, 1)) do
      future:result()
    end
  end)
  try(function()
    local a = lfut.Array("int32", { 1, 2, 3 })
    local b, c = exe:submit(function(a)
      a[1] = 5
      return a:slice(2), require "lfut".Array("int8", 10)
    end, a):result()
    check(a[1] == 5 and b == a:slice(2) and #c == 10, "an array")
  end)
  try(function()
    local q, d, l = lfut.Queue(3), lfut.Dict(), lfut.Lock()
    q:put { 1, { 2 }, lfut.Array("int8", 3), l }
    q:put(closure)
    local n = exe:submit(function()
      local t, f = q:get(0), q:get(0)
      d:set("k", { t, f })
      d:set(1, ("v"):rep(500))
      return t[4]:with(function() return d:incr("n") + t[2][1] end)
    end):result()
    check(n == 3, "a queue")
    check(d:get "k"[1][1] == 1 and #d:get(1) == 500, "a dictionary")
    for k, v in pairs(d) do
      check(d:get(k) ~= nil and v ~= nil, "an entry")
    end
    d:set("k", nil)
    check(lfut.Barrier(1, function() factor = 2 end):wait() == 0, "a barrier")
    for i = 1, 3 do
      q:put(i)
    end
    q:close()
    each(exe:map(double, q))
  end)
  try(function() exe:submit(double, 1):cancel() end)
  try(function() check(exe:stats().queued >= 0, "stats") end)
end

local Executor = lfut[arg[1]]
try(function()
  local exe <close> = Executor {
    max_workers = 2,
    initializer = function(x) G = x end,
    initargs = { 1 },
  }
  use(exe)
end)
try(function()
  local exe = Executor(2)
  exe:submit(double, 1)
  exe:shutdown(false, true)
end)
try(function()
  local pool <close> = lfut[arg[1]:gsub("Executor", ""):gsub("Process", "")](2)
  local later = pool:map_async(double, count_to(20), { callback = function() end })
  local list = pool:map(double, { 1, 2, 3 })
  check(list.n == 3 and list[3] == 6, "a list of a pool")
  check(pool:apply_async(double, { 4 }):get() == 8, "a pool's result")
  each(pool:imap(double, { 1, 2 }))
  check(later:wait(), "the end of a pool's map")
  check(later:get()[20] == 40, "a later list")
end)
if Executor == lfut.ThreadPoolExecutor then
  try(function() use(lfut.InlineExecutor()) end)
end
if wrong then
  io.stderr:write("wrong: ", wrong, "\n")
  os.exit(3)
end
END
}

needs_debug() {
  LFUT_FAIL_ALLOC=1 lfut -e '' 2> /dev/null || return 0
  skip 'not a debug build'
}

# run_with N EXECUTOR: the script with the N-th allocation failing; its messages
# are in the file err, the number of allocations in $allocations, and how many
# blocks were not freed in $left.
run_with() {
  status=0
  LFUT_FAIL_ALLOC=$1 LFUT_SHOW_ALLOC=1 timeout -k 5 30 "$LFUT" script.lua "$2" \
    > out 2> err < /dev/null || status=$?
  read -r allocations left <<< "$(sed -n \
    's/^lfut: \([0-9]*\) allocations, \([0-9]*\) blocks left$/\1 \2/p' err)"
}

# fail_each EXECUTOR FIRST: one by one up to the FIRST, then with larger steps.
fail_each() {
  needs_debug
  write_script
  run_with 0 "$1"
  [ "$status" = 0 ] || complain "$(cat err)"
  [ -n "$allocations" ] || complain 'the allocations are not counted'
  local n=1 last=$((allocations + 50)) # the number varies a little
  while [ $n -le $last ]; do
    run_with $n "$1"
    [ "$status" -le 1 ] || complain "allocation $n: status $status" "$(cat err)"
    [ "$status" = 0 ] || grep -q 'not enough memory' err ||
      complain "allocation $n: no reason is given" "$(cat err)"
    [ "$status" = 1 ] || [ "$left" = 0 ] ||
      complain "allocation $n: $left blocks are not freed" "$(cat err)"
    n=$((n + (${LFUT_ALLOC_ALL:-0} || n < $2 ? 1 : n / 100 + 1)))
  done
}

@test "whichever allocation fails, the program goes on or says why not" {
  fail_each ThreadPoolExecutor 300
}

# In the template and the workers, too, which count on from where they begin;
# forking and mapping count as allocations.
@test "the same with processes" {
  fail_each ProcessPoolExecutor 100
}

# From the n-th on nothing can be had: no crash, no hang, a reason. (Finalizers,
# which Lua needs memory for, do not run then: blocks are left.)
@test "when there is no memory any more, the program says so" {
  needs_debug
  write_script
  export ASAN_OPTIONS=detect_leaks=0
  for executor in ThreadPoolExecutor ProcessPoolExecutor; do
    run_with 0 $executor
    local last=$allocations
    for ((n = 1; n < last; n += n / 10 + 7)); do
      run_with $n+ $executor
      [ "$status" -le 1 ] ||
        complain "$executor, allocation $n: status $status" "$(cat err)"
      [ "$status" = 0 ] || grep -q 'not enough memory' err ||
        complain "$executor, allocation $n: no reason is given" "$(cat err)"
    done
  done
}
