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

/* Reading dumped functions (bytecode.c): lopcodes.h of Lua 5.4. */
enum {
  LFB_OP_GETUPVAL = 9,
  LFB_OP_SETUPVAL = 10,
  LFB_OP_GETTABUP = 11,
  LFB_OP_SETTABUP = 15,
  LFB_OP_RETURN = 70,
  LFB_OP_CLOSURE = 79,
};

/* Writing one: the first function in it into register 'a'; that register
 * returned alone, after closing the upvalues. */
#define LFB_MAKE_CLOSURE(a) (LFB_OP_CLOSURE | (uint32_t)(a) << 7)
#define LFB_MAKE_RETURN(a)                                                     \
  (LFB_OP_RETURN | (uint32_t)(a) << 7 | 1u << 15 | 2u << 16)

#endif
