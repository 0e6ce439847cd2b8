/* SPDX-License-Identifier: MIT
 *
 * Debug hooks of the script in tasks that it runs itself: what debug.sethook
 * has set is called for the lines of an InlineExecutor's tasks, too, in the
 * script's interpreter, where its breakpoints and counts are. */
#ifndef LFB_RUN_DEBUGGING_H
#define LFB_RUN_DEBUGGING_H

#include "bindings/core/state.h"

struct lf_vm;

/* Around what the interpreter runs in the place of L. */
void lfb_debug_begin(struct lf_vm *vm, lua_State *L, lfb_state *S);
void lfb_debug_end(struct lf_vm *vm);

/* A coroutine of the interpreter begins to run a task. */
void lfb_debug_task(struct lf_vm *vm, lua_State *co);

/* These take the places of debug.getinfo and getlocal: below a hook lies the
 * task, whose values are copied. */
int lfb_debug_getinfo(lua_State *L);
int lfb_debug_getlocal(lua_State *L);

#endif
