/* SPDX-License-Identifier: MIT
 *
 * How many tasks of a pool have begun and not ended (max_running): while they
 * are as many as may be, the common queue's tasks stay where they are, but for
 * those that one waits for which has begun. All tasks of such a pool go through
 * the common queue. Any thread. internal.h has the rest. */
#ifndef LF_POOL_GATE_H
#define LF_POOL_GATE_H

#include "runtime/pool/pool.h"
#include "runtime/task/deadlock.h"

/* A task that has begun is about to wait for these, or a loop of the pool
 * (NULL: none) of which these are: what they need is to begin. 'counted': the
 * wait for a loop is, in that. */
void lf_gate_need(lf_waits *waits, lf_pool *of_loop, bool counted);

#endif
