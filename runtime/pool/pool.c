/* SPDX-License-Identifier: MIT
 *
 * See pool.h, internal.h: the life of a pool, submitting, ending work early. */
#include "runtime/base/mem.h"
#include "runtime/pool/loop.h"
#include "runtime/process/internal.h"
#include "runtime/process/processes.h"
#include "runtime/process/serve.h"
#include "runtime/process/serve_receive.h"
#include "runtime/task/strand.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static char no_memory[] = "not enough memory";

enum {
  RETRIES = 10,        /* of submitting, when no thread can be started, */
  RETRY_NS = 5000000,  /* after so long, */
  AGAIN_NS = 20000000, /* and of starting one beside others */
};

/* --- Life of a pool --- */

static const lf_owner_ops owner_ops;

lf_pool *lf_pool_new(const lf_pool_options *options) {
  lf_pool *p = lf_zalloc(sizeof *p);
  char *name = lf_strndup(options->name, strlen(options->name));
  lf_task *over = lf_task_new(NULL);
  if (!p || !name || !over) {
    lf_free(p);
    lf_free(name);
    if (over)
      lf_task_unref(over);
    return NULL;
  }
  atomic_init(&p->owner.refs, 1);
  p->owner.ops = &owner_ops;
  atomic_init(&p->handles, 1);
  p->o = *options;
  p->o.name = name;
  p->generation = lf_generation;
  p->over = over;
  lf_task_start(over);
  lf_list_init(&p->hosted);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
  pthread_mutex_init(&p->lock, &attr);
  pthread_mutexattr_destroy(&attr);
  lf_list_init(&p->queue);
  lf_list_init(&p->idle);
  lf_list_init(&p->wanting);
  lf_list_init(&p->gone);
  if (p->o.host)
    lf_host_add(p);
  return p;
}

lf_pool *lf_pool_ref(lf_pool *pool) {
  lf_owner_ref(&pool->owner);
  return pool;
}

void lf_pool_unref(void *pool) {
  lf_owner_unref(&((lf_pool *)pool)->owner);
}

static void pool_free(lf_owner *owner) {
  lf_pool *p = lf_container_of(owner, lf_pool, owner);
  for (lf_worker *w = p->workers, *next; w; w = next) {
    next = w->next;
    pthread_mutex_destroy(&w->lock);
    lf_free(w);
  }
  if (p->o.setup_free)
    p->o.setup_free(p->o.setup);
  lf_free(p->o.program);
  if (p->fleet && p->fleet->notice.drop)
    p->fleet->notice.drop(p->fleet->notice.owner);
  lf_free(p->fleet);
  lf_free((char *)p->o.name);
  if (p->broken != no_memory)
    lf_free(p->broken);
  lf_task_unref(p->over);
  pthread_mutex_destroy(&p->lock);
  lf_free(p);
}

/* Under the lock: true once, when nothing can happen in the pool any more. */
bool lf_pool_try_end(lf_pool *p) {
  if (p->ended || lf_pool_is_open(p) || p->threads > 0 || p->queued > 0 ||
      p->owner.aside > 0 || (p->fleet && !lf_fleet_is_quiet(p)))
    return false;
  p->ended = true;
  p->shutdown = true;
  return true;
}

/* After try_end, without the lock. The caller still has a reference. */
void lf_pool_end(lf_pool *p) {
  lf_host_del(p);
  lf_task_end(p->over, LF_FINISHED);
}

/* Under the lock: the idle ones look again whether they may leave. */
static void wake_idle(lf_pool *p) {
  for (lf_link *l = p->idle.next; l != &p->idle; l = l->next)
    lf_unpark(&lf_container_of(l, lf_worker, standby)->parker);
}

/* Lets those leave who may; the lock is held and given back. */
static void settle(lf_pool *p) {
  if (p->fleet) {
    pthread_mutex_unlock(&p->lock);
    lf_fleet_kick(p);
    return;
  }
  wake_idle(p);
  bool ended = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  if (ended)
    lf_pool_end(p);
}

lf_pool *lf_pool_handle(lf_pool *pool) {
  atomic_fetch_add(&pool->handles, 1);
  return lf_pool_ref(pool);
}

void lf_pool_unhandle(void *pool) {
  lf_pool *p = pool;
  if (lf_pool_is_foreign(p))
    return; /* its locks may be held by threads that are not here */
  if (atomic_fetch_sub(&p->handles, 1) == 1) {
    if (p->fleet) { /* whose lock the caller may hold */
      lf_fleet_kick(p);
    } else {
      pthread_mutex_lock(&p->lock);
      settle(p);
    }
  }
  lf_pool_unref(p);
}

/* --- Starting and waking workers --- */

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
  lf_list_init(&w->timed);
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
static int start_worker(lf_pool *p) {
  lf_worker *w = lf_pool_spare_worker(p);
  if (!w)
    return LF_ETHREAD;
  char name[32];
  snprintf(name, sizeof name, "%.10s_%d", p->o.name, w->id);
  w->mode = ACTIVE;
  w->next_deadline = LF_FOREVER;
  p->threads++;
  p->live++;
  p->active++;
  lf_pool_ref(p);
  int err = lf_thread_start(name, lf_worker_main, w);
  if (err == 0)
    return 0;
  w->mode = GONE;
  lf_list_add(&p->gone, &w->standby);
  p->threads--;
  p->live--;
  p->active--;
  atomic_fetch_sub(&p->owner.refs, 1); /* not the last: the caller has one */
  return err;
}

/* Under the lock: gives the place of a worker that stops running to one that
 * waits for it, who is to be unparked; or NULL. */
lf_worker *lf_pool_pass_place(lf_pool *p) {
  if (p->active >= p->o.max_workers)
    return NULL;
  lf_link *l = lf_list_pop(&p->wanting);
  if (!l)
    return NULL;
  lf_worker *w = lf_container_of(l, lf_worker, standby);
  p->nwanting--;
  p->active++;
  w->mode = ACTIVE;
  return w;
}

void lf_pool_try_later(lf_pool *p) {
  p->again = lf_now() + AGAIN_NS;
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->mode == BLOCKED)
      lf_unpark(&w->parker);
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
      *err = start_worker(p);
    if (*err)
      lf_pool_try_later(p);
    return NULL;
  }
  lf_list_del(&w->standby);
  p->active++;
  w->mode = ACTIVE;
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

static bool is_there(const lf_worker *w) {
  return w->mode != GONE && w->mode != LEAVING;
}

/* Under the lock: queues the task first, for the worker that has to run it if
 * that is one; who is to be unparked, or NULL. '*lost': nobody would run it. */
static lf_worker *take_back(lf_pool *p, lf_task *t, bool *lost) {
  int err;
  for (lf_worker *w = p->workers; t->pinned && w; w = w->next)
    if ((uint32_t)w->id == t->pinned && is_there(w)) {
      lf_list_add(w->pinned.next, &t->link);
      w->npinned++;
      return w;
    }
  lf_list_add(p->queue.next, &t->link);
  p->queued++;
  lf_worker *w = lf_pool_rouse(p, &err);
  *lost = err && p->live == 0;
  if (*lost) {
    lf_list_del(&t->link);
    p->queued--;
  }
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

static void take_in(lf_task *t) {
  lf_pool *p = lf_pool_ref(lf_task_pool(t));
  bool lost = false;
  pthread_mutex_lock(&p->lock);
  bool wanted =
      !lf_task_done(t) && !p->broken && t->epoch == (uint32_t)lf_pool_epoch(p);
  lf_worker *w = wanted ? take_back(p, t, &lost) : NULL;
  if (--p->owner.aside == 0 && !lf_pool_is_open(p))
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

static bool release(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  return lf_pool_is_foreign(p) || lf_remote_release(p->remote, t);
}

static const lf_owner_ops owner_ops = {pool_free, release, take_in};

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
  lf_list_add(&p->queue, &lf_task_ref(task)->link);
  p->queued++;
  *w = lf_pool_rouse(p, &err);
  if (err && p->live == 0) { /* nobody would ever run it */
    lf_list_del(&task->link);
    p->queued--;
    lf_task_unref(task); /* not the last: the caller has one */
    return err;
  }
  p->submitted++;
  return 0;
}

/* Under the lock. */
static void pin(lf_worker *w, lf_task *task) {
  task->pinned = (uint32_t)w->id;
  lf_list_add(&w->pinned, &lf_task_ref(task)->link);
  w->npinned++;
  lf_unpark(&w->parker);
}

/* Under the lock: queues it for the worker that all such tasks are for. */
static int add_home(lf_pool *p, lf_task *task) {
  lf_worker *w = p->home && is_there(p->home) ? p->home : p->workers;
  while (w && !is_there(w))
    w = w->next;
  int err = w ? 0 : start_worker(p);
  for (w = w ? w : p->workers; !err && !is_there(w);)
    w = w->next;
  if (err)
    return err;
  p->home = w;
  w->stays = true;
  p->submitted++;
  pin(w, task);
  return 0;
}

static int submit(lf_pool *p, lf_task *task, lf_place place) {
  if (p->remote)
    return lf_remote_submit(p->remote, task, place);
  if (p->fleet)
    return lf_processes_submit(p, task, place);
  if (place == LF_NEAR && lf_self && lf_self->pool == p && lf_self->vm)
    return submit_near(lf_self, task);
  int err = 0;
  pthread_mutex_lock(&p->lock);
  if (p->ended || (p->shutdown && place != LF_TAIL && !lf_runner_of(task))) {
    pthread_mutex_unlock(&p->lock);
    return LF_ESHUTDOWN;
  }
  if (p->broken) {
    pthread_mutex_unlock(&p->lock);
    return LF_EBROKEN;
  }
  lf_worker *w = NULL;
  if (place == LF_HOME)
    err = add_home(p, task);
  else
    err = add(p, task, &w);
  pthread_mutex_unlock(&p->lock);
  if (w)
    lf_unpark(&w->parker);
  return err;
}

/* The system may have refused a thread because others are about to end. */
int lf_pool_submit(lf_pool *p, lf_task *task, lf_place place) {
  struct timespec moment = {.tv_nsec = RETRY_NS};
  int err = submit(p, task, place);
  for (int i = 0; i < RETRIES && err == LF_ETHREAD; i++) {
    nanosleep(&moment, NULL);
    err = submit(p, task, place);
  }
  return err;
}

/* Under the lock: starts workers until there are max_workers, apart from those
 * that stand in for blocked ones. */
static int start_missing(lf_pool *p) {
  int err = 0;
  while (err == 0 && p->live < p->o.max_workers)
    err = start_worker(p);
  return err;
}

int lf_pool_broadcast(lf_pool *p, lf_task **tasks) {
  if (p->remote)
    return lf_remote_broadcast(p->remote, tasks);
  if (p->fleet)
    return lf_processes_broadcast(p, tasks);
  pthread_mutex_lock(&p->lock);
  int err = p->shutdown ? LF_ESHUTDOWN : p->broken ? LF_EBROKEN : 0;
  if (err == 0)
    err = start_missing(p);
  if (err == 0)
    p->submitted += (uint64_t)p->o.max_workers;
  int i = 0;
  for (lf_worker *w = p->workers; err == 0 && w; w = w->next)
    if (is_there(w) && i < p->o.max_workers)
      pin(w, tasks[i++]);
  pthread_mutex_unlock(&p->lock);
  return err;
}

/* --- Ending work early --- */

/* Under the lock: they are in no queue any more, and about to end. */
static void mark_taken(lf_link *tasks) {
  for (lf_link *l = tasks->next; l != tasks; l = l->next)
    lf_container_of(l, lf_task, link)->ending = LF_CANCELLED;
}

/* Takes every queued task out of the pool. */
void lf_pool_drain(lf_pool *p, lf_link *out) {
  lf_list_init(out);
  pthread_mutex_lock(&p->lock);
  lf_list_move(out, &p->queue);
  p->queued = 0;
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_list_move(out, &w->pinned);
    w->npinned = 0;
    if (w->proc)
      lf_fleet_recall(w->proc, LF_ALL, NULL, out);
  }
  mark_taken(out);
  pthread_mutex_unlock(&p->lock);
  lf_gate_drain(&p->owner, out);
  for (lf_worker *w = p->workers; w; w = w->next)
    lf_worker_drain(w, out);
}

void lf_pool_fail_all(lf_link *tasks, const char *why) {
  lf_link *l;
  while ((l = lf_list_pop(tasks))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (t->gate)
      lf_gate_dismiss(t);
    if (why)
      lf_task_fail(t, LF_BROKEN, why);
    else
      lf_task_cancel(t);
    lf_task_unref(t);
  }
}

static void cancel_queued(lf_pool *p) {
  lf_link tasks;
  atomic_fetch_add(&p->owner.epoch, 1);
  lf_pool_drain(p, &tasks);
  lf_pool_fail_all(&tasks, NULL);
}

void lf_pool_shutdown(lf_pool *p, bool cancel) {
  if (p->remote) {
    lf_remote_shutdown(p->remote, cancel);
    return;
  }
  pthread_mutex_lock(&p->lock);
  if (p->fleet)
    lf_fleet_close(p);
  p->shutdown = true;
  pthread_mutex_unlock(&p->lock);
  if (cancel)
    cancel_queued(p);
  pthread_mutex_lock(&p->lock);
  settle(p);
}

void lf_pool_finish(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  p->finish = true;
  settle(p);
}

void lf_pool_break(lf_pool *p, const char *why) {
  char *text = lf_strndup(why, strlen(why)), *none = NULL;
  if (!atomic_compare_exchange_strong(&p->broken, &none,
                                      text ? text : no_memory))
    lf_free(text);
  lf_link tasks;
  lf_pool_drain(p, &tasks);
  lf_pool_fail_all(&tasks, why);
}

/* The handler of SIGURG, which lf_pool_interrupt sends to a worker. */
static void interrupted(int sig) {
  (void)sig;
  if (lf_self && lf_self->vm)
    lf_self->pool->o.ops->interrupt(lf_self->vm);
}

static void install_handler(void) {
  struct sigaction action = {.sa_handler = interrupted};
  sigemptyset(&action.sa_mask);
  sigaction(SIGURG, &action, NULL);
}

void lf_pool_interrupt(lf_pool *p) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_handler);
  cancel_queued(p);
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next) {
    if ((w->mode == ACTIVE || w->mode == BLOCKED) && w->thread)
      pthread_kill(w->thread, SIGURG);
    if (w->proc && w->proc->ready && w->proc->aloft > 0)
      lf_keeper_signal(w->proc, SIGURG);
  }
  pthread_mutex_unlock(&p->lock);
}

void lf_pool_catch_interrupts(void) {
  install_handler();
}

void lf_pool_kill(lf_pool *p, int sig) {
  lf_pool_shutdown(p, true);
  pthread_mutex_lock(&p->lock);
  if (p->fleet)
    lf_keeper_start_none(p);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->proc && w->mode != GONE)
      lf_keeper_signal(w->proc, sig);
  pthread_mutex_unlock(&p->lock);
  lf_fleet_kick(p);
}

bool lf_pool_cancel(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  if (p && lf_pool_is_foreign(p))
    return false;
  if (p && p->remote)
    return lf_remote_cancel(p->remote, t);
  if (!p || !p->fleet) {
    bool cancelled = lf_task_cancel(t);
    if (cancelled && t->gate)
      lf_gate_forget(t);
    return cancelled;
  }
  pthread_mutex_lock(&p->lock);
  bool out = lf_fleet_withdraw(t);
  bool ending = t->ending == LF_CANCELLED;
  pthread_mutex_unlock(&p->lock);
  while (!out && ending && !lf_task_done(t))
    sched_yield(); /* another thread is about to end it */
  if (!out)
    return false;
  bool cancelled = lf_task_cancel(t);
  lf_task_unref(t);
  return cancelled;
}

void lf_pool_listen(lf_pool *p) {
  lf_remote_receive(p->remote);
}

lf_state lf_pool_look(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  if (!p || lf_pool_is_foreign(p))
    return lf_task_state(t);
  if (p->remote)
    return lf_remote_look(p->remote, t);
  if (!p->fleet || lf_task_state(t) != LF_PENDING)
    return lf_task_state(t);
  lf_fleet_pump(p);
  pthread_mutex_lock(&p->lock);
  if (t->at && lf_fleet_has_begun(t) && lf_task_state(t) == LF_PENDING)
    lf_task_start(t);
  pthread_mutex_unlock(&p->lock);
  return lf_task_state(t);
}

void lf_pool_recall(lf_pool *p, lf_job *job) {
  if (!p->fleet)
    return;
  lf_link back;
  lf_list_init(&back);
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->proc)
      lf_fleet_recall(w->proc, LF_OF_JOB, job, &back);
  mark_taken(&back);
  pthread_mutex_unlock(&p->lock);
  lf_pool_fail_all(&back, NULL);
}

bool lf_pool_can_name(const lf_pool *p, const lf_task *t) {
  if (p->remote)
    return t->names > 0;
  return !t->owner || !lf_pool_is_foreign(lf_task_pool(t));
}

bool lf_pool_is_remote(const lf_pool *p) {
  return p->fleet || p->remote;
}

/* --- Looking --- */

void lf_pool_stat(lf_pool *p, lf_pool_stats *s) {
  if (p->remote || p->fleet) {
    p->remote ? lf_remote_stat(p->remote, s) : lf_processes_stat(p, s);
    return;
  }
  *s = (lf_pool_stats){0};
  uint64_t started = 0, submitted = 0;
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next) {
    s->idle += w->mode == IDLE;
    s->finished += w->finished;
    s->failed += w->failed;
    started += w->started;
    submitted += w->submitted;
  }
  s->workers = (uint64_t)(p->o.in_caller ? p->nworkers : p->live);
  submitted += p->submitted;
  pthread_mutex_unlock(&p->lock);
  s->cancelled = p->owner.cancelled;
  uint64_t unstarted = s->cancelled + p->owner.unstarted;
  uint64_t done = s->finished + s->failed; /* the counts may be out of step */
  s->running = started > done ? started - done : 0;
  if (p->o.in_caller && s->running == 0)
    s->idle = s->workers;
  uint64_t gone = started + unstarted;
  s->queued = submitted > gone ? submitted - gone : 0;
  s->failed += p->owner.unstarted;
}

uint64_t lf_pool_epoch(lf_pool *p) {
  return atomic_load(&p->owner.epoch);
}

lf_task *lf_pool_over(lf_pool *p) {
  return p->over;
}

const lf_vmops *lf_pool_ops(const lf_pool *p) {
  return p->o.ops;
}

const char *lf_pool_name(const lf_pool *p) {
  return p->o.name;
}

int lf_pool_max_workers(const lf_pool *p) {
  return p->o.max_workers;
}

bool lf_pool_in_caller(const lf_pool *p) {
  return p->o.in_caller;
}

void *lf_pool_setup(const lf_pool *p) {
  return p->o.setup;
}

lf_host *lf_pool_host(const lf_pool *p) {
  return p->o.host;
}

bool lf_pool_is_foreign(const lf_pool *p) {
  return lf_is_foreign(p->generation);
}

bool lf_pool_is_shutdown(lf_pool *p) {
  return p->remote ? lf_remote_is_closed(p->remote) : p->shutdown;
}

lf_hunger lf_pool_hunger(lf_pool *p) {
  if (p->remote)
    return (lf_hunger){lf_remote_full(p->remote), 1};
  return (lf_hunger){&p->active, p->o.in_caller ? 0 : p->o.max_workers};
}

bool lf_pool_is_hungry(lf_pool *p) {
  lf_hunger h = lf_pool_hunger(p);
  return lf_is_hungry(&h) && p->queued == 0;
}

const char *lf_pool_broken(lf_pool *p) {
  return p->broken;
}
