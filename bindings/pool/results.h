/* SPDX-License-Identifier: MIT
 *
 * The results in a chunk that has come back, one entry after the other. */
#ifndef LFB_POOL_RESULTS_H
#define LFB_POOL_RESULTS_H

#include "bindings/pool/loop.h"

/* Reads the next entry of the chunk. True: its results are pushed, *n of them;
 * false: an error value, and above it its traceback or nil. */
bool lfb_loop_read(lua_State *L, lfb_loop *l, int *n);

/* Reads entries that are a number each, as many as follow, into the list at
 * 'list', at their positions. */
void lfb_loop_list_numbers(lua_State *L, lfb_loop *l, int list);

/* Raises the error value below the traceback at the top. */
int lfb_loop_raise(lua_State *L);

void lfb_loop_drop_chunk(lfb_loop *l);

#endif
