/* SPDX-License-Identifier: MIT
 *
 * What a task may take, and before which others it is run, and tasks of which
 * that is said. They know when they
 * begin and end by their state (lf_task_ops), so that others need not look. */
#ifndef LF_POOL_LIMITS_H
#define LF_POOL_LIMITS_H

#include "runtime/os/timer.h"
#include "runtime/pool/pool.h"

/* Immutable once it is in use. Times are nanoseconds, LF_FOREVER: no limit. */
typedef struct lf_limits {
  _Atomic size_t refs;
  int64_t timeout;       /* of the run */
  int64_t queue_timeout; /* until it begins */
  int64_t grace;         /* of one that is to stop */
  int64_t priority;      /* 0: the usual one */
  char *name;            /* owned; or NULL */
} lf_limits;

#define LF_GRACE 1000000000 /* if nothing else is said */

lf_limits *lf_limits_new(void); /* none; one reference; NULL: no memory */
lf_limits *lf_limits_ref(lf_limits *limits);
void lf_limits_unref(void *limits);

/* A task with limits, and a reference to them, or with a place. */
typedef struct {
  lf_task task;
  lf_level level;
  lf_limits *limits; /* or NULL */
  bool waits;        /* it has a place (room.h); before it is queued, then who
                        moves it out of PENDING */
  lf_timer queued, run; /* of either timeout; each has a reference to the task
                           while it is set */
} lf_limited;

extern const lf_task_ops lf_limited_ops;

/* The task's limits, or NULL. */
static inline lf_limits *lf_task_limits(const lf_task *task) {
  return task->ops == &lf_limited_ops
             ? lf_container_of(task, lf_limited, task)->limits
             : NULL;
}

/* As lf_task_new; the limits may be NULL. Its time in the queue begins with
 * lf_limited_queued, by who has submitted it. */
lf_task *lf_limited_new(lf_owner *owner, lf_limits *limits);
void lf_limited_queued(lf_task *task);

/* Before it is queued: takes a place for it, which it has until it is not
 * PENDING any more; false: there is none. It is not queued after all. */
bool lf_limited_take_room(lf_task *task, bool anyway);
void lf_limited_give_room(lf_task *task);

/* How long such a task may take to stop. */
int64_t lf_task_grace(const lf_task *task);

#endif
