/* SPDX-License-Identifier: MIT
 *
 * See pool.h. Two kinds of locks, never held together: the pool's (the common
 * queue, which worker is in which mode) and each worker's (its own queue).
 *
 * A worker is ACTIVE (runs tasks or looks for them), IDLE (sleeps), BLOCKED
 * (sleeps in the middle of a task), LEAVING (closes its interpreter) or GONE.
 * At most max_workers are active; one that was blocked queues for a free place
 * before it goes on.
 *
 * A task pushed and a worker going to sleep cannot miss each other: one writes
 * the queue's length, then reads who is active; the other says that it is not
 * active any more, then reads the length. */
#include "pool.h"

#include "mem.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
  BATCH = LF_LIMIT(32, 3), /* tasks taken from the common queue at once */
  FAIR = 61, /* every so many tasks, the common queue comes before the own */
  BRIEF_NS = 5000,    /* a task that takes less is taken with others */
  IDLE_NS = 50000000, /* how long until ops->idle */
};

typedef enum { GONE, ACTIVE, IDLE, BLOCKED, LEAVING } mode;

struct lf_worker {
  lf_pool *pool;
  lf_worker *next; /* in the pool's list; set before it is published */
  int id;
  lf_vm *vm; /* the worker's thread */
  lf_parker parker;
  _Atomic(lf_run *) ready; /* runs that became ready; pushed by any thread */
  lf_run *taken;           /* oldest first; the worker's thread */
  lf_link timed;           /* parked runs with a deadline; its thread */
  int64_t next_deadline;   /* not after the first of them; its thread */
  size_t parked;           /* its thread */

  int64_t batch_time;   /* when it last took from the common queue */
  size_t batch;         /* and how many; its thread */
  unsigned taken_tasks; /* its thread */
  bool swept;           /* ops->idle since the last task; its thread */

  pthread_mutex_t lock; /* the next three */
  lf_link queue;        /* tasks submitted here; it takes the newest */
  lf_link grabbed;      /* from the common queue; it takes the oldest */
  _Atomic size_t queued, ngrabbed; /* in both, and in the second; written under
                                      the lock, read anywhere */
  atomic_bool moving;              /* holds tasks that are in no queue */

  mode mode;              /* the pool's lock, as all that follows */
  lf_link standby;        /* among the idle, or those who want a place */
  pthread_t thread;       /* 0 unless it has started and not left */
  lf_link pinned;         /* tasks that only it may run */
  _Atomic size_t npinned; /* read without the lock as a hint */

  /* Written by the worker's thread alone, read by anyone. */
  _Atomic uint64_t submitted, started, finished, failed;
};

struct lf_pool {
  _Atomic size_t refs, handles;
  lf_pool_options o; /* immutable */
  lf_task *over;
  lf_link hosted;               /* in the host's list; its lock */
  _Atomic(lf_worker *) workers; /* grows only */
  _Atomic(char *) broken;       /* set once */
  atomic_bool shutdown;         /* set under the lock */
  _Atomic uint64_t epoch;       /* how often all queued work was cancelled */
  _Atomic int spinning;         /* active workers that only look for work */
  _Atomic uint64_t cancelled, unstarted; /* done without being started */

  pthread_mutex_t lock; /* all below */
  lf_link queue;
  _Atomic size_t queued; /* read without the lock as a hint */
  bool finish, ended;
  int threads;        /* workers not GONE */
  int live;           /* workers neither LEAVING nor GONE */
  _Atomic int active; /* read without the lock as a hint */
  int nworkers;
  lf_link idle;    /* of workers, latest first */
  lf_link wanting; /* blocked workers that want to go on */
  _Atomic int nwanting;
  uint64_t submitted;
};

static _Thread_local lf_worker *self;
static char no_memory[] = "not enough memory";

/* --- The host ------------------------------------------------------------ */

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

static void host_add(lf_pool *p) {
  lf_pool_ref(p);
  pthread_mutex_lock(&p->o.host->lock);
  lf_list_add(&p->o.host->pools, &p->hosted);
  pthread_mutex_unlock(&p->o.host->lock);
}

static void host_del(lf_pool *p) {
  pthread_mutex_lock(&p->o.host->lock);
  lf_list_del(&p->hosted);
  pthread_mutex_unlock(&p->o.host->lock);
  lf_pool_unref(p);
}

/* --- Life of a pool ------------------------------------------------------ */

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
  atomic_init(&p->refs, 1);
  atomic_init(&p->handles, 1);
  p->o = *options;
  p->o.name = name;
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
  host_add(p);
  return p;
}

lf_pool *lf_pool_ref(lf_pool *pool) {
  atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
  return pool;
}

void lf_pool_unref(void *pool) {
  lf_pool *p = pool;
  if (atomic_fetch_sub(&p->refs, 1) != 1)
    return;
  for (lf_worker *w = p->workers, *next; w; w = next) {
    next = w->next;
    pthread_mutex_destroy(&w->lock);
    lf_free(w);
  }
  if (p->o.setup_free)
    p->o.setup_free(p->o.setup);
  lf_free((char *)p->o.name);
  if (p->broken != no_memory)
    lf_free(p->broken);
  lf_task_unref(p->over);
  pthread_mutex_destroy(&p->lock);
  lf_free(p);
}

/* Under the lock: true once, when nothing can happen in the pool any more. */
static bool try_end(lf_pool *p) {
  bool wanted = atomic_load(&p->handles) > 0 && !p->shutdown && !p->finish;
  if (p->ended || wanted || p->threads > 0 || p->queued > 0)
    return false;
  p->ended = true;
  p->shutdown = true;
  return true;
}

/* After try_end, without the lock. The caller still has a reference. */
static void end(lf_pool *p) {
  host_del(p);
  lf_task_end(p->over, LF_FINISHED);
}

/* Lets the idle ones look again whether they may leave; the lock is held and
 * given back. */
static void settle(lf_pool *p) {
  for (lf_link *l = p->idle.next; l != &p->idle; l = l->next)
    lf_unpark(&lf_container_of(l, lf_worker, standby)->parker);
  bool ended = try_end(p);
  pthread_mutex_unlock(&p->lock);
  if (ended)
    end(p);
}

lf_pool *lf_pool_handle(lf_pool *pool) {
  atomic_fetch_add(&pool->handles, 1);
  return lf_pool_ref(pool);
}

void lf_pool_unhandle(void *pool) {
  lf_pool *p = pool;
  if (atomic_fetch_sub(&p->handles, 1) == 1) {
    pthread_mutex_lock(&p->lock);
    settle(p);
  }
  lf_pool_unref(p);
}

/* --- Starting and waking workers ----------------------------------------- */

static void run_ready(lf_waker *waker);
static void worker_main(void *arg);

/* Under the lock: a worker that is not running, new or one that has gone. */
static lf_worker *spare_worker(lf_pool *p) {
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->mode == GONE && !p->o.in_caller)
      return w;
  lf_worker *w = lf_zalloc(sizeof *w);
  if (!w)
    return NULL;
  w->pool = p;
  w->id = ++p->nworkers;
  lf_parker_init(&w->parker);
  lf_list_init(&w->timed);
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
  lf_worker *w = spare_worker(p);
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
  int err = lf_thread_start(name, worker_main, w);
  if (err == 0)
    return 0;
  w->mode = GONE;
  p->threads--;
  p->live--;
  p->active--;
  atomic_fetch_sub(&p->refs, 1); /* not the last: the caller has one */
  return err;
}

/* Under the lock: gives the place of a worker that stops running to one that
 * waits for it, who is to be unparked; or NULL. */
static lf_worker *pass_place(lf_pool *p) {
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

/* Under the lock, after a task has come: who is to be unparked, or NULL. A
 * worker is started if none is idle; '*err' tells if that failed. */
static lf_worker *rouse(lf_pool *p, int *err) {
  *err = 0;
  if (p->spinning > 0 || p->active >= p->o.max_workers)
    return NULL;
  lf_link *l = lf_list_pop(&p->idle);
  if (!l) {
    *err = start_worker(p);
    return NULL;
  }
  lf_worker *w = lf_container_of(l, lf_worker, standby);
  p->active++;
  w->mode = ACTIVE;
  return w;
}

/* Brings one more worker if there is work that nobody looks for. */
static void rouse_more(lf_pool *p) {
  if (p->spinning > 0 || p->active >= p->o.max_workers)
    return;
  int err;
  pthread_mutex_lock(&p->lock);
  lf_worker *w = rouse(p, &err);
  pthread_mutex_unlock(&p->lock);
  if (w)
    lf_unpark(&w->parker);
}

/* --- Submitting ----------------------------------------------------------- */

static void own_push(lf_worker *w, lf_task *task) {
  pthread_mutex_lock(&w->lock);
  lf_list_add(&w->queue, &task->link);
  w->queued++;
  pthread_mutex_unlock(&w->lock);
}

static int submit_near(lf_worker *w, lf_task *task) {
  lf_pool *p = w->pool;
  if (p->shutdown)
    return LF_ESHUTDOWN;
  if (p->broken)
    return LF_EBROKEN;
  own_push(w, lf_task_ref(task));
  atomic_store_explicit(&w->submitted, w->submitted + 1, memory_order_relaxed);
  rouse_more(p);
  return 0;
}

int lf_pool_submit(lf_pool *p, lf_task *task, lf_place place) {
  if (place == LF_NEAR && self && self->pool == p && self->vm)
    return submit_near(self, task);
  int err = 0;
  pthread_mutex_lock(&p->lock);
  if (p->ended || (p->shutdown && place != LF_TAIL)) {
    pthread_mutex_unlock(&p->lock);
    return LF_ESHUTDOWN;
  }
  if (p->broken) {
    pthread_mutex_unlock(&p->lock);
    return LF_EBROKEN;
  }
  lf_list_add(&p->queue, &lf_task_ref(task)->link);
  p->queued++;
  lf_worker *w = rouse(p, &err);
  if (err && p->live == 0) { /* nobody would ever run it */
    lf_list_del(&task->link);
    p->queued--;
    lf_task_unref(task); /* not the last: the caller has one */
  } else {
    p->submitted++;
    err = 0;
  }
  pthread_mutex_unlock(&p->lock);
  if (w)
    lf_unpark(&w->parker);
  return err;
}

/* Under the lock. */
static void pin(lf_worker *w, lf_task *task) {
  task->pinned = (uint32_t)w->id;
  lf_list_add(&w->pinned, &lf_task_ref(task)->link);
  w->npinned++;
  lf_unpark(&w->parker);
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
  pthread_mutex_lock(&p->lock);
  int err = p->shutdown ? LF_ESHUTDOWN : p->broken ? LF_EBROKEN : 0;
  if (err == 0)
    err = start_missing(p);
  if (err == 0)
    p->submitted += (uint64_t)p->o.max_workers;
  int i = 0;
  for (lf_worker *w = p->workers; err == 0 && w; w = w->next)
    if (w->mode != GONE && w->mode != LEAVING && i < p->o.max_workers)
      pin(w, tasks[i++]);
  pthread_mutex_unlock(&p->lock);
  return err;
}

/* --- Taking --------------------------------------------------------------- */

/* Which of a worker's own tasks is next. */
typedef enum { NEWEST, OLDEST } end_of_queue;

static lf_task *pop_own(lf_worker *w, end_of_queue which) {
  if (atomic_load_explicit(&w->queued, memory_order_relaxed) == 0)
    return NULL;
  pthread_mutex_lock(&w->lock);
  lf_link *l = NULL;
  if (which == NEWEST && !lf_list_empty(&w->queue)) {
    l = w->queue.prev;
  } else if (!lf_list_empty(&w->grabbed)) {
    l = w->grabbed.next;
    w->ngrabbed--;
  } else if (!lf_list_empty(&w->queue)) {
    l = w->queue.next;
  }
  if (l) {
    lf_list_del(l);
    w->queued--;
  }
  pthread_mutex_unlock(&w->lock);
  return l ? lf_container_of(l, lf_task, link) : NULL;
}

static lf_task *pop_pinned(lf_worker *w) {
  if (atomic_load_explicit(&w->npinned, memory_order_relaxed) == 0)
    return NULL;
  pthread_mutex_lock(&w->pool->lock);
  lf_link *l = lf_list_pop(&w->pinned);
  if (l)
    w->npinned--;
  pthread_mutex_unlock(&w->pool->lock);
  return l ? lf_container_of(l, lf_task, link) : NULL;
}

static void keep_batch(lf_worker *w, lf_link *batch, size_t n) {
  if (n == 0)
    return;
  pthread_mutex_lock(&w->lock);
  lf_list_move(&w->grabbed, batch);
  w->queued += n;
  w->ngrabbed += n;
  pthread_mutex_unlock(&w->lock);
  atomic_store(&w->moving, false);
}

/* How many to take at once: several while tasks take less time than taking
 * them, so that long ones stay where every worker sees them. */
static size_t batch_size(lf_worker *w) {
  int64_t now = lf_now(), spent = now - w->batch_time;
  bool brief = w->batch > 0 && spent < (int64_t)w->batch * BRIEF_NS;
  size_t n = brief ? w->batch * 2 : 1;
  w->batch_time = now;
  w->batch = n > BATCH ? BATCH : n;
  return w->batch;
}

/* Some of the common queue's tasks: the first is returned. */
static lf_task *take_common(lf_worker *w) {
  lf_pool *p = w->pool;
  if (atomic_load_explicit(&p->queued, memory_order_relaxed) == 0)
    return NULL;
  lf_link batch;
  lf_list_init(&batch);
  size_t n = batch_size(w);
  pthread_mutex_lock(&p->lock);
  size_t share = p->queued / (size_t)(2 * p->o.max_workers) + 1;
  n = n > share ? share : n;
  n = n > p->queued ? p->queued : n;
  for (size_t i = 0; i < n; i++)
    lf_list_add(&batch, lf_list_pop(&p->queue));
  p->queued -= n;
  if (n > 1)
    atomic_store(&w->moving, true);
  bool more = p->queued > 0;
  pthread_mutex_unlock(&p->lock);
  if (n == 0)
    return NULL;
  lf_task *first = lf_container_of(lf_list_pop(&batch), lf_task, link);
  keep_batch(w, &batch, n - 1);
  if (n > 1 || more) /* who looked for work looks no more: another has to */
    rouse_more(p);
  return first;
}

static lf_task *steal(lf_worker *w) {
  for (lf_worker *v = w->pool->workers; v; v = v->next) {
    lf_task *t = v == w ? NULL : pop_own(v, OLDEST);
    if (!t)
      continue;
    if (v->queued > 0)
      rouse_more(w->pool);
    return t;
  }
  return NULL;
}

static lf_task *take(lf_worker *w) {
  lf_task *t = pop_pinned(w);
  bool fair = ++w->taken_tasks % FAIR == 0;
  if (!t && fair && w->ngrabbed == 0)
    t = take_common(w);
  if (!t)
    t = pop_own(w, fair ? OLDEST : NEWEST);
  if (!t)
    t = take_common(w);
  return t ? t : steal(w);
}

/* A hint without locks: is there something for any worker to do? */
static bool any_queued(lf_pool *p) {
  if (p->queued)
    return true;
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->queued)
      return true;
  return false;
}

/* And for this one? */
static bool has_work(lf_worker *w) {
  return w->npinned || w->taken || atomic_load(&w->ready) ||
         any_queued(w->pool);
}

/* --- Runs ------------------------------------------------------------------
 */

/* Any thread: puts the run on its worker's ready list, once. */
static void run_ready(lf_waker *waker) {
  lf_run *r = lf_container_of(waker, lf_run, waker);
  lf_worker *w = r->worker;
  if (atomic_exchange(&r->ready, true))
    return;
  lf_run *head = atomic_load_explicit(&w->ready, memory_order_relaxed);
  do
    r->next = head;
  while (!atomic_compare_exchange_weak(&w->ready, &head, r));
  lf_unpark(&w->parker);
}

void lf_run_init(lf_run *run, lf_worker *worker) {
  *run = (lf_run){.waker = {run_ready}, .worker = worker};
  atomic_init(&run->ready, false);
  lf_list_init(&run->timed);
}

void lf_run_park(lf_run *run, int64_t deadline) {
  lf_worker *w = run->worker;
  run->parked = true;
  w->parked++;
  run->deadline = deadline;
  if (deadline == LF_FOREVER)
    return;
  lf_list_add(&w->timed, &run->timed);
  if (deadline < w->next_deadline)
    w->next_deadline = deadline;
}

void lf_run_unpark(lf_run *run) {
  run->parked = false;
  run->worker->parked--;
  lf_list_del(&run->timed);
}

/* Makes the runs ready whose deadline has come. */
static void expire(lf_worker *w) {
  if (w->next_deadline == LF_FOREVER)
    return;
  int64_t now = lf_now(), next = LF_FOREVER;
  if (now < w->next_deadline)
    return;
  for (lf_link *l = w->timed.next, *after; l != &w->timed; l = after) {
    after = l->next;
    lf_run *r = lf_container_of(l, lf_run, timed);
    if (r->deadline <= now) {
      lf_list_del(l);
      run_ready(&r->waker);
    } else if (r->deadline < next) {
      next = r->deadline;
    }
  }
  w->next_deadline = next;
}

int64_t lf_worker_deadline(lf_worker *w) {
  return w->next_deadline;
}

lf_run *lf_worker_ready(lf_worker *w) {
  expire(w);
  if (!w->taken && atomic_load_explicit(&w->ready, memory_order_relaxed)) {
    lf_run *r = atomic_exchange(&w->ready, NULL);
    while (r) {
      lf_run *next = r->next;
      r->next = w->taken;
      w->taken = r;
      r = next;
    }
  }
  lf_run *r = w->taken;
  if (!r)
    return NULL;
  w->taken = r->next;
  atomic_store(&r->ready, false);
  return r;
}

lf_task *lf_worker_pinned(lf_worker *w) {
  return pop_pinned(w);
}

/* --- Blocking in the middle of a task ---------------------------------------
 */

void lf_worker_block(lf_worker *w) {
  lf_pool *p = w->pool;
  pthread_mutex_lock(&p->lock);
  w->mode = BLOCKED;
  p->active--;
  lf_worker *other = pass_place(p);
  int err;
  if (!other && any_queued(p))
    other = rouse(p, &err); /* cannot: the task waits longer, no harm */
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
}

/* Under the lock, which it gives back meanwhile: waits for a place. */
static void want_place(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_list_add(&p->wanting, &w->standby);
  p->nwanting++;
  while (w->mode != ACTIVE) {
    pthread_mutex_unlock(&p->lock);
    lf_doze(&w->parker, LF_FOREVER);
    pthread_mutex_lock(&p->lock);
  }
}

/* Under the lock: from idle or blocked to active. */
static void become_active(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_list_del(&w->standby);
  if (p->active < p->o.max_workers) {
    p->active++;
    w->mode = ACTIVE;
  } else {
    want_place(w);
  }
}

void lf_worker_unblock(lf_worker *w) {
  pthread_mutex_lock(&w->pool->lock);
  become_active(w);
  pthread_mutex_unlock(&w->pool->lock);
}

/* Between two tasks: lets one that wants a place have this one. */
static void give_place(lf_worker *w) {
  lf_pool *p = w->pool;
  pthread_mutex_lock(&p->lock);
  p->active--;
  w->mode = BLOCKED;
  lf_worker *other = pass_place(p);
  if (other)
    lf_unpark(&other->parker);
  become_active(w);
  pthread_mutex_unlock(&p->lock);
}

/* --- The life of a worker
 * ----------------------------------------------------- */

static lf_spin_time idling = LF_SPIN_TIME;

/* Looks for work for a moment without sleeping: until there may be some, or
 * the worker is woken for something else. */
static void spin(lf_worker *w) {
  lf_pool *p = w->pool;
  if (!lf_may_spin())
    return;
  p->spinning++;
  bool found = has_work(w);
  int64_t end = found ? 0 : lf_now() + lf_spin_ns(&idling);
  for (int i = 1; !found && lf_may_spin(); i++) {
    lf_relax();
    found = p->queued || lf_parker_woken(&w->parker);
    if (i % 64 == 0 && !found) {
      found = has_work(w);
      if (lf_now() >= end)
        break;
    }
  }
  p->spinning--;
}

/* Under the lock: may this worker go for good? */
static bool may_leave(lf_worker *w) {
  lf_pool *p = w->pool;
  if (w->parked > 0)
    return false;
  if (p->shutdown || p->finish || atomic_load(&p->handles) == 0)
    return true;
  return p->live > p->o.max_workers; /* it stood in for a blocked one */
}

/* Under the lock: sleeps until there is something to do. */
static void sleep_idle(lf_worker *w, int64_t deadline) {
  lf_pool *p = w->pool;
  w->mode = IDLE;
  p->active--;
  lf_list_add(p->idle.next, &w->standby);
  lf_worker *other = pass_place(p);
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
  int64_t soon = w->swept ? LF_FOREVER : lf_now() + IDLE_NS;
  soon = has_work(w) ? 0 : soon < deadline ? soon : deadline;
  int r = lf_doze(&w->parker, soon);
  pthread_mutex_lock(&p->lock);
  if (w->mode == IDLE)
    become_active(w);
  if (r == LF_ETIMEOUT && soon > 0 && soon < deadline && !w->swept) {
    w->swept = true;
    pthread_mutex_unlock(&p->lock);
    p->o.ops->idle(w->vm);
    pthread_mutex_lock(&p->lock);
  }
}

/* Under the lock: this worker will take no more tasks. */
static void leave_place(lf_worker *w) {
  lf_pool *p = w->pool;
  w->mode = LEAVING;
  p->live--;
  p->active--;
  lf_worker *other = pass_place(p);
  if (other)
    lf_unpark(&other->parker);
}

/* Nothing to do now: sleeps, or leaves (false). */
static bool rest(lf_worker *w) {
  lf_pool *p = w->pool;
  int64_t since = lf_now();
  spin(w);
  if (has_work(w)) {
    lf_spin_learn(&idling, lf_now() - since);
    return true;
  }
  pthread_mutex_lock(&p->lock);
  if (!has_work(w)) {
    if (may_leave(w)) {
      leave_place(w);
      pthread_mutex_unlock(&p->lock);
      return false;
    }
    sleep_idle(w, w->next_deadline);
  }
  pthread_mutex_unlock(&p->lock);
  lf_spin_learn(&idling, lf_now() - since);
  return true;
}

void lf_worker_count_started(lf_worker *w) {
  atomic_store_explicit(&w->started, w->started + 1, memory_order_relaxed);
}

void lf_worker_count_finished(lf_worker *w) {
  atomic_store_explicit(&w->finished, w->finished + 1, memory_order_relaxed);
}

static void run_task(lf_worker *w, lf_task *task) {
  if (!lf_task_start(task)) { /* it was cancelled */
    lf_task_unref(task);
    return;
  }
  lf_worker_count_started(w);
  w->swept = false;
  w->pool->o.ops->run(w->vm, task);
}

/* One step of a worker's life; false when it is to leave. */
static bool step(lf_worker *w) {
  if (atomic_load_explicit(&w->pool->nwanting, memory_order_relaxed) > 0)
    give_place(w);
  lf_run *run = lf_worker_ready(w);
  if (run) {
    w->pool->o.ops->resume(w->vm, run);
    return true;
  }
  lf_task *task = take(w);
  if (!task)
    return rest(w);
  run_task(w, task);
  return true;
}

static void fail_all(lf_link *tasks, const char *why);

/* The thread's last act on the worker, after leave_place: tasks for it alone
 * that came too late fail, and the pool may have ended. */
static void leave(lf_worker *w, bool opened, const char *why) {
  lf_pool *p = w->pool;
  lf_link pinned;
  lf_list_init(&pinned);
  pthread_mutex_lock(&p->lock);
  w->mode = GONE;
  w->thread = 0;
  w->batch = 0;
  w->taken = NULL; /* late wake-ups for an interpreter that is closed */
  atomic_store(&w->ready, NULL);
  p->threads--;
  lf_list_move(&pinned, &w->pinned);
  w->npinned = 0;
  bool ended = try_end(p);
  pthread_mutex_unlock(&p->lock);
  fail_all(&pinned, why);
  if (ended)
    end(p);
  else if (opened && any_queued(p))
    rouse_more(p);
}

static void drain(lf_pool *p, lf_link *out);

/* Its interpreter could not be opened. An initializer that fails breaks the
 * pool; lack of memory is nobody's fault but fails what nobody can run. */
static void open_failed(lf_worker *w, int err, lf_buf *why) {
  lf_pool *p = w->pool;
  const char *text = "cannot start a worker: not enough memory";
  if (err == LF_EBROKEN && lf_buf_put(why, "", 1) == 0) {
    text = (char *)why->data;
    lf_pool_break(p, text);
  }
  pthread_mutex_lock(&p->lock);
  leave_place(w);
  bool alone = p->live == 0;
  pthread_mutex_unlock(&p->lock);
  if (alone) {
    lf_link tasks;
    drain(p, &tasks);
    fail_all(&tasks, text);
  }
  leave(w, false, text);
}

static void worker_main(void *arg) {
  lf_worker *w = arg;
  lf_pool *p = w->pool;
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  self = w;
  pthread_mutex_lock(&p->lock);
  w->thread = pthread_self();
  pthread_mutex_unlock(&p->lock);
  int err = p->o.ops->open(w, &w->vm, &why);
  if (err == 0) {
    while (step(w))
      continue;
    lf_vm *vm = w->vm;
    w->vm = NULL; /* what it submits while closing is not its own */
    p->o.ops->close(vm);
    leave(w, true, "the worker has left");
  } else {
    open_failed(w, err, &why);
  }
  lf_buf_fini(&why);
  self = NULL;
  lf_pool_unref(p);
}

void lf_worker_end(lf_worker *w, lf_task *task, lf_state state) {
  _Atomic uint64_t *count = state == LF_FINISHED ? &w->finished : &w->failed;
  atomic_store_explicit(count, *count + 1, memory_order_relaxed);
  lf_task_end(task, state);
  lf_task_unref(task);
}

lf_worker *lf_worker_in_caller(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  lf_worker *w = spare_worker(p);
  pthread_mutex_unlock(&p->lock);
  return w;
}

/* --- Ending work early ---------------------------------------------------- */

/* Takes every queued task out of the pool. */
static void drain(lf_pool *p, lf_link *out) {
  lf_list_init(out);
  pthread_mutex_lock(&p->lock);
  lf_list_move(out, &p->queue);
  p->queued = 0;
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_list_move(out, &w->pinned);
    w->npinned = 0;
  }
  pthread_mutex_unlock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next) {
    while (atomic_load(&w->moving))
      lf_relax();
    pthread_mutex_lock(&w->lock);
    lf_list_move(out, &w->grabbed);
    lf_list_move(out, &w->queue);
    w->queued = w->ngrabbed = 0;
    pthread_mutex_unlock(&w->lock);
  }
}

static void fail_all(lf_link *tasks, const char *why) {
  lf_link *l;
  while ((l = lf_list_pop(tasks))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (why)
      lf_task_fail(t, LF_BROKEN, why);
    else
      lf_task_cancel(t);
    lf_task_unref(t);
  }
}

static void cancel_queued(lf_pool *p) {
  lf_link tasks;
  atomic_fetch_add(&p->epoch, 1);
  drain(p, &tasks);
  fail_all(&tasks, NULL);
}

void lf_pool_shutdown(lf_pool *p, bool cancel) {
  pthread_mutex_lock(&p->lock);
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
  drain(p, &tasks);
  fail_all(&tasks, why);
}

/* The handler of SIGURG, which lf_pool_interrupt sends to a worker. */
static void interrupted(int sig) {
  (void)sig;
  if (self && self->vm)
    self->pool->o.ops->interrupt(self->vm);
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
  for (lf_worker *w = p->workers; w; w = w->next)
    if ((w->mode == ACTIVE || w->mode == BLOCKED) && w->thread)
      pthread_kill(w->thread, SIGURG);
  pthread_mutex_unlock(&p->lock);
}

/* --- Looking ---------------------------------------------------------------
 */

void lf_pool_stat(lf_pool *p, lf_pool_stats *s) {
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
  s->cancelled = p->cancelled;
  uint64_t unstarted = s->cancelled + p->unstarted;
  uint64_t done = s->finished + s->failed; /* the counts may be out of step */
  s->running = started > done ? started - done : 0;
  if (p->o.in_caller && s->running == 0)
    s->idle = s->workers;
  uint64_t gone = started + unstarted;
  s->queued = submitted > gone ? submitted - gone : 0;
  s->failed += p->unstarted;
}

uint64_t lf_pool_epoch(lf_pool *p) {
  return atomic_load(&p->epoch);
}

lf_task *lf_pool_over(lf_pool *p) {
  return p->over;
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

bool lf_pool_is_shutdown(lf_pool *p) {
  return p->shutdown;
}

const char *lf_pool_broken(lf_pool *p) {
  return p->broken;
}

void lf_pool_count_cancelled(lf_pool *p) {
  p->cancelled++;
}

void lf_pool_count_failed(lf_pool *p) {
  p->unstarted++;
}

lf_worker *lf_worker_self(void) {
  return self;
}

lf_pool *lf_worker_pool(lf_worker *w) {
  return w->pool;
}

int lf_worker_id(lf_worker *w) {
  return w->id;
}

lf_vm *lf_worker_vm(lf_worker *w) {
  return w->vm;
}

lf_parker *lf_worker_parker(lf_worker *w) {
  return &w->parker;
}
