/* SPDX-License-Identifier: MIT
 *
 * See scripts.h. */
#include "bindings/program/scripts.h"

#include "bindings/core/options.h"
#include "bindings/engine/env.h"
#include "bindings/pack/names.h"

/* settled(text) -> text: the end of a metamethod __tostring. */
static int settled(lua_State *L) {
  lua_settop(L, 1);
  lfb_settle_text(L);
  return 1;
}

int lfb_script_run(lua_State *L, const char *script, size_t len,
                   const luaL_Reg *functions) {
  if (luaL_loadbufferx(L, script, len, "=lfut", "t") != LUA_OK)
    return lua_error(L);
  lfb_push_libraries(L);
  lfb_env_set(L, -2, LFB_CHUNK_ENV);
  lua_newtable(L);
  lfb_setfuncs(L, lfb_state_find(L), functions);
  lua_pushcfunction(L, settled);
  lua_setfield(L, -2, "settled");
  lua_call(L, 1, 1);
  return 1;
}

void lfb_script_preload(lua_State *L, const char *module, lua_CFunction open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, module);
  lua_pop(L, 1);
}

int lfb_script_is_callable(lua_State *L) {
  lua_pushboolean(L, lfb_is_callable(L, 1));
  return 1;
}

int lfb_script_metatable(lua_State *L) {
  if (!lua_getmetatable(L, 1))
    lua_pushnil(L);
  return 1;
}
