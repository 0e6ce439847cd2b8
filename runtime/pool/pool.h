/* SPDX-License-Identifier: MIT
 *
 * An executor's inside: a queue of tasks and the worker threads that run them.
 *
 * Memory: 'refs' counts whoever points at the pool. Use: 'handles' counts who
 * may still submit; a pool without handles finishes its work and ends. It has
 * ended when no worker is left and none can start: the task 'over' is then
 * finished, and waiting for the end is waiting for that task.
 *
 * Tasks from outside go through one queue, first come, first served; a worker
 * takes several at a time when there are many. Tasks that a worker submits go
 * to the end of its own queue, where it takes them newest first and others
 * steal the oldest. A task with a priority goes through the common queue in any
 * case: before all others that wait, or, if it is negative, after them. */
#ifndef LF_POOL_POOL_H
#define LF_POOL_POOL_H

#include "runtime/task/report.h"
#include "runtime/task/vm.h"
#include "runtime/trace/tally.h"

#include <pthread.h>

/* More workers than this nobody means. */
enum { LF_MAX_WORKERS = 100000 };

typedef struct lf_pool lf_pool;
typedef struct lf_backend lf_backend;
typedef struct lf_registry lf_registry; /* registry.h */
struct lf_loop;
struct lf_strand;

typedef struct {
  int max_workers;    /* 1 to LF_MAX_WORKERS; of a cluster it changes */
  size_t max_queue;   /* tasks that may wait (room.h); 0: any number */
  size_t max_running; /* tasks begun and not ended (gate.h); 0: the same */
  const char *name;   /* prefix of the workers' names; copied */
  const lf_vmops *ops;
  void *setup; /* for ops->open; owned by the pool */
  void (*setup_free)(void *setup);
  lf_registry *registry;
  bool daemon;               /* the program does not wait for it at its end */
  const lf_backend *backend; /* who runs the tasks (backend.h) */
  /* For processes; 0 and NULL else. */
  uint64_t max_tasks; /* after which a worker is replaced; 0: never */
  char *program;      /* spawned instead of forking; owned by the pool */
  const char *origin; /* whose workers these are, for them to know, as they are
                         spawned; stays; NULL: the program's */
  int bell; /* an eventfd that is rung when workers have become free; 0:
               none */
  const lf_buf *greeting; /* what spawned workers are sent at first; lives as
                             long as 'setup' */
} lf_pool_options;

/* A pool with one handle, held with the caller's one reference; workers start
 * on demand. NULL: no memory, and the caller still owns 'setup'. */
lf_pool *lf_pool_new(const lf_pool_options *options);

/* How many have been made so far that have max_running. */
size_t lf_pools_limited(void);

/* Bytes that all workers, which are processes, get before any task that is
 * submitted from now on (ops->notice). They belong to 'owner', which is counted
 * by 'hold' and 'drop'. */
typedef struct {
  const lf_buf *bytes;
  void *owner;
  void (*hold)(void *owner);
  void (*drop)(void *owner);
  const char *path; /* where the program looks for modules; owner's */
} lf_notice;
void lf_pool_tell(lf_pool *pool, const lf_notice *notice);

/* Do the pool's tasks run in another process than the caller's, or is the
 * caller the worker process that runs them? */
bool lf_pool_is_remote(const lf_pool *pool);

/* For such a pool: can the other process be told about the task? */
bool lf_pool_can_name(const lf_pool *pool, const lf_task *task);

/* A pool is the owner of its tasks: the same address. */
static inline lf_owner *lf_pool_owner(lf_pool *pool) {
  return (lf_owner *)pool;
}

static inline lf_pool *lf_task_pool(const lf_task *task) {
  return (lf_pool *)task->owner;
}

lf_pool *lf_pool_ref(lf_pool *pool);
void lf_pool_unref(void *pool);

/* Handles: each comes with a reference. */
lf_pool *lf_pool_handle(lf_pool *pool);
void lf_pool_unhandle(void *pool);

/* Where a submitted task goes. */
typedef enum {
  LF_NEAR,         /* the submitting worker's own queue, if it is the pool's */
  LF_TAIL,         /* the end of the common queue, also after shutdown */
  LF_ROUTE_AFFINE, /* the worker that runs all tasks which one worker has to run
                    */
} lf_route;

/* Queues a pending task (the pool takes a reference); chunks of loops also
 * after shutdown. LF_ESHUTDOWN, LF_EBROKEN, or LF_ETHREAD when no worker could
 * be started at all: nothing is queued. */
int lf_pool_submit(lf_pool *pool, lf_task *task, lf_route route);

/* Has a task of the pool wait for the one that it comes after (task/chain.h);
 * then it is queued, also after shutdown. Errors as for submit: it will not be
 * run, and knows nothing of the other. */
struct lf_dependent;
int lf_pool_follow(lf_pool *pool, struct lf_dependent *chain);

/* How many tasks it takes for each worker to have one. */
int lf_pool_count(lf_pool *pool);

/* Queues tasks[i] for the i-th worker alone, starting missing ones first; n is
 * what lf_pool_count has said. Errors as for submit, LF_ECLUSTER: it is not so
 * many any more; then none is queued. */
int lf_pool_broadcast(lf_pool *pool, lf_task **tasks, int n);

/* Takes no more tasks from outside; what is queued is finished, or cancelled.
 * Does not wait: the pool's 'over' task tells. Repeatable. */
void lf_pool_shutdown(lf_pool *pool, bool cancel);

/* At the end of the program: finishes all work, also what it submits itself,
 * then ends. Does not wait. */
void lf_pool_finish(lf_pool *pool);

/* Cancels what is queued and stops what runs; the pool stays usable. */
void lf_pool_interrupt(lf_pool *pool);

/* Ends all worker processes by the signal, and the pool: what runs is lost,
 * what is queued is cancelled. */
void lf_pool_kill(lf_pool *pool, int sig);

/* Cancels a task of any pool that has not begun; as lf_task_cancel, and
 * lf_task_drop. */
bool lf_pool_cancel(lf_task *task);
bool lf_pool_drop(lf_task *task, lf_reason reason);

/* In a worker process, on its thread: receives what its program has sent. */
void lf_pool_listen(lf_pool *pool);

/* Is it pending, and nobody is known to have begun it, as far as can be told
 * without a lock? Async-signal-safe. */
bool lf_task_is_queued(lf_task *task);

/* The state of a task that may be in another process. */
lf_state lf_pool_look(lf_task *task);

/* As lf_task_progress, of such a one. */
bool lf_pool_progress(lf_task *task, lf_report *report);

/* The tasks that have begun are seen to run from then on, wherever they are. */
void lf_pool_see_begun(lf_pool *pool);

/* The loop's chunks that have not begun, in other processes, are cancelled. */
void lf_pool_recall(lf_pool *pool, struct lf_loop *loop);

/* How often all that was queued has been cancelled. */
uint64_t lf_pool_epoch(lf_pool *pool);

/* Finished when the pool has ended; lives as long as the pool. */
lf_task *lf_pool_over(lf_pool *pool);

const lf_vmops *lf_pool_ops(const lf_pool *pool);
const char *lf_pool_name(const lf_pool *pool);
int lf_pool_max_workers(const lf_pool *pool);
bool lf_pool_in_caller(const lf_pool *pool);

/* Are its tasks parked in every wait, so that any number of them wait? */
bool lf_pool_parks(const lf_pool *pool);
void *lf_pool_setup(const lf_pool *pool);
lf_registry *lf_pool_registry(const lf_pool *pool);
bool lf_pool_is_shutdown(lf_pool *pool);

/* Could more tasks run at once than there are? Hints: one without a call, of
 * which 'running' lives as long as the pool, and a better one. */
typedef struct {
  const _Atomic int *running;
  int most;
} lf_hunger;
lf_hunger lf_pool_hunger(lf_pool *pool);

static inline bool lf_is_hungry(const lf_hunger *h) {
  return atomic_load_explicit(h->running, memory_order_relaxed) < h->most;
}

bool lf_pool_is_hungry(lf_pool *pool);

/* Is it of a process further up, in a forked child? Then nothing else may be
 * called but what drops references. */
bool lf_pool_is_foreign(const lf_pool *pool);

/* Why the pool is broken, or NULL. */
const char *lf_pool_broken(lf_pool *pool);

/* Is a chunk of a loop that is lost run again as a whole? */
bool lf_pool_runs_chunks_again(const lf_pool *pool);

/* The kind of error that this is for those who wait for its tasks. */
const char *lf_pool_broken_kind(const lf_pool *pool);

/* Why what runs the tasks cannot be reached, or takes none, or NULL. */
const char *lf_pool_trouble(const lf_pool *pool);

/* May a task that has failed be run again? */
bool lf_pool_may_retry(const lf_pool *pool);

/* Breaks the pool: fails what is queued with the text. */
void lf_pool_break(lf_pool *pool, const char *why);

typedef struct {
  uint64_t workers, idle, queued, running, finished, failed, cancelled;
  uint64_t parked;   /* of those that run; 0 where not all waits park */
  uint64_t occupied; /* of worker processes: those that run something */
} lf_pool_stats;

void lf_pool_stat(lf_pool *pool, lf_pool_stats *stats);

/* --- The workers ------------------------------------------------------- */

/* As lf_task_report, of a task that the worker runs; who has submitted it sees
 * it. */
int lf_worker_report(lf_worker *worker, lf_task *task, const lf_report *report);

/* The calling worker's thread is about to sleep in the middle of a task, which
 * could not be parked: another may have its permit meanwhile. Calls are nested;
 * the outermost one counts. */
void lf_worker_block(lf_worker *worker);

/* It goes on; waits until fewer than max_workers run. */
void lf_worker_unblock(lf_worker *worker);

/* While blocked: the next task that only this worker may run, or NULL. */
lf_task *lf_worker_pinned(lf_worker *worker);

#endif
