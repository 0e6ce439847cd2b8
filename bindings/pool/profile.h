/* SPDX-License-Identifier: MIT
 *
 * What executors say of the functions that they have run: exe:profile(), and
 * the counts from which scripts/advice.lua makes the rest. */
#ifndef LFB_PROFILE_H
#define LFB_PROFILE_H

#include "bindings/core/state.h"

/* (executor) -> a table of counts: kind, name, workers, seconds, functions. */
int lfb_profile_counts(lua_State *L);

/* () -> a list of such tables, of all executors with any. */
int lfb_profile_all_counts(lua_State *L);

#endif
