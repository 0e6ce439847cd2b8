/* SPDX-License-Identifier: MIT
 *
 * Workers that come to be, are woken, give up their permits, and are told to
 * look whether their task is to stop. See internal.h. */
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/internal.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { AGAIN_NS = 20000000 }; /* when to try again to start a worker */

/* --- Starting --- */

/* Under the lock: a worker that is not running, new or one that has gone. */
lf_worker *lf_pool_spare_worker(lf_pool *p) {
  lf_link *gone = lf_list_pop(&p->gone);
  if (gone)
    return lf_container_of(gone, lf_worker, standby);
  lf_worker *w = lf_zalloc(sizeof *w);
  if (!w)
    return NULL;
  w->pool = p;
  w->id = ++p->nworkers;
  lf_parker_init(&w->parker);
  w->parker_at = &w->parker;
  w->interrupt_at = &w->interrupt;
  lf_list_init(&w->held);
  lf_list_init(&w->queue);
  lf_list_init(&w->grabbed);
  lf_list_init(&w->pinned);
  lf_list_init(&w->standby);
  pthread_mutex_init(&w->lock, NULL);
  w->next = p->workers;
  atomic_store(&p->workers, w);
  return w;
}

/* Under the lock: starts one more worker, active. */
int lf_pool_start_worker(lf_pool *p) {
  lf_worker *w = lf_pool_spare_worker(p);
  if (!w)
    return LF_ETHREAD;
  char name[32];
  snprintf(name, sizeof name, "%.10s_%d", p->o.name, w->id);
  w->mode = LF_WORKER_ACTIVE;
  w->since = lf_now_roughly();
  p->threads++;
  p->live++;
  p->active++;
  lf_owner_ref(&p->owner);
  int err = lf_thread_start(name, p->o.backend->worker_main, w);
  if (err == 0)
    return 0;
  w->mode = LF_WORKER_GONE;
  lf_list_add(&p->gone, &w->standby);
  p->threads--;
  p->live--;
  p->active--;
  atomic_fetch_sub(&p->owner.refs, 1); /* not the last: the caller has one */
  return err;
}

void lf_pool_try_later(lf_pool *p) {
  p->again = lf_now() + AGAIN_NS;
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->mode == LF_WORKER_BLOCKED)
      lf_unpark(&w->parker);
}

/* --- Permits --- */

/* Under the lock: gives the permit of a worker that stops running to one that
 * waits for it, who is to be unparked; or NULL. */
lf_worker *lf_pool_pass_permit(lf_pool *p) {
  if (p->active >= p->o.max_workers)
    return NULL;
  lf_link *l = lf_list_pop(&p->wanting);
  if (!l)
    return NULL;
  lf_worker *w = lf_container_of(l, lf_worker, standby);
  p->nwanting--;
  p->active++;
  w->mode = LF_WORKER_ACTIVE;
  return w;
}

/* Under the lock, which it gives back meanwhile: waits for a permit. */
static void want_permit(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_list_add(&p->wanting, &w->standby);
  p->nwanting++;
  while (w->mode != LF_WORKER_ACTIVE) {
    pthread_mutex_unlock(&p->lock);
    lf_doze(&w->parker, LF_FOREVER);
    pthread_mutex_lock(&p->lock);
  }
}

/* Under the lock: from idle or blocked to active. */
void lf_worker_become_active(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_list_del(&w->standby);
  if (p->active < p->o.max_workers) {
    p->active++;
    w->mode = LF_WORKER_ACTIVE;
  } else {
    want_permit(w);
  }
}

/* --- Seeking --- */

void lf_worker_seek(lf_worker *w) {
  if (w->seeks)
    return;
  w->seeks = true;
  w->pool->seekers++;
}

bool lf_worker_seek_no_more(lf_worker *w) {
  if (!w->seeks)
    return false;
  w->seeks = false;
  w->pool->seekers--;
  return true;
}

/* Under the lock: the idle worker that came last, of those with nothing of
 * their own to do; or NULL. '*coming': others, who are about to be active. */
static lf_worker *find_idle(lf_pool *p, int *coming) {
  *coming = 0;
  for (lf_link *l = p->idle.next; l != &p->idle; l = l->next) {
    lf_worker *w = lf_container_of(l, lf_worker, standby);
    if (!lf_worker_has_own(w))
      return w;
    ++*coming;
  }
  return NULL;
}

lf_worker *lf_pool_rouse(lf_pool *p, int *err) {
  int coming;
  *err = 0;
  if (p->seekers > 0 || p->active >= p->o.max_workers)
    return NULL;
  lf_worker *w = find_idle(p, &coming);
  if (!w) {
    if (p->active + coming < p->o.max_workers)
      *err = lf_pool_start_worker(p);
    if (*err)
      lf_pool_try_later(p);
    return NULL;
  }
  lf_list_del(&w->standby);
  p->active++;
  w->mode = LF_WORKER_ACTIVE;
  lf_worker_seek(w);
  return w;
}

void lf_pool_rouse_more(lf_pool *p) {
  if (p->seekers > 0 || p->active >= p->o.max_workers)
    return;
  int err;
  pthread_mutex_lock(&p->lock);
  lf_worker *w = lf_pool_rouse(p, &err);
  pthread_mutex_unlock(&p->lock);
  if (w)
    lf_unpark(&w->parker);
}

/* --- Interrupting --- */

static const lf_vmops *_Atomic interpreters;

/* The handler of SIGURG. */
static void interrupted(int sig) {
  (void)sig;
  lf_worker *w = lf_self;
  const lf_vmops *ops = atomic_load(&interpreters);
  if (w && w->vm && atomic_exchange(w->interrupt_at, 0))
    ops->interrupt(w->vm);
  ops->poke();
}

void lf_pool_catch_interrupts(const lf_vmops *ops) {
  if (atomic_exchange(&interpreters, ops) == ops)
    return;
  struct sigaction action = {.sa_handler = interrupted};
  sigemptyset(&action.sa_mask);
  sigaction(SIGURG, &action, NULL);
}

void lf_worker_tell_asked(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_pool_catch_interrupts(p->o.ops);
  atomic_store(&w->asked, true);
  lf_unpark(w->parker_at);
  pthread_mutex_lock(&p->lock);
  if (w->thread)
    tgkill(getpid(), w->thread, SIGURG);
  pthread_mutex_unlock(&p->lock);
}
