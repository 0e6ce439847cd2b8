/* SPDX-License-Identifier: MIT
 *
 * What a main program has started: its pools. See pool.h. */
#include "crew.h"

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
    if (i-- == 0) {
      found = lf_pool_ref(lf_container_of(l, lf_pool, hosted));
      break;
    }
  pthread_mutex_unlock(&host->lock);
  return found;
}

void lf_host_add(lf_pool *p) {
  lf_pool_ref(p);
  pthread_mutex_lock(&p->o.host->lock);
  lf_list_add(&p->o.host->pools, &p->hosted);
  pthread_mutex_unlock(&p->o.host->lock);
}

void lf_host_del(lf_pool *p) {
  pthread_mutex_lock(&p->o.host->lock);
  lf_list_del(&p->hosted);
  pthread_mutex_unlock(&p->o.host->lock);
  lf_pool_unref(p);
}
