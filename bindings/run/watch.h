/* SPDX-License-Identifier: MIT
 *
 * Being woken when something comes that is waited for: a task's end, a set's
 * next, a loop's news. Who waits is a parked run, or a thread that sleeps; the
 * one who waits calls these, wakers come from any thread. */
#ifndef LFB_RUN_WATCH_H
#define LFB_RUN_WATCH_H

#include "runtime/os/poller.h"
#include "runtime/os/thread.h"
#include "runtime/pool/loop.h"
#include "runtime/task/waitset.h"

/* What is waited for: one of the first four, or the deadline alone. */
typedef struct lfb_wait_for {
  lf_task *task;
  lf_waitset *set;
  lf_loop *loop;
  lf_polled *polled; /* so many of them; those whose fd is negative do not count
                      */
  int npolled;
  lf_waits *waits; /* with 'set': its tasks */
  int64_t deadline;
  int64_t again; /* when the step is to be tried again at the latest, though
                    nothing has come; 0: then only */
  bool occupies; /* the worker does nothing else meanwhile, unless its pool
                    parks all */
} lfb_wait_for;

typedef struct lfb_watch {
  lf_waker *waker;
  void *object;     /* a reference, unless it is a set, or polled */
  int n;            /* polled ones */
  lf_waiter waiter; /* a task's */
  void (*end)(struct lfb_watch *watch);
} lfb_watch;

/* Has the waker woken when what is waited for comes, or at once, until
 * 'watch->end' is called, which is to be. */
void lfb_watch_begin(lfb_watch *watch, lf_waker *waker,
                     const lfb_wait_for *what);

/* Async-signal-safe: what is waited for, but for 'waits' and 'deadline'; false:
 * something else. */
bool lfb_watch_is_for(const lfb_watch *watch, lfb_wait_for *what);

/* A thread that sleeps, until 'fired': woken through its parker. */
typedef struct {
  lf_waker waker;
  lf_parker *parker;
  atomic_bool fired;
} lfb_sleeper;

void lfb_sleeper_init(lfb_sleeper *sleeper, lf_parker *parker);

#endif
