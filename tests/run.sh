#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs one test file of any kind and prints its TAP:
#
#   tests/run.sh tests/lua/api_submit.lua     luaunit, by the program
#   tests/run.sh tests/sh/program.bats        bats
#   tests/run.sh tests/c/thread               a compiled C test (cmocka)
#
# `make check` uses it for each test; for several at once by hand:
#
#   prove -e tests/run.sh tests/lua/*.lua tests/sh/*.bats
#
# tests/lua/api_*.lua are run once per kind of executor, the kind in front of
# each test's name; LFUT_TEST_EXECUTOR=thread chooses one. Whatever goes wrong
# outside a test (a crash, a leak report, no plan) becomes a "not ok" line. With
# one of these the status is 1.
#
# From the environment: LFUT_BUILDDIR (default: here), LFUT_WRAPPER (what the
# program is started with, such as valgrind), LFUT_TEST_TIMEOUT (seconds).
# Tests find the program in LFUT, its sources in srcdir, the name of the stock
# interpreter in LFUT_LUA.

builddir=$(cd "${LFUT_BUILDDIR:-.}" && pwd) || exit 99
srcdir=$(cd "$(dirname "$0")/.." && pwd) || exit 99
LFUT=${LFUT:-$builddir/lfut}
LUA_CPATH="$builddir/.libs/?.so;;"
CMOCKA_MESSAGE_OUTPUT=TAP
export LFUT LUA_CPATH CMOCKA_MESSAGE_OUTPUT srcdir
ulimit -c 0 # some tests have processes die
# The stock interpreter of the same Lua, and its version.
LFUT_LUA_VERSION=$("$LFUT" -e 'print(_VERSION:match "[%d.]+$")' < /dev/null)
LFUT_LUA=lua$LFUT_LUA_VERSION
if [ "$LFUT_LUA_VERSION" = 5.1 ]; then
  LFUT_LUA=luajit
fi
export LFUT_LUA LFUT_LUA_VERSION
unset LUA_INIT LUA_INIT_5_4 LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT_5_5 LUA_PATH_5_5 LUA_CPATH_5_5 \
  LFUT_WORKERS LFUT_CLUSTER

test -n "$1" || { echo "usage: $0 file" >&2; exit 2; }
file=$1
output=$(mktemp) || exit 99
trap 'rm -rf "$output" "$output.d"' EXIT

# What is written for PUC-Lua.
case $LFUT_LUA-$file in
luajit-*.lua)
  mkdir "$output.d"
  "$LFUT" "$srcdir/tests/lua/translate.lua" "$output.d" "$(dirname "$file")"/*.lua < /dev/null || exit 99
  file=$output.d/$(basename "$file") ;;
esac

# luaunit is the same file for each Lua, but not all have it where they look.
luaunit="/usr/share/lua/5.4/?.lua"

# Only against hanging for ever: no test depends on this time.
guard() {
  timeout -k 10 "${LFUT_TEST_TIMEOUT:-600}" "$@"
}

# run [KIND]: the test's own TAP between two lines with its kind and status.
run() {
  echo "@begin $1"
  case $file in
  *.lua)
    LUA_PATH="$(dirname "$file")/?.lua;;$luaunit" LFUT_TEST_EXECUTOR=${1:-thread} \
      guard $LFUT_WRAPPER "$LFUT" "$file" -o TAP ;;
  *.bats) guard bats --tap "$file" ;;
  */*) guard $LFUT_WRAPPER "$file" ;;
  *) guard $LFUT_WRAPPER "./$file" ;;
  esac
  echo "@status $?"
}

# A cluster needs a server, and lfut to be built with hiredis.
kinds='thread inline fork spawn async'
if command -v redis-server > /dev/null && "$LFUT" cluster --help > /dev/null 2>&1
then
  kinds="$kinds cluster"
fi

# Into a file and not a pipe: a process left behind that holds our output must
# not keep anyone waiting for its end.
case $file in
*/api_*.lua)
  for kind in ${LFUT_TEST_EXECUTOR:-$kinds}; do
    run "$kind"
  done ;;
*) run ;;
esac < /dev/null > "$output"

# Results are numbered through all runs, and the plan comes last.
awk '
  function result(verdict, name) {
    printf "%s %d - %s%s\n", verdict, ++total, label, name
    bad += verdict == "not ok"
    failed += verdict == "not ok" && name !~ /# TODO/
    seen++
  }
  $1 == "@begin" {
    label = $2 == "" ? "" : "[" $2 "] "
    plan = -1
    seen = bad = 0
    next
  }
  $1 == "@status" {
    if (plan != seen)
      result("not ok", "ran " seen " of " (plan < 0 ? "?" : plan) " tests")
    if ($2 != 0 && bad == 0)
      result("not ok", "exit status " $2)
    next
  }
  /^1\.\.[0-9]+/ {
    plan = substr($1, 4) + 0
    next
  }
  /^(not )?ok[ \t]/ {
    # cmocka writes "not ok" for a skipped test.
    verdict = $1 == "ok" || /# SKIP/ ? "ok" : "not ok"
    sub(/^(not )?ok[ \t]+[0-9]*[ \t]*(- )?/, "")
    result(verdict, $0)
    next
  }
  {
    print (/^#/ ? "" : "# ") $0
  }
  END {
    print "1.." total
    exit failed > 0
  }' "$output"
