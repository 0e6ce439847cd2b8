# SPDX-License-Identifier: MIT
# The module in the stock interpreter: lfut.so, found through LUA_CPATH.

source "$srcdir/tests/helpers.sh"

setup() {
  in_empty_directory
  needs_stock_lua
}

@test "require finds the module" {
  run stock_lua -e 'local lfut = require "lfut"
    print(type(lfut.ThreadPoolExecutor), lfut == require "lfut")'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'function\ttrue' ]
}

@test "submit and result" {
  run stock_lua -e 'local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(2)
    local f = exe:submit(function(x) return x * x, lfut.worker().kind end, 7)
    print(f:result())'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'49\tthread' ]
}

@test "workers load C modules against the host's symbols" {
  cat > cmod.c << 'END'
#include <lauxlib.h>
int luaopen_cmod(lua_State *L) { return luaL_checkversion(L), lua_pushinteger(L, 7), 1; }
END
  cc -shared -fPIC $(pkg-config --cflags lua5.4) -o cmod.so cmod.c
  run stock_lua -e 'package.cpath = package.cpath .. ";./?.so"
    local exe <close> = require "lfut".ThreadPoolExecutor(1)
    print(exe:submit(function() return (require "cmod") end):result())'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = 7 ]
}

@test "the end of the script finishes pending work" {
  run stock_lua -e 'local exe = require "lfut".ThreadPoolExecutor(1)
    for i = 1, 3 do exe:submit(print, i) end'
  [ "$status" = 0 ]
  [ "$output" = $'1\n2\n3' ] || complain "$output"
}

@test "LFUT_WORKERS holds here, too" {
  export LFUT_WORKERS=3
  run stock_lua -e 'print(require "lfut".ThreadPoolExecutor().max_workers)'
  [ "$status:$output" = 0:3 ]
}

@test "the module exports its opener only" {
  run nm -D --defined-only "${LFUT_BUILDDIR:-$(dirname "$LFUT")}/.libs/lfut.so"
  [ "$status" = 0 ]
  [ "$(awk '{ print $NF }' <<< "$output")" = luaopen_lfut ]
}

@test "the module does not carry a Lua of its own" {
  run ldd "${LFUT_BUILDDIR:-$(dirname "$LFUT")}/.libs/lfut.so"
  [[ $output != *liblua* ]]
}
