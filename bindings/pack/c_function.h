/* SPDX-License-Identifier: MIT
 *
 * What a C function is that has no name, for messages. */
#ifndef LFB_PACK_C_FUNCTION_H
#define LFB_PACK_C_FUNCTION_H

#include "bindings/engine/compat.h"

/* Pushes "C function made by coroutine.wrap", "C function of lpeg.so". Raises
 * on lack of memory. */
void lfb_push_c_function(lua_State *L, int idx);

#endif
