/* SPDX-License-Identifier: MIT
 *
 * What a task may take, and before which others it is run, and tasks of which
 * that is said. They know when they begin and end by their state (lf_task_ops),
 * so that others need not look. */
#ifndef LF_POOL_LIMITS_H
#define LF_POOL_LIMITS_H

#include "runtime/os/timer.h"
#include "runtime/pool/pool.h"

/* Immutable once it is in use. Times are nanoseconds, LF_FOREVER: no limit. */
typedef struct lf_limits {
  _Atomic size_t refs;
  lf_code *counted; /* as which tasks with a name are counted; a reference, or
                       NULL */
  /* From here on it is sent to other processes as it is. */
  int64_t timeout;       /* of the run */
  int64_t queue_timeout; /* until it begins */
  int64_t grace;         /* of one that is to stop */
  int64_t priority;      /* 0: the usual one */
  uint64_t memory;       /* bytes by which its interpreter may grow; 0: any */
  uint64_t retries;      /* after a timeout, or the death of its worker */
  size_t name_len;
  char name[]; /* in messages; "": that of its code */
} lf_limits;

enum { LF_GRACE = 1000000000 }; /* if nothing else is said */

/* All but references, name and 'counted', from others that may be in use, or
 * (NULL) from none. */
void lf_limits_copy(lf_limits *to, const lf_limits *from);

/* A copy, or (NULL) one without limits, with a name of its own if that is not
 * NULL; one reference. NULL: no memory. */
lf_limits *lf_limits_new(const lf_limits *former, const char *name, size_t len);
lf_limits *lf_limits_ref(lf_limits *limits);
void lf_limits_unref(void *limits);

/* Is there one that each item of a parallel loop is to have for itself?
 * (Retries are, too, where a chunk is not run again as a whole.) */
bool lf_limits_are_of_each(const lf_limits *limits);

/* What is sent, as long as the limits are there; and the same on the other
 * side: NULL if it is none, or there is no memory. */
const void *lf_limits_bytes(const lf_limits *limits, size_t *len);
lf_limits *lf_limits_from(const lf_buf *bytes);

/* A task's limits, and the time that it takes: a part of the task. */
typedef struct lf_clock {
  lf_task *task;
  lf_limits *limits;     /* a reference, or NULL */
  _Atomic uint64_t left; /* how often it may be run again */
  bool elsewhere;        /* it runs where others look at the clock */
  bool stays;            /* lf_worker_run_here runs it; theirs */
  _Atomic int64_t until; /* of the run */
  lf_timer queued, run;  /* of either timeout; each has a reference to the task
                            while it is set */
} lf_clock;

void lf_clock_init(lf_clock *clock, lf_task *task, lf_limits *limits);
void lf_clock_fini(lf_clock *clock);

/* For lf_task_ops. */
void lf_clock_moved(lf_clock *clock, lf_state from, lf_state to);
const char *lf_clock_name(const lf_clock *clock);

/* The task's clock, or NULL. */
static inline lf_clock *lf_task_clock(const lf_task *task) {
  return task->ops && task->ops->clock ? task->ops->clock(task) : NULL;
}

/* Its limits, or NULL. */
static inline lf_limits *lf_task_limits(const lf_task *task) {
  const lf_clock *clock = lf_task_clock(task);
  return clock ? clock->limits : NULL;
}

/* As which function it is counted in statistics: one of its own name, or its
 * own. */
static inline lf_code *lf_limits_counted(const lf_limits *l, lf_code *code) {
  return l && l->counted ? l->counted : code;
}

static inline lf_code *lf_task_counted(const lf_task *task) {
  return lf_limits_counted(lf_task_limits(task), task->code);
}

/* Its time in the queue begins: by who has submitted it. */
void lf_clock_queued(lf_task *task);

/* Before it begins: it is not run again. */
void lf_task_run_once(lf_task *task);

/* Before it begins: it will run in another process, where its clock is looked
 * at. */
void lf_clock_leave(lf_task *task);

/* How long such a task may take to stop. */
static inline int64_t lf_task_grace(const lf_task *task) {
  const lf_limits *l = lf_task_limits(task);
  return l ? l->grace : LF_GRACE;
}

/* Will it be run again, if it ends now for the reason that it has? */
bool lf_task_may_again(lf_task *task);

/* Instead of its end, after a run that has failed, by who has run it: it is
 * PENDING again, and the caller queues it. False: it is to end. */
bool lf_task_again(lf_task *task);

/* The same for interpreters, instead of lf_worker_end: it is queued. */
bool lf_worker_again(lf_worker *worker, lf_task *task);

/* Runs a pending task at once, in the worker's interpreter, on top of what the
 * calling thread is in the middle of; and again, if it is retried. False: it is
 * not pending. */
bool lf_worker_run_here(lf_worker *worker, lf_vm *vm, lf_task *task);

/* A task with limits, or with a place. */
typedef struct {
  lf_task task;
  lf_level level;
  bool waits; /* it has a place (room.h); before it is queued, then who moves it
                 out of PENDING */
  lf_clock clock;
} lf_limited;

/* As lf_task_new; the limits may be NULL. */
lf_task *lf_limited_new(lf_owner *owner, lf_limits *limits);

/* Before it is queued: takes a place for it, which it has until it is not
 * PENDING any more; false: there is none. It is not queued after all. */
bool lf_limited_take_room(lf_task *task, bool anyway);
void lf_limited_give_room(lf_task *task);

#endif
