/* SPDX-License-Identifier: MIT
 *
 * lfut.load: libraries and their functions as Lua sees them. */
#ifndef LFB_NATIVE_NATIVE_H
#define LFB_NATIVE_NATIVE_H

#include "bindings/core/state.h"

#include "runtime/native/library.h"

/* lfut.load(library, declarations [, opts]) */
int lfb_load(lua_State *L);

/* lfut.plugin(path) */
int lfb_plugin(lua_State *L);

/* The function at 'idx', or NULL. */
lf_native *lfb_test_native(lua_State *L, lfb_state *S, int idx);

/* Raises if functions of this rule cannot be called by the thread, or
 * submitted to the pool (NULL: called). */
void lfb_check_threads(lua_State *L, lfb_state *S, const lf_native *native,
                       lf_pool *pool);

void lfb_native_open(lua_State *L, lfb_state *S);

#endif
