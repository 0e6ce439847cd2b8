/* SPDX-License-Identifier: MIT
 *
 * Who waits for whom: finds the wait that would close a cycle. Only tasks that
 * wait enter the graph, not the main script. Any thread.
 *
 * A wait is noted in the task that waits, and counted in those that it awaits.
 * Only a task that is awaited by another can close a cycle: the usual wait sees
 * that it is not, and takes no lock. The search has one, for all; it holds up
 * the end of waits meanwhile, so that what it looks at stays. */
#ifndef LF_TASK_DEADLOCK_H
#define LF_TASK_DEADLOCK_H

#include "runtime/task/task.h"

/* Told of a task; false: that is enough. Takes no lock. */
typedef bool lf_visit(lf_task *task, void *arg);

/* What one task waits for. Embedded in whatever records the wait; listed
 * tasks have to stay alive meanwhile. */
struct lf_waits {
  /* Visits the awaited tasks. Called while the waiting task stands still. */
  void (*each)(lf_waits *waits, lf_visit *visit, void *arg);
  /* Counts a wait for each of them (by 1), or its end (-1); see lf_task_await.
   * NULL: they are counted otherwise. */
  void (*count)(lf_waits *waits, int by);
  bool any; /* one done is enough, else all are needed */
};

/* A wait for one task. */
typedef struct {
  lf_waits waits;
  lf_task *task;
} lf_wait_one;

lf_waits *lf_wait_for_one(lf_wait_one *wait, lf_task *task);

/* The task is awaited by so many more tasks. Too many do no harm. */
static inline void lf_task_await(lf_task *task, int by) {
  atomic_fetch_add(&task->awaited, (uint32_t)by);
}

/* Records that 'task' (NULL: the main script, nothing is recorded) waits.
 * LF_EDEADLOCK if that could never end: 'path' then has the labels of the tasks
 * on the way, "a -> b -> a", cut at 'size'. */
int lf_deadlock_begin(lf_task *task, lf_waits *waits, char *path, size_t size);

/* Replaces what a waiting task waits for, without looking for cycles; returns
 * what it was. */
lf_waits *lf_deadlock_swap(lf_task *task, lf_waits *waits);

/* The wait, if there is one, is over. */
void lf_deadlock_end(lf_task *task);

/* After a task has been taken out of those that a waiting one awaits: no search
 * looks at it any more. */
void lf_deadlock_settle(void);

/* The same as waits->each, for who looks further, at what those wait for: all
 * these stay meanwhile. */
void lf_deadlock_visit(lf_waits *waits, lf_visit *visit, void *arg);

/* Async-signal-safe: calls 'look' with what the task, which stays, waits for
 * now, if it does, and no search is under way. All that its tasks and those
 * wait for (task->waits) stays meanwhile. */
void lf_deadlock_glance(lf_task *task, void (*look)(lf_waits *waits, void *arg),
                        void *arg);

/* No search is under way meanwhile: for those who move what a waiting task
 * awaits. */
void lf_deadlock_lock(void);
void lf_deadlock_unlock(void);

#endif
