/* SPDX-License-Identifier: MIT
 *
 * Is this the Lua whose bytecode lfut knows? */
#ifndef LFB_ENGINE_TRIAL_H
#define LFB_ENGINE_TRIAL_H

#include "bindings/engine/compat.h"

/* Dumps a function, reads what that says of itself, and makes a closure of it.
 * Raises an error that tells what is not as expected. Once in a process. */
void lfb_trial(lua_State *L);

#endif
