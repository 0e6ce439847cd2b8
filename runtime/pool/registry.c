/* SPDX-License-Identifier: MIT
 *
 * What a main program has started: its pools. See pool.h. */
#include "runtime/pool/registry.h"

#include "runtime/os/spin.h"
#include "runtime/pool/internal.h"
#include "runtime/shm/waiters.h"

void lf_registry_init(lf_registry *registry, lf_parker *parker) {
  pthread_mutex_init(&registry->lock, NULL);
  lf_list_init(&registry->pools);
  registry->parker = parker;
  lf_count_awake(1); /* the program's thread */
}

void lf_registry_fini(lf_registry *registry) {
  lf_count_awake(-1);
  pthread_mutex_destroy(&registry->lock);
}

size_t lf_registry_count(lf_registry *registry) {
  size_t n = 0;
  pthread_mutex_lock(&registry->lock);
  for (lf_link *l = registry->pools.next; l != &registry->pools; l = l->next)
    n++;
  pthread_mutex_unlock(&registry->lock);
  return n;
}

lf_pool *lf_registry_pool(lf_registry *registry, size_t i) {
  lf_pool *found = NULL;
  pthread_mutex_lock(&registry->lock);
  for (lf_link *l = registry->pools.next; l != &registry->pools; l = l->next)
    if (!lf_pool_is_foreign(lf_container_of(l, lf_pool, registered)) &&
        i-- == 0) {
      found = lf_pool_ref(lf_container_of(l, lf_pool, registered));
      break;
    }
  pthread_mutex_unlock(&registry->lock);
  return found;
}

size_t lf_registry_some(lf_registry *registry, lf_pool **pools, size_t most,
                        size_t *more) {
  size_t n = 0;
  *more = 0;
  for (lf_link *l = registry->pools.next; l != &registry->pools; l = l->next) {
    lf_pool *p = lf_container_of(l, lf_pool, registered);
    if (lf_pool_is_foreign(p))
      continue;
    if (n < most)
      pools[n++] = lf_pool_ref(p);
    else
      ++*more;
  }
  return n;
}

lf_pool *lf_registry_unfinished(lf_registry *registry) {
  lf_pool *found = NULL;
  pthread_mutex_lock(&registry->lock);
  for (lf_link *l = registry->pools.next; l != &registry->pools && !found;
       l = l->next)
    if (!lf_container_of(l, lf_pool, registered)->o.daemon)
      found = lf_pool_ref(lf_container_of(l, lf_pool, registered));
  pthread_mutex_unlock(&registry->lock);
  return found;
}

/* --- Waiting --- */

enum { SOME = 8 }; /* pools looked after by who waits; the rest by themselves */

static lf_habit waiting = LF_HABIT;

/* The registry's pools that a waiting thread looks after, with a reference
 * each; returns how many. */
static int get_pools(lf_registry *registry, lf_pool **pools) {
  int n = 0;
  pthread_mutex_lock(&registry->lock);
  for (lf_link *l = registry->pools.next; l != &registry->pools && n < SOME;
       l = l->next) {
    lf_pool *p = lf_container_of(l, lf_pool, registered);
    if (p->o.backend->poll && !lf_pool_is_foreign(p))
      pools[n++] = lf_pool_ref(p);
  }
  pthread_mutex_unlock(&registry->lock);
  return n;
}

/* Receives what there is; true if there was anything. */
static bool look_after(lf_pool **pools, int n) {
  bool some = false;
  for (int i = 0; i < n; i++)
    some |= pools[i]->o.backend->poll(pools[i]);
  return some;
}

static bool is_woken(const lf_registry *registry,
                     const lf_shared_waiter *waiter) {
  return lf_parker_woken(registry->parker) ||
         (waiter && lf_shared_waiter_called(waiter));
}

/* True if the registry was woken. */
static bool spin_on(lf_spin *spin, const lf_registry *registry, lf_pool **pools,
                    int n, const lf_shared_waiter *waiter) {
  bool on = true, woken;
  while (!(woken = is_woken(registry, waiter)) && on)
    on = look_after(pools, n) ? lf_spin_again(spin) : lf_spin_on(spin);
  return woken;
}

/* 'waiter': where the thread waits for something shared, or NULL. */
static int park(lf_registry *registry, lf_shared_waiter *waiter,
                int64_t deadline) {
  lf_pool *pools[SOME];
  int n = get_pools(registry, pools);
  if (n == 0)
    return waiter ? lf_sleep(waiter, registry->parker, deadline)
                  : lf_park(registry->parker, deadline);
  lf_spin spin = lf_spin_begin(&waiting, deadline);
  bool woken = deadline > 0 && spin_on(&spin, registry, pools, n, waiter);
  if (!woken && deadline > 0) {
    for (int i = 0; i < n; i++)
      pools[i]->o.backend->arm(pools[i]);
    look_after(pools, n);
  }
  int r = waiter ? lf_sleep(waiter, registry->parker, deadline)
                 : lf_doze(registry->parker, deadline);
  if (r == 0 && deadline > 0) /* else it was no wait */
    lf_spin_end(&spin);
  for (int i = 0; i < n; i++)
    lf_pool_unref(pools[i]);
  return r;
}

int lf_registry_park(lf_registry *registry, int64_t deadline) {
  return park(registry, NULL, deadline);
}

int lf_registry_sleep(lf_registry *registry, lf_shared_waiter *waiter,
                      int64_t deadline) {
  return park(registry, waiter, deadline);
}

void lf_registry_catch_up(lf_registry *registry) {
  lf_pool *pools[SOME];
  int n = get_pools(registry, pools);
  for (int i = 0; i < n; i++) {
    pools[i]->o.backend->catch_up(pools[i]);
    lf_pool_unref(pools[i]);
  }
}
