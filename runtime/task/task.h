/* SPDX-License-Identifier: MIT
 *
 * A task: what its owner sees as a future. One counted object holds the state,
 * the packed arguments and later the packed result, and who waits for it.
 *
 *   PENDING -> RUNNING -> FINISHED | FAILED
 *   RUNNING -> PENDING, to be run again
 *   PENDING -> CANCELLED
 *   RUNNING, asked to stop -> CANCELLED | FAILED, as it was asked for
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

/* What a running task has been asked to stop for. */
typedef enum {
  LF_GO_ON,
  LF_STOP_CANCEL,  /* it ends CANCELLED */
  LF_STOP_TIMEOUT, /* it ends FAILED, as for the next */
  LF_STOP_MEMORY,
  LF_STOP_QUEUE, /* of one that has not begun in time: FAILED */
} lf_reason;

/* What a FAILED task's data is. */
typedef enum {
  LF_RAISED, /* the packed error value */
  LF_BROKEN, /* text: why the pool's workers cannot run */
  LF_LOST,   /* lf_lost: how its worker ended */
  LF_HALTED, /* in a worker process, of one known to it: an lf_reason, a byte,
                 then its limits (pool/limits.h) */
} lf_error;

/* In front of the text of an LF_LOST. */
typedef struct {
  char host[64]; /* the other machine on which it was, or "" */
  int32_t pid;
  int32_t signal;   /* that ended it, or 0 */
  int32_t exitcode; /* else; -1: nobody has seen how it ended */
} lf_lost;

struct lf_worker;
struct lf_strand;
typedef struct lf_task lf_task;

/* Whom a task belongs to: what a pool is to its tasks, and its first member.
 * Counts may be read by anyone. */
typedef struct lf_owner {
  _Atomic size_t refs; /* who points at it: tasks, and others */
  _Atomic uint64_t cancelled, unstarted; /* tasks that were done without having
                                            been started: those, and failed */
  _Atomic uint64_t epoch; /* how often all queued work was cancelled */
  _Atomic size_t held;    /* tasks that wait at strands, or for others, */
  lf_link chains;         /* and those that wait for others; chain.c's lock */
  const struct lf_owner_ops *ops;
} lf_owner;

typedef struct lf_owner_ops {
  /* The last reference is gone. */
  void (*free)(lf_owner *owner);
  /* The last reference to a task is gone of which the owner has something
   * 'noted'. False: it has one again. */
  bool (*release)(lf_task *task);
  /* A task that was put aside (with a reference) comes back to be run, or goes:
   * it has ended. */
  void (*take_in)(lf_task *task);
} lf_owner_ops;

static inline lf_owner *lf_owner_ref(lf_owner *owner) {
  atomic_fetch_add_explicit(&owner->refs, 1, memory_order_relaxed);
  return owner;
}

static inline void lf_owner_unref(lf_owner *owner) {
  if (atomic_fetch_sub(&owner->refs, 1) == 1)
    owner->ops->free(owner);
}

/* Of a task that may have another priority than the usual one, 0: higher ones
 * are run first. All but the priority is the owner's, while it is queued. */
typedef struct {
  int64_t priority;
  lf_link link, tasks;
} lf_level;

/* For what a task is a part of. */
typedef struct lf_task_ops {
  /* It is done; by whoever has moved its state there, after the waiters. NULL:
   * nothing is to be done then. */
  void (*done)(lf_task *task);
  /* May tasks be waiting for more than it? (deadlock.h) NULL: no. */
  bool (*is_awaited)(const lf_task *task);
  /* Nobody knows it any more. */
  void (*free)(lf_task *task);
  /* Its state has moved; by whoever has moved it, after the waiters, before
   * 'done'. Maybe under the pool's lock. NULL: nobody looks at that, and the
   * moves are quicker. */
  void (*moved)(lf_task *task, lf_state from, lf_state to);
  /* What is a part of the same. NULL: its priority is 0; it has no limits. */
  lf_level *(*level)(lf_task *task);
  struct lf_clock *(*clock)(const lf_task *task);
  /* What it is called in messages. NULL (also what it returns): its label. */
  const char *(*name)(const lf_task *task);
} lf_task_ops;

/* Told that something has happened. 'wake' may be called by any thread at any
 * time while the waker is registered somewhere, also more often than needed;
 * it takes no lock and does not block. */
typedef struct lf_waker {
  void (*wake)(struct lf_waker *waker);
  lf_link link; /* among those who watch the same: see waitset.h */
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
  _Atomic uint32_t state; /* lf_state, and bits of task.c */
  lf_link link;           /* in a queue; its lock */
  lf_link waiters;
  const lf_task_ops *ops;    /* immutable; NULL: it is no part of anything */
  lf_owner *owner;           /* a reference to its memory; may be NULL */
  lf_code *code;             /* what it runs: a reference; may be NULL */
  char *trace;               /* a failed task's traceback, or NULL */
  _Atomic(lf_waits *) waits; /* what it waits for now, or NULL (deadlock.h) */
  struct lf_strand *strand;  /* that its run passes alone, or NULL (strand.h) */
  union {
    void *carrier; /* who has it: an lf_worker, an lf_in_flight; NULL: nobody */
    uint64_t id;   /* or what it is called between processes */
  } far;           /* the owner's, as 'noted' */
  lf_buf data;
  _Atomic int64_t told;     /* what it has said of itself, a pointer (report.c's
                               lock); if that is odd: nothing, and twice the moment
                               when it was submitted (lf_task_born) */
  _Atomic uint32_t awaited; /* by how many tasks, or more */
  uint32_t mark;            /* of a search; its lock (deadlock.c) */
  uint32_t epoch;  /* of the owner, when it was put aside at its strand */
  uint32_t pinned; /* number of the one worker that may run it, or 0 */
  uint8_t error;   /* lf_error */
  uint8_t stage;   /* of its way through the pool; that one's, and its lock */
  uint8_t noted;   /* bits; some: the owner is to 'release' it */
  bool held;       /* it waits at its strand; the strand's lock */
  _Atomic bool asked; /* about its outcome, or passed to who may ask */
  bool stuck;         /* its wait would never end: 'trace' is why */
  atomic_bool parked; /* no code of it runs, and none is on a stack */
  atomic_bool needed; /* one that has begun waits for it (pool/gate.h) */
  _Alignas(8) unsigned char small[32];
};

_Static_assert(sizeof(lf_task) <= 192, "three cache lines");

/* A PENDING task with one reference, or NULL. 'owner' may be NULL. */
lf_task *lf_task_new(lf_owner *owner);

/* A RUNNING one that nobody runs: it ends when something happens. Its name says
 * what that is, and stays the caller's: "the end of a process". */
lf_task *lf_task_new_event(const char *name);

/* The same, as a part of what the caller has allocated. */
void lf_task_init(lf_task *task, lf_owner *owner, const lf_task_ops *ops);

static inline lf_task *lf_task_ref(lf_task *task) {
  atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
  return task;
}

static inline int64_t lf_task_priority(lf_task *task) {
  return task->ops && task->ops->level ? task->ops->level(task)->priority : 0;
}

void lf_task_unref(void *task);

lf_state lf_task_state(lf_task *task);

static inline bool lf_task_done(lf_task *task) {
  return lf_task_state(task) >= LF_FINISHED;
}

/* When the task was submitted, if it is to be timed; odd: its copying, too. 0:
 * it is not, or has said something of itself since; QUIETLY: its run alone, and
 * it is not followed from submit to result. */
enum { LF_BORN_QUIETLY = 2 };
static inline int64_t lf_task_born(const lf_task *task) {
  int64_t told = atomic_load_explicit(&task->told, memory_order_relaxed);
  return told & 1 ? told >> 1 : 0;
}

/* Unless it has said something. Who submits it, or receives its result. */
static inline void lf_task_set_born(lf_task *task, int64_t born) {
  int64_t told = atomic_load_explicit(&task->told, memory_order_relaxed);
  if (told == 0 || told & 1)
    atomic_store_explicit(&task->told, (int64_t)((uint64_t)born << 1 | 1),
                          memory_order_relaxed);
}

/* It has been submitted: its outcome is there to be asked for. */
static inline void lf_task_offer(lf_task *task) {
  atomic_store_explicit(&task->asked, false, memory_order_relaxed);
}

/* Somebody asks for the outcome; true: the first to do so. */
static inline bool lf_task_ask(lf_task *task) {
  return !atomic_load_explicit(&task->asked, memory_order_relaxed) &&
         !atomic_exchange_explicit(&task->asked, true, memory_order_relaxed);
}

/* Returns when everybody who waited for a task that is seen to be done has
 * been told. */
void lf_task_settle(lf_task *task);

/* PENDING -> RUNNING; false if it was cancelled. */
bool lf_task_start(lf_task *task);

/* PENDING -> CANCELLED; wakes who waits. False if it was not pending. */
bool lf_task_cancel(lf_task *task);

/* The same, with the reason: LF_STOP_CANCEL, LF_STOP_QUEUE. */
bool lf_task_drop(lf_task *task, lf_reason reason);

/* RUNNING -> 'state', or what it was asked to stop for; wakes who waits. Only
 * by the one who started it; nothing if it was forced. */
void lf_task_end(lf_task *task, lf_state state);

/* RUNNING -> PENDING, by the one who has started it: it is to be run again, and
 * goes on. False if it was forced, or asked to stop but for a timeout. */
bool lf_task_rewind(lf_task *task);

/* Asks a running task to stop; the first reason stays, but for a timeout's in
 * favour of a cancellation. False: it is not running, or has been asked. Who
 * asks sees to it that the task is told. */
bool lf_task_stop(lf_task *task, lf_reason reason);

lf_reason lf_task_reason(lf_task *task);

/* What it will end as, 'state' being what it has come to. */
lf_state lf_task_outcome(lf_task *task, lf_state state);

/* Ends a task that was asked to stop in place of the one who runs it, who may
 * still write 'data', 'trace', 'error': nobody reads these then. False: it has
 * ended. */
bool lf_task_force(lf_task *task);
bool lf_task_is_forced(lf_task *task);

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

/* What it was named by who has submitted it, or NULL. */
const char *lf_task_own_name(const lf_task *task);

/* What it is called in messages: that, if it has one, or its label. */
const char *lf_task_name(const lf_task *task);

/* 'fire' will be called once when the task is done; false if it is already.
 * Set waiter->fire first. */
bool lf_waiter_add(lf_waiter *waiter, lf_task *task);

/* After it 'fire' is not running and will not run. Twice is harmless. True if
 * it would have been called. */
bool lf_waiter_remove(lf_waiter *waiter);

#endif
