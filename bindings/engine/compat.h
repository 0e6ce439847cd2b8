/* SPDX-License-Identifier: MIT
 *
 * Lua's headers, and everything that differs between its versions. */
#ifndef LFB_ENGINE_COMPAT_H
#define LFB_ENGINE_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdbool.h>

#if LUA_VERSION_NUM != 504 && LUA_VERSION_NUM != 505
#error "lfut needs Lua 5.4 or 5.5"
#endif

/* Which it is, for people; how its version is called in paths; and for those
 * whose functions travel to each other: the same bytecode. */
#define LFB_LUA LUA_RELEASE
#define LFB_LUA_FOLDER "lua/" LUA_VERSION_MAJOR "." LUA_VERSION_MINOR
#define LFB_ENGINE LUA_VERSION

#if LUA_VERSION_NUM >= 505

/* --- The collector --- */

/* Has it work as if so many kilobytes had been allocated. */
static inline void lfb_gc_step(lua_State *L, int kilobytes) {
  lua_gc(L, LUA_GCSTEP, (size_t)kilobytes << 10);
}

/* Has it begin again as soon as it has ended. */
static inline void lfb_gc_eager(lua_State *L) {
  lua_gc(L, LUA_GCINC);
  lua_gc(L, LUA_GCPARAM, LUA_GCPPAUSE, 20);
  lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPMUL, 1000);
  lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPSIZE, 1 << 10);
}

/* The seed is of Lua's own making. */
static inline lua_State *lfb_bare_state(lua_Alloc alloc, void *ud) {
  return lua_newstate(alloc, ud, luaL_makeseed(NULL));
}
#else
static inline void lfb_gc_step(lua_State *L, int kilobytes) {
  lua_gc(L, LUA_GCSTEP, kilobytes);
}

static inline void lfb_gc_eager(lua_State *L) {
  lua_gc(L, LUA_GCINC, 20, 1000, 10);
}

static inline lua_State *lfb_bare_state(lua_Alloc alloc, void *ud) {
  return lua_newstate(alloc, ud);
}
#endif

/* --- Numbers --- */

/* Has the number, which has no fraction, a place among Lua's integers? Then
 * '*i' is that one. */
static inline bool lfb_is_integral(lua_Number x, lua_Integer *i) {
  bool fits =
      x >= (lua_Number)LUA_MININTEGER && x < -(lua_Number)LUA_MININTEGER;
  if (fits)
    *i = (lua_Integer)x;
  return fits;
}

/* --- Coroutines --- */

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
