/* SPDX-License-Identifier: MIT
 *
 * The small functions of the module: cpu_count, sleep, worker, ... */
#ifndef LFB_PROGRAM_HELPERS_H
#define LFB_PROGRAM_HELPERS_H

#include "bindings/core/state.h"

/* Puts them into the module table at the top. */
void lfb_helpers_open(lua_State *L, lfb_state *S);

#endif
