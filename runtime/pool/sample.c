/* SPDX-License-Identifier: MIT
 *
 * See sample.h. On the trace's thread, or that of who ends it. */
#include "runtime/pool/sample.h"

#include "runtime/pool/internal.h"
#include "runtime/pool/profile.h"

#include <stdio.h>

/* The pool with a reference, unless it is about to be freed. */
static lf_pool *pool_of(lf_profile *f) {
  pthread_mutex_lock(&f->lock);
  lf_pool *p = f->pool;
  size_t refs = p ? atomic_load(&p->owner.refs) : 0;
  while (refs > 0 &&
         !atomic_compare_exchange_weak(&p->owner.refs, &refs, refs + 1))
    ;
  pthread_mutex_unlock(&f->lock);
  return refs > 0 ? p : NULL;
}

static void put_counter(const lf_profile *f, const char *what, uint64_t value,
                        uint64_t *last) {
  char name[64];
  if (value == *last)
    return;
  *last = value;
  if (f->number > 1)
    snprintf(name, sizeof name, "%.40s #%d", f->name, f->number);
  else
    snprintf(name, sizeof name, "%.40s", f->name);
  lf_trace_counter(what, name, value);
}

static void sample(lf_profile *f) {
  lf_pool_stats s = {0};
  lf_pool *p = pool_of(f);
  if (p && !lf_pool_is_foreign(p) && p->o.backend->sample)
    p->o.backend->sample(p, &s);
  int session = lf_timing_now() / LF_TIME_SESSION;
  if (f->traced != session)
    f->queued = f->running = UINT64_MAX; /* none was put */
  f->traced = session;
  if (p ? p->o.backend->sample != NULL : f->queued != UINT64_MAX) {
    put_counter(f, "queue", s.queued, &f->queued);
    put_counter(f, "busy", s.running, &f->running);
  }
  if (p)
    lf_pool_unref(p);
}

/* Those whose workers are processes. */
static void visit(void (*each)(lf_pool *p)) {
  for (lf_profile *f = lf_profiles_next(NULL); f; f = lf_profiles_next(f)) {
    lf_pool *p = pool_of(f);
    if (p && !lf_pool_is_foreign(p) && p->o.backend->trace_rest)
      each(p);
    if (p)
      lf_pool_unref(p);
  }
}

static void ask(lf_pool *p) {
  p->o.backend->trace_ask(p);
}

static void rest(lf_pool *p) {
  p->o.backend->trace_rest(p);
}

void lf_profiles_rest(void *unused) {
  (void)unused;
  visit(ask);
  visit(rest);
}

void lf_profiles_sample(void *unused) {
  (void)unused;
  for (lf_profile *f = lf_profiles_next(NULL); f; f = lf_profiles_next(f))
    sample(f);
}
