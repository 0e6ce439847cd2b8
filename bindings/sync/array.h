/* SPDX-License-Identifier: MIT
 *
 * The class of arrays. The userdata's first word points to the lf_array. */
#ifndef LFB_SYNC_ARRAY_H
#define LFB_SYNC_ARRAY_H

#include "bindings/core/state.h"

#include "runtime/shm/array.h"

void lfb_array_open(lua_State *L, lfb_state *S);

/* lfut.Array(type, n | table) */
int lfb_array_make(lua_State *L);

/* The array at 'idx', borrowed, or NULL if there is something else. */
lf_array *lfb_test_array(lua_State *L, lfb_state *S, int idx);

/* For handles of classes whose objects are arrays of elements: a reference; is
 * it one of these, not of a shared object? */
void lfb_array_hold(void *array);
bool lfb_array_fits(lfb_class class, const void *array);

#endif
