/* SPDX-License-Identifier: MIT
 *
 * Which task a worker runs next. See internal.h. */
#include "runtime/os/clock.h"
#include "runtime/os/spin.h"
#include "runtime/pool/internal.h"

enum {
  BATCH = LF_LIMIT(32, 3), /* tasks taken from the common queue at once */
  FAIR = 61, /* every so many tasks, the common queue comes before the own */
  BRIEF_NS = 5000, /* a task that takes less is taken with others */
};

/* Under the worker's lock. */
static void set_queued(lf_worker *w, size_t n) {
  size_t before = w->queued;
  w->queued = n;
  if ((before > 0) != (n > 0))
    w->pool->stocked += n > 0 ? 1 : -1;
}

void lf_worker_pin(lf_worker *w, lf_task *task) {
  task->pinned = (uint32_t)w->id;
  lf_list_add(&w->pinned, &lf_task_ref(task)->link);
  w->npinned++;
}

void lf_pool_pin_each(lf_pool *p, lf_task **tasks,
                      bool (*fits)(const lf_worker *w)) {
  int i = 0;
  for (lf_worker *w = p->workers; w && i < p->o.max_workers; w = w->next)
    if (fits(w))
      lf_worker_pin(w, tasks[i++]);
}

lf_worker *lf_pool_pinned_to(lf_pool *p, const lf_task *task) {
  lf_worker *w = task->pinned ? p->workers : NULL;
  while (w && (uint32_t)w->id != task->pinned)
    w = w->next;
  return w;
}

void lf_pool_put_first(lf_pool *p, lf_worker *w, lf_task *task) {
  if (!w) {
    lf_common_add(p, task, true);
    return;
  }
  lf_list_add(w->pinned.next, &task->link);
  w->npinned++;
}

void lf_worker_push(lf_worker *w, lf_task *task) {
  pthread_mutex_lock(&w->lock);
  lf_list_add(&w->queue, &task->link);
  set_queued(w, w->queued + 1);
  pthread_mutex_unlock(&w->lock);
}

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
    set_queued(w, w->queued - 1);
  }
  pthread_mutex_unlock(&w->lock);
  return l ? lf_container_of(l, lf_task, link) : NULL;
}

lf_task *lf_thread_pinned(lf_worker *w) {
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
  set_queued(w, w->queued + n);
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

/* The common queue's next task of another priority than the usual one, if its
 * own is at least so much. They are taken one by one, so that nobody has one
 * that should come later than what is queued. */
static lf_task *take_leveled(lf_worker *w, int64_t least) {
  lf_pool *p = w->pool;
  pthread_mutex_lock(&p->lock);
  lf_task *t = lf_level_first(p, least);
  if (t)
    lf_level_del(p, t);
  bool more = p->queued > 0;
  pthread_mutex_unlock(&p->lock);
  if (t && more)
    lf_pool_rouse_more(p);
  return t;
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
  size_t there = p->queued - p->leveled;
  size_t share = there / (size_t)(2 * p->o.max_workers) + 1;
  n = n > share ? share : n;
  n = n > there ? there : n;
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
  if (n > 1 || more) /* a seeker may not have seen what was moved */
    lf_pool_rouse_more(p);
  return first;
}

static lf_task *steal(lf_worker *w) {
  lf_worker *v = w->pool->stocked > 0 ? w->pool->workers : NULL;
  for (; v; v = v->next) {
    lf_task *t = v == w ? NULL : pop_own(v, OLDEST);
    if (!t)
      continue;
    if (v->queued > 0)
      lf_pool_rouse_more(w->pool);
    return t;
  }
  return NULL;
}

/* Under the lock: the first that is waited for, in the order of the queue. */
static lf_task *first_needed(const lf_pool *p) {
  lf_link *l = p->queue.next;
  for (; l != &p->queue; l = l->next) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (lf_gate_passes(t))
      return t;
  }
  return lf_level_find(p, lf_gate_passes);
}

/* The next task that may begin, or NULL; its place is taken. */
static lf_task *take_through_gate(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  bool open = p->begun < p->o.max_running;
  bool needed = !open && atomic_exchange(&p->needed, false);
  lf_task *t = open ? lf_common_first(p) : needed ? first_needed(p) : NULL;
  if (t) {
    lf_common_del(p, t);
    lf_gate_enter(p);
  }
  if (t && needed)
    atomic_store(&p->needed, true); /* there may be more */
  bool more = p->queued > 0 && lf_gate_is_open(p);
  pthread_mutex_unlock(&p->lock);
  if (t && more)
    lf_pool_rouse_more(p);
  return t;
}

/* One with a place; the one that is for this worker alone has to be run. */
static lf_task *take_limited(lf_worker *w, lf_task *pinned) {
  lf_pool *p = w->pool;
  lf_task *t = pinned;
  if (pinned)
    lf_gate_enter(p);
  else if (p->queued > 0 && lf_gate_is_open(p))
    t = take_through_gate(p);
  w->has_place = t;
  return t;
}

static bool is_lighter(const lf_worker *v, const lf_worker *w) {
  return v->parked + v->parked / 8 < w->parked;
}

/* Will it look for work soon, as far as can be told? */
static bool is_at_hand(const lf_worker *v) {
  enum {
    SOON_NS = 8000000 /* some ticks of lf_now_roughly */,
    STARTS_NS = 60000000
  };
  int64_t since = lf_worker_since(v);
  int64_t most = v->current ? SOON_NS : v->open ? INT64_MAX : STARTS_NS;
  return v->mode == LF_WORKER_ACTIVE && lf_now_roughly() - since < most;
}

bool lf_worker_may_defer(lf_worker *w) {
  lf_pool *p = w->pool;
  if (!p->o.backend->parks || w->parked == 0 || !lf_pool_any_queued(p))
    return false;
  pthread_mutex_lock(&p->lock);
  lf_worker *v = p->workers;
  while (v && !(v != w && is_lighter(v, w) && is_at_hand(v)))
    v = v->next;
  bool starts = !v && p->live < p->o.max_workers && !p->broken &&
                lf_pool_start_worker(p) == 0;
  pthread_mutex_unlock(&p->lock);
  return v || starts;
}

/* Under the lock: a worker with nothing to do, and with clearly fewer tasks
 * that wait than this one; active from now on. NULL: there is none. */
static lf_worker *find_lighter(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_worker *best = NULL;
  for (lf_link *l = p->idle.next; l != &p->idle; l = l->next) {
    lf_worker *v = lf_container_of(l, lf_worker, standby);
    if (!lf_worker_has_own(v) && (!best || v->parked < best->parked))
      best = v;
  }
  if (!best || !is_lighter(best, w))
    return NULL;
  lf_list_del(&best->standby);
  p->active++;
  best->mode = LF_WORKER_ACTIVE;
  return best;
}

/* A task goes on where it has begun: so those that wait are kept in balance
 * when they begin. True: another worker has the task. */
static bool is_handed_over(lf_worker *w, lf_task *t) {
  lf_pool *p = w->pool;
  if (!p->o.backend->parks || w->parked == 0 || t->pinned ||
      p->active >= p->o.max_workers)
    return false;
  pthread_mutex_lock(&p->lock);
  lf_worker *v = p->active < p->o.max_workers ? find_lighter(w) : NULL;
  if (v) {
    lf_worker_pin(v, t);
    t->pinned = 0;    /* if it is run again, any may do that */
    lf_task_unref(t); /* not the last */
  }
  pthread_mutex_unlock(&p->lock);
  if (v)
    lf_unpark(&v->parker);
  return v;
}

static lf_task *take_any(lf_worker *w, lf_task *pinned) {
  lf_pool *p = w->pool;
  lf_task *t = pinned;
  bool fair = ++w->unfair == FAIR;
  if (fair)
    w->unfair = 0;
  if (!t && atomic_load_explicit(&p->urgent, memory_order_relaxed) > 0)
    t = take_leveled(w, 1);
  if (!t && fair && w->ngrabbed == 0)
    t = take_common(w);
  if (!t)
    t = pop_own(w, fair ? OLDEST : NEWEST);
  if (!t)
    t = take_common(w);
  if (!t)
    t = steal(w);
  if (!t && atomic_load_explicit(&p->leveled, memory_order_relaxed) > 0)
    t = take_leveled(w, INT64_MIN);
  return t;
}

lf_task *lf_worker_take(lf_worker *w) {
  lf_task *t = lf_thread_pinned(w);
  if (lf_gate_is_limited(w->pool))
    return take_limited(w, t);
  t = take_any(w, t);
  while (t && is_handed_over(w, t))
    t = take_any(w, NULL);
  return t;
}

bool lf_pool_any_queued(lf_pool *p) {
  return (p->queued > 0 && lf_gate_is_open(p)) || p->stocked > 0;
}

lf_worker *lf_pool_replace(lf_pool *p) {
  int err; /* cannot: the task waits longer, no harm */
  lf_worker *w = lf_pool_pass_permit(p);
  return w || !lf_pool_any_queued(p) ? w : lf_pool_rouse(p, &err);
}

void lf_worker_drain(lf_worker *w, lf_link *out) {
  for (int looks = 0; atomic_load(&w->moving);)
    lf_relax_for_other(&looks);
  pthread_mutex_lock(&w->lock);
  lf_list_move(out, &w->grabbed);
  lf_list_move(out, &w->queue);
  w->ngrabbed = 0;
  set_queued(w, 0);
  pthread_mutex_unlock(&w->lock);
}

bool lf_worker_has_work(lf_worker *w) {
  bool rung = lf_worker_holds(w) && lf_doorbell_is_rung(w->doorbell);
  return rung || w->ready.taken || lf_worker_has_own(w) ||
         lf_pool_any_queued(w->pool);
}
