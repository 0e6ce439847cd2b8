/* SPDX-License-Identifier: MIT
 *
 * Waiting for what processes share: queues, locks and the like
 * (runtime/shm/waiters.h). */
#ifndef LFB_RUN_WAIT_SHARED_H
#define LFB_RUN_WAIT_SHARED_H

#include "bindings/run/wait.h"

#include "runtime/shm/waiters.h"

typedef struct {
  lf_shared *object;
  uint32_t kind;
  bool once;     /* being called is what is waited for: the wait ends with it */
  bool first;    /* to have a waiter before the first look; implied by 'once' */
  lf_loop *loop; /* not NULL: news of this loop end the wait, too (0) */
  int64_t deadline;
  /* Looks for it: 0, LF_EAGAIN, or an error. */
  int (*look)(void *arg);
  /* May be NULL: the wait is in vain, while the waiter is still held. */
  void (*give_up)(void *arg, int err);
  void *arg;
  size_t size; /* bytes of 'arg', which is copied while the task is parked */
  bool keep;   /* with 0, the waiter is left to 'then' */
  /* What comes of it is pushed, after 'base' values that were there, and some
   * that are not of interest; as of a C function. 'err': what 'look' has said
   * at last, 0 also when called once, or LF_ETIMEOUT. */
  int (*then)(lua_State *L, int base, int err, void *arg,
              lf_shared_waiter *waiter);
} lfb_shared_wait;

/* Waits while 'look' says LF_EAGAIN: parks the task, which still keeps its
 * worker from others; where it cannot be parked, the thread sleeps. Raises
 * "interrupted!" (LF_EINTR for 'give_up'). 'return' it. */
int lfb_await_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what);

/* Async-signal-safe: what a parked run waits for, if it is that. */
struct lfb_run;
bool lfb_parked_at(const struct lfb_run *run, lf_shared **object,
                   uint32_t *kind);

/* The run, which was parked in such a wait, ends instead. (Elsewhere, values
 * that are closed see to that.) */
void lfb_leave_shared(struct lfb_run *run);

/* A 'then' that pushes whether the wait has come to its end in time; raises on
 * lack of memory. */
int lfb_push_in_time(lua_State *L, int base, int err, void *arg,
                     lf_shared_waiter *waiter);

/* Parks a task, which can be, until it is called or the deadline has come:
 * true, and the step is LFB_PARKED. False: it may look again now. What it does
 * then is not known here; the call is passed on. */
bool lfb_park_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what);

/* The same where the thread has to sleep, and without 'then': returns 'err'. */
int lfb_wait_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what,
                    lf_shared_waiter **waiter);

#endif
