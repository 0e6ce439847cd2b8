/* SPDX-License-Identifier: MIT
 *
 * Things that are to happen at a point in time: one thread for all of them, in
 * each process that has set any. In a forked process none is set. Any thread
 * sets and unsets. */
#ifndef LF_OS_TIMER_H
#define LF_OS_TIMER_H

#include "runtime/base/deadline.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

typedef struct lf_timer {
  /* On the timers' thread, once, when its time has come; it may set the timer
   * again or free it, and should be brief. */
  void (*fire)(struct lf_timer *timer);
  lf_deadline deadline; /* timer.c's */
} lf_timer;

static inline void lf_timer_init(lf_timer *timer,
                                 void (*fire)(lf_timer *timer)) {
  *timer = (lf_timer){.fire = fire};
}

/* Sets it, if it was not, or moves it. 0; LF_ETHREAD: it is not set. */
int lf_timer_set(lf_timer *timer, int64_t at);

/* True if it was set, and will not fire. Else it has fired, is about to, or was
 * never set: this does not wait. */
bool lf_timer_unset(lf_timer *timer);

/* When to remind somebody for the next time: soon, then less and less often.
 * '*delay' is 0 before the first time. */
static inline int64_t lf_remind_at(int64_t *delay) {
  enum { FIRST_NS = 5000000, MOST_NS = 100000000 };
  int64_t next = *delay > 0 ? 2 * *delay : FIRST_NS;
  *delay = next < MOST_NS ? next : MOST_NS;
  return lf_now() + *delay;
}

/* How many are set. */
size_t lf_timers(void);

#endif
