/* SPDX-License-Identifier: MIT
 *
 * The life of a worker that is a thread, and what of backend.h is its part. */
#ifndef LF_POOL_WORKER_H
#define LF_POOL_WORKER_H

#include "runtime/pool/internal.h"

void lf_worker_main(void *worker);
void lf_thread_block(lf_worker *worker);
void lf_thread_unblock(lf_worker *worker);
void lf_thread_end(lf_worker *worker, lf_task *task, lf_state state);

#endif
