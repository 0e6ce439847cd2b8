# SPDX-License-Identifier: MIT
# The command line: what stock Lua has, by comparison, and what lfut adds.

source "$srcdir/tests/helpers.sh"

usage_error() {
  local message=$1
  shift
  run --separate-stderr lfut "$@"
  [ "$status" = 1 ]
  [ "$output" = '' ]
  [ "${stderr_lines[0]}" = "lfut: $message" ]
  [ "${stderr_lines[1]}" = 'usage: lfut [options] [script [args]]' ]
}

@test "-e runs statements, in order, joined to the option or not" {
  same_as_lua -e 'x = 1' -e'print(x)' -e 'print(...)'
}

@test "-e with an error stops there" {
  same_as_lua -e 'print(1)' -e 'error "no"' -e 'print(2)'
  same_as_lua -e 'x ='
}

@test "-l requires a library into a global" {
  echo 'return { name = ... }' > mod.lua
  same_as_lua -l mod -e 'print(mod.name)'
  same_as_lua -lmod -e 'print(mod.name)'
  same_as_lua -l m=mod -e 'print(m.name, mod)'
  same_as_lua -l absent -e 'print(1)'
}

@test "the lfut module is there to require, and no global" {
  run lfut -e 'print(lfut, type(require "lfut"), type(package.preload.lfut))'
  [ "$output" = $'nil\ttable\tfunction' ]
  run lfut -l lfut -e 'print(type(lfut.submit), type(lfut._VERSION))'
  [ "$output" = $'nil\tstring' ]
}

@test "-i reads more after the script" {
  echo 'x = 42' > script.lua
  run --separate-stderr lfut -i script.lua <<< 'print(x)'
  [ "$status" = 0 ]
  contains "$output" 42
}

@test "-v tells the versions" {
  run lfut -v
  [ "$status" = 0 ]
  contains "$output" "Lua $LFUT_LUA_VERSION"
  run lfut -v -e 'print(1)'
  [ "${#lines[@]}" = 2 ]
}

@test "-W turns warnings on" {
  same_as_lua -e 'warn "quiet"' -W -e 'warn "loud"'
  same_as_lua -W -e 'warn "@off"' -e 'warn "quiet"'
}

@test "-E ignores the environment" {
  export LUA_INIT='print "init"' LUA_PATH='./here/?.lua' LUA_CPATH=x
  same_as_lua -E -e 'print(package.path, package.cpath)'
  export LFUT_WORKERS=none
  run lfut -E -e 'print(1)'
  [ "$status:$output" = 0:1 ]
}

@test "LUA_INIT runs before anything, the version's own first" {
  export LUA_INIT='print("init", ...)'
  same_as_lua -e 'print(1)'
  local own=LUA_INIT_${LFUT_LUA_VERSION/./_}
  export "$own"='print "its own"'
  same_as_lua -e 'print(1)'
  echo 'print("from a file", arg[0])' > init.lua
  export "$own=@init.lua"
  same_as_lua -e 'print(1)'
  export "$own"='error "init"'
  same_as_lua -e 'print(1)'
  export "$own=@absent.lua"
  same_as_lua -e 'print(1)'
}

@test "arg, with the options below the script, and '...'" {
  echo 'print(#arg, ...) for i = -3, #arg do print(i, i == -3 or arg[i]) end' \
    > script.lua
  same_as_lua -e '' script.lua a '' -b
  same_as_lua script.lua
  same_as_lua -e '' -- script.lua --
  same_as_lua -e 'print(arg[-1], arg[1], arg[2], arg[3])'
  same_as_lua -e 'arg = nil' script.lua
  same_as_lua -e 'arg = { "changed" }' script.lua a
}

@test "-- ends the options" {
  echo 'print("dashed", ...)' > ./-e
  same_as_lua -- -e x
  same_as_lua -e 'print(1)' --
  mv ./-e ./-
  same_as_lua -- - x
}

@test "- runs standard input with arguments" {
  echo 'print("stdin", arg[0], ...)' > input
  same_as_lua - a b
}

@test "standard input is the script when it is not a terminal" {
  echo 'print("stdin", ...)' > input
  same_as_lua
  same_as_lua -e 'print(2)'
}

@test "an error in standard input counts" {
  for script in 'error "x"' 'print('; do
    run --separate-stderr lfut <<< "$script" # stock Lua's status is 0
    [ "$status" = 1 ]
    contains "$stderr" 'lfut: stdin:'
  done
}

@test "standard input may be closed" {
  run lfut -e 'print(1)' <&-
  [ "$status:$output" = 0:1 ]
}

@test "unknown options and missing arguments are usage errors" {
  usage_error "unrecognized option '-x'" -x
  usage_error "unrecognized option '-vv'" -vv
  usage_error "unrecognized option '-Ex'" -Ex
  usage_error "unrecognized option '--long'" --long
  usage_error "unrecognized option '--workersx'" --workersx 1
  usage_error "'-e' needs argument" -e
  usage_error "'-e' needs argument" -e -v
  usage_error "'-l' needs argument" -l
  usage_error "'-w' needs argument" -w
  usage_error "'--workers' needs argument" --workers
}

@test "a usage error runs nothing" {
  run --separate-stderr lfut -e 'print(1)' -x
  [ "$status:$output" = 1: ]
}

@test "-w and LFUT_WORKERS set the default number of workers" {
  local stat='print(require "lfut".ThreadPoolExecutor().max_workers)'
  for option in '-w 3' -w3 '--workers 3' --workers=3 '-w 9 -w 3'; do
    run lfut $option -e "$stat"
    [ "$status:$output" = 0:3 ]
  done
  export LFUT_WORKERS=5
  run lfut -e "$stat"
  [ "$status:$output" = 0:5 ]
  run lfut -w 3 -e "$stat"
  [ "$status:$output" = 0:3 ]
  run lfut -E -e "$stat"
  [ "$status" = 0 ]
  [ "$output" != 5 ] || [ "$(nproc)" = 1 ]
}

@test "a number of workers that is none is a usage error" {
  local hint='(an integer greater than 0 expected)'
  for bad in 0 -1 1.5 1e3 0x10 x 3x ' 3' '' 99999999999 99999999999999999999; do
    usage_error "bad number of workers '$bad' $hint" -w "$bad" -e 'print(1)'
    usage_error "bad number of workers '$bad' $hint" "--workers=$bad"
    export LFUT_WORKERS=$bad
    usage_error "bad LFUT_WORKERS '$bad' $hint" -e 'print(1)'
    unset LFUT_WORKERS
  done
}

@test "more workers than an executor may have are a usage error" {
  usage_error "bad number of workers '100001' (at most 100000)" -w 100001
  usage_error "bad number of workers '2000000000' (at most 100000)" \
    --workers 2000000000
  export LFUT_WORKERS=100001
  usage_error "bad LFUT_WORKERS '100001' (at most 100000)" -e 'print(1)'
}

@test "-h and --help go to standard output" {
  for option in -h --help; do
    run --separate-stderr lfut $option
    [ "$status" = 0 ]
    contains "$output" 'usage: lfut [options] [script [args]]'
    contains "$output" '-w n'
    [ "$stderr" = '' ]
  done
}

@test "--version" {
  run --separate-stderr lfut --version
  [ "$status" = 0 ]
  [[ $output =~ ^lfut\ [0-9.]+\ \(Lua\ ${LFUT_LUA_VERSION/./\\.}\.[0-9]+\)$ ]]
}

@test "a script may name lfut as its interpreter" {
  mkdir bin
  ln -s "$LFUT" bin/lfut
  printf '#!/usr/bin/env lfut\nprint("ran", ...)\n' > script
  chmod +x script
  PATH=$PWD/bin:$PATH run ./script a b
  [ "$status" = 0 ]
  [ "$output" = $'ran\ta\tb' ]
}

@test "C modules find Lua's symbols in the program" {
  needs_stock_lua
  cat > cmod.c << 'END'
#include <lauxlib.h>
int luaopen_cmod(lua_State *L) { return luaL_checkversion(L), lua_pushinteger(L, 7), 1; }
END
  cc -shared -fPIC $(pkg-config --cflags "$LFUT_LUA") -o cmod.so cmod.c
  run lfut -e 'package.cpath = "./?.so" print(require "cmod")'
  [ "$status" = 0 ]
  contains "$output" 7
}
