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

#include "runtime/pool/loop.h"
#include "runtime/pool/registry.h"
#include "runtime/shm/waiters.h"
#include "runtime/task/waitset.h"

/* What is waited for: one of the first three. */
typedef struct lfb_wait_for {
  lf_task *task;
  lf_waitset *set;
  lf_job *job;
  lf_waits *waits; /* with 'set': its tasks */
  int64_t deadline;
} lfb_wait_for;

/* What a step returns, unless it is a number of results. */
enum {
  LFB_NOT_YET = -1, /* it waits for '*what', which is not there */
  LFB_PARKED = -2   /* it has parked the task (lfb_park_shared) */
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
  return n >= 0 ? n : lfb_wait_on(L, S, step, context, n, &what);
}

/* The same for a wait that is no function's of its own, where no task can be
 * parked: until the awaited thing may have changed, the deadline has come, or
 * callbacks have run. Call only while the awaited thing is not there. */
void lfb_wait_here(lua_State *L, lfb_state *S, const lfb_wait_for *what);

struct lfb_run;

/* Can the code that runs in L, of a task, be left to go on later? */
bool lfb_can_park(lua_State *L, lfb_state *S);

/* A thread that sleeps, until 'fired': woken through its parker. */
typedef struct {
  lf_waker waker;
  lf_waiter waiter;
  lf_parker *parker;
  atomic_bool fired;
} lfb_sleeper;

/* Has the calling thread woken when what is waited for comes. */
void lfb_watch_asleep(lfb_state *S, lfb_sleeper *sleeper,
                      const lfb_wait_for *what);
void lfb_unwatch_asleep(lfb_sleeper *sleeper, const lfb_wait_for *what);

/* Is there stack enough for another task on top? */
bool lfb_has_stack(void);

/* The run's wait is over. */
void lfb_end_wait(struct lfb_run *run);

/* Waits to enter a gate (NULL: none). Raises when interrupted. */
void lfb_enter(lua_State *L, lfb_state *S, struct lf_gate *gate);

/* Sleeps, occupying the worker. Raises "interrupted!". */
void lfb_sleep(lua_State *L, lfb_state *S, int64_t deadline);

/* A wait for something shared (runtime/shm/waiters.h). */
typedef struct {
  lf_shared *object;
  uint32_t kind;
  bool once;   /* being called is what is waited for: the wait ends with it */
  bool first;  /* to have a place before the first look; implied by 'once' */
  lf_job *job; /* not NULL: news of this loop end the wait, too (0) */
  int64_t deadline;
  /* Looks for it: 0, LF_EAGAIN, or an error. */
  int (*look)(void *arg);
  /* May be NULL: the wait is in vain, while the place is still held. */
  void (*give_up)(void *arg, int err);
  void *arg;
  size_t size; /* bytes of 'arg', which is copied while the task is parked */
  bool keep;   /* with 0, the place is left to 'then' */
  /* What comes of it is pushed, after 'base' values that were there, and some
   * that are not of interest; as of a C function. 'err': what 'look' has said
   * at last, 0 also when called once, or LF_ETIMEOUT. */
  int (*then)(lua_State *L, int base, int err, void *arg, lf_sleeper *place);
} lfb_shared_wait;

/* Waits while 'look' says LF_EAGAIN: parks the task, which still keeps its
 * worker from others; where it cannot be parked, the thread sleeps. Raises
 * "interrupted!" (LF_EINTR for 'give_up'). 'return' it. */
int lfb_await_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what);

/* A 'then' that pushes whether the wait has come to its end in time; raises on
 * lack of memory. */
int lfb_push_in_time(lua_State *L, int base, int err, void *arg,
                     lf_sleeper *place);

/* Parks a task, which can be, until it is called or the deadline has come:
 * true, and the step is LFB_PARKED. False: it may look again now. What it does
 * then is not known here; the call is passed on. */
bool lfb_park_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what);

/* The same where the thread has to sleep, and without 'then': returns 'err'. */
int lfb_wait_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what,
                    lf_sleeper **place);

/* Waits until no done-callback is left; for the end of the program. */
void lfb_wait_callbacks(lua_State *L, lfb_state *S);

/* Before a wait is said to have been in vain: results that are there are taken.
 */
static inline void lfb_catch_up(lfb_state *S) {
  if (!S->vm)
    lf_host_catch_up(&S->home->host);
}

#endif
