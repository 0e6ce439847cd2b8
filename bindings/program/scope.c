/* SPDX-License-Identifier: MIT
 *
 * See scope.h. */
#include "bindings/program/scope.h"

#include "bindings/core/options.h"
#include "bindings/pool/completed.h"
#include "bindings/program/scripts.h"
#include "scope.lua.h"

#define MODULE "lfut.scope"

#if !LFB_HAS_CLOSE
/* What the value at 1 has been left with, of which there are 'n' with it, has
 * been told to it. */
static int told(lua_State *L, int status, lua_KContext n) {
  (void)status;
  if (n == 0) /* by an error, at 2 */
    return lua_settop(L, 2), lua_error(L);
  lua_settop(L, (int)n);
  return (int)n - 1;
}
#endif

static int left(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
#if LFB_HAS_CLOSE
  (void)status;
  return lua_gettop(L) - 1;
#else
  bool ok = status == LUA_OK || status == LUA_YIELD;
  int n = lua_gettop(L);
  luaL_checkstack(L, 4, "results");
  luaL_getmetafield(L, 1, "__close");
  lua_pushvalue(L, 1);
  if (ok)
    lua_pushnil(L);
  else
    lua_pushvalue(L, n);
  return lfb_call_then(L, 2, ok ? n : 0, told);
#endif
}

/* (value, f, ...) -> what f(value, ...) returns; the value, which is to be
 * closed, is closed then, or when that has raised. */
static int closing(lua_State *L) {
  int nargs = lua_gettop(L) - 1;
  lua_pushvalue(L, 2);
  lua_insert(L, 2);
  lua_pushvalue(L, 1);
  lua_replace(L, 3); /* value, f, value, ... */
  lfb_toclose(L, 1);
  return LFB_HAS_CLOSE ? lfb_call_then(L, nargs, 0, left)
                       : lfb_pcall_then(L, nargs, 0, left);
}

static const luaL_Reg functions[] = {{"as_completed", lfb_as_completed},
                                     {"is_callable", lfb_script_is_callable},
                                     {LFB_STEP "closing", closing},
                                     {"metatable", lfb_script_metatable},
                                     {NULL, NULL}};

static int open_module(lua_State *L) {
  return lfb_script_run(L, lf_script_scope, sizeof lf_script_scope - 1,
                        functions);
}

void lfb_scope_open(lua_State *L) {
  lfb_script_preload(L, MODULE, open_module);
}

static int finished(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

int lfb_scope(lua_State *L) {
  lfb_check_callable(L, 1);
  lua_settop(L, 1);
  luaL_requiref(L, MODULE, open_module, 0);
  lua_getfield(L, -1, "scope");
  lua_replace(L, -2);
  lua_insert(L, 1);
  return lfb_call_then(L, 1, 0, finished);
}
