/* SPDX-License-Identifier: MIT
 *
 * Failed tasks of which nobody has asked: they are reported when their last
 * future is collected, or when they have failed after that. */
#ifndef LFB_POOL_UNASKED_H
#define LFB_POOL_UNASKED_H

#include "bindings/core/state.h"

/* Can there be something to report of a task whose future goes? */
static inline bool lfb_is_unasked(lf_task *task) {
  lf_state state = lf_task_state(task);
  return !atomic_load_explicit(&task->asked, memory_order_relaxed) &&
         state != LF_FINISHED && state != LF_CANCELLED;
}

/* Reports it, or has it reported when it fails; called by the future's
 * finalizer. Nothing for tasks of another process, or of an interpreter that is
 * closed. */
void lfb_unasked(lua_State *L, lfb_state *S, lf_task *task);

/* lfut.on_unasked(fn) */
int lfb_on_unasked(lua_State *L);

#endif
