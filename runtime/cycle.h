/* SPDX-License-Identifier: MIT
 *
 * Who waits for whom: finds the wait that would close a cycle. One lock for
 * the whole graph; only tasks that wait enter it, not the main script. */
#ifndef LF_CYCLE_H
#define LF_CYCLE_H

#include "task.h"

/* What one task waits for. Embedded in whatever records the wait; listed
 * tasks have to stay alive meanwhile. */
struct lf_waits {
  /* The i-th awaited task, or NULL after the last; called under the graph's
   * lock while the waiting task stands still. */
  lf_task *(*awaited)(lf_waits *waits, size_t i);
  bool any; /* one done is enough, else all are needed */
};

/* Records that 'task' (NULL: the main script, nothing is recorded) waits.
 * LF_ECYCLE if that could never end: 'path' then has the labels of the tasks
 * on the way, "a -> b -> a", cut at 'size'. */
int lf_cycle_begin(lf_task *task, lf_waits *waits, char *path, size_t size);

/* Replaces what a waiting task waits for, without looking for cycles; returns
 * what it was. */
lf_waits *lf_cycle_swap(lf_task *task, lf_waits *waits);

/* The wait is over. */
void lf_cycle_end(lf_task *task);

/* For those whose list of awaited tasks changes: the graph's lock. */
void lf_cycle_lock(void);
void lf_cycle_unlock(void);

#endif
