/* SPDX-License-Identifier: MIT
 *
 * Stopping tasks that run. A task is asked to stop, and reminded of that, until
 * it has ended or its grace is over: then it is given up, and its back end sees
 * to what still hangs in it. */
#ifndef LF_POOL_STOP_H
#define LF_POOL_STOP_H

#include "runtime/pool/pool.h"

/* Stops a running task. 'grace': nanoseconds. Does not wait. False: it does not
 * run, or has been asked to stop before. */
bool lf_pool_stop(lf_task *task, lf_reason reason, int64_t grace);

/* The same for one that others have asked to stop: gives it up when its grace
 * is over. */
void lf_pool_watch(lf_task *task);

/* Cancels a task, also if it runs. True: it is cancelled, or has been asked to
 * stop for that. */
bool lf_pool_cancel_running(lf_task *task);

/* The same as f:cancel(running) has it: one that runs only if 'running'. */
bool lf_pool_cancel_future(lf_task *task, bool running);

#endif
