/* SPDX-License-Identifier: MIT
 *
 * See env.h. */
#include "bindings/engine/env.h"

bool lfb_env_is(lua_State *L) {
  lua_pushglobaltable(L);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return is;
}

int lfb_env_find(lua_State *L, int idx) {
  int function = lua_absindex(L, idx);
  for (int i = 1; lua_getupvalue(L, function, i); i++) {
    bool is = lfb_env_is(L);
    lua_pop(L, 1);
    if (is)
      return i;
  }
  return 0;
}

#ifdef LUA_JITLIBNAME
void lfb_env_set(lua_State *L, int idx, int upvalue) {
  (void)upvalue; /* the function's environment */
  lua_setfenv(L, idx);
}
#else
void lfb_env_set(lua_State *L, int idx, int upvalue) {
  if (!lua_setupvalue(L, idx, upvalue))
    lua_pop(L, 1);
}
#endif
