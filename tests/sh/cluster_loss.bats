# SPDX-License-Identifier: MIT
# What becomes of a cluster's tasks when somebody dies, stands still, or is cut
# off: each ends, and has been run at least once, or at most once without
# retries; and nothing is left in the server.

source "$srcdir/tests/helpers.sh"

tasks=600
members=()

setup() {
  command -v redis-server > /dev/null || skip 'no redis-server'
  "$LFUT" cluster --help > /dev/null 2>&1 || skip 'built without hiredis'
  needs_signals
  in_empty_directory
  up
  join
  join
  mkdir marks
  mkfifo some
  cat > script.lua << 'EOF'
-- script.lua URL RETRIES TASKS: how many tasks have ended in which way
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor { url = arg[1], retries = tonumber(arg[2]) }
local n, futures, ends = tonumber(arg[3]), {}, {}
for i = 1, n do
  futures[i] = exe:submit(function(i)
    local mark = assert(io.open("marks/" .. i, "a"))
    local first = mark:seek "end" == 0
    mark:write "x"
    mark:close()
    if i == 50 and first then -- later there is nobody there to meet
      io.open("some", "w"):write("some\n"):close()
    end
    local x = 0
    for j = 1, 1e5 do
      x = x + j
    end
    return i
  end, i)
end
for i, f in ipairs(futures) do
  local ok, e = pcall(f.result, f)
  local how = ok and e == i and "ok" or lfut.is_error(e) and e.kind or tostring(e)
  ends[how] = (ends[how] or 0) + 1
end
for how, n in pairs(ends) do
  print(how, n)
end
EOF
}

teardown() {
  local pid
  for pid in "${members[@]}" ${server-} ${pid-}; do
    kill -KILL "$pid" 2> /dev/null || true
  done
}

# up: a server, as $url, on a port that is free; its process is $server.
up() {
  local line port=$((20000 + BASHPID % 20000))
  until line=$("$LFUT" cluster up --dir server --port "$port" 2> up.err); do
    port=$((port + 1))
    rm -rf server
  done
  url=${line##* }
  server=$(cat server/redis.pid)
}

# join: one more member, the last of $members.
join() {
  "$LFUT" cluster join "$url" -w 1 --heartbeat 1 > /dev/null \
    2> "joined.${#members[@]}" < /dev/null 3>&- &
  members+=($!)
  until grep -q joined "joined.$((${#members[@]} - 1))"; do
    kill -0 $! || complain "no member" "$(cat joined.*)"
  done
}

# redis COMMAND...
redis() {
  local rest=${url#redis://:}
  REDISCLI_AUTH=${rest%%@*} redis-cli -p "${url##*:}" "$@"
}

# run_script RETRIES COMMAND...: the command comes while tasks run.
run_script() {
  local retries=$1
  shift
  start script.lua "$url" "$retries" "$tasks"
  meet some
  "$@"
  wait "$pid"
}

# All have ended well, and each has been run.
all_is_well() {
  [ "$(cat out)" = "ok	$tasks" ] || complain "$(cat out err)"
  [ "$(ls marks | wc -l)" = "$tasks" ] || complain "tasks that were not run"
}

# Each has ended, and none has been run twice.
none_twice() {
  awk -v n="$tasks" '
    $1 != "ok" && $1 != "WorkerLost" { exit 1 }
    { sum += $2 }
    END { exit sum != n }' out || complain "$(cat out err)"
  ! grep -q xx marks/* || complain 'a task has been run twice'
}

# Members leave, and then nothing is left.
nothing_is_left() {
  local member
  for member in "${members[@]}"; do
    kill -TERM "$member" 2> /dev/null || true
  done
  wait "${members[@]}" || true
  [ "$(redis dbsize)" = 0 ] || complain "left: $(redis keys '*')"
}

kill_worker() {
  kill -KILL "$(pgrep -P "${members[0]}" | head -n 1)"
}

kill_member() {
  kill "-$1" "${members[0]}"
}

# The member stands still until the others take it for dead.
still() {
  kill -STOP "${members[0]}"
  until [ "$("$LFUT" cluster status "$url" --json | grep -o '"members": [0-9]*')" = '"members": 1' ]; do
    read -r -t 0.05 <> <(:) || true
  done
  kill -CONT "${members[0]}"
}

kill_server() {
  kill "-$1" "$server"
  while kill -0 "$server" 2> /dev/null; do
    read -r -t 0.05 <> <(:) || true
  done
  redis-server server/redis.conf
  until server=$(cat server/redis.pid 2> /dev/null); do
    read -r -t 0.05 <> <(:) || true
  done
}

# All connections are cut at once.
cut() {
  redis client kill type normal skipme yes > /dev/null
}

@test "a worker that is killed" {
  run_script 2 kill_worker
  all_is_well
  nothing_is_left
}

@test "a worker that is killed, at most once" {
  run_script 0 kill_worker
  none_twice
  nothing_is_left
}

@test "a member that is killed" {
  run_script 2 kill_member KILL
  all_is_well
  nothing_is_left
}

@test "a member that is killed, at most once" {
  run_script 0 kill_member KILL
  none_twice
  nothing_is_left
}

@test "a member that leaves" {
  run_script 0 kill_member TERM
  all_is_well
  nothing_is_left
}

@test "a member that stands still" {
  run_script 2 still
  all_is_well
  contains "$(cat joined.0)" 'joining again'
  nothing_is_left
}

@test "a member that stands still, at most once" {
  run_script 0 still
  none_twice
  nothing_is_left
}

@test "a member that comes late" {
  run_script 2 join
  all_is_well
  nothing_is_left
}

@test "a server that is killed and comes back" {
  run_script 2 kill_server KILL
  all_is_well
  nothing_is_left
}

@test "a server that ends and comes back" {
  run_script 2 kill_server TERM
  all_is_well
  nothing_is_left
}

@test "connections that are cut" {
  run_script 2 cut
  all_is_well
  nothing_is_left
}

@test "connections that are cut, at most once" {
  run_script 0 cut
  none_twice
  nothing_is_left
}

# The others do not wait for who is dead: they clear up after it.
@test "a script that is killed" {
  start script.lua "$url" 2 "$tasks"
  meet some
  kill -KILL "$pid"
  until redis zremrangebyscore lfut:clients -inf +inf | grep -q 1; do
    :
  done
  [ "$(redis exists lfut:tasks)" = 1 ]
  "$LFUT" - "$url" << 'EOF'
local exe <close> = require "lfut".ClusterExecutor { url = arg[1] }
print(exe:submit(function() return "others go on" end):result())
EOF
}

@test "a server that loses everything" {
  run_script 2 redis flushall
  all_is_well
}
