// SPDX-License-Identifier: MIT
// A monotonic clock for the plain Lua programs, which have only os.clock (CPU
// time): local now = require "benchclock". And a function that does nothing, to
// compare calls with: require "benchclock.empty".
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

static int now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec * 1e-9);
  return 1;
}

int luaopen_benchclock(lua_State *L) {
  lua_pushcfunction(L, now);
  return 1;
}

static int empty(lua_State *L) {
  (void)L;
  return 0;
}

int luaopen_benchclock_empty(lua_State *L) {
  lua_pushcfunction(L, empty);
  return 1;
}
