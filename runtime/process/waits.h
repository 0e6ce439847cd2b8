/* SPDX-License-Identifier: MIT
 *
 * What a task that runs in a worker process waits for, as its program was told:
 * so that the program, which knows all tasks, finds waits that would never end.
 * Under the pool's lock. */
#ifndef LF_PROCESS_WAITS_H
#define LF_PROCESS_WAITS_H

#include "runtime/task/deadlock.h"

typedef struct lf_far_wait {
  lf_waits waits;
  lf_task *task; /* a reference */
  size_t n;
  lf_task *awaited[]; /* a reference each */
} lf_far_wait;

/* Of the task for all, or 'any', of at most 'most' others. NULL: no memory. */
lf_far_wait *lf_far_wait_new(lf_task *task, bool any, size_t most);

void lf_far_wait_add(lf_far_wait *wait, lf_task *awaited);

/* After lf_deadlock_begin or lf_deadlock_swap: it is over. */
void lf_far_wait_end(lf_far_wait *wait);

#endif
