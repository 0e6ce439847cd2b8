/* SPDX-License-Identifier: MIT
 *
 * See profile.h. */
#include "runtime/pool/profile.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/pool/internal.h"

#include <string.h>

static void forget(void);
LF_FORK_MUTEX(all_lock, LF_FORK_PROFILES, forget);
static lf_link all = {&all, &all};
static bool keeps; /* a reference for the list */

/* In a forked child: they are its parent's, and somebody there may have held
 * their locks. */
static void forget(void) {
  lf_link *l;
  while ((l = lf_list_pop(&all)))
    pthread_mutex_init(&lf_container_of(l, lf_profile, link)->lock, NULL);
}

/* Under the lock. */
static int next_number(const char *name) {
  int n = 0;
  for (lf_link *l = all.next; l != &all; l = l->next) {
    const lf_profile *f = lf_container_of(l, lf_profile, link);
    if (strcmp(f->name, name) == 0 && f->number > n)
      n = f->number;
  }
  return n + 1;
}

lf_profile *lf_profile_new(lf_pool *pool) {
  lf_profile *f = lf_zalloc(sizeof *f);
  char *name = lf_strndup(pool->o.name, strlen(pool->o.name));
  if (!f || !name) {
    lf_free(f);
    lf_free(name);
    return NULL;
  }
  f->name = name;
  f->kind = pool->o.backend->name;
  f->max_workers = pool->o.max_workers;
  f->queued = f->running = UINT64_MAX; /* none was put */
  pthread_mutex_init(&f->lock, NULL);
  pthread_mutex_lock(&all_lock);
  atomic_init(&f->refs, keeps ? 2 : 1);
  f->number = next_number(name);
  lf_list_add(&all, &f->link);
  pthread_mutex_unlock(&all_lock);
  return f;
}

void lf_profile_open(lf_profile *f, lf_pool *pool) {
  pthread_mutex_lock(&f->lock);
  f->pool = pool;
  pthread_mutex_unlock(&f->lock);
}

lf_profile *lf_profile_ref(lf_profile *f) {
  atomic_fetch_add(&f->refs, 1);
  return f;
}

void lf_profile_unref(void *profile) {
  lf_profile *f = profile;
  pthread_mutex_lock(&all_lock); /* the list's users find it until then */
  bool last = atomic_fetch_sub(&f->refs, 1) == 1;
  if (last)
    lf_list_del(&f->link);
  pthread_mutex_unlock(&all_lock);
  if (!last)
    return;
  lf_tallies_fini(&f->tallies);
  pthread_mutex_destroy(&f->lock);
  lf_free(f->name);
  lf_free(f);
}

static int count_workers(const lf_pool *p) {
  int n = 0;
  for (const lf_worker *w = p->workers; w; w = w->next)
    n++;
  bool elsewhere = n == 0 && p->o.backend->remote; /* on other hosts */
  return n < p->o.max_workers && !elsewhere ? n : p->o.max_workers;
}

void lf_profile_end(lf_profile *f) {
  pthread_mutex_lock(&f->lock);
  if (f->pool) {
    for (lf_worker *w = f->pool->workers; w; w = w->next)
      lf_tallies_move(&f->tallies, &w->tallies);
    f->workers = count_workers(f->pool);
    f->pool = NULL;
  }
  pthread_mutex_unlock(&f->lock);
  lf_profile_unref(f);
}

lf_profile *lf_pool_profile(const lf_pool *pool) {
  return pool->profile;
}

void lf_profile_chunk(lf_profile *f, lf_code *code, uint64_t items,
                      uint64_t failures, const lf_times *times) {
  pthread_mutex_lock(&f->lock);
  lf_tallies_chunk(&f->tallies, code, items, failures, times);
  pthread_mutex_unlock(&f->lock);
}

void lf_profile_lost(lf_profile *f, lf_code *code) {
  static const lf_times none;
  pthread_mutex_lock(&f->lock);
  lf_tallies_run(&f->tallies, code, true, &none);
  pthread_mutex_unlock(&f->lock);
}

void lf_profile_packed(lf_profile *f, lf_code *code, int64_t ns) {
  pthread_mutex_lock(&f->lock);
  lf_tallies_packed(&f->tallies, code, ns);
  pthread_mutex_unlock(&f->lock);
}

void lf_profile_unpacked(lf_profile *f, lf_code *code, int64_t ns) {
  pthread_mutex_lock(&f->lock);
  lf_tallies_unpacked(&f->tallies, code, ns);
  pthread_mutex_unlock(&f->lock);
}

bool lf_profile_begin(const lf_task *task, lf_times *times,
                      lf_metered *metered) {
  *times = (lf_times){.sent = task->data.len};
  *metered = (lf_metered){.code = task->code,
                          .name = lf_task_own_name(task),
                          .phase = LF_PHASE_RUN};
  if (lf_task_born(task) <= 0)
    return lf_metered_now;
  int64_t born = lf_task_born(task);
  metered->times = times;
  if (born == LF_BORN_QUIETLY)
    return true;
  times->born = born;
  times->fine = born & 1;
  metered->flow = (uint64_t)born;
  return true;
}

/* --- Reading --- */

static void visit_all(const lf_tallies *tallies, lf_tally_visit *visit,
                      void *arg) {
  const lf_tally *t =
      atomic_load_explicit(&tallies->first, memory_order_acquire);
  for (; t; t = t->next)
    visit(t, arg);
}

void lf_profile_each(lf_profile *f, lf_tally_visit *visit, void *arg,
                     int *workers) {
  pthread_mutex_lock(&f->lock);
  visit_all(&f->tallies, visit, arg);
  *workers = f->workers;
  if (f->pool) {
    for (lf_worker *w = f->pool->workers; w; w = w->next)
      visit_all(&w->tallies, visit, arg);
    *workers = count_workers(f->pool);
  }
  pthread_mutex_unlock(&f->lock);
}

static void widen(const lf_tallies *t, int64_t *first, int64_t *last) {
  int64_t begun = atomic_load_explicit(&t->begun, memory_order_relaxed);
  int64_t ended = atomic_load_explicit(&t->ended, memory_order_relaxed);
  if (begun && begun < *first)
    *first = begun;
  if (ended > *last)
    *last = ended;
}

bool lf_profile_window(lf_profile *f, int64_t *first, int64_t *last) {
  *first = INT64_MAX;
  *last = 0;
  pthread_mutex_lock(&f->lock);
  widen(&f->tallies, first, last);
  for (lf_worker *w = f->pool ? f->pool->workers : NULL; w; w = w->next)
    widen(&w->tallies, first, last);
  pthread_mutex_unlock(&f->lock);
  return *last > *first;
}

void lf_profiles_keep(void) {
  pthread_mutex_lock(&all_lock);
  for (lf_link *l = all.next; l != &all && !keeps; l = l->next)
    lf_profile_ref(lf_container_of(l, lf_profile, link));
  keeps = true;
  pthread_mutex_unlock(&all_lock);
}

lf_profile *lf_profiles_next(lf_profile *f) {
  pthread_mutex_lock(&all_lock);
  lf_link *l = f ? f->link.next : all.next;
  lf_profile *next = l == &all ? NULL : lf_container_of(l, lf_profile, link);
  if (next)
    lf_profile_ref(next);
  pthread_mutex_unlock(&all_lock);
  if (f)
    lf_profile_unref(f);
  return next;
}
