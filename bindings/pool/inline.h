/* SPDX-License-Identifier: MIT
 *
 * lfut.InlineExecutor: tasks run on the caller's C stack, in an interpreter of
 * their own. */
#ifndef LFB_POOL_INLINE_H
#define LFB_POOL_INLINE_H

#include "bindings/pool/executor.h"

/* lfut.InlineExecutor([options]) */
int lfb_inline_executor(lua_State *L);

/* The interpreter, opened at the first call; raises if it cannot be. */
struct lf_vm *lfb_inline_vm(lua_State *L, lfb_executor *exe);

/* Runs the task to its end. A task that submits it waits for it meanwhile. */
void lfb_inline_run(lua_State *L, lfb_state *S, lfb_executor *exe,
                    lf_task *task);

#endif
