/* SPDX-License-Identifier: MIT
 *
 * lfut.Process: a function in a forked copy of the interpreter. */
#ifndef LFB_PROCESS_PROCESS_H
#define LFB_PROCESS_PROCESS_H

#include "bindings/core/state.h"

/* Registers the class. */
void lfb_process_open(lua_State *L, lfb_state *S);

/* lfut.Process{ target =, args =, name =, daemon = } */
int lfb_process(lua_State *L);

#endif
