/* SPDX-License-Identifier: MIT
 *
 * Loops whose results are wanted all together, for scripts/pool.lua, which has
 * checked what is passed here: all items are read at the call, the workers go
 * through them whether or not anyone asks, and a future tells of the end. */
#ifndef LFB_POOL_GATHER_H
#define LFB_POOL_GATHER_H

#include "bindings/core/state.h"

/* start(exe, fn, items, star [, chunksize]) -> loop, future
 *
 * 'star': each item is a table of arguments. The future has no results; it is
 * finished when no item runs and none will any more. Raises as exe:map, and
 * what the source raises. */
int lfb_gather_start(lua_State *L);

/* gather(loop, future, outcome [, timeout]) -> list
 *
 * Waits for all items. Raises the first error by position, or TimeoutError.
 * 'outcome' is a table that is empty at first; with it, it can be called again
 * and goes on, or does the same. */
int lfb_gather(lua_State *L);

/* supply(loop): reads what is left of the source of an iterator of exe:map */
int lfb_gather_supply(lua_State *L);

/* is_supplied(loop) -> is nothing left of it? */
int lfb_gather_is_supplied(lua_State *L);

#endif
