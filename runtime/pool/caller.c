/* SPDX-License-Identifier: MIT
 *
 * See caller.h. */
#include "runtime/pool/caller.h"

#include "runtime/pool/internal.h"
#include "runtime/pool/threads.h"
#include "runtime/pool/worker.h"

lf_worker *lf_worker_in_caller(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  lf_worker *w = lf_pool_spare_worker(p);
  pthread_mutex_unlock(&p->lock);
  return w;
}

#include <unistd.h>
static pid_t exchange_thread(lf_worker *w, pid_t thread) {
  pthread_mutex_lock(&w->pool->lock);
  pid_t former = w->thread;
  w->thread = thread;
  pthread_mutex_unlock(&w->pool->lock);
  return former;
}

pid_t lf_caller_begin(lf_worker *w) {
  return exchange_thread(w, gettid());
}

void lf_caller_end(lf_worker *w, pid_t former) {
  exchange_thread(w, former);
}

static bool ask(lf_pool *p, lf_task *task, lf_reason reason) {
  (void)p;
  lf_worker *w = lf_task_carrier(task);
  if (!w || !lf_task_stop(task, reason))
    return false;
  lf_worker_tell_asked(w);
  return true;
}

static void remind(lf_pool *p, lf_task *task) {
  (void)p;
  lf_worker_tell_asked(lf_task_carrier(task));
}

/* The caller runs what it has, instead of handing it on. */
static int submit(lf_pool *p, lf_task *task, lf_route route) {
  (void)p, (void)task, (void)route;
  lf_check(false);
  return LF_EBROKEN;
}

static int broadcast(lf_pool *p, lf_task **tasks, int n) {
  (void)n; /* one */
  return submit(p, tasks[0], LF_TAIL);
}

static bool cancel(lf_pool *p, lf_task *task, lf_reason reason) {
  (void)p;
  return lf_task_drop(task, reason);
}

static void settle(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  bool ended = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  if (ended)
    lf_pool_end(p);
}

static void interrupt(lf_pool *p) {
  (void)p; /* the caller's thread is interrupted by itself */
}

static void stat(lf_pool *p, lf_pool_stats *s) {
  lf_threads_stat(p, s);
  s->workers = (uint64_t)p->nworkers;
  if (s->running == 0)
    s->idle = s->workers;
}

static lf_hunger hunger(lf_pool *p) {
  return (lf_hunger){&p->active, 0};
}

static lf_task *pinned(lf_worker *w) {
  (void)w;
  return NULL;
}

/* Nobody else could take its place. */
static void stay(lf_worker *w) {
  (void)w;
}

const lf_backend lf_caller_backend = {
    .name = "inline",
    .caller = true,
    .broken = "BrokenExecutor",
    .submit = submit,
    .broadcast = broadcast,
    .cancel = cancel,
    .settle = settle,
    .interrupt = interrupt,
    .ask = ask,
    .remind = remind,
    .stat = stat,
    .hunger = hunger,
    .pinned = pinned,
    .block = stay,
    .unblock = stay,
    .end = lf_thread_end,
};
