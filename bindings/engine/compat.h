/* SPDX-License-Identifier: MIT
 *
 * Lua's headers, and everything that differs between its versions. */
#ifndef LFB_ENGINE_COMPAT_H
#define LFB_ENGINE_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdbool.h>

#if LUA_VERSION_NUM != 504
#error "lfut needs Lua 5.4"
#endif

/* Which it is, for people; and how its version is called in paths. */
#define LFB_LUA LUA_RELEASE
#define LFB_LUA_FOLDER "lua/" LUA_VERSION_MAJOR "." LUA_VERSION_MINOR

#if LUA_VERSION_RELEASE_NUM >= 50406
#define lfb_closethread(co, from) lua_closethread(co, from)
#elif LUA_VERSION_RELEASE_NUM >= 50403
#define lfb_closethread(co, from) ((void)(from), lua_resetthread(co))
#else
/* These forget the error of a coroutine that has died of one, unless closing it
 * raises another. 'from' keeps it meanwhile (NULL: it is not wanted). */
static inline int lfb_closethread(lua_State *co, lua_State *from) {
  bool died = lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD;
  if (!died || !from || !lua_checkstack(from, 1))
    return lua_resetthread(co);
  lua_xmove(co, from, 1);
  int status = lua_resetthread(co);
  if (status == LUA_OK)
    lua_xmove(from, co, 1);
  else
    lua_pop(from, 1);
  return status == LUA_OK ? LUA_ERRRUN : status;
}
#endif

#endif
