/* SPDX-License-Identifier: MIT
 *
 * Runs that stand still, and when they go on. By their worker's thread, apart
 * from what is said. */
#ifndef LF_POOL_READY_H
#define LF_POOL_READY_H

#include "runtime/pool/pool.h"

void lf_run_init(lf_run *run, lf_worker *worker);

/* The run stands still from now on, and becomes ready when its waker is woken
 * or at the deadline. By its worker. */
void lf_run_park(lf_run *run, int64_t deadline);

/* The same while it waits for something shared, at a waiter of waiters.h: it
 * becomes ready when that is called, too. The worker begins no task meanwhile,
 * unless its back end parks them all. False: no memory, and nothing has
 * happened. */
struct lf_shared_waiter;
bool lf_run_hold(lf_run *run, struct lf_shared_waiter *waiter,
                 int64_t deadline);

/* By the interpreter when it goes on with it. */
void lf_run_unpark(lf_run *run);

/* Do such runs keep the worker from new tasks? */
bool lf_worker_is_held(const lf_worker *worker);

/* Lets the waiter, of its thread, ring where the thread will sleep, if it does
 * so by lf_worker_sleep (true). */
bool lf_worker_rings(lf_worker *worker, struct lf_shared_waiter *waiter);

/* The runs that are parked there, and occupy it, are to end (run->interrupted).
 * Async-signal-safe; any thread. */
void lf_worker_interrupt(lf_worker *worker);

/* Sleeps until the worker is woken, or one of them is called, or the deadline:
 * as lf_park. */
int lf_worker_sleep(lf_worker *worker, int64_t deadline);

/* While blocked: the next of its runs that became ready, or NULL. */
lf_run *lf_worker_ready(lf_worker *worker);

/* When the next run with a deadline becomes ready, or LF_FOREVER. */
int64_t lf_worker_deadline(lf_worker *worker);

/* For interpreters: what the run has taken that is about to end, as
 * lf_worker_end counts it. */
void lf_worker_took(lf_worker *worker, const lf_times *times);

/* For interpreters: how their tasks end. Counts, then lf_task_end, then drops
 * the run's reference. */
void lf_worker_end(lf_worker *worker, lf_task *task, lf_state state);

#endif
