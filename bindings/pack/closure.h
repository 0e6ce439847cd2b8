/* SPDX-License-Identifier: MIT
 *
 * Lua functions as bytecode: one shared object for all closures of the same
 * code, and back. */
#ifndef LFB_PACK_CLOSURE_H
#define LFB_PACK_CLOSURE_H

#include "bindings/core/state.h"
#include "bindings/engine/bytecode.h"

/* All of these raise when out of memory. What they return is a reference for
 * the caller, who puts it into a buffer (or the like) before anything else can
 * raise or collect garbage. */

/* The code of the Lua function at 'idx'. */
lf_code *lfb_code_of(lua_State *L, lfb_state *S, int idx);

/* What has the label of the function at 'idx', which travels by this name, and
 * no code. */
lf_code *lfb_code_of_named(lua_State *L, lfb_state *S, int idx,
                           const char *name, size_t len);

/* The same if it is in the cache and modules have not changed since, else NULL;
 * never raises. */
lf_code *lfb_code_cached(lua_State *L, lfb_state *S, int idx);

/* Pushes a new closure of the code; 'globals': its upvalues have the globals as
 * their value, else none that matters. */
void lfb_push_closure(lua_State *L, lfb_state *S, const lf_code *code,
                      bool globals);

#endif
