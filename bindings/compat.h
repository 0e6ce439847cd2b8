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
};

#endif
