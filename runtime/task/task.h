/* SPDX-License-Identifier: MIT
 *
 * A task: what its owner sees as a future. One counted object holds the state,
 * the packed arguments and later the packed result, and who waits for it.
 *
 *   PENDING -> RUNNING -> FINISHED | FAILED
 *   PENDING -> CANCELLED
 *
 * Who may touch what: 'state' is atomic. 'data', 'trace', 'error' belong to
 * the submitter until the task is queued, then to whoever moves it out of
 * PENDING (the worker, or the one who cancels), and are read-only for
 * everybody once it is done. 'waiters' is under the task's lock (one of a few
 * shared ones). */
#ifndef LF_TASK_TASK_H
#define LF_TASK_TASK_H

#include "runtime/base/buf.h"
#include "runtime/base/code.h"

typedef enum {
  LF_PENDING,
  LF_RUNNING,
  LF_FINISHED,
  LF_FAILED,
  LF_CANCELLED,
} lf_state;

/* What a FAILED task's data is. */
typedef enum {
  LF_RAISED, /* the packed error value */
  LF_BROKEN, /* text: why the pool's workers cannot run */
  LF_LOST,   /* lf_lost: how its worker ended */
} lf_error;

/* In front of the text of an LF_LOST. */
typedef struct {
  int32_t pid;
  int32_t signal;   /* that ended it, or 0 */
  int32_t exitcode; /* else */
} lf_lost;

struct lf_pool;
struct lf_job;
struct lf_chunk;
struct lf_worker;
struct lf_gate;
typedef struct lf_task lf_task;

/* Told that something has happened. 'wake' may be called by any thread at any
 * time while the waker is registered somewhere, also more often than needed;
 * it takes no lock and does not block. */
typedef struct lf_waker {
  void (*wake)(struct lf_waker *waker);
  lf_link link; /* among those who watch the same: see waitset.h, loop.h */
} lf_waker;

/* Waits for one task. Storage belongs to who waits, who takes it out again
 * (lf_waiter_remove) unless 'fire' was called. */
typedef struct lf_waiter {
  lf_link link;
  lf_task *task; /* not counted: who waits holds a reference */
  void (*fire)(struct lf_waiter *waiter); /* under the task's lock: as wake */
} lf_waiter;

/* What a task waits for: see deadlock.h. */
typedef struct lf_waits lf_waits;

struct lf_task {
  _Atomic uint32_t refs;
  _Atomic uint32_t state; /* lf_state, and WAITED in task.c */
  lf_link link;           /* in a queue; its lock */
  lf_link waiters;
  struct lf_pool *pool;      /* a reference to its memory; may be NULL */
  lf_code *code;             /* what it runs: a reference; may be NULL */
  char *trace;               /* a failed task's traceback, or NULL */
  _Atomic(lf_waits *) waits; /* what it waits for now, or NULL (deadlock.h) */
  _Atomic uint32_t awaited;  /* by how many tasks, or more */
  struct lf_job *job; /* the parallel loop of which it runs a part, or NULL */
  struct lf_chunk *chunk; /* that part, once it has been claimed */
  struct lf_gate *gate;   /* that its run passes alone, or NULL (strand.h) */
  struct lf_worker *at; /* the process to which it was sent; the pool's lock */
  uint64_t flight;      /* what it is called there; the same */
  uintptr_t part_of;    /* whose part it is, in requests.c */
  uint32_t names;       /* serve.c: the program knows it as 'flight', and has
                           named it so often; 0: it does not */
  uint64_t part_order;  /* of being sent, while tasks are taken back */
  uint32_t revived;     /* the same; the pool's lock */
  lf_buf data;
  uint32_t mark;   /* of a search; its lock (deadlock.c) */
  uint32_t epoch;  /* of the pool, when it was put aside at its gate */
  uint32_t pinned; /* number of the one worker that may run it, or 0 */
  _Atomic uint64_t progress; /* lf_task_report; two floats */
  uint8_t error;             /* lf_error */
  uint8_t ending; /* the lf_state it is about to have; the pool's lock */
  uint8_t slot;   /* in the program's region (ring.h), for a worker process */
  bool told;      /* serve.c: the program knows that it waits */
  bool rests;     /* serve.c: a part of a loop that has waited */
  bool aside;     /* it waits at its gate; the gate's lock */
  bool stuck;     /* its wait would never end: 'trace' is why */
  _Alignas(8) unsigned char small[56];
};

/* A PENDING task with one reference, or NULL. 'pool' may be NULL. */
lf_task *lf_task_new(struct lf_pool *pool);

static inline lf_task *lf_task_ref(lf_task *task) {
  atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
  return task;
}

void lf_task_unref(void *task);

lf_state lf_task_state(lf_task *task);

static inline bool lf_task_done(lf_task *task) {
  return lf_task_state(task) >= LF_FINISHED;
}

/* Returns when everybody who waited for a task that is seen to be done has
 * been told. */
void lf_task_settle(lf_task *task);

/* PENDING -> RUNNING; false if it was cancelled. */
bool lf_task_start(lf_task *task);

/* PENDING -> CANCELLED; wakes who waits. False if it was not pending. */
bool lf_task_cancel(lf_task *task);

/* RUNNING -> 'state'; wakes who waits. Only by the one who started it. */
void lf_task_end(lf_task *task, lf_state state);

/* How much of a running task is done; and what was said last, 0 and 0 if
 * nothing was. Any thread. */
void lf_task_report(lf_task *task, double done, double total);
void lf_task_progress(lf_task *task, double *done, double *total);

/* Starts and fails a pending task with a text; false if it was not pending. */
bool lf_task_fail(lf_task *task, lf_error error, const char *text);

/* Fails a task that has been started, or starts it, with what has become of its
 * worker: the text is made of that, the task's label, and the C function within
 * which that was ("": none). False if it is done already. */
bool lf_task_lose(lf_task *task, const lf_lost *lost, const char *within);

/* The same for 'what' in general (NULL: it was starting), as an LF_LOST's
 * bytes.
 */
int lf_lost_put(lf_buf *out, const lf_lost *lost, const char *what,
                const char *within);

/* "function <script.lua:12>", or "task". */
const char *lf_task_label(const lf_task *task);

/* 'fire' will be called once when the task is done; false if it is already.
 * Set waiter->fire first. */
bool lf_waiter_add(lf_waiter *waiter, lf_task *task);

/* After it 'fire' is not running and will not run. Twice is harmless. */
void lf_waiter_remove(lf_waiter *waiter);

#endif
