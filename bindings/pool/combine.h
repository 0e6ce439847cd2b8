/* SPDX-License-Identifier: MIT
 *
 * Futures made of futures: f:and_then, lfut.all, lfut.any. They end by what has
 * become of these, on whatever thread ends the last of them, which needs no
 * interpreter (runtime/task/dependent.h). */
#ifndef LFB_POOL_COMBINE_H
#define LFB_POOL_COMBINE_H

#include "bindings/core/state.h"

/* Adds and_then to futures. */
void lfb_combine_open(lua_State *L, lfb_state *S);

/* lfut.all(futures), lfut.any(futures) */
int lfb_all(lua_State *L);
int lfb_any(lua_State *L);

#endif
