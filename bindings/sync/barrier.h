/* SPDX-License-Identifier: MIT
 *
 * lfut.Barrier: a number of threads or processes that wait for each other. */
#ifndef LFB_SYNC_BARRIER_H
#define LFB_SYNC_BARRIER_H

#include "bindings/core/state.h"

void lfb_barrier_open(lua_State *L, lfb_state *S);

/* lfut.Barrier(parties [, action]) */
int lfb_barrier(lua_State *L);

#endif
