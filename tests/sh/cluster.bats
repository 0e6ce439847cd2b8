# SPDX-License-Identifier: MIT
# The command `lfut cluster`, and ClusterExecutor as seen from outside: servers,
# members and scripts that end in all ways. Each test has a server of its own, on a
# port that was free; all that it starts ends with it.

source "$srcdir/tests/helpers.sh"

setup() {
  in_empty_directory
  command -v redis-server > /dev/null || skip 'there is no redis-server'
  [[ $(lfut cluster 2>&1) != *'without hiredis'* ]] ||
    skip 'built without hiredis'
  unset LFUT_CLUSTER XDG_RUNTIME_DIR
  export XDG_STATE_HOME=$PWD/state TMPDIR=$PWD/tmp
  mkdir tmp
  started=()
}

# What goes on in the background, and has a directory, has its number there.
teardown() {
  [ -z "${pid-}" ] || started+=("$pid")
  local dir
  for dir in "$BATS_TEST_TMPDIR"/{state/,}*/; do
    [ ! -e "$dir/redis.pid" ] || [ ! "/proc/$(cat "$dir/redis.pid")/cwd" -ef "$dir" ] ||
      started+=("$(cat "$dir/redis.pid")")
  done
  disown -a # their end is no news
  [ "${#started[@]}" = 0 ] || kill -KILL "${started[@]}" 2> /dev/null || true
}

# await COMMAND...: until it succeeds, for a minute at most.
await() {
  local _
  for _ in {1..1200}; do
    ! "$@" || return 0
    read -r -t 0.05 <> <(:) || true
  done
  complain "in vain: $*" "$(tail -n 20 -- *.err *.out 2> /dev/null)"
}

says() {
  grep -qsF -- "$2" "$1"
}

# gone PID...: they have ended, unless as somebody else's zombies.
gone() {
  local one state
  for one; do
    read -r _ _ state _ 2> /dev/null < "/proc/$one/stat" || continue
    [ "$state" = Z ] || return 1
  done
}

# up [ARG...]: a server; its port and its url are in $port and $url.
up() {
  local line
  until
    port=$((20000 + RANDOM % 10000))
    line=$(lfut cluster up --port "$port" "$@" 2> up.err)
  do
    says up.err 'Failed listening' || complain "$(cat up.err)"
  done
  url=${line#lfut cluster join }
}

# redis COMMAND...: asks that server.
redis() {
  local password=${url#*:*:}
  REDISCLI_AUTH=${password%@*} redis-cli -p "$port" "$@"
}

# join NAME [ARG...]: a member, whose number is in $member; its messages are in
# NAME.err, and what its tasks print in NAME.out.
join() {
  local name=$1
  shift
  "$LFUT" cluster join "$@" > "$name.out" 2> "$name.err" < /dev/null 3>&- &
  member=$!
  started+=("$member")
  await eval 'says "$name.err" joined || gone "$member"'
  says "$name.err" joined || complain "$(cat "$name.err")"
}

# ends PID STATUS: it ends by itself, with this status.
ends() {
  local status=0
  await gone "$1"
  wait "$1" || status=$?
  [ "$status" = "$2" ] || complain "status $status, not $2" "$(cat -- *.err)"
}

# A script with one task that is held at a gate, gate1 in its first run, gate2 in
# the second, and returns what it gets there. Each run leaves a line in 'marks': its
# process. Arguments: retries.
held_script() {
  mkfifo gate1 gate2 gate3
  exec 7<> gate1 8<> gate2 9<> gate3 # nobody waits for us
  cat > held.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor()
local function held()
  local marks, runs = io.open("marks", "a+"), 0
  marks:write(lfut.getpid(), "\n")
  marks:seek "set"
  for _ in marks:lines() do
    runs = runs + 1
  end
  marks:close()
  return io.open("gate" .. runs):read()
end
local f = exe:options{ retries = tonumber(arg[1]) }:submit(held)
local e = f:exception()
print(e and ("%s %s %s"):format(e.kind, e.signal, e.host) or f:result())
END
}

# runs N: the task is in its Nth run.
runs() {
  [ -e marks ] && [ "$(wc -l < marks)" = "$1" ]
}

# --- The command ---

@test "help, on standard output" {
  run --separate-stderr lfut cluster --help
  [ "$status:$stderr" = 0: ]
  local word
  for word in up join status down --bind --port --dir -w --heartbeat --reconnect \
    --json LFUT_CLUSTER redis:// unix://; do
    contains "$output" "$word"
  done
  for word in up join status down; do
    run --separate-stderr lfut cluster $word --help
    [ "$status:$stderr" = 0: ]
    contains "$output" 'usage: lfut cluster'
  done
}

@test "wrong commands and arguments: what is wrong, and the usage" {
  local want words
  while IFS='|' read -r words want; do
    run --separate-stderr lfut cluster $words
    [ "$status:$output" = 1: ] || complain "$words: status $status" "$output"
    contains "${stderr_lines[0]}" "$want"
    contains "$stderr" 'usage: lfut cluster'
  done << 'END'
|usage
elsewhere|unknown command 'elsewhere'
join --fast redis://a|--fast
join redis://a redis://b|redis://b
join -w 0 redis://a|bad number of workers '0'
join -w many redis://a|bad number of workers 'many'
join --heartbeat 0 redis://a|bad heartbeat '0'
join --heartbeat x redis://a|bad heartbeat 'x'
join --reconnect -1 redis://a|bad reconnect '-1'
up --port 0|bad port '0'
up --port 65536|bad port '65536'
up --port x|bad port 'x'
END
}

@test "no url" {
  local word
  for word in join status down; do
    run --separate-stderr lfut cluster $word
    [ "$status:$output" = 1: ]
    contains "$stderr" LFUT_CLUSTER
    [ "${#stderr_lines[@]}" = 1 ] || complain "$stderr"
  done
}

# --- Urls, and who is there ---

# refused URL PART: each command says so in a line that has the part and no secret,
# by an argument and by the environment; the executor raises it.
refused() {
  local word want
  for word in join status down; do
    run --separate-stderr lfut cluster $word "$1"
    [ "$status:$output:${#stderr_lines[@]}" = 1::1 ] ||
      complain "$word $1: status $status" "$output" "$stderr"
    contains "$stderr" "$2"
    want=$stderr
    LFUT_CLUSTER=$1 run --separate-stderr lfut cluster $word
    [ "$status:$stderr" = "1:$want" ] || complain "$word: $stderr" "not: $want"
  done
  run --separate-stderr lfut -e 'print(select(2,
    pcall(require "lfut".ClusterExecutor, { url = arg[1] })))' - "$1" < /dev/null
  [ "${output#ClusterError: }" = "${want#lfut: }" ] || complain "$output" "not: $want"
  LFUT_CLUSTER=$1 run --separate-stderr lfut -e \
    'print(select(2, pcall(require "lfut".ClusterExecutor)))'
  [ "${output#ClusterError: }" = "${want#lfut: }" ] || complain "$output" "not: $want"
  [[ $want != *s3cret* ]] || complain "$want"
}

@test "malformed urls: what is wrong with them, without their password" {
  local url want
  while read -r url want; do
    refused "$url" "$want"
    [[ $output != ClusterError* ]] || complain "$output" # but misuse
  done << 'END'
http://:s3cret@a must begin with redis:// or unix://
a:6379 must begin with redis:// or unix://
redis:// host is missing
redis://:s3cret@ host is missing
redis://:s3cret@a:0 port must be 1 to 65535
redis://:s3cret@a:65536 port must be 1 to 65535
redis://:s3cret@a:b port must be 1 to 65535
redis://:s3cret@a/b db must be a number
redis://:s3cret@a?b=1 /db only
redis://s3cret@a user:password or :password
redis://b:@a user:password or :password
redis://b:s3cret@@a %40
redis://b:s3cret/s3cret@a %2F
redis://b:s3cret%2@a hexadecimal
redis://:s3cret@1.2.3 no IPv4 address
redis://:s3cret@[::1 ] is missing
redis://:s3cret@[alpha] IPv6 address
redis://:s3cret@::1 must be in brackets
redis://:s3cret@a_b~c host must be
rediss://:s3cret@a tunnel
unix:// path of a socket
unix://a path of a socket
unix:///a?db=b db must be a number
END
}

@test "nobody there" {
  up
  lfut cluster down "$url"
  refused "redis://127.0.0.1:$port" "cannot reach redis://127.0.0.1:$port: Connection refused"
  contains "$output" ClusterError
  refused "redis://b:s3cret@127.0.0.1:$port/3" "cannot reach redis://b@127.0.0.1:$port/3"
  refused "unix://$PWD/none" "cannot reach unix://$PWD/none: No such file"
  refused redis://:s3cret@nowhere.invalid 'cannot reach redis://nowhere.invalid:6379'
}

@test "a wrong password, none, an unknown user, no such database" {
  up
  refused "redis://:s3cret@127.0.0.1:$port" "wrong password for redis://127.0.0.1:$port"
  contains "$output" ClusterError
  refused "redis://b:s3cret@127.0.0.1:$port" "wrong password for redis://b@127.0.0.1:$port"
  refused "redis://127.0.0.1:$port" "a password is needed for redis://127.0.0.1:$port"
  refused "$url/123456" "refused by redis://127.0.0.1:$port/123456"
  [[ $output != *"${url:9:32}"* ]] || complain "$output"
}

@test "no Redis" {
  command -v python3 > /dev/null || skip 'there is no python3'
  cat > answer.py << 'END'
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def answer(connection):
    connection.recv(1000)
    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
    connection.close()
while True:
    threading.Thread(target=answer, args=[server.accept()[0]]).start()
END
  mkfifo port
  python3 answer.py > port 2> /dev/null 3>&- &
  pid=$!
  disown
  read -r port < port
  refused "redis://127.0.0.1:$port" "no Redis server at redis://127.0.0.1:$port"
  refused "redis://:s3cret@127.0.0.1:$port" "no Redis server at redis://127.0.0.1:$port"
}

@test "who has another version is told so, members and scripts" {
  up
  redis set lfut:version 'lfut 0.0.1, Lua 5.3'
  run --separate-stderr lfut cluster join "$url"
  [ "$status:${#stderr_lines[@]}" = 1:1 ] || complain "$stderr"
  contains "$stderr" 'the cluster is of lfut 0.0.1, Lua 5.3, but this is lfut '
  LFUT_CLUSTER=$url run lfut -e 'print(pcall(require "lfut".ClusterExecutor))'
  contains "$output" 'ClusterError: the cluster is of lfut 0.0.1, Lua 5.3, but this is lfut '
}

@test "a server that others can reach needs a password" {
  local address pidfile=$PWD/open/redis.pid
  address=$(hostname -I 2> /dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$') ||
    skip 'this machine has no other address'
  mkdir open
  up
  lfut cluster down "$url"
  redis-server --port "$port" --protected-mode no --save '' --dir open \
    --pidfile "$pidfile" --daemonize yes --logfile log > /dev/null 3>&-
  await says open/log 'eady to accept connections'
  refused "redis://$address:$port" "no password protects redis://$address:$port"
}

@test "by a socket, and in one of its databases" {
  mkdir here
  redis-server --port 0 --unixsocket "$PWD/here/socket" --save '' --dir here \
    --pidfile "$PWD/here/redis.pid" --daemonize yes --logfile log > /dev/null 3>&-
  await says here/log 'eady to accept connections'
  join one "unix://$PWD/here/socket?db=3" -w 2
  run lfut cluster status "unix://$PWD/here/socket?db=3"
  contains "$output" 'workers 2'
  run lfut cluster status "unix://$PWD/here/socket"
  contains "$output" 'workers 0'
  LFUT_CLUSTER="unix://$PWD/here/socket?db=3" run lfut -e '
    local exe <close> = require "lfut".ClusterExecutor()
    print(exe:submit(math.max, 3, 9, 4):result())'
  [ "$output" = 9 ] || complain "$output"
  lfut cluster down "unix://$PWD/here/socket?db=3"
  ends "$member" 0
}

# --- up, join, status, down ---

@test "up: for this machine alone, with a password that nobody else can read" {
  up
  [[ $url =~ ^redis://:[0-9a-f]{32}@127\.0\.0\.1:$port$ ]] || complain "$url"
  [ "$(stat -c %a state/lfut)" = 700 ]
  [ "$(stat -c %a state/lfut/redis.conf)" = 600 ]
  [ "$(redis config get bind | tail -n 1)" = 127.0.0.1 ]
  [ "$(redis config get appendonly | tail -n 1)" = yes ]
  [ "$(redis-cli -p "$port" ping)" = 'NOAUTH Authentication required.' ]
  local server
  server=$(cat state/lfut/redis.pid)
  [[ $(tr '\0' ' ' < "/proc/$server/cmdline") != *"${url:9:32}"* ]]
  lfut cluster down "$url"
  await gone "$server"
}

@test "up twice: in the same directory, or on the same port" {
  up
  run --separate-stderr lfut cluster up --port "$port"
  [ "$status:$output:${#stderr_lines[@]}" = 1::1 ] || complain "$output" "$stderr"
  contains "$stderr" "there is a server in '$PWD/state/lfut' already"
  run --separate-stderr lfut cluster up --port "$port" --dir other
  [ "$status:$output:${#stderr_lines[@]}" = 1::1 ] || complain "$output" "$stderr"
  contains "$stderr" "$port"
  lfut cluster status "$url" # with the same password
  local first=$url
  up --dir other
  lfut cluster down "$url"
  lfut cluster down "$first"
  run --separate-stderr lfut cluster up --port "$port" --dir none/none
  [ "$status:${#stderr_lines[@]}" = 1:1 ] || complain "$stderr"
  contains "$stderr" "cannot use the directory 'none/none': No such file"
}

@test "a cluster from its beginning to its end" {
  up
  export LFUT_CLUSTER=$url
  run lfut cluster status
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'members 0\nworkers 0\nqueued  0\nrunning 0\nfailed  0' ] ||
    complain "$output"
  join one -w 2
  local one=$member
  join two "$url" -w 1
  local two=$member
  run lfut cluster status
  [[ $output == $'members 2\nworkers 3\n'* ]] || complain "$output"
  [ "$(grep -cE "^$(hostname) +($one|$two) +[12] +0 +0$" <<< "$output")" = 2 ] ||
    complain "$output"
  run lfut cluster status --json
  [ "${#lines[@]}" = 1 ]
  [[ $output == '{"members": 2, "workers": 3, "queued": 0, "running": 0, "failed": 0, '* ]] ||
    complain "$output"
  contains "$output" "\"pid\": $one, \"workers\": 2, "

  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor()
print(exe:stats().workers)
for i, r in exe:map(function(x) print "in a worker" return x * x end, { 1, 2, 3 }) do
  print(i, r)
end
print(exe:submit(error, "no", 0):exception())
END
  run --separate-stderr lfut script.lua
  [ "$status" = 0 ] || complain "$stderr"
  [ "$output" = $'3\n1\t1\n2\t4\n3\t9\nno\ttrue' ] || complain "$output"
  [ "$(sort one.out two.out | uniq -c | tr -s ' ')" = ' 3 in a worker' ] ||
    complain "$(cat one.out two.out)"
  run lfut cluster status
  contains "$output" 'failed  1'

  run --separate-stderr lfut cluster down
  [ "$status:$output:$stderr" = 0:: ] || complain "$output" "$stderr"
  ends "$one" 0
  ends "$two" 0
  run --separate-stderr lfut cluster down
  [ "$status" = 1 ]
  contains "$stderr" 'Connection refused'
}

@test "a quiet member says what goes wrong only" {
  up
  "$LFUT" cluster join "$url" --quiet -w 1 > out 2> err < /dev/null 3>&- &
  pid=$!
  has_member() { [[ $(lfut cluster status "$url") == 'members 1'* ]]; }
  await has_member
  kill -TERM "$pid"
  ends "$pid" 0
  [ ! -s out ] && [ ! -s err ] || complain "$(cat out err)"
  run --separate-stderr lfut cluster join --quiet redis://127.0.0.1:1
  [ "$status" = 1 ]
  contains "$stderr" 'cannot reach'
}

@test "the password is wiped out of the arguments of a member" {
  up
  join one "$url" -w 1
  local arguments secret=${url:9:32}
  arguments=$(tr '\0' ' ' < "/proc/$member/cmdline")
  contains "$arguments" 'cluster join ***'
  [[ $arguments != *"$secret"* ]] || complain "$arguments"
  LFUT_CLUSTER=$url lfut -e 'local exe <close> = require "lfut".ClusterExecutor()
    exe:submit(function() io.open("arguments", "w"):write(io.open("/proc/self/cmdline"):read "a"):close() end):result()'
  [[ $(tr '\0' ' ' < arguments) != *"$secret"* ]] || complain "$(tr '\0' ' ' < arguments)"
  run lfut cluster status "$url"
  [[ $output != *"$secret"* ]]
  ! grep -F "$secret" one.out one.err state/lfut/redis.log || complain 'it is in a log'
}

# --- Members that leave, and die ---

@test "SIGTERM: what runs ends, nothing else begins, status 0" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  held_script
  start held.lua
  await runs 1
  "$LFUT" -e 'local exe = require "lfut".ClusterExecutor()
    print(exe:submit(math.max, 3, 9, 4):result())' > second 2>&1 3>&- &
  started+=("$!")
  has_queued() { [[ $(lfut cluster status) == *'queued  1'* ]]; }
  await has_queued
  kill -TERM "$member"
  await says one.err 'leaving when what runs has ended'
  echo done >&7
  finish
  [ "$status:$(cat out)" = 0:done ] || complain "$(cat out err)"
  ends "$member" 0
  [ ! -s second ] || complain "$(cat second)"
  join two -w 1 # which has it
  await says second 9
}

@test "a second SIGTERM does not wait; what ran there is run again" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  held_script
  start held.lua
  await runs 1
  kill -TERM "$member"
  await says one.err 'leaving when what runs has ended'
  kill -TERM "$member"
  ends "$member" 0
  join two -w 1
  await runs 2
  echo again >&8
  finish
  [ "$status:$(cat out)" = 0:again ] || complain "$(cat out err)"
}

@test "kill -9 of a worker: its task is given again, as often as it may be" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  held_script
  start held.lua
  local run
  for run in 1 2; do
    await runs $run
    kill -KILL "$(tail -n 1 marks)"
  done
  await runs 3
  echo third >&9
  finish
  [ "$status:$(cat out)" = 0:third ] || complain "$(cat out err)"
  rm marks
  start held.lua 1
  for run in 1 2; do
    await runs $run
    kill -KILL "$(tail -n 1 marks)"
  done
  finish
  [ "$(cat out)" = "WorkerLost SIGKILL $(hostname)" ] || complain "$(cat out err)"
  runs 2
}

@test "kill -9 of a worker, with retries = 0: it is lost, and not run again" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  held_script
  start held.lua 0
  await runs 1
  kill -KILL "$(cat marks)"
  finish
  [ "$(cat out)" = "WorkerLost SIGKILL $(hostname)" ] || complain "$(cat out err)"
  run lfut -e 'local exe <close> = require "lfut".ClusterExecutor()
    print(exe:submit(math.max, 3, 9, 4):result())'
  [ "$output" = 9 ] || complain "$output"
  runs 1
}

@test "kill -9 of a member: what it had goes to another, or is lost" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1 --heartbeat 0.5
  held_script
  start held.lua
  await runs 1
  kill -KILL "$member"
  await gone "$(cat marks)" # no worker is left behind
  join two -w 1 --heartbeat 0.5
  await runs 2
  echo second >&8
  finish
  [ "$status:$(cat out)" = 0:second ] || complain "$(cat out err)"
  rm marks
  start held.lua 0
  await runs 1
  kill -KILL "$member"
  join three -w 1
  finish
  [ "$(cat out)" = "WorkerLost nil $(hostname)" ] || complain "$(cat out err)"
  runs 1
}

@test "a member that has stood still counts as dead; what it brings later is dropped" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1 --heartbeat 0.5
  local one=$member
  held_script
  start held.lua
  await runs 1
  kill -STOP "$one"
  join two -w 1 --heartbeat 0.5
  await runs 2
  echo late >&7
  kill -CONT "$one"
  await says one.err 'took this member for dead; joining again'
  echo second >&8
  finish
  [ "$status:$(cat out)" = 0:second ] || complain "$(cat out err)"
  all_are_there() { [[ $(lfut cluster status) == $'members 2\n'* ]]; }
  await all_are_there
}

@test "a thousand tasks, while members are killed and join" {
  up
  export LFUT_CLUSTER=$url
  join first -w 2 --heartbeat 0.5
  cat > many.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor{ retries = 100 }
local futures, sum = {}, 0
for i = 1, 1000 do
  futures[i] = exe:submit(function(i)
    local x = 0
    for k = 1, 20000 do x = x + k % 3 end
    return i
  end, i)
end
for i, f in ipairs(futures) do
  assert(f:result() == i)
  sum = sum + i
end
print(sum)
END
  start many.lua
  local n
  for n in 1 2 3; do
    local last=$member
    join "next$n" -w 2 --heartbeat 0.5
    kill -KILL "$last"
  done
  finish
  [ "$status:$(cat out)" = 0:500500 ] || complain "$(cat out err)"
}

# --- The server ---

# restart: the server, which has died, with what it has written.
restart() {
  redis-server "$PWD/state/lfut/redis.conf" 3>&-
}

@test "a hundred thousand tasks" {
  cat > many.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor(2)
local n = tonumber(arg[1])
local function half(x)
  if x % 1000 == 0 then
    error { x = x }
  end
  return x / 2
end
local futures, sum = {}, 0
for i = 1, n do
  futures[i] = exe:submit(half, i)
end
for i = 1, n do
  local ok, value = pcall(futures[i].result, futures[i])
  assert(ok == (i % 1000 ~= 0))
  sum = sum + (ok and value or value.x / 2)
end
assert(sum == n * (n + 1) / 4)
local stats = exe:stats()
assert(stats.finished == n - n // 1000 and stats.failed == n // 1000)
print(stats.queued, stats.running)
END
  local n=100000
  [ "${LFUT_SANITIZER:-no}" = no ] || n=10000
  run --separate-stderr lfut many.lua $n
  [ "$status:$output:$stderr" = $'0:0\t0:' ] || complain "$status $output $stderr"
}

@test "a thousand members come and go" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  mkfifo gate
  exec 7<> gate
  cat > script.lua << 'END'
local exe <close> = require "lfut".ClusterExecutor()
local function rounds()
  for i = 1, 100 do
    assert(exe:submit(math.abs, -i):result() == i)
  end
end
rounds()
print "begun"
io.stdout:flush()
assert(io.open("gate"):read() == "done")
rounds()
print(exe:stats().workers)
END
  "$LFUT" script.lua > out 2>&1 3>&- &
  started+=("$!")
  await says out begun
  local i id version
  version=$(redis get lfut:version)
  for ((i = 1; i <= 1000; i++)); do
    printf -v id %032x "$i"
    echo "FCALL lfut1_join 0 $id \"$version\" 5000 2 1 elsewhere"
    echo "FCALL lfut1_done 0 $id 2 0"
    echo "FCALL lfut1_leave 0 $id"
  done > commands
  redis < commands > replies
  [[ $(grep -c '^1$' replies) -ge 2000 ]] || complain "$(head replies)"
  echo done >&7
  ends "${started[-1]}" 0
  says out 1
  [ "$(redis zcard lfut:members):$(redis llen lfut:idle):$(redis exists lfut:clients)" = 1:1:0 ] ||
    complain "$(redis keys '*')"
  kill -TERM "$member"
  ends "$member" 0
  [ "$(redis dbsize)" = 0 ] || complain "$(redis keys '*')"
}

@test "members come and go while a script computes" {
  up
  export LFUT_CLUSTER=$url
  cat > script.lua << 'END'
local exe <close> = require "lfut".ClusterExecutor()
local n = 0
repeat
  assert(exe:submit(math.abs, -n):result() == n)
  n = n + 1
until io.open "enough"
print "good"
END
  "$LFUT" script.lua > out 2>&1 3>&- &
  started+=("$!")
  local script=$! i last other
  for i in {1..20}; do
    join "one$i" -w 1
    last=$member
    join "two$i" -w 2
    kill -TERM "$last"
    ends "$last" 0
    [ -z "${other-}" ] || { kill -TERM "$other" && ends "$other" 0; }
    other=$member
  done
  touch enough
  ends "$script" 0
  says out good
  kill -TERM "$other"
  ends "$other" 0
  [ "$(redis dbsize)" = 0 ] || complain "$(redis keys '*')"
}

@test "a server that is killed and comes back: members and scripts go on" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  held_script
  start held.lua
  await runs 1
  kill -KILL "$(cat state/lfut/redis.pid)"
  echo done >&7
  restart
  finish
  [ "$status:$(cat out)" = 0:done ] || complain "$(cat out err)" "$(cat one.err)"
  runs 1 # once
}

@test "a server that has forgotten all is told again" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1 --heartbeat 0.5
  held_script
  start held.lua
  await runs 1
  redis flushall
  await runs 2
  echo second >&8
  finish
  [ "$status:$(cat out)" = 0:second ] || complain "$(cat out err)"
}

@test "a server that does not come back" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1 --reconnect 0.1
  held_script
  sed -i 's/ClusterExecutor()/ClusterExecutor{ reconnect = 0.1 }/' held.lua
  start held.lua
  await runs 1
  kill -KILL "$(cat state/lfut/redis.pid)"
  ends "$member" 1
  contains "$(cat one.err)" 'the server is lost: cannot reach redis://127.0.0.1'
  await gone "$(cat marks)"
  finish
  contains "$(cat out)" 'ClusterError nil nil'
}

# The first script's task occupies the only worker; what the second one submits
# fills the server.
fill_server() {
  redis config set maxmemory 4mb
  cat > full.lua << 'END'
local lfut = require "lfut"
local exe = lfut.ClusterExecutor()
local text = ("x"):rep(100000)
local futures, ok, e = {}, true, nil
while ok do
  ok, e = pcall(exe.submit, exe, string.len, text)
  futures[#futures + 1] = ok and e or nil
end
print(e.kind, (e.message:match "OOM command not allowed"), #futures > 1)
io.open("full", "w"):close()
for i, f in ipairs(futures) do
  assert(f:result() == #text)
end
repeat
  ok, e = pcall(exe.submit, exe, string.len, text)
until ok -- it may take a moment until the executor looks again
print(e:result())
END
  start full.lua
  await test -e full
}

was_full() {
  finish
  [ "$status:$(cat out)" = $'0:ClusterError\tOOM command not allowed\ttrue\n100000' ] ||
    complain "$(cat out err)"
}

@test "a server without room: an error at submit, nothing is lost, and it goes on" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  held_script
  "$LFUT" held.lua > first 2>&1 3>&- &
  started+=("$!")
  await runs 1
  fill_server
  echo done >&7
  was_full
  says first done
}

@test "who joins a server without room makes some" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  kill -TERM "$member"
  ends "$member" 0
  fill_server
  join two -w 1
  was_full
}

@test "what a script that was killed has left counts as queued no more" {
  up
  export LFUT_CLUSTER=$url
  mkfifo gate
  exec 7<> gate
  cat > queue.lua << 'END'
local exe = require "lfut".ClusterExecutor()
local fs = {}
for i = 1, 5 do
  fs[i] = exe:submit(math.abs, -i)
end
exe:stats()
print "queued"
io.stdout:flush()
io.open("gate"):read()
END
  "$LFUT" queue.lua > queue.out 2>&1 3>&- &
  started+=("$!")
  await says queue.out queued
  lfut cluster status --json > status
  [[ $(cat status) =~ '"queued": '([1-9]) ]] || complain "$(cat status)"
  kill -KILL "${started[-1]}"
  client=$(redis zrange lfut:clients 0 -1)
  redis zadd lfut:clients 1 "$client" # it was heard of long ago
  join one -w 1 # who comes looks for the dead
  await eval '[[ $(lfut cluster status --json) = *"\"queued\": 0"* ]]'
}

@test "nothing is left in the server when all have gone" {
  up
  export LFUT_CLUSTER=$url
  join one -w 2
  lfut -e 'local lfut = require "lfut"
    local exe <close> = lfut.ClusterExecutor()
    local urgent = exe:options{ priority = 3 }
    for i = 1, 50 do exe:submit(math.abs, -i) urgent:submit(math.abs, i) end
    exe:for_each(math.abs, lfut.range(1000))
    for _, f in ipairs(exe:broadcast(math.abs, -1)) do f:result() end
    exe:submit(error, "no"):exception()
    exe:submit(math.abs, -1):cancel()'
  kill -TERM "$member"
  ends "$member" 0
  [ "$(redis dbsize)" = 0 ] || complain "$(redis keys '*')"
}

@test "large values go by themselves, and leave nothing while the script goes on" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  mkfifo gate
  exec 7<> gate
  cat > large.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor()
local function twice(s)
  return s .. s
end
for _, size in ipairs { 1000, 8000, 16000, 17000, 2^20, 40 * 2^20 } do
  local s = ("abc"):rep(size // 3)
  assert(exe:submit(twice, s):result() == s .. s, size)
end
local s = ("x"):rep(100000)
local list = exe:map(twice, { s, s, s, s }):list()
assert(#list == 4 and list[4] == s .. s)
-- Behind one that is held, some are cancelled, pending and as members have them.
local held = exe:submit(function() return io.open("gate"):read() end)
local fs = {}
for i = 1, 6 do
  fs[i] = exe:submit(twice, s)
end
for i = 1, 6, 2 do
  assert(fs[i]:cancel(i > 3))
end
print "go on"
io.stdout:flush()
assert(held:result() == "done")
for i = 2, 6, 2 do
  assert(#fs[i]:result() == 2 * #s)
end
print "looked"
io.stdout:flush()
assert(io.open("gate"):read() == "done")
END
  "$LFUT" large.lua > large.out 2>&1 3>&- &
  started+=("$!")
  await says large.out 'go on'
  echo done >&7
  await says large.out looked
  [ -z "$(redis keys 'lfut:parts:*')" ] || complain "$(redis hkeys "$(redis keys 'lfut:parts:*')")"
  echo done >&7
  ends "${started[-1]}" 0
}

@test "tasks that are given futures wait for them in the script" {
  cat > given.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor(1)
-- Held until they are let go, by a file that is there.
local function gate(name)
  repeat
    local file = io.open(name)
  until file
  return name, "more"
end
local function open(name)
  io.open(name, "w"):close()
end
local held = exe:submit(gate, "one")
local after = exe:submit(function(t, x)
  local name, more = t.future:result()
  return name .. more .. x, t.future:state()
end, { future = held }, "!")
local upvalue = exe:submit(function() return (after:result()) end)
assert(after:state() == "pending" and exe:stats().queued >= 1)
open "one"
local text, state = after:result()
assert(text == "onemore!" and state == "finished" and upvalue:result() == text)
-- One that has failed, or was cancelled.
local bad = exe:submit(error, { code = 7 })
local function outcome(future)
  local ok, e = pcall(future.result, future)
  return future:state(), ok, e.code or e.kind
end
local a, b, c = exe:submit(outcome, bad):result()
assert(a == "failed" and b == false and c == 7)
held = exe:submit(gate, "two")
local cancelled = exe:submit(print)
assert(cancelled:cancel())
local of_cancelled = exe:submit(outcome, cancelled)
-- What waits is cancelled.
local waits = exe:submit(outcome, held)
assert(waits:cancel() and waits:state() == "cancelled")
open "two"
a, b, c = of_cancelled:result()
assert(a == "cancelled" and c == "CancelledError")
-- A chain; with a worker that dies on the way.
local chain = exe:submit(function() return 1 end)
for i = 1, 50 do
  chain = exe:submit(function(f)
    if i == 25 and not io.open "died" then
      io.open("died", "w"):close()
      os.execute("kill -9 " .. require "lfut".getpid())
    end
    return f:result() + 1
  end, chain)
end
assert(chain:result() == 51)
-- In tasks; of others.
assert(exe:submit(function(exe)
  local f = exe:submit(function() return 5 end)
  return exe:submit(function(f) return f:result() + 1 end, f):result()
end, exe):result() == 6)
local ok, e = pcall(exe.submit, exe, print, lfut.InlineExecutor():submit(math.abs, 1))
assert(not ok and e.kind == "TransferError", e)
assert(not pcall(exe.map, exe, print, { chain }))
assert(not pcall(exe.broadcast, exe, print, chain))
-- The executor ends.
held = exe:submit(gate, "three")
waits = exe:submit(outcome, held)
exe:shutdown { wait = false, cancel_futures = true }
assert(waits:state() == "cancelled")
open "three"
print "good"
END
  run --separate-stderr lfut given.lua
  [ "$status:$output:$stderr" = '0:good:' ] || complain "$status $output $stderr"
}

@test "a result that is large comes also when the server has no room" {
  up
  export LFUT_CLUSTER=$url
  join one -w 1
  mkfifo gate
  exec 7<> gate
  cat > full.lua << 'END'
local f = require "lfut".ClusterExecutor():submit(function()
  return #io.open("gate"):read(), ("x"):rep(100000)
end)
print(select("#", f:result()))
END
  "$LFUT" full.lua > full.out 2>&1 3>&- &
  started+=("$!")
  await eval '[ "$(redis xpending lfut:tasks members | head -n 1)" = 1 ]'
  redis config set maxmemory 1
  echo done >&7
  ends "${started[-1]}" 0
  says full.out 2
}

@test "a broadcast's tasks are counted as running when they do" {
  up
  export LFUT_CLUSTER=$url
  join one -w 2
  lfut -e 'local lfut = require "lfut"
    local exe <close> = lfut.ClusterExecutor()
    local fs = exe:broadcast(function()
      repeat until io.open "go"
    end)
    repeat until exe:stats().running == 2
    assert(exe:stats().queued == 0)
    io.open("go", "w"):close()
    for _, f in ipairs(fs) do f:result() end'
  lfut cluster status --json "$url" > status.json
  contains "$(cat status.json)" '"queued": 0'
  kill -TERM "$member"
  ends "$member" 0
}

# --- A cluster of an executor's own ---

# busy_script TEXT: one whose two tasks have begun and do not end; TEXT follows.
busy_script() {
  rm -f begun
  cat > busy.lua << END
local lfut = require "lfut"
local exe = lfut.ClusterExecutor(2)
for i = 1, 2 do
  exe:submit(function()
    local file <close> = io.open("begun", "a")
    file:write(lfut.getpid(), "\n")
    file:close()
    while true do end
  end)
end
$1
END
  start busy.lua
  have_begun() { [ -e begun ] && [ "$(wc -l < begun)" = 2 ]; }
  await have_begun
  mapfile -t children < <(cat /proc/"$pid"/task/*/children | tr ' ' '\n' | grep .)
  [ ${#children[@]} = 2 ] || complain "$(ps -e -o pid,ppid,args)" # server and member
  children+=($(cat begun))
  [ "$(ls tmp | wc -l)" = 1 ] || complain "$(ls tmp)"
}

nothing_is_left() {
  gone "${children[@]}" && [ "$(ls tmp)" = '' ]
}

@test "kill -9 of the script leaves neither server nor member nor directory" {
  for _ in 1 2 3 4 5; do
    busy_script 'lfut.sleep(1e6)'
    kill -KILL "$pid"
    finish
    [ "$status" = 137 ]
    await nothing_is_left
  done
}

@test "kill -9 of a script with idle workers" {
  for _ in 1 2 3 4 5; do
    rm -f ready
    mkfifo ready
    start -e 'local lfut = require "lfut"
      local exe = lfut.ClusterExecutor(2)
      local pids = exe:map(lfut.getpid, { 1, 2 }):list()
      io.open("ready", "w"):write(table.concat(pids, " "), "\n"):close()
      lfut.sleep(1e6)'
    meet ready
    mapfile -t children < <(cat /proc/"$pid"/task/*/children | tr ' ' '\n' | grep .)
    [ "$(ls tmp | wc -l)" = 1 ]
    kill -KILL "$pid"
    finish
    await nothing_is_left
  done
}

@test "SIGTERM, Ctrl-C, an error, os.exit, the end of the script leave nothing" {
  needs_signals
  local ending
  for ending in TERM:143 INT:130; do
    busy_script 'exe:submit(math.abs, 1):result()'
    kill -"${ending%:*}" "$pid"
    finish
    [ "$status" = "${ending#*:}" ] || complain "$ending: $status" "$(cat err)"
    await nothing_is_left
  done
  for ending in 'error "the end"' 'os.exit(1)' 'exe:kill_workers() os.exit(1, true)'; do
    busy_script "while not io.open 'go' do end $ending"
    touch go
    finish
    rm go
    [ "$status" = 1 ] || complain "$ending: $status" "$(cat err)"
    await nothing_is_left
  done
  run lfut -e 'local exe = require "lfut".ClusterExecutor(1) exe:submit(print, "done")'
  [ "$status:$output" = 0:done ] || complain "$output"
  [ "$(ls tmp)" = '' ]
}

@test "kill -9 of the member: another takes its place" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor(1)
local function parent()
  return io.open("/proc/self/stat"):read("a"):match "%d+ %b() %a (%d+)"
end
local first = exe:submit(parent):result()
os.execute("kill -KILL " .. first)
print(exe:submit(parent):result() ~= first)
END
  run lfut script.lua
  [ "$status:$output" = 0:true ] || complain "$output"
  [ "$(ls tmp)" = '' ]
}

@test "without redis-server there is none, and the message says what is missing" {
  PATH=$PWD run "$LFUT" -e 'print(pcall(require "lfut".ClusterExecutor))'
  contains "$output" 'ClusterError: cannot find redis-server'
  PATH=$PWD run "$LFUT" cluster up
  [ "$status" = 1 ]
  contains "$output" 'lfut: cannot find redis-server'
}

# --- The page on clusters ---

# plain: outputs without what differs each time.
plain() {
  sed -E 's/[0-9a-f]{32}/PASSWORD/; s/:'"$port"'\b/:6379/; s/"seconds": [0-9.]+/"seconds": 0/
    s/"pid": [0-9]+/"pid": 0/; s/"host": "[^"]*"/"host": "HOST"/
    s/^[^ ]+ +[0-9]+ +([0-9]+) +([0-9]+) +[0-9]+$/HOST PID \1 \2/'
}

# step COMMAND: as the page has it, but for the port and the password.
step() {
  local command=${1//redis:\/\/*:6379/$url}
  command=${command//%1/$member}
  case $command in
    'lfut cluster up')
      up
      echo "lfut cluster join $url" ;;
    'lfut cluster join '*'&')
      join page ${command:18:-1}
      cat page.err ;;
    kill*)
      eval "$command"
      ends "$member" 0
      sed 1d page.err ;;
    *) eval "$command" ;;
  esac
}

@test "the page on clusters, followed" {
  awk '/^```lua/ { inside = 1; next } /^```/ && inside { exit } inside' \
    "$srcdir/docs/cluster.md" > script.lua
  awk '/^```console/ { inside = 1; next } /^```/ { inside = 0 } inside' \
    "$srcdir/docs/cluster.md" > want
  [ "$(grep -c '^\$ ' want)" -gt 6 ]
  grep '^\$ ' want > commands
  while read -r -u 5 _ command; do
    echo "\$ $command"
    step "$command" 2>&1
  done 5< commands > got
  diff <(plain < want) <(plain < got)
}

@test "in a trace each member is a process, and its workers are called as they are" {
  up
  join one "$url" -w 1
  join two "$url" -w 1
  cat > script.lua <<'EOF'
local lfut = require "lfut"
local exe <close> = lfut.ClusterExecutor { name = "many" }
for _, f in ipairs(exe:broadcast(math.abs, -1)) do
  assert(f:result() == 1)
end
EOF
  LFUT_CLUSTER=$url run --separate-stderr lfut --trace t.json script.lua
  [ "$status:$stderr" = 0: ] || complain "$stderr"
  [ "$(grep -c '"process_name","args":{"name":"lfut member ' t.json)" = 2 ] ||
    complain "$(cat t.json)"
  [ "$(grep -c '"thread_name","args":{"name":"many_1"}' t.json)" = 2 ] ||
    complain "$(cat t.json)"
}
