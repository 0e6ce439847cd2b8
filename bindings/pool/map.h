/* SPDX-License-Identifier: MIT
 *
 * Parallel loops, as scripts see them: map, starmap, for_each, reduce. */
#ifndef LFB_POOL_MAP_H
#define LFB_POOL_MAP_H

#include "bindings/core/state.h"

/* Registers the class of iterators, and adds these methods to that of
 * executors, which is there. */
void lfb_map_open(lua_State *L, lfb_state *S);

#endif
