/* SPDX-License-Identifier: MIT
 *
 * The coroutine library. As Lua's own, but a wait inside a task's coroutine
 * passes through to the worker, which parks the whole task; Ctrl-C and the end
 * of a task reach coroutines; and the task's outermost coroutine, which is
 * lfut's, looks like a main program. */
#ifndef LFB_RUN_CORO_H
#define LFB_RUN_CORO_H

#include "bindings/core/state.h"

/* Replaces the functions of the module 'coroutine'. */
void lfb_coro_open(lua_State *L, lfb_state *S);

#endif
