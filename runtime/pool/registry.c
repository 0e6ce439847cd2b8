/* SPDX-License-Identifier: MIT
 *
 * What a main program has started: its pools. See pool.h. */
#include "runtime/pool/registry.h"

#include "runtime/pool/internal.h"
#include "runtime/shm/waiters.h"

void lf_host_init(lf_host *host, lf_parker *parker) {
  pthread_mutex_init(&host->lock, NULL);
  lf_list_init(&host->pools);
  host->parker = parker;
  lf_count_awake(1); /* the program's thread */
}

void lf_host_fini(lf_host *host) {
  lf_count_awake(-1);
  pthread_mutex_destroy(&host->lock);
}

size_t lf_host_count(lf_host *host) {
  size_t n = 0;
  pthread_mutex_lock(&host->lock);
  for (lf_link *l = host->pools.next; l != &host->pools; l = l->next)
    n++;
  pthread_mutex_unlock(&host->lock);
  return n;
}

lf_pool *lf_host_pool(lf_host *host, size_t i) {
  lf_pool *found = NULL;
  pthread_mutex_lock(&host->lock);
  for (lf_link *l = host->pools.next; l != &host->pools; l = l->next)
    if (!lf_pool_is_foreign(lf_container_of(l, lf_pool, hosted)) && i-- == 0) {
      found = lf_pool_ref(lf_container_of(l, lf_pool, hosted));
      break;
    }
  pthread_mutex_unlock(&host->lock);
  return found;
}

lf_pool *lf_host_unfinished(lf_host *host) {
  lf_pool *found = NULL;
  pthread_mutex_lock(&host->lock);
  for (lf_link *l = host->pools.next; l != &host->pools && !found; l = l->next)
    if (!lf_container_of(l, lf_pool, hosted)->o.daemon)
      found = lf_pool_ref(lf_container_of(l, lf_pool, hosted));
  pthread_mutex_unlock(&host->lock);
  return found;
}

/* --- Waiting --- */

enum { SOME = 8 }; /* pools looked after by who waits; the rest by themselves */

static lf_spin_time waiting = LF_SPIN_TIME;

/* The host's pools that a waiting thread looks after, with a reference each;
 * returns how many. */
static int get_pools(lf_host *host, lf_pool **pools) {
  int n = 0;
  pthread_mutex_lock(&host->lock);
  for (lf_link *l = host->pools.next; l != &host->pools && n < SOME;
       l = l->next) {
    lf_pool *p = lf_container_of(l, lf_pool, hosted);
    if (p->o.backend->poll && !lf_pool_is_foreign(p))
      pools[n++] = lf_pool_ref(p);
  }
  pthread_mutex_unlock(&host->lock);
  return n;
}

/* Receives what there is; true if there was anything. */
static bool look_after(lf_pool **pools, int n) {
  bool some = false;
  for (int i = 0; i < n; i++)
    some |= pools[i]->o.backend->poll(pools[i]);
  return some;
}

static bool is_woken(const lf_host *host, const lf_sleeper *place) {
  return lf_parker_woken(host->parker) || (place && lf_sleeper_called(place));
}

/* True if the host was woken. */
static bool spin(lf_host *host, lf_pool **pools, int n, const lf_sleeper *place,
                 int64_t deadline) {
  int64_t now = lf_now(), end = now + lf_spin_ns(&waiting);
  end = end < deadline ? end : deadline;
  for (int i = 1; !is_woken(host, place); i++) {
    if (look_after(pools, n)) {
      end = lf_now() + lf_spin_ns(&waiting);
      continue;
    }
    lf_relax();
    if (i % 16 == 0 && (!lf_may_spin() || lf_now() >= end))
      return false;
  }
  return true;
}

/* 'place': where the thread waits for something shared, or NULL. */
static int park(lf_host *host, lf_sleeper *place, int64_t deadline) {
  lf_pool *pools[SOME];
  int n = get_pools(host, pools);
  if (n == 0)
    return place ? lf_sleep(place, host->parker, deadline)
                 : lf_park(host->parker, deadline);
  int64_t since = lf_now();
  bool woken = deadline > 0 && spin(host, pools, n, place, deadline);
  if (!woken && deadline > 0) {
    for (int i = 0; i < n; i++)
      pools[i]->o.backend->arm(pools[i]);
    look_after(pools, n);
  }
  int r = place ? lf_sleep(place, host->parker, deadline)
                : lf_doze(host->parker, deadline);
  if (r == 0)
    lf_spin_learn(&waiting, lf_now() - since);
  for (int i = 0; i < n; i++)
    lf_pool_unref(pools[i]);
  return r;
}

int lf_host_park(lf_host *host, int64_t deadline) {
  return park(host, NULL, deadline);
}

int lf_host_sleep(lf_host *host, lf_sleeper *place, int64_t deadline) {
  return park(host, place, deadline);
}

void lf_host_catch_up(lf_host *host) {
  lf_pool *pools[SOME];
  int n = get_pools(host, pools);
  for (int i = 0; i < n; i++) {
    pools[i]->o.backend->catch_up(pools[i]);
    lf_pool_unref(pools[i]);
  }
}
