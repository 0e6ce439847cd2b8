/* SPDX-License-Identifier: MIT
 *
 * See scope.h. */
#include "bindings/program/scope.h"

#include "bindings/core/options.h"
#include "bindings/pool/completed.h"
#include "bindings/program/scripts.h"
#include "scope.lua.h"

#define MODULE "lfut.scope"

static const luaL_Reg functions[] = {{"as_completed", lfb_as_completed},
                                     {"is_callable", lfb_script_is_callable},
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
  lua_callk(L, 1, LUA_MULTRET, 0, finished);
  return finished(L, LUA_OK, 0);
}
