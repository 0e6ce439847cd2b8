/* SPDX-License-Identifier: MIT
 *
 * What has happened to an interpreter while it ran other code than lfut's: its
 * process has been forked, messages have come to a worker process, callbacks
 * are due, what was lent has been given back. Seen by its thread only, at the
 * start of every lfut call that may wait. */
#ifndef LFB_RUN_POLL_H
#define LFB_RUN_POLL_H

#include "bindings/core/state.h"

#include "runtime/os/fork.h"

/* The door: deals with all that there is. Raises what callbacks let out. */
void lfb_take_news(lua_State *L, lfb_state *S);

/* One test if there is nothing: the word is the generation of this process. */
static inline void lfb_poll(lua_State *L, lfb_state *S) {
  if (atomic_load_explicit(&S->news, memory_order_relaxed) != lf_generation)
    lfb_take_news(L, S);
}

#endif
