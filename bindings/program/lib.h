/* SPDX-License-Identifier: MIT
 *
 * The module's table, the same in the program and in workers. */
#ifndef LFB_PROGRAM_LIB_H
#define LFB_PROGRAM_LIB_H

#include "bindings/core/state.h"

/* Makes the module and puts it into package.loaded; pushes nothing. */
void lfb_lib_open(lua_State *L, lfb_state *S);

#endif
