/* SPDX-License-Identifier: MIT
 *
 * Compiled code looks at no hook, so what may have to be stopped is not
 * compiled. Where there is no compiler, nothing is to be done. */
#ifndef LFB_ENGINE_COMPILER_H
#define LFB_ENGINE_COMPILER_H

#include "bindings/engine/compat.h"

/* May Lua code in the interpreter be compiled from now on? '*off' is where that
 * is kept: what a script has said itself stays, unless it has to be off. */
static inline void lfb_compile(lua_State *L, bool *off, bool may) {
#ifdef LUA_JITLIBNAME
  if (*off == !may)
    return;
  *off = !may;
  if (!may)
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
  luaJIT_setmode(L, 0,
                 LUAJIT_MODE_ENGINE | (may ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
#else
  (void)L;
  (void)off;
  (void)may;
#endif
}

#endif
