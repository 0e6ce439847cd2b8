/* SPDX-License-Identifier: MIT
 *
 * A pool whose workers are threads. Tasks from outside go through one queue,
 * first come, first served; those that a worker submits go to the end of its
 * own, where it takes them newest first and others steal the oldest. */
#ifndef LF_POOL_THREADS_H
#define LF_POOL_THREADS_H

#include "runtime/pool/backend.h"

extern const lf_backend lf_threads_backend;

/* The same, but tasks are parked in all waits, and no wait keeps a worker from
 * others: a few threads have any number of tasks that wait. */
extern const lf_backend lf_async_backend;

/* What such a pool has done, also for one whose workers are no threads. */
void lf_threads_stat(lf_pool *pool, lf_pool_stats *stats);

#endif
