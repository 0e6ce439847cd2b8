/* SPDX-License-Identifier: MIT
 *
 * See protect.h. */
#include "protect.h"

#include "interrupt.h"
#include "standard.h"

/* After the call: its results behind 'extra' values that are none; or an
 * error. */
static int protected_end(lua_State *L, int status, lua_KContext extra) {
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)extra;
  if (lfb_is_doomed(lfb_record(L)))
    return lfb_doom(L, lfb_record(L), NULL);
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

static int protected_call(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1); /* the first result, if there is no error */
  lua_insert(L, 1);
  int status =
      lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, protected_end);
  return protected_end(L, status, 0);
}

static int protected_call_handled(lua_State *L) {
  int n = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
  int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, protected_end);
  return protected_end(L, status, 2);
}

/* load calls a function for the pieces of a chunk, and returns its error. */
static int protected_load(lua_State *L) {
  int n = lua_tocfunction(L, lua_upvalueindex(2))(L);
  if (lfb_is_doomed(lfb_record(L)))
    return lfb_doom(L, lfb_record(L), NULL);
  return n;
}

void lfb_protect_open(lua_State *L, lfb_state *S) {
  lfb_replace(L, S, "_G", "pcall", protected_call);
  lfb_replace(L, S, "_G", "xpcall", protected_call_handled);
  lfb_replace(L, S, "_G", "load", protected_load);
}
