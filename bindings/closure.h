/* SPDX-License-Identifier: MIT
 *
 * Lua functions as bytecode: one shared object for all closures of the same
 * code, and back. */
#ifndef LFB_CLOSURE_H
#define LFB_CLOSURE_H

#include "bytecode.h"
#include "state.h"

/* The code of the Lua function at 'idx', borrowed from the state's cache until
 * the next call. Raises when out of memory. */
lf_code *lfb_code_of(lua_State *L, lfb_state *S, int idx);

/* What has the label of the function at 'idx', which travels by this name, and
 * no code. A reference for the caller. Raises when out of memory. */
lf_code *lfb_code_of_named(lua_State *L, lfb_state *S, int idx,
                           const char *name, size_t len);

/* The first one if it is in the cache, else NULL. */
lf_code *lfb_code_cached(lua_State *L, lfb_state *S, int idx);

/* Pushes a new closure of the code; its upvalues are nil but for _ENV, if it is
 * the first. */
void lfb_push_code(lua_State *L, const lf_code *code);

/* Pushes the interpreter's one closure of a code that has no upvalues but
 * _ENV. */
void lfb_push_shared(lua_State *L, lfb_state *S, lf_code *code);

#endif
