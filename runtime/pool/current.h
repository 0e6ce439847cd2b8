/* SPDX-License-Identifier: MIT
 *
 * What a worker runs now, as those know it who run tasks. */
#ifndef LF_POOL_CURRENT_H
#define LF_POOL_CURRENT_H

#include "runtime/pool/pool.h"

/* The worker whose thread calls, or NULL. */
lf_worker *lf_worker_self(void);

lf_pool *lf_worker_pool(lf_worker *worker);

int lf_worker_id(lf_worker *worker);

lf_vm *lf_worker_vm(lf_worker *worker);

lf_parker *lf_worker_parker(lf_worker *worker);

/* For interpreters: the task that runs goes on as one that need not be alone:
 * leaves the strand that it has passed (strand.h), if it has. */
void lf_worker_leave_strand(lf_worker *worker);

/* Is it inside of a strand? */
bool lf_worker_is_inside(const lf_worker *worker);

/* The worker's thread turns to code of the task (NULL: of none); returns whose
 * it was before. */
lf_task *lf_worker_runs(lf_worker *worker, lf_task *task);

/* In the middle of a task: it goes on with that after a wait. */
void lf_worker_go_on(lf_worker *worker);

/* When it has done one of these last, for a task; roughly. */
int64_t lf_worker_since(const lf_worker *worker);

/* Async-signal-safe: has the task, which it runs, been asked to stop, as far as
 * can be seen here? */
bool lf_worker_is_asked(const lf_worker *worker, lf_task *task);

/* Starts the task, to be run by the worker at once. False: it is not pending
 * any more. */
bool lf_worker_begin(lf_worker *worker, lf_task *task);

/* Counts a chunk of a loop, without a task, that the worker has started, or
 * finished. */
void lf_worker_count_started(lf_worker *worker);

void lf_worker_count_finished(lf_worker *worker);

#endif
