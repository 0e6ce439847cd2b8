/* SPDX-License-Identifier: MIT
 *
 * Where a function finds its globals: its upvalue _ENV. Which one that is is
 * known by its value, as functions may be stripped of names. */
#ifndef LFB_ENGINE_ENV_H
#define LFB_ENGINE_ENV_H

#include "bindings/engine/compat.h"

enum { LFB_CHUNK_ENV = 1 }; /* that of a chunk that has been loaded */

/* The number of the upvalue of the function at 'idx' that is the table of
 * globals; 0: it has none. */
int lfb_env_find(lua_State *L, int idx);

/* Is the value at the top, of an upvalue, the table of globals? */
bool lfb_env_is(lua_State *L);

/* Sets the upvalue of the function at 'idx' (which may be a pseudo-index) to
 * the table at the top, which is popped. */
void lfb_env_set(lua_State *L, int idx, int upvalue);

#endif
