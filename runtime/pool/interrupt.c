/* SPDX-License-Identifier: MIT
 *
 * See interrupt.h. */
#include "runtime/pool/interrupt.h"

#include "runtime/base/mem.h"
#include "runtime/os/timer.h"
#include "runtime/pool/internal.h"

enum { TRIES = 50 };

/* Owned by its timer. */
typedef struct {
  lf_timer timer;
  lf_pool *pool; /* a reference */
  int64_t delay;
  int tries, n;
  struct {
    lf_worker *worker;
    uint64_t run; /* what it was in */
  } at[];
} reminder;

static void drop(reminder *r) {
  lf_pool_unref(r->pool);
  lf_free(r);
}

static void set(reminder *r) {
  if (lf_timer_set(&r->timer, lf_remind_at(&r->delay)) != 0)
    drop(r);
}

/* Under the lock: reminds those that are where they were; false: none is. */
static bool remind(reminder *r) {
  const lf_backend *backend = r->pool->o.backend;
  bool any = false;
  for (int i = 0; i < r->n; i++) {
    lf_worker *w = r->at[i].worker;
    if (r->at[i].run == 0 || backend->run_of(w) != r->at[i].run) {
      r->at[i].run = 0;
      continue;
    }
    backend->nudge(w);
    any = true;
  }
  return any;
}

static void look(lf_timer *timer) {
  reminder *r = lf_container_of(timer, reminder, timer);
  pthread_mutex_lock(&r->pool->lock);
  bool any = remind(r);
  pthread_mutex_unlock(&r->pool->lock);
  if (any && --r->tries > 0)
    set(r);
  else
    drop(r);
}

/* Under the lock: for all that run something. NULL: none does, or there is no
 * memory. */
static reminder *note_runs(lf_pool *p) {
  const lf_backend *backend = p->o.backend;
  int n = 0;
  for (lf_worker *w = p->workers; w; w = w->next)
    n += backend->run_of(w) != 0;
  reminder *r =
      n > 0 ? lf_zalloc(sizeof *r + (size_t)n * sizeof r->at[0]) : NULL;
  if (!r)
    return NULL;
  for (lf_worker *w = p->workers; w && r->n < n; w = w->next) {
    uint64_t run = backend->run_of(w);
    if (run == 0)
      continue;
    r->at[r->n].worker = w;
    r->at[r->n++].run = run;
  }
  return r;
}

void lf_pool_interrupt_all(lf_pool *p) {
  reminder *r = NULL;
  if (p->o.backend->run_of) {
    pthread_mutex_lock(&p->lock);
    r = note_runs(p);
    pthread_mutex_unlock(&p->lock);
  }
  lf_pool_interrupt(p);
  if (!r)
    return;
  lf_timer_init(&r->timer, look);
  r->pool = lf_pool_ref(p);
  r->tries = TRIES;
  set(r);
}
