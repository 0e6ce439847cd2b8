/* SPDX-License-Identifier: MIT
 *
 * Waiting: a task is parked, so that its worker runs others; where it cannot
 * be (no yield across a sort comparator), and in the program, the thread
 * sleeps.
 *
 * A function that waits is written as a step, which is tried until what it
 * waits for is there:
 *
 *   static int get(lua_State *L, lfb_state *S, int64_t deadline,
 *                  lfb_wait_for *what) {
 *     if (there)
 *       return push(L);
 *     *what = (lfb_wait_for){.task = task, .deadline = deadline};
 *     return LFB_NOT_YET;
 *   }
 *
 *   return lfb_waiting(L, S, get, deadline);
 *
 * Who waits finds the stack as its last try has left it. */
#ifndef LFB_RUN_WAIT_H
#define LFB_RUN_WAIT_H

#include "bindings/run/poll.h"

#include "bindings/run/watch.h"
#include "runtime/pool/registry.h"

/* What a step returns, unless it is a number of results; or -1, which lua_yield
 * returns in LuaJIT: it has begun a wait of its own. */
enum {
  LFB_NOT_YET = -2, /* it waits for '*what', which is not there */
  LFB_PARKED = -3   /* it has parked the task (lfb_park_shared) */
};

typedef int lfb_step(lua_State *L, lfb_state *S, int64_t context,
                     lfb_wait_for *what);

/* For the next: after a try without results. */
int lfb_wait_on(lua_State *L, lfb_state *S, lfb_step *step, int64_t context,
                int how, lfb_wait_for *what);

/* Tries the step until it has results, and waits in between. Raises what it
 * raises, DeadlockError, "interrupted!". 'return' it. */
static inline int lfb_waiting(lua_State *L, lfb_state *S, lfb_step *step,
                              int64_t context) {
  lfb_wait_for what;
  int n = step(L, S, context, &what);
  return n > LFB_NOT_YET ? n : lfb_wait_on(L, S, step, context, n, &what);
}

/* The same for a wait that is no function's of its own, where no task can be
 * parked: until the awaited thing may have changed, the deadline has come, or
 * callbacks have run. Call only while the awaited thing is not there. */
void lfb_wait_here(lua_State *L, lfb_state *S, const lfb_wait_for *what);

struct lfb_run;

/* Can the code that runs in L, of a task, be left to go on later? */
bool lfb_can_park(lua_State *L, lfb_state *S);

/* The same where all waits are parked, also those that occupy workers. */
bool lfb_parks_all(lua_State *L, lfb_state *S);

/* Raises in a worker that closes. */
void lfb_check_may_wait(lua_State *L, lfb_state *S);

/* Where the thread sleeps: as the worker, or as the program's (NULL). */
lf_parker *lfb_parker(lfb_state *S, lf_worker *worker);

/* The run's wait is over. */
void lfb_end_wait(struct lfb_run *run);

/* Waits to enter a strand (NULL: none). Raises when interrupted. */
void lfb_enter(lua_State *L, lfb_state *S, struct lf_strand *strand);

/* Sleeps, which occupies the worker, unless its pool parks all waits. Raises
 * "interrupted!". 'return' it. */
int lfb_sleep(lua_State *L, lfb_state *S, int64_t deadline);

/* Waits until no done-callback is left; for the end of the program. */
void lfb_wait_callbacks(lua_State *L, lfb_state *S);

/* Before a wait is said to have been in vain: results that are there are taken.
 */
static inline void lfb_catch_up(lfb_state *S) {
  if (!S->vm)
    lf_registry_catch_up(&S->global->registry);
}

#endif
