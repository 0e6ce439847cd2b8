/* SPDX-License-Identifier: MIT
 *
 * See compiler.h. What is tried is the library that is there when the program
 * runs, whatever it was built for: in an interpreter of its own, so nothing of
 * a script's is touched. */
#include "bindings/engine/compiler.h"

#include <stdatomic.h>

#include "bindings/engine/newstate.h"

/* The loop is a trace after its first call, or else none. */
static const char text[] =
    "local info, hook = ...\n"
    "local function loop(n) for i = 1, n do end end\n"
    "loop(200)\n"
    "local trace = info(1)\n"
    "if trace and trace.linktype == 'loop' then hook() loop(200) end\n";

enum { COUNT = 50 }; /* more than what is not that loop */

static const char seen; /* its address: an error */

static void raise_seen(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  lua_pushlightuserdata(L, (void *)&seen);
  lua_error(L);
}

static int set_hook(lua_State *L) {
  lua_sethook(L, raise_seen, LUA_MASKCOUNT, COUNT);
  return 0;
}

/* The library without which nothing is compiled, and what tells about traces:
 * a module that is loaded by who wants it. */
static void push_traceinfo(lua_State *L) {
  lua_pushcfunction(L, luaopen_jit);
  lua_pushliteral(L, LUA_JITLIBNAME);
  lua_call(L, 1, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, LUA_JITLIBNAME ".util");
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "traceinfo");
}

static int try(lua_State *L) {
  if (luaL_loadbufferx(L, text, sizeof text - 1, "=trial", "t") != LUA_OK)
    return lua_error(L);
  int loop = lua_gettop(L);
  push_traceinfo(L);
  lua_replace(L, loop + 1);
  lua_settop(L, loop + 1);
  lua_pushcfunction(L, set_hook);
  lua_call(L, 2, 0);
  return 0;
}

bool lfb_compiled_sees_hooks(void) {
  static atomic_int known; /* 0: not yet; else 1 more than what it returns */
  int was = atomic_load_explicit(&known, memory_order_relaxed);
  if (was)
    return was - 1;
  lua_State *L = lfb_newstate(NULL);
  if (!L)
    return false;
  int status = lua_cpcall(L, try, NULL);
  bool sees = status == LUA_ERRRUN && lua_touserdata(L, -1) == &seen;
  lua_close(L);
  if (status != LUA_ERRMEM)
    atomic_store_explicit(&known, sees + 1, memory_order_relaxed);
  return sees;
}
