/* SPDX-License-Identifier: MIT
 *
 * A pool without threads: the caller runs each task, in an interpreter that the
 * pool keeps (InlineExecutor). Nothing is ever queued in it. */
#ifndef LF_POOL_CALLER_H
#define LF_POOL_CALLER_H

#include "runtime/pool/backend.h"

extern const lf_backend lf_caller_backend;

/* The pool's worker, which is no thread: the caller opens its interpreter and
 * enters it. Lives as long as the pool. NULL: no memory. */
lf_worker *lf_worker_in_caller(lf_pool *pool);

/* The calling thread runs tasks there, from the first to the second, which
 * gets what the first has returned. May be nested. */
pid_t lf_caller_begin(lf_worker *worker);
void lf_caller_end(lf_worker *worker, pid_t former);

#endif
