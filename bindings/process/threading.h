/* SPDX-License-Identifier: MIT
 *
 * lfut.Thread: a function in a thread with an interpreter of its own. */
#ifndef LFB_PROCESS_THREADING_H
#define LFB_PROCESS_THREADING_H

#include "bindings/core/state.h"

/* Registers the class. */
void lfb_thread_open(lua_State *L, lfb_state *S);

/* lfut.Thread{ target =, args =, name =, daemon = } */
int lfb_thread(lua_State *L);

/* As a handle (pack.h). */
void lfb_thread_ref(void *thread);
void lfb_thread_unref(void *thread);
void lfb_push_thread(lua_State *L, lfb_state *S, void *thread);

#endif
