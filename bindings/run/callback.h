/* SPDX-License-Identifier: MIT
 *
 * Done-callbacks: run in the interpreter that added them, from its own lfut
 * calls, in the order in which their futures were done. */
#ifndef LFB_RUN_CALLBACK_H
#define LFB_RUN_CALLBACK_H

#include "bindings/core/state.h"

/* Has the function at the stack index 'fn' called with the future at 'future',
 * when that is done. */
void lfb_add_callback(lua_State *L, lfb_state *S, int future, int fn);

/* Future:add_done_callback(fn) */
int lfb_add_done_callback(lua_State *L);

/* lfut.fileno() -> a descriptor that can be read when something has fallen due,
 * until lfut.poll() */
int lfb_fileno(lua_State *L);

/* Runs what has fallen due; at the start of every lfut call that may wait.
 * Their errors are reported on stderr. */
void lfb_callbacks_run(lua_State *L, lfb_state *S);

/* Is there one to run now? */
static inline bool lfb_callbacks_due(lfb_state *S) {
  return (S->due.taken || lf_stack_has_new(&S->due, memory_order_relaxed)) &&
         !S->in_callback;
}

/* Are there any that have not run? */
bool lfb_callbacks_left(lfb_state *S);

/* Forgets all, those that were due, too; in a forked process. */
void lfb_callbacks_forget(lfb_state *S);

#endif
