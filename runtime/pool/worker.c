/* SPDX-License-Identifier: MIT
 *
 * The life of a worker. See internal.h. */
#include "runtime/base/mem.h"
#include "runtime/process/serve.h"
#include "runtime/process/serve_receive.h"
#include "runtime/task/strand.h"

enum { IDLE_NS = 50000000 }; /* without work for so long: ops->idle */

_Thread_local lf_worker *lf_self;

/* --- Runs --- */

/* Any thread: puts the run on its worker's ready list, once. */
void lf_run_ready(lf_waker *waker) {
  lf_run *r = lf_container_of(waker, lf_run, waker);
  lf_worker *w = r->worker;
  if (atomic_exchange(&r->ready, true))
    return;
  lf_run *head = atomic_load_explicit(&w->ready, memory_order_relaxed);
  do
    r->next = head;
  while (!atomic_compare_exchange_weak(&w->ready, &head, r));
  lf_unpark(w->parker_at);
}

void lf_run_init(lf_run *run, lf_worker *worker) {
  *run = (lf_run){.waker = {.wake = lf_run_ready}, .worker = worker};
  atomic_init(&run->ready, false);
  lf_list_init(&run->timed);
  lf_list_init(&run->held);
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

bool lf_run_hold(lf_run *run, lf_sleeper *place, int64_t deadline) {
  lf_worker *w = run->worker;
  if (!w->bell && !(w->bell = lf_bell_new()))
    return false;
  run->place = place;
  lf_sleeper_ring(place, w->bell);
  lf_list_add(&w->held, &run->held);
  lf_run_park(run, deadline);
  return true;
}

void lf_run_unpark(lf_run *run) {
  run->place = NULL;
  lf_list_del(&run->held);
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
      lf_run_ready(&r->waker);
    } else if (r->deadline < next) {
      next = r->deadline;
    }
  }
  w->next_deadline = next;
}

/* Makes the held runs ready that have been called, or have to end. */
static void look_at_held(lf_worker *w) {
  bool all = atomic_exchange(&w->interrupted, false);
  for (lf_link *l = w->held.next; l != &w->held; l = l->next) {
    lf_run *r = lf_container_of(l, lf_run, held);
    r->interrupted = r->interrupted || all;
    if (all || lf_sleeper_stirred(r->place))
      lf_run_ready(&r->waker);
  }
}

bool lf_worker_holds(const lf_worker *w) {
  return !lf_list_empty(&w->held);
}

void lf_worker_interrupt(lf_worker *w) {
  if (lf_worker_holds(w))
    atomic_store(&w->interrupted, true);
  lf_unpark(w->parker_at);
}

bool lf_worker_rings(lf_worker *w, lf_sleeper *place) {
  bool holds = lf_worker_holds(w);
  lf_sleeper_ring(place, holds ? w->bell : NULL);
  return holds;
}

int lf_worker_sleep(lf_worker *w, int64_t deadline) {
  return lf_worker_holds(w) ? lf_sleep(w->bell, w->parker_at, deadline)
                            : lf_park(w->parker_at, deadline);
}

int64_t lf_worker_deadline(lf_worker *w) {
  int64_t again = w->pool->again;
  return again && again < w->next_deadline ? again : w->next_deadline;
}

/* A task had no thread: perhaps there is one now. A worker that is blocked may
 * be waiting for that task, so it is it that asks, now and then. */
static void try_again(lf_pool *p) {
  if (lf_now() < p->again)
    return;
  p->again = 0;
  if (lf_pool_any_queued(p))
    lf_pool_rouse_more(p);
}

lf_run *lf_worker_ready(lf_worker *w) {
  if (w->pool->remote)
    lf_remote_receive(w->pool->remote);
  expire(w);
  if (w->pool->again)
    try_again(w->pool);
  if (lf_worker_holds(w))
    look_at_held(w);
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

/* --- Blocking in the middle of a task --- */

void lf_worker_block(lf_worker *w) {
  lf_pool *p = w->pool;
  if (p->remote) {
    lf_remote_block(p->remote);
    return;
  }
  pthread_mutex_lock(&p->lock);
  w->mode = BLOCKED;
  p->active--;
  lf_worker *other = lf_pool_pass_place(p);
  int err;
  if (!other && lf_pool_any_queued(p))
    other = lf_pool_rouse(p, &err); /* cannot: the task waits longer, no harm */
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
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

/* The worker turns to something: others are to look for what is left. */
static void pass_on(lf_worker *w) {
  if (lf_worker_seek_no_more(w) && lf_pool_any_queued(w->pool))
    lf_pool_rouse_more(w->pool);
}

/* --- Places --- */

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
  if (w->pool->remote) {
    lf_remote_unblock(w->pool->remote);
    return;
  }
  pthread_mutex_lock(&w->pool->lock);
  become_active(w);
  pthread_mutex_unlock(&w->pool->lock);
}

/* Between two tasks: lets one that wants a place have this one. */
static void give_place(lf_worker *w) {
  lf_pool *p = w->pool;
  pass_on(w);
  pthread_mutex_lock(&p->lock);
  p->active--;
  w->mode = BLOCKED;
  lf_worker *other = lf_pool_pass_place(p);
  if (other)
    lf_unpark(&other->parker);
  become_active(w);
  pthread_mutex_unlock(&p->lock);
}

/* --- The life of a worker --- */

static lf_spin_time idling = LF_SPIN_TIME;

/* Looks for work for a moment without sleeping: until there may be some, or
 * the worker is woken for something else. */
static void spin(lf_worker *w) {
  lf_pool *p = w->pool;
  if (!lf_may_spin())
    return;
  lf_worker_seek(w);
  bool found = lf_worker_has_work(w);
  int64_t end = found ? 0 : lf_now() + lf_spin_ns(&idling);
  for (int i = 1; !found && lf_may_spin(); i++) {
    lf_relax();
    found = lf_pool_any_queued(p) || lf_parker_woken(&w->parker);
    if (i % 64 == 0 && !found) {
      found = lf_worker_has_work(w);
      if (lf_now() >= end)
        break;
    }
  }
}

/* Under the lock: may this worker go for good? */
static bool may_leave(lf_worker *w) {
  lf_pool *p = w->pool;
  if (w->parked > 0 || (p->owner.aside > 0 && p->live == 1))
    return false; /* somebody has to be there for what waits at gates */
  if (!lf_pool_is_open(p))
    return true;
  return !w->stays &&
         p->live > p->o.max_workers; /* it stood in for a blocked one */
}

/* Without work for a moment: the interpreter may tidy up. Under the lock, which
 * it gives back meanwhile. */
static void sweep(lf_worker *w) {
  w->swept = true;
  pthread_mutex_unlock(&w->pool->lock);
  w->pool->o.ops->idle(w->vm);
  pthread_mutex_lock(&w->pool->lock);
}

/* Under the lock: sleeps until there is something to do. */
static void sleep_idle(lf_worker *w, int64_t deadline) {
  lf_pool *p = w->pool;
  lf_worker_seek_no_more(w);
  w->mode = IDLE;
  p->active--;
  lf_list_add(p->idle.next, &w->standby);
  lf_worker *other = lf_pool_pass_place(p);
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
  int64_t soon = w->swept ? LF_FOREVER : lf_now() + IDLE_NS;
  bool work = lf_worker_has_work(w);
  soon = work ? 0 : soon < deadline ? soon : deadline;
  int r = lf_doze(&w->parker, soon);
  pthread_mutex_lock(&p->lock);
  if (w->mode != IDLE)
    return; /* it is to seek, and has to hurry */
  become_active(w);
  if (work) /* who brought it has seen this one active, and left it to it */
    lf_worker_seek(w);
  else if (r == LF_ETIMEOUT && soon > 0 && soon < deadline && !w->swept)
    sweep(w);
}

/* Under the lock: this worker will take no more tasks. */
static void leave_place(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_worker_seek_no_more(w);
  w->mode = LEAVING;
  p->live--;
  p->active--;
  lf_worker *other = lf_pool_pass_place(p);
  if (other)
    lf_unpark(&other->parker);
}

/* Nothing to do now: sleeps, or leaves (false). */
static bool rest(lf_worker *w) {
  lf_pool *p = w->pool;
  int64_t since = lf_now();
  spin(w);
  if (lf_worker_has_work(w)) {
    lf_spin_learn(&idling, lf_now() - since);
    return true;
  }
  pthread_mutex_lock(&p->lock);
  if (!lf_worker_has_work(w)) {
    if (may_leave(w)) {
      leave_place(w);
      pthread_mutex_unlock(&p->lock);
      if (lf_pool_any_queued(p)) /* it has come meanwhile */
        lf_pool_rouse_more(p);
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
  lf_gate *gate = task->gate;
  if (gate && !lf_gate_admit(task))
    return;
  w->inside = gate;
  if (lf_task_start(task)) {
    lf_worker_count_started(w);
    w->swept = false;
    w->pool->o.ops->run(w->vm, task);
  } else { /* it was cancelled */
    lf_task_unref(task);
  }
  lf_worker_leave_gate(w);
}

void lf_worker_leave_gate(lf_worker *w) {
  lf_gate *gate = w->inside;
  w->inside = NULL;
  if (gate)
    lf_gate_leave(gate);
}

bool lf_worker_is_inside(const lf_worker *w) {
  return w->inside;
}

/* Its place is that of the runs it holds: sleeps until one can go on. */
static void hold(lf_worker *w) {
  if (w->queued > 0)
    lf_pool_rouse_more(w->pool); /* for what it has not begun */
  lf_worker_sleep(w, lf_worker_deadline(w));
}

/* One step of a worker's life; false when it is to leave. */
static bool step(lf_worker *w) {
  bool holds = lf_worker_holds(w);
  if (!holds &&
      atomic_load_explicit(&w->pool->nwanting, memory_order_relaxed) > 0)
    give_place(w);
  lf_run *run = lf_worker_ready(w);
  if (run) {
    pass_on(w);
    w->pool->o.ops->resume(w->vm, run);
    return true;
  }
  if (holds) {
    pass_on(w);
    hold(w);
    return true;
  }
  lf_task *task = lf_worker_take(w);
  if (!task)
    return rest(w);
  pass_on(w);
  run_task(w, task);
  return true;
}

/* The thread's last act on the worker, after leave_place: tasks for it alone
 * that came too late fail, and the pool may have ended. */
static void leave(lf_worker *w, bool opened, const char *why) {
  lf_pool *p = w->pool;
  lf_link pinned;
  lf_list_init(&pinned);
  pthread_mutex_lock(&p->lock);
  w->mode = GONE;
  lf_list_add(&p->gone, &w->standby);
  w->thread = 0;
  w->batch = 0;
  w->taken = NULL; /* late wake-ups for an interpreter that is closed */
  atomic_store(&w->ready, NULL);
  p->threads--;
  lf_list_move(&pinned, &w->pinned);
  w->npinned = 0;
  bool ended = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  lf_pool_fail_all(&pinned, why);
  if (ended)
    lf_pool_end(p);
  else if (opened && lf_pool_any_queued(p))
    lf_pool_rouse_more(p);
}

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
    lf_pool_drain(p, &tasks);
    lf_pool_fail_all(&tasks, text);
  }
  pthread_mutex_lock(&p->lock);
  lf_pool_try_later(p);
  pthread_mutex_unlock(&p->lock);
  leave(w, false, text);
}

void lf_worker_main(void *arg) {
  lf_worker *w = arg;
  lf_pool *p = w->pool;
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  lf_self = w;
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
    if (w->bell)
      lf_bell_end(w->bell);
    w->bell = NULL;
    leave(w, true, "the worker has left");
  } else {
    open_failed(w, err, &why);
  }
  lf_buf_fini(&why);
  lf_self = NULL;
  lf_pool_unref(p);
}

void lf_worker_end(lf_worker *w, lf_task *task, lf_state state) {
  if (w->pool->remote) {
    lf_remote_end(w->pool->remote, task, state);
    return;
  }
  _Atomic uint64_t *count = state == LF_FINISHED ? &w->finished : &w->failed;
  atomic_store_explicit(count, *count + 1, memory_order_relaxed);
  lf_task_end(task, state);
  lf_task_unref(task);
}

void lf_worker_report(lf_worker *w, lf_task *task, double done, double total) {
  lf_task_report(task, done, total);
  if (w->pool->remote)
    lf_remote_report(w->pool->remote, task);
}

lf_worker *lf_worker_in_caller(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  lf_worker *w = lf_pool_spare_worker(p);
  pthread_mutex_unlock(&p->lock);
  return w;
}

lf_worker *lf_worker_self(void) {
  return lf_self;
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
  return w->parker_at;
}
