/* SPDX-License-Identifier: MIT
 *
 * Parallel loops, as scripts see them: map, starmap, for_each, reduce. */
#ifndef LFB_POOL_MAP_H
#define LFB_POOL_MAP_H

#include "bindings/core/state.h"

void lfb_map_open(lua_State *L, lfb_state *S);

/* exe:map(fn, items [, opts]) and exe:starmap(fn, items [, opts]) */
int lfb_map(lua_State *L);
int lfb_starmap(lua_State *L);

/* exe:for_each(fn, items [, opts]) */
int lfb_for_each(lua_State *L);

/* exe:reduce(fn, items, combine [, init [, opts]]) */
int lfb_reduce(lua_State *L);

#endif
