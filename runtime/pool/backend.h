/* SPDX-License-Identifier: MIT
 *
 * The back end of a pool: who runs its tasks, and where. pool.c calls it
 * through this table and does not ask what it is:
 *
 *   threads.h               threads of this process
 *   caller.h                the one who asks for a result, at once
 *   process/processes.h     processes, seen from their program
 *   process/serve.h         the same, seen from one of these processes
 *   cluster/client.h        the members of a cluster
 *
 * Unless something else is said, any thread calls, without the pool's lock. */
#ifndef LF_POOL_BACKEND_H
#define LF_POOL_BACKEND_H

#include "runtime/pool/pool.h"

struct lf_sight;
struct lf_sight_line;
typedef enum { LF_ABSENT, LF_STARTING, LF_THERE } lf_presence;

struct lf_backend {
  const char *name; /* the kind of workers: "thread" */
  bool remote;      /* lf_pool_is_remote */
  bool caller;      /* lf_pool_in_caller */
  bool parks;       /* lf_pool_parks */
  bool whole;       /* a chunk of a loop that is lost is run again as a whole */
  const char *broken; /* the kind of error when its workers cannot run */

  /* --- Of tasks: as the functions of pool.h whose names they have --- */

  /* Called again a few times for LF_ETHREAD. */
  int (*submit)(lf_pool *pool, lf_task *task, lf_route route);
  int (*count)(lf_pool *pool); /* NULL: max_workers */
  int (*broadcast)(lf_pool *pool, lf_task **tasks, int n);
  int (*follow)(lf_pool *pool, struct lf_dependent *chain); /* NULL: the caller
                                                               does not wait */
  bool (*cancel)(lf_pool *pool, lf_task *task, lf_reason reason);
  lf_state (*look)(lf_pool *pool, lf_task *task); /* NULL: lf_task_state */
  bool (*progress)(lf_pool *pool, lf_task *task, lf_report *report);
  /* NULL: lf_task_progress */
  void (*see_begun)(lf_pool *pool); /* NULL: they are seen */
  bool (*can_name)(const lf_pool *pool, const lf_task *task); /* NULL: all */

  /* Asks a running task to stop (lf_task_stop), and tells it so. One that is
   * parked ends at once. False: it does not run, or has been asked. NULL: they
   * cannot be stopped. */
  bool (*ask)(lf_pool *pool, lf_task *task, lf_reason reason);

  /* Then: tells it again. */
  void (*remind)(lf_pool *pool, lf_task *task);

  /* Its grace is over: ends it in place of who runs it. False: it waits for
   * another that runs above it. NULL: nothing can be done. On the timers'
   * thread. */
  bool (*give_up)(lf_pool *pool, lf_task *task);

  /* As in lf_owner_ops. NULL: does not happen. */
  bool (*release)(lf_pool *pool, lf_task *task);
  void (*take_in)(lf_task *task);

  /* Under the lock: those tasks that were handed on to workers and have not
   * begun go to 'out', in their order; 'loop' NULL: all, else those that run
   * its chunks. NULL: none is. */
  void (*recall)(lf_pool *pool, struct lf_loop *loop, lf_link *out);

  /* --- Of pools --- */

  /* Why what runs the tasks cannot be reached, or takes none; NULL: it can, and
   * does. NULL: that does not happen. */
  const char *(*trouble)(const lf_pool *pool);

  void (*stat)(lf_pool *pool, lf_pool_stats *stats);
  /* The same for a trace, which does not have anything received: 'queued' and
   * 'running'. NULL: that is not known here. */
  void (*sample)(lf_pool *pool, lf_pool_stats *stats);
  /* At a trace's end: asks workers elsewhere for what they have of it; receives
   * that, and puts what they are in the middle of (lf_trace_rest), which takes
   * a second at most. Both or none: nothing is known of that. */
  void (*trace_ask)(lf_pool *pool);
  void (*trace_rest)(lf_pool *pool);
  lf_hunger (*hunger)(lf_pool *pool);       /* NULL: no worker runs in here */
  bool (*is_shutdown)(const lf_pool *pool); /* NULL: pool->shutdown */
  void (*shutdown)(lf_pool *pool, bool cancel);      /* NULL: lf_pool_close */
  void (*tell)(lf_pool *pool, const lf_notice *new); /* NULL: nobody asks */
  void (*kill)(lf_pool *pool, int sig); /* after shutdown; NULL: nothing more */

  /* Less can come from outside than before: workers that have nothing to do may
   * leave, and the pool end. One that drops handles under its lock is called so
   * under its lock, too. */
  void (*settle)(lf_pool *pool);

  /* Under the lock. Stops what runs. */
  void (*interrupt)(lf_pool *pool);

  /* Under the lock: what the worker is in the middle of, a number that is never
   * used again for another run of it, or 0; has a system call that it is in
   * return. NULL: both, and nobody is reminded. */
  uint64_t (*run_of)(const lf_worker *worker);
  void (*nudge)(lf_worker *worker);

  /* For a report of what all are at (survey.h); under the lock. Is the worker
   * there? Then '*sight' is where it answers, or NULL; if 'number' is not 0 it
   * is asked under that, unless it has answered. NULL: they are not here, or
   * are those who ask. */
  lf_presence (*look_at)(lf_worker *worker, uint32_t number,
                         struct lf_sight **sight);

  /* Tasks that the worker has been sent and not begun; under the lock. NULL:
   * none. */
  size_t (*ahead)(const lf_worker *worker);

  /* What is known of one that does not answer. And the numbers of tasks in a
   * worker's answer become addresses, or 0. NULL: nothing; they are. */
  void (*know)(lf_worker *worker, struct lf_sight_line *line);
  void (*resolve)(lf_worker *worker, struct lf_sight_line *line);

  /* Under the lock: is nothing on its way? NULL: yes. */
  bool (*is_quiet)(lf_pool *pool);

  /* With the pool: frees pool->own. NULL: there is nothing. */
  void (*free)(lf_pool *pool);

  /* --- For a program's thread that waits (registry.c); all NULL, or none ---
   */

  bool (*poll)(lf_pool *pool);     /* receives what there is, if there is */
  void (*arm)(lf_pool *pool);      /* it sleeps: others are to receive */
  void (*catch_up)(lf_pool *pool); /* receives, and all of it has been done */

  /* --- On a worker's thread --- */

  void (*worker_main)(void *worker);     /* for lf_pool_start_worker */
  void (*receive)(lf_pool *pool);        /* what has come; NULL: nothing does */
  lf_task *(*pinned)(lf_worker *worker); /* lf_worker_pinned */
  void (*block)(lf_worker *worker);      /* lf_worker_block, */
  void (*unblock)(lf_worker *worker);    /* lf_worker_unblock, */
  void (*end)(lf_worker *worker, lf_task *task, lf_state state); /* and _end */
  /* The task has reported something. NULL: all see it. */
  void (*report)(lf_worker *worker, lf_task *task);
  /* A task that the worker has run is PENDING again, and to be queued, with the
   * run's reference. NULL: does not happen; the caller runs it again at once,
   * and who has sent it to a process sees to that. */
  void (*again)(lf_worker *worker, lf_task *task);
};

#endif
