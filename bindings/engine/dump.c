/* SPDX-License-Identifier: MIT
 *
 * See dump.h. */
#include "bindings/engine/dump.h"

/* Some versions call it once more at the end, without bytes. */
static int put_bytes(lua_State *L, const void *bytes, size_t n, void *out) {
  (void)L;
  return n > 0 ? lf_buf_put(out, bytes, n) : 0;
}

#ifdef LUA_JITLIBNAME
/* Its lua_dump does not strip, but its string.dump does. That of another
 * interpreter is one that no script has changed. */
static int strip_body(lua_State *L) {
  lf_buf *out = lua_touserdata(L, 1);
  if (luaL_loadbufferx(L, (const char *)out->data, out->len, "=", "b") !=
      LUA_OK)
    return lua_error(L);
  lua_pushcfunction(L, luaopen_string);
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "dump");
  lua_pushvalue(L, 2);
  lua_pushboolean(L, 1);
  lua_call(L, 2, 1);
  size_t len;
  const char *bytes = lua_tolstring(L, -1, &len);
  lf_buf_reset(out);
  if (lf_buf_put(out, bytes, len) != 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

static int strip_all(lf_buf *out) {
  lua_State *L = luaL_newstate();
  if (!L)
    return LUA_ERRMEM;
  int status = lua_cpcall(L, strip_body, out);
  lua_close(L);
  return status;
}

int lfb_dump(lua_State *L, lf_buf *out, bool strip) {
  int top = lua_gettop(L);
  int status = lua_dump(L, put_bytes, out);
  lua_settop(L, top); /* an error may have left its value */
  return status == 0 && strip ? strip_all(out) : status;
}
#else
int lfb_dump(lua_State *L, lf_buf *out, bool strip) {
  return lua_dump(L, put_bytes, out, strip);
}
#endif
