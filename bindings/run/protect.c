/* SPDX-License-Identifier: MIT
 *
 * See protect.h. */
#include "bindings/run/protect.h"

#include "bindings/run/interrupt.h"
#include "bindings/run/standard.h"

#if LFB_HAS_CONTINUATIONS

/* What a continuation knows: how many values there are that are no results, and
 * whether the call is a handler's. */
enum { HANDLING = 1 << 8 };

static lua_KContext context(lua_State *L, int extra) {
  return extra | (lfb_is_handling(lfb_state_of(L)) ? HANDLING : 0);
}

/* After the call: its results behind those values; or an error. */
static int protected_end(lua_State *L, int status, lua_KContext ctx) {
  lfb_state *S = lfb_state_of(L);
  S->copying = false; /* it may have come to an error */
  if (lfb_ends_task(S, ctx & HANDLING))
    return lfb_abort(L, S, NULL);
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)(ctx & ~HANDLING);
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

static int protected_call(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1); /* the first result, if there is no error */
  lua_insert(L, 1);
  lua_KContext ctx = context(L, 0);
  int status =
      lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, ctx, protected_end);
  return protected_end(L, status, ctx);
}

static int protected_call_handled(lua_State *L) {
  int n = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
  lua_KContext ctx = context(L, 2);
  int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, ctx, protected_end);
  return protected_end(L, status, ctx);
}

#else

/* (false, error): what pcall returns, unless the task is to end. */
static int failed(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  S->copying = false;
  if (lfb_ends_task(S, false))
    return lfb_abort(L, S, NULL);
  lfb_tidy_message(L);
  return lua_gettop(L);
}

/* pcall, or xpcall: a function in Lua that is compiled. */
static void replace(lua_State *L, lfb_state *S, const char *name) {
  lua_getglobal(L, name);
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, failed, 1);
  lfb_push_checked(L);
  lua_setglobal(L, name);
}
#endif

/* load calls a function for the pieces of a chunk, and returns its error. */
static int protected_load(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  bool handling = lfb_is_handling(S);
  int n = lua_tocfunction(L, lua_upvalueindex(2))(L);
  S->copying = false;
  return lfb_ends_task(S, handling) ? lfb_abort(L, S, NULL) : n;
}

void lfb_protect_open(lua_State *L, lfb_state *S) {
#if LFB_HAS_CONTINUATIONS
  lfb_replace(L, S, "_G", "pcall", protected_call);
  lfb_replace(L, S, "_G", "xpcall", protected_call_handled);
#else
  replace(L, S, "pcall");
  replace(L, S, "xpcall");
#endif
  lfb_replace(L, S, "_G", "load", protected_load);
}
