/* SPDX-License-Identifier: MIT
 *
 * See limits.h. */
#include "runtime/pool/limits.h"

#include "runtime/base/mem.h"
#include "runtime/pool/room.h"
#include "runtime/pool/stop.h"

lf_limits *lf_limits_new(void) {
  lf_limits *l = lf_zalloc(sizeof *l);
  if (!l)
    return NULL;
  atomic_init(&l->refs, 1);
  l->timeout = l->queue_timeout = LF_FOREVER;
  l->grace = LF_GRACE;
  return l;
}

lf_limits *lf_limits_ref(lf_limits *limits) {
  atomic_fetch_add_explicit(&limits->refs, 1, memory_order_relaxed);
  return limits;
}

void lf_limits_unref(void *limits) {
  lf_limits *l = limits;
  if (atomic_fetch_sub(&l->refs, 1) != 1)
    return;
  lf_free(l->name);
  lf_free(l);
}

static lf_limited *limited_of(lf_task *task) {
  return lf_container_of(task, lf_limited, task);
}

/* It may have begun at this very moment, or ended. */
static void fire_queued(lf_timer *timer) {
  lf_limited *t = lf_container_of(timer, lf_limited, queued);
  lf_pool_drop(&t->task, LF_STOP_QUEUE);
  lf_task_unref(&t->task);
}

static void fire_run(lf_timer *timer) {
  lf_limited *t = lf_container_of(timer, lf_limited, run);
  lf_pool_stop(&t->task, LF_STOP_TIMEOUT, t->limits->grace);
  lf_task_unref(&t->task);
}

static void set(lf_limited *t, lf_timer *timer, int64_t after) {
  if (after == LF_FOREVER)
    return;
  lf_task_ref(&t->task);
  if (lf_timer_set(timer, lf_after_ns(after)) != 0)
    lf_task_unref(&t->task); /* not the last: somebody moves it */
}

static void unset(lf_limited *t, lf_timer *timer) {
  if (lf_timer_unset(timer))
    lf_task_unref(&t->task);
}

bool lf_limited_take_room(lf_task *task, bool anyway) {
  return limited_of(task)->waits = lf_room_take(lf_task_pool(task), anyway);
}

void lf_limited_give_room(lf_task *task) {
  lf_limited *t = limited_of(task);
  if (t->waits)
    lf_room_give(lf_task_pool(task));
  t->waits = false;
}

static void moved(lf_task *task, lf_state from, lf_state to) {
  lf_limited *t = limited_of(task);
  if (from == LF_PENDING)
    lf_limited_give_room(task);
  unset(t, from == LF_PENDING ? &t->queued : &t->run);
  if (to == LF_RUNNING && t->limits)
    set(t, &t->run, t->limits->timeout);
}

static void limited_free(lf_task *task) {
  lf_limits *limits = limited_of(task)->limits;
  if (!lf_pool_is_foreign(lf_task_pool(task)))
    lf_limited_give_room(task);
  if (limits)
    lf_limits_unref(limits);
  lf_free(limited_of(task));
}

static lf_level *level(lf_task *task) {
  return &limited_of(task)->level;
}

const lf_task_ops lf_limited_ops = {
    .free = limited_free, .moved = moved, .level = level};

lf_task *lf_limited_new(lf_owner *owner, lf_limits *limits) {
  lf_limited *t = lf_malloc(sizeof *t);
  if (!t)
    return NULL;
  lf_task_init(&t->task, owner, &lf_limited_ops);
  t->limits = limits ? lf_limits_ref(limits) : NULL;
  t->level.priority = limits ? limits->priority : 0;
  t->waits = false;
  lf_timer_init(&t->queued, fire_queued);
  lf_timer_init(&t->run, fire_run);
  return &t->task;
}

void lf_limited_queued(lf_task *task) {
  lf_limited *t = limited_of(task);
  int64_t limit = t->limits ? t->limits->queue_timeout : LF_FOREVER;
  if (limit == LF_FOREVER || lf_task_state(task) != LF_PENDING)
    return;
  set(t, &t->queued, limit);
  if (lf_task_state(task) != LF_PENDING) /* it has begun meanwhile */
    unset(t, &t->queued);
}

int64_t lf_task_grace(const lf_task *task) {
  const lf_limits *l = lf_task_limits(task);
  return l ? l->grace : LF_GRACE;
}
