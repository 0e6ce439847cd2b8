/* SPDX-License-Identifier: MIT
 *
 * What one main program (interpreter) has started: its pools. */
#ifndef LF_POOL_REGISTRY_H
#define LF_POOL_REGISTRY_H

#include "runtime/pool/pool.h"

/* What one main program (interpreter) has started: its pools. */
struct lf_registry {
  pthread_mutex_t lock;
  lf_link pools;     /* those that have not ended, a reference each */
  lf_parker *parker; /* of the main program's thread */
};

void lf_registry_init(lf_registry *registry, lf_parker *parker);
void lf_registry_fini(lf_registry *registry);

/* How many pools there are. */
size_t lf_registry_count(lf_registry *registry);

/* One that the program waits for at its end: none of the daemons; as below. */
lf_pool *lf_registry_unfinished(lf_registry *registry);

/* The i-th pool that has not ended, with a reference for the caller; NULL
 * after the last. */
lf_pool *lf_registry_pool(lf_registry *registry, size_t i);

/* Under the lock: up to 'most' pools, with a reference each; '*more': others.
 * Returns how many. */
size_t lf_registry_some(lf_registry *registry, lf_pool **pools, size_t most,
                        size_t *more);

/* Waits as lf_park does, and receives what worker processes have sent. For the
 * registry's own thread. */
int lf_registry_park(lf_registry *registry, int64_t deadline);

/* The same at a waiter of waiters.h, when looking has been in vain. */
struct lf_shared_waiter;
int lf_registry_sleep(lf_registry *registry, struct lf_shared_waiter *waiter,
                      int64_t deadline);

/* What worker processes have sent so far has been received, and the tasks that
 * have ended by that have ended; before a wait is said to have been in vain. */
void lf_registry_catch_up(lf_registry *registry);

#endif
