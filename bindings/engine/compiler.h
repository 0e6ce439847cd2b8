/* SPDX-License-Identifier: MIT
 *
 * Compiled code looks at no hook, so what may have to be stopped is not
 * compiled; unless LuaJIT was built to look at them. Where there is no
 * compiler, nothing is to be done. */
#ifndef LFB_ENGINE_COMPILER_H
#define LFB_ENGINE_COMPILER_H

#include "bindings/engine/compat.h"

#ifdef LUA_JITLIBNAME
/* Does compiled code call hooks that are set while it runs? Tried once, in well
 * under a millisecond. */
bool lfb_compiled_sees_hooks(void);
#endif

/* Has Lua code in the interpreter compiled from now on, or only if hooks reach
 * it then. '*off' is where it is kept that it is not: what a script has said
 * itself stays, unless it has to be off. */
static inline void lfb_compile(lua_State *L, bool *off, bool blindly) {
#ifdef LUA_JITLIBNAME
  bool may = blindly || lfb_compiled_sees_hooks();
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
  (void)blindly;
#endif
}

#endif
