/* SPDX-License-Identifier: MIT
 *
 * pcall, xpcall, load: as Lua's own, but they do not keep the error that ends a
 * task (interrupt.h). */
#ifndef LFB_RUN_PROTECT_H
#define LFB_RUN_PROTECT_H

#include "bindings/core/state.h"

void lfb_protect_open(lua_State *L, lfb_state *S);

#endif
