/* SPDX-License-Identifier: MIT
 *
 * See options.h. */
#include "options.h"

#include <string.h>

void lfb_check_option_names(lua_State *L, int idx, const char *const names[]) {
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int i = 0;
    while (names[i] && strcmp(names[i], key) != 0)
      i++;
    if (!names[i])
      luaL_error(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL));
  }
}

int lfb_option_error(lua_State *L, const char *name, const char *expected) {
  return luaL_error(L, "bad option '%s' (%s expected, got %s)", name, expected,
                    luaL_typename(L, -1));
}
