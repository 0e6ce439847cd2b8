/* SPDX-License-Identifier: MIT
 *
 * A pool whose workers are threads. Tasks from outside go through the common
 * queue, those that a worker submits through its own. See threads.h. */
#include "runtime/pool/threads.h"

#include "runtime/base/mem.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/loop.h"
#include "runtime/pool/sight.h"
#include "runtime/pool/worker.h"
#include "runtime/task/strand.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static bool is_there(const lf_worker *w) {
  return w->mode != LF_WORKER_GONE && w->mode != LF_WORKER_LEAVING;
}

/* Under the lock: the idle ones look again whether they may leave. */
static void wake_idle(lf_pool *p) {
  for (lf_link *l = p->idle.next; l != &p->idle; l = l->next)
    lf_unpark(&lf_container_of(l, lf_worker, standby)->parker);
}

static void settle(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  wake_idle(p);
  bool ended = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  if (ended)
    lf_pool_end(p);
}

/* --- Tasks that were put aside --- */

/* Under the lock: queues the task first, for the worker that has to run it if
 * that is one; who is to be unparked, or NULL. '*lost': nobody would run it. */
static lf_worker *take_back(lf_pool *p, lf_task *t, bool *lost) {
  int err;
  lf_worker *w = lf_pool_pinned_to(p, t);
  w = w && is_there(w) ? w : NULL;
  lf_pool_put_first(p, w, t);
  if (w)
    return w;
  w = lf_pool_rouse(p, &err);
  *lost = err && p->live == 0;
  if (*lost)
    lf_common_del(p, t);
  return w;
}

/* A task that was put aside will not be run. */
static void end_aside(lf_pool *p, lf_task *t, bool lost) {
  lf_link one;
  lf_list_init(&one);
  lf_list_add(&one, &t->link);
  lf_pool_fail_all(&one, p->broken ? p->broken
                         : lost    ? "cannot start a worker thread"
                                   : NULL);
}

/* A worker has ended what the task waited for: it may go on with it. */
static bool take_near(lf_pool *p, lf_task *t) {
  if (t->strand || lf_gate_is_limited(p) || !lf_self || lf_self->pool != p ||
      !lf_self->vm || !lf_pool_wants(p, t))
    return false;
  lf_worker_push(lf_self, t);
  lf_pool_rouse_more(p);
  p->owner.held--; /* this worker is still there */
  return true;
}

static void take_in(lf_task *t) {
  if (take_near(lf_task_pool(t), t))
    return;
  lf_pool *p = lf_pool_ref(lf_task_pool(t));
  bool lost = false;
  pthread_mutex_lock(&p->lock);
  bool wanted = lf_pool_wants(p, t);
  lf_worker *w = wanted ? take_back(p, t, &lost) : NULL;
  if (--p->owner.held == 0 && !lf_pool_is_open(p))
    wake_idle(p); /* the last one was kept for it */
  bool ended = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  if (w)
    lf_unpark(&w->parker);
  if (!wanted || lost)
    end_aside(p, t, lost);
  if (ended)
    lf_pool_end(p);
  lf_pool_unref(p);
}

/* --- Submitting --- */

static int submit_near(lf_worker *w, lf_task *task) {
  lf_pool *p = w->pool;
  if (p->shutdown)
    return LF_ESHUTDOWN;
  if (p->broken)
    return LF_EBROKEN;
  lf_worker_push(w, lf_task_ref(task));
  atomic_store_explicit(&w->submitted, w->submitted + 1, memory_order_relaxed);
  lf_pool_rouse_more(p);
  return 0;
}

/* Under the lock: queues it; '*w' is to be unparked then. */
static int add(lf_pool *p, lf_task *task, lf_worker **w) {
  int err;
  lf_common_add(p, lf_task_ref(task), false);
  *w = lf_pool_rouse(p, &err);
  if (err && p->live == 0) { /* nobody would ever run it */
    lf_common_del(p, task);
    lf_task_unref(task); /* not the last: the caller has one */
    return err;
  }
  p->submitted++;
  return 0;
}

/* Under the lock: queues it for the worker that all such tasks are for. */
static int add_affine(lf_pool *p, lf_task *task) {
  lf_worker *w = p->affine && is_there(p->affine) ? p->affine : p->workers;
  while (w && !is_there(w))
    w = w->next;
  int err = w ? 0 : lf_pool_start_worker(p);
  for (w = w ? w : p->workers; !err && !is_there(w);)
    w = w->next;
  if (err)
    return err;
  p->affine = w;
  w->stays = true;
  p->submitted++;
  lf_worker_pin(w, task);
  lf_unpark(&w->parker);
  return 0;
}

static int submit_far(lf_pool *p, lf_task *task, lf_route route) {
  lf_worker *w = NULL;
  pthread_mutex_lock(&p->lock);
  int err = p->ended || (p->shutdown && route != LF_TAIL && !lf_runner_of(task))
                ? LF_ESHUTDOWN
            : p->broken                ? LF_EBROKEN
            : route == LF_ROUTE_AFFINE ? add_affine(p, task)
                                       : add(p, task, &w);
  pthread_mutex_unlock(&p->lock);
  if (w)
    lf_unpark(&w->parker);
  return err;
}

static int submit(lf_pool *p, lf_task *task, lf_route route) {
  if (route == LF_NEAR && lf_self && lf_self->pool == p && lf_self->vm &&
      !lf_task_priority(task) && !lf_gate_is_limited(p))
    return submit_near(lf_self, task);
  return submit_far(p, task, route);
}

/* Under the lock: starts workers until there are max_workers, apart from those
 * that stand in for blocked ones. */
static int start_missing(lf_pool *p) {
  int err = 0;
  while (err == 0 && p->live < p->o.max_workers)
    err = lf_pool_start_worker(p);
  return err;
}

static int broadcast(lf_pool *p, lf_task **tasks, int n) {
  (void)n; /* max_workers */
  pthread_mutex_lock(&p->lock);
  int err = p->shutdown ? LF_ESHUTDOWN : p->broken ? LF_EBROKEN : 0;
  if (err == 0)
    err = start_missing(p);
  if (err == 0) {
    p->submitted += (uint64_t)p->o.max_workers;
    lf_pool_pin_each(p, tasks, is_there);
  }
  for (lf_worker *w = p->workers; err == 0 && w; w = w->next)
    if (w->npinned > 0)
      lf_unpark(&w->parker);
  pthread_mutex_unlock(&p->lock);
  return err;
}

/* --- Ending work early --- */

static bool cancel(lf_pool *p, lf_task *task, lf_reason reason) {
  (void)p;
  bool cancelled = lf_task_drop(task, reason);
  if (cancelled && task->strand)
    lf_strand_forget(task);
  return cancelled;
}

static void interrupt(lf_pool *p) {
  lf_pool_catch_interrupts(p->o.ops);
  for (lf_worker *w = p->workers; w; w = w->next) {
    if (p->o.backend->parks)
      lf_worker_interrupt(w);
    if ((w->mode != LF_WORKER_ACTIVE && w->mode != LF_WORKER_BLOCKED) ||
        !w->thread)
      continue;
    atomic_store(w->interrupt_at, 1);
    tgkill(getpid(), w->thread, SIGURG);
  }
}

static uint64_t run_of(const lf_worker *w) {
  bool runs = w->thread && atomic_load(&w->current);
  return runs ? w->started + 1 : 0;
}

static void nudge(lf_worker *w) {
  tgkill(getpid(), w->thread, SIGURG);
}

/* It is asked by a signal, as its interpreter is entered by its thread alone.
 */
static lf_presence look_at(lf_worker *w, uint32_t number, lf_sight **sight) {
  if (!w->thread)
    return is_there(w) ? LF_STARTING : LF_ABSENT;
  if (!w->sight && number)
    w->sight = lf_zalloc(sizeof(lf_sight));
  *sight = w->sight;
  if (number && *sight && lf_sight_ask(*sight, number))
    tgkill(getpid(), w->thread, SIGUSR1);
  return LF_THERE;
}

/* --- Stopping --- */

/* Its place is free, though its code may still run. */
static void force(lf_pool *p, lf_task *t) {
  if (lf_task_force(t) && lf_gate_is_limited(p))
    lf_gate_leave(p);
}

static bool ask(lf_pool *p, lf_task *t, lf_reason reason) {
  lf_worker *w = lf_task_carrier(t);
  if (!w || !lf_task_stop(t, reason))
    return false;
  if (atomic_load(&t->parked) && !lf_task_may_again(t))
    force(p, t); /* else it sees that when it is about to be parked */
  lf_worker_tell_asked(w);
  return true;
}

static void remind(lf_pool *p, lf_task *t) {
  (void)p;
  lf_worker_tell_asked(lf_task_carrier(t));
}

/* Under the lock: what the worker would have run is for others. */
static void leave_behind(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_link tasks, *l;
  lf_list_init(&tasks);
  lf_worker_drain(w, &tasks);
  lf_list_move(&tasks, &w->pinned);
  w->npinned = 0;
  while (!lf_list_empty(&tasks)) {
    l = tasks.prev;
    lf_list_del(l);
    lf_task *t = lf_container_of(l, lf_task, link);
    t->pinned = 0;
    lf_common_add(p, t, true);
  }
}

/* Under the lock: it hangs. True if there is nobody left. */
static bool abandon(lf_worker *w) {
  lf_pool *p = w->pool;
  w->abandoned = true;
  p->abandoned++;
  p->threads--;
  p->live--;
  if (w->mode == LF_WORKER_ACTIVE)
    p->active--;
  if (p->affine == w)
    p->affine = NULL;
  lf_list_del(&w->standby);
  leave_behind(w);
  return p->abandoned >= p->o.max_workers;
}

static void break_for(lf_pool *p, lf_task *t) {
  char why[200];
  snprintf(why, sizeof why, "all workers hang: the last one in %s",
           lf_task_label(t));
  lf_pool_break(p, why);
}

static bool give_up(lf_pool *p, lf_task *t) {
  lf_worker *w = lf_task_carrier(t), *other = NULL;
  if (atomic_load(&t->parked)) { /* and was to be run again, but has not come to
                                    that */
    force(p, t);
    return true;
  }
  if (atomic_load(&w->current) != t)
    return false;
  lf_pool_ref(p);
  pthread_mutex_lock(&p->lock);
  bool wants = w->mode == LF_WORKER_BLOCKED && !lf_list_empty(&w->standby);
  bool hangs = lf_task_state(t) == LF_RUNNING &&
               lf_task_reason(t) != LF_GO_ON && !w->abandoned && !wants;
  bool last = hangs && abandon(w);
  if (hangs)
    lf_threads_discount(-1);
  if (hangs && !last)
    other = lf_pool_replace(p);
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
  if (last)
    break_for(p, t);
  if (!wants)
    force(p, t);
  if (hangs)
    settle(p);
  lf_pool_unref(p);
  return !wants;
}

/* --- Running once more --- */

/* As the last of the queue, unless one worker has to run it. */
static void again(lf_worker *w, lf_task *t) {
  lf_pool *p = w->pool;
  int err;
  pthread_mutex_lock(&p->lock);
  lf_worker *own = lf_pool_pinned_to(p, t), *other = NULL;
  bool wanted = !p->broken;
  if (wanted && own)
    lf_pool_put_first(p, own, t);
  else if (wanted)
    lf_common_add(p, t, false);
  if (wanted && !own)
    other = lf_pool_rouse(p, &err); /* if not, there is this one */
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
  if (!wanted)
    lf_pool_fail(t, p->broken);
}

/* --- Looking --- */

void lf_threads_stat(lf_pool *p, lf_pool_stats *s) {
  *s = (lf_pool_stats){0};
  uint64_t started = 0, submitted = 0, stopped = 0;
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next) {
    s->idle += w->mode == LF_WORKER_IDLE;
    s->finished += w->finished;
    s->failed += w->failed;
    stopped += w->stopped;
    started += w->started;
    submitted += w->submitted;
  }
  s->workers = (uint64_t)p->live;
  submitted += p->submitted;
  pthread_mutex_unlock(&p->lock);
  s->cancelled = p->owner.cancelled + stopped;
  uint64_t unstarted = p->owner.cancelled + p->owner.unstarted;
  uint64_t done = s->finished + s->failed + stopped; /* may be out of step */
  s->running = started > done ? started - done : 0;
  uint64_t gone = started + unstarted;
  s->queued = submitted > gone ? submitted - gone : 0;
  s->failed += p->owner.unstarted;
}

static void stat_parks(lf_pool *p, lf_pool_stats *s) {
  lf_threads_stat(p, s);
  for (lf_worker *w = p->workers; w; w = w->next)
    s->parked += w->parked;
}

static lf_hunger hunger(lf_pool *p) {
  return (lf_hunger){&p->active, p->o.max_workers};
}

/* What those have in common whose workers are threads. */
/* clang-format off */
#define THREADS \
    .sample = lf_threads_stat, \
    .broken = "BrokenThreadPool", \
    .submit = submit, \
    .broadcast = broadcast, \
    .follow = lf_pool_hold, \
    .cancel = cancel, \
    .interrupt = interrupt, \
    .run_of = run_of, \
    .nudge = nudge, \
    .look_at = look_at, \
    .ask = ask, \
    .remind = remind, \
    .give_up = give_up, \
    .settle = settle, \
    .take_in = take_in, \
    .hunger = hunger, \
    .worker_main = lf_worker_main, \
    .pinned = lf_thread_pinned, \
    .block = lf_thread_block, \
    .unblock = lf_thread_unblock, \
    .end = lf_thread_end, \
    .again = again
/* clang-format on */

const lf_backend lf_threads_backend = {
    .name = "thread", .stat = lf_threads_stat, THREADS};

const lf_backend lf_async_backend = {
    .name = "async", .parks = true, .stat = stat_parks, THREADS};
