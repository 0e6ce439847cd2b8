/* SPDX-License-Identifier: MIT
 *
 * The module's table, the same in the program and in workers. */
#ifndef LFB_LIB_H
#define LFB_LIB_H

#include "state.h"

/* Makes the module and puts it into package.loaded; pushes nothing. */
void lfb_lib_open(lua_State *L, lfb_state *S);

#endif
