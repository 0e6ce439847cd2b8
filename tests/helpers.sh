# SPDX-License-Identifier: MIT
#
# What the tests of the program share; for bats files, by
# `source "$srcdir/tests/helpers.sh"`. tests/run.sh sets LFUT and srcdir.
#
# A test that starts a program in the background gives it 3>&- (bats waits for
# everyone who holds descriptor 3) and meets it at a fifo or a file.

bats_require_minimum_version 1.5.0

in_empty_directory() {
  cd "$BATS_TEST_TMPDIR" || return
  export HOME=$BATS_TEST_TMPDIR
}

setup() {
  in_empty_directory
}

# The program, with a guard against hanging for ever.
lfut() {
  timeout -k 5 60 "$LFUT" "$@"
}

# What it is called when it is installed.
installed_as() {
  sed -n 's/^LF_PROGRAM = //p' "$(dirname "$LFUT")/Makefile" 2> /dev/null
}

stock_lua() {
  timeout -k 5 60 "$LFUT_LUA" "$@"
}

# A sanitizer's library has to be in the program from its start.
needs_stock_lua() {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip 'a sanitizer is not in stock Lua'
  command -v "$LFUT_LUA" > /dev/null || skip "there is no $LFUT_LUA"
}

# The thread sanitizer holds signals back from code that computes.
needs_signals() {
  [ "${LFUT_SANITIZER:-no}" != thread ] || skip 'TSan holds signals back'
}

# same_as_lua ARG...: lfut does what stock Lua does with these arguments (and
# with the file 'input' as standard input): output, messages and status.
same_as_lua() {
  command -v "$LFUT_LUA" > /dev/null || skip "there is no $LFUT_LUA"
  local input=/dev/null
  [ ! -f input ] || input=input
  run --separate-stderr stock_lua "$@" < $input
  local want_status=$status want_output=$output want_stderr=$stderr
  run --separate-stderr lfut "$@" < $input
  [ "$status" = "$want_status" ] || complain "status $status, not $want_status"
  output=${output//"$LFUT"/$LFUT_LUA}
  [ "$output" = "$want_output" ] ||
    complain "output:" "$output" "not:" "$want_output"
  want_stderr=${want_stderr//$LFUT_LUA: /lfut: }
  [ "$stderr" = "$want_stderr" ] ||
    complain "stderr:" "$stderr" "not:" "$want_stderr"
}

complain() {
  printf '%s\n' "$@" >&2
  return 1
}

# contains TEXT PART: and shows the text if it does not.
contains() {
  [[ $1 == *"$2"* ]] || complain "missing: $2" "in: $1"
}

# start ARG...: the program in the background, as $pid; its output goes to the
# files out and err.
start() {
  "$LFUT" "$@" > out 2> err < /dev/null 3>&- &
  pid=$!
}

# meet FIFO: waits until the program has written a line to it.
meet() {
  local line
  exec 6<> "$1"
  until read -r -t 1 line <&6; do
    kill -0 "$pid" || complain "nobody came to $1" "$(cat out err)"
  done
  exec 6>&-
}

# Waits until the program's main thread waits in the kernel.
await_sleep() {
  local state
  until read -r _ _ state _ < "/proc/$pid/task/$pid/stat" &&
    [ "$state" = S ]; do
    kill -0 "$pid" || return
  done
}

# Waits for the end of $pid, and leaves its exit status in $status.
finish() {
  timeout 60 tail -s 0.05 --pid="$pid" -f /dev/null || kill -KILL "$pid"
  status=0
  wait "$pid" || status=$?
}

teardown() {
  [ -z "${pid-}" ] || kill -KILL "$pid" 2> /dev/null || true
}
