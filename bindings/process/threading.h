/* SPDX-License-Identifier: MIT
 *
 * lfut.Thread: a function in a thread with an interpreter of its own. */
#ifndef LFB_PROCESS_THREADING_H
#define LFB_PROCESS_THREADING_H

#include "bindings/core/state.h"

/* Registers the class. */
void lfb_thread_open(lua_State *L, lfb_state *S);

/* lfut.Thread{ target =, args =, name =, daemon = } */
int lfb_thread(lua_State *L);

#endif
