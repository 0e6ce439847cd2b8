/* SPDX-License-Identifier: MIT
 *
 * Functions that take the place of the standard libraries' own, in every
 * interpreter: because these know nothing of tasks, of other threads, or of
 * forks. What a script has kept of the former ones still works, as in a program
 * without lfut, and travels by the same names. */
#ifndef LFB_RUN_STANDARD_H
#define LFB_RUN_STANDARD_H

#include "bindings/core/state.h"

/* Before lfb_names_open. Raises. */
void lfb_standard_open(lua_State *L, lfb_state *S);

/* In a forked worker: os.exit ends the task, whatever the script has put in its
 * place. */
void lfb_standard_adopt(lua_State *L, lfb_state *S);

/* Puts 'f' with three upvalues, the state, the function that was
 * there, and "module.name", in its place, as a step if the name begins with
 * LFB_STEP; unless a script has put something
 * else than a C function there. Raises. */
void lfb_replace(lua_State *L, lfb_state *S, const char *module,
                 const char *name, lua_CFunction f);

#endif
