/* SPDX-License-Identifier: MIT
 *
 * Lua's headers, and everything that differs between its versions. */
#ifndef LFB_COMPAT_H
#define LFB_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#if LUA_VERSION_NUM != 504
#error "lfut needs Lua 5.4"
#endif

#if LUA_VERSION_RELEASE_NUM >= 50406
#define lfb_closethread(co, from) lua_closethread(co, from)
#else
#define lfb_closethread(co, from) ((void)(from), lua_resetthread(co))
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
