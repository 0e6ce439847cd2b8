/* SPDX-License-Identifier: MIT
 *
 * See profile.h. */
#include "runtime/pool/profile.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/pool/internal.h"

#include <stdio.h>
#include <string.h>

static void forget(void);
LF_FORK_MUTEX(all_lock, LF_FORK_PROFILES, forget);
static lf_link all = {&all, &all};
static bool keeps; /* a reference for the list */
static bool apart; /* they are not merged any more; the lock */

/* In a forked child: they are its parent's, and somebody there may have held
 * their locks. */
static void forget(void) {
  lf_link *l;
  apart = false;
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

/* With one reference, in no list. */
static lf_profile *make(const char *pool_name, const char *kind) {
  lf_profile *f = lf_zalloc(sizeof *f);
  char *name = lf_strndup(pool_name, strlen(pool_name));
  if (!f || !name) {
    lf_free(f);
    lf_free(name);
    return NULL;
  }
  f->name = name;
  f->kind = kind;
  f->queued = f->running = UINT64_MAX; /* none was put */
  atomic_init(&f->refs, 1);
  lf_list_init(&f->link);
  pthread_mutex_init(&f->lock, NULL);
  return f;
}

static void list(lf_profile *f, bool kept) {
  pthread_mutex_lock(&all_lock);
  atomic_fetch_add(&f->refs, kept);
  f->kept = kept;
  f->number = next_number(f->name);
  lf_list_add(&all, &f->link);
  pthread_mutex_unlock(&all_lock);
}

lf_profile *lf_profile_new(lf_pool *pool) {
  lf_profile *f = make(pool->o.name, pool->o.backend->name);
  if (!f)
    return NULL;
  f->max_workers = pool->o.max_workers;
  f->nested = lf_self != NULL;
  list(f, keeps);
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

static uint64_t room_of(const lf_tallies *t, int workers) {
  int64_t ns = t->ended - t->begun;
  return t->begun && ns > 0 ? (uint64_t)ns * (uint64_t)workers : 0;
}

/* Under the lock: one that is kept and has ended, or NULL. */
static lf_profile *find_like(const lf_profile *f) {
  for (lf_link *l = all.next; l != &all; l = l->next) {
    lf_profile *g = lf_container_of(l, lf_profile, link);
    if (g->ended && strcmp(g->kind, f->kind) == 0 &&
        strcmp(g->name, f->name) == 0)
      return g;
  }
  return NULL;
}

static void add(lf_profile *to, lf_profile *f) {
  pthread_mutex_lock(&f->lock);
  pthread_mutex_lock(&to->lock);
  lf_tallies_move(&to->tallies, &f->tallies);
  to->room += f->room;
  to->workers = f->workers > to->workers ? f->workers : to->workers;
  to->max_workers =
      f->max_workers > to->max_workers ? f->max_workers : to->max_workers;
  pthread_mutex_unlock(&to->lock);
  pthread_mutex_unlock(&f->lock);
}

/* One that a task has made has ended: if it is kept, it is added to one like
 * it, or others will be to it. True: it is not kept any more. */
static bool merge(lf_profile *f) {
  pthread_mutex_lock(&all_lock);
  lf_profile *to = f->kept && !apart ? find_like(f) : NULL;
  if (to)
    add(to, f);
  f->ended = f->kept && !to;
  f->kept = f->ended;
  pthread_mutex_unlock(&all_lock);
  return to;
}

void lf_profile_end(lf_profile *f) {
  pthread_mutex_lock(&f->lock);
  if (f->pool) {
    for (lf_worker *w = f->pool->workers; w; w = w->next)
      lf_tallies_move(&f->tallies, &w->tallies);
    f->workers = count_workers(f->pool);
    f->room = room_of(&f->tallies, f->workers);
    f->pool = NULL;
  }
  pthread_mutex_unlock(&f->lock);
  if (f->nested && merge(f))
    lf_profile_unref(f);
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

double lf_profile_room(lf_profile *f) {
  int64_t first, last;
  bool any = lf_profile_window(f, &first, &last);
  pthread_mutex_lock(&f->lock);
  uint64_t ns = f->room;
  if (f->pool && any)
    ns = (uint64_t)(last - first) * (uint64_t)count_workers(f->pool);
  pthread_mutex_unlock(&f->lock);
  return (double)ns / 1e9;
}

/* --- Of worker processes --- */

/* What is sent before its counts. */
typedef struct {
  char name[64], kind[16];
  int workers, max_workers;
  uint64_t room;
} head;

/* As it is now. */
static int put(lf_profile *f, lf_buf *out) {
  head h = {.max_workers = f->max_workers};
  lf_tallies sum = {0};
  snprintf(h.name, sizeof h.name, "%s", f->name);
  snprintf(h.kind, sizeof h.kind, "%s", f->kind);
  pthread_mutex_lock(&f->lock);
  lf_tallies_add(&sum, &f->tallies);
  h.workers = f->workers;
  h.room = f->room;
  for (lf_worker *w = f->pool ? f->pool->workers : NULL; w; w = w->next)
    lf_tallies_add(&sum, &w->tallies);
  if (f->pool) {
    h.workers = count_workers(f->pool);
    h.room = room_of(&sum, h.workers);
  }
  pthread_mutex_unlock(&f->lock);
  int err = lf_buf_put(out, &h, sizeof h);
  err = err ? err : lf_tallies_put(&sum, out);
  lf_tallies_fini(&sum);
  return err;
}

void lf_profiles_hand_over(void (*send)(const lf_buf *bytes)) {
  pthread_mutex_lock(&all_lock);
  apart = true; /* else what was sent could become more */
  pthread_mutex_unlock(&all_lock);
  lf_profile *f = keeps ? lf_profiles_next(NULL) : NULL;
  for (; f; f = lf_profiles_next(f)) {
    lf_buf out;
    lf_buf_init(&out, NULL, 0);
    if (f->nested && put(f, &out) == 0)
      send(&out);
    lf_buf_fini(&out);
  }
}

/* A name that stays. */
static const char *kind_called(const char *kind) {
  static const char *const kinds[] = {"thread", "async", "process", "cluster",
                                      "inline"};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kinds[i], kind) == 0)
      return kinds[i];
  return NULL;
}

void lf_profile_feed(const void *bytes, size_t n) {
  head h;
  if (!keeps || n < sizeof h)
    return;
  memcpy(&h, bytes, sizeof h);
  h.name[sizeof h.name - 1] = h.kind[sizeof h.kind - 1] = '\0';
  const char *kind = kind_called(h.kind);
  lf_profile *f = kind ? make(h.name, kind) : NULL;
  if (!f)
    return;
  f->nested = true;
  f->workers = h.workers > 0 ? h.workers : 1;
  f->max_workers = h.max_workers > f->workers ? h.max_workers : f->workers;
  f->room = h.room;
  bool good =
      lf_tallies_get(&f->tallies, (const char *)bytes + sizeof h, n - sizeof h);
  if (good)
    list(f, true);
  if (good && merge(f))
    lf_profile_unref(f);
  lf_profile_unref(f);
}

void lf_profiles_keep(void) {
  pthread_mutex_lock(&all_lock);
  for (lf_link *l = all.next; l != &all && !keeps; l = l->next)
    lf_profile_ref(lf_container_of(l, lf_profile, link))->kept = true;
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
