/* SPDX-License-Identifier: MIT
 *
 * See limits.h. */
#include "runtime/pool/limits.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/room.h"
#include "runtime/pool/stop.h"

#include <string.h>

/* --- Limits --- */

enum {
  SENT = offsetof(lf_limits, timeout),
  HEAD = offsetof(lf_limits, name) - SENT /* bytes that are sent at least */
};

static const lf_limits none = {
    .timeout = LF_FOREVER, .queue_timeout = LF_FOREVER, .grace = LF_GRACE};

void lf_limits_copy(lf_limits *to, const lf_limits *from) {
  from = from ? from : &none;
  memcpy((char *)to + SENT, (const char *)from + SENT, HEAD);
}

/* The same for all with the name; no function's bytes begin so. */
static lf_code *code_of_name(const char *name, size_t len) {
  lf_code *code = NULL;
  char *bytes = lf_malloc(len + 2);
  if (bytes) {
    bytes[0] = '=';
    memcpy(bytes + 1, name, len);
    bytes[len + 1] = '\0';
    code = lf_code_get(bytes, len + 1, bytes + 1, NULL);
  }
  lf_free(bytes);
  return code;
}

lf_limits *lf_limits_new(const lf_limits *former, const char *name,
                         size_t len) {
  if (!name) {
    name = former ? former->name : "";
    len = former ? former->name_len : 0;
  }
  lf_limits *l = lf_malloc(sizeof *l + len + 1); /* a text, too */
  lf_code *counted = l && len > 0 ? code_of_name(name, len) : NULL;
  if (!l || (len > 0 && !counted)) {
    lf_free(l);
    return NULL;
  }
  lf_limits_copy(l, former);
  l->counted = counted;
  atomic_init(&l->refs, 1);
  l->name_len = len;
  memcpy(l->name, name, len);
  l->name[len] = '\0';
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
  if (l->counted)
    lf_code_unref(l->counted);
  lf_free(l);
}

bool lf_limits_are_of_each(const lf_limits *l) {
  return l->timeout != LF_FOREVER || l->queue_timeout != LF_FOREVER ||
         l->memory > 0;
}

const void *lf_limits_bytes(const lf_limits *l, size_t *len) {
  *len = HEAD + l->name_len;
  return (const char *)l + SENT;
}

lf_limits *lf_limits_from(const lf_buf *bytes) {
  lf_limits head = {0};
  if (bytes->len < HEAD)
    return NULL;
  memcpy((char *)&head + SENT, bytes->data, HEAD);
  size_t len = bytes->len - HEAD;
  bool sound = head.name_len == len && head.timeout > 0 &&
               head.queue_timeout >= 0 && head.grace >= 0;
  const char *name = (const char *)bytes->data + HEAD;
  return sound ? lf_limits_new(&head, name, len) : NULL;
}

/* --- Clocks --- */

enum { SOON_NS = 1000000 };

/* It may have begun at this very moment, or ended. */
static void fire_queued(lf_timer *timer) {
  lf_task *task = lf_container_of(timer, lf_clock, queued)->task;
  lf_pool_drop(task, LF_STOP_QUEUE);
  lf_task_unref(task);
}

static void set(lf_clock *c, lf_timer *timer, int64_t at) {
  if (at == LF_FOREVER)
    return;
  lf_task_ref(c->task);
  if (lf_timer_set(timer, at) != 0)
    lf_task_unref(c->task); /* not the last: somebody moves it */
}

/* That run may be over, and the task be run again. */
static void fire_run(lf_timer *timer) {
  lf_clock *c = lf_container_of(timer, lf_clock, run);
  lf_task *task = c->task;
  if (lf_is_past(atomic_load(&c->until)) &&
      !lf_pool_stop(task, LF_STOP_TIMEOUT, lf_task_grace(task)) &&
      lf_task_state(task) == LF_RUNNING &&
      lf_task_reason(task) == LF_GO_ON) /* it has just begun */
    set(c, &c->run, lf_after_ns(SOON_NS));
  lf_task_unref(task);
}

void lf_clock_init(lf_clock *c, lf_task *task, lf_limits *limits) {
  c->task = task;
  c->limits = limits ? lf_limits_ref(limits) : NULL;
  atomic_init(&c->left, limits ? limits->retries : 0);
  c->elsewhere = c->stays = false;
  atomic_init(&c->until, LF_FOREVER);
  lf_timer_init(&c->queued, fire_queued);
  lf_timer_init(&c->run, fire_run);
}

void lf_clock_fini(lf_clock *c) {
  if (c->limits)
    lf_limits_unref(c->limits);
}

static void unset(lf_clock *c, lf_timer *timer) {
  if (lf_timer_unset(timer))
    lf_task_unref(c->task);
}

void lf_clock_moved(lf_clock *c, lf_state from, lf_state to) {
  unset(c, from == LF_PENDING ? &c->queued : &c->run);
  if (to != LF_RUNNING || !c->limits || c->elsewhere)
    return;
  atomic_store(&c->until, lf_after_ns(c->limits->timeout));
  set(c, &c->run, c->until);
}

const char *lf_clock_name(const lf_clock *c) {
  return c->limits && c->limits->name_len > 0 ? c->limits->name : NULL;
}

void lf_clock_queued(lf_task *task) {
  lf_clock *c = lf_task_clock(task);
  int64_t limit = c && c->limits ? c->limits->queue_timeout : LF_FOREVER;
  if (limit == LF_FOREVER || lf_task_state(task) != LF_PENDING)
    return;
  set(c, &c->queued, lf_after_ns(limit));
  if (lf_task_state(task) != LF_PENDING) /* it has begun meanwhile */
    unset(c, &c->queued);
}

void lf_task_run_once(lf_task *task) {
  lf_clock *c = lf_task_clock(task);
  if (c)
    atomic_store(&c->left, 0);
}

void lf_clock_leave(lf_task *task) {
  lf_clock *c = lf_task_clock(task);
  if (c)
    c->elsewhere = true;
  lf_task_run_once(task);
}

bool lf_task_may_again(lf_task *task) {
  const lf_clock *c = lf_task_clock(task);
  if (!c || atomic_load(&c->left) == 0)
    return false;
  lf_reason reason = lf_task_reason(task);
  return (reason == LF_GO_ON || reason == LF_STOP_TIMEOUT) &&
         lf_pool_may_retry(lf_task_pool(task));
}

bool lf_task_again(lf_task *task) {
  if (!lf_task_may_again(task) || !lf_task_rewind(task))
    return false;
  atomic_fetch_sub(&lf_task_clock(task)->left, 1);
  return true;
}

static const lf_task_ops limited_ops;

bool lf_worker_again(lf_worker *w, lf_task *task) {
  lf_clock *c = lf_task_clock(task);
  bool stays = c && c->stays;
  if (c)
    c->stays = false; /* whoever begins it next */
  if (!lf_task_again(task))
    return false;
  if (task->ops == &limited_ops) /* this run counts, too; else its loop does */
    lf_tallies_run(&w->tallies, lf_task_counted(task), true, &w->times);
  w->times.begun = 0;
  atomic_store_explicit(&w->started, w->started - 1, memory_order_relaxed);
  if (lf_gate_is_limited(w->pool))
    lf_gate_leave(w->pool);
  if (stays)
    lf_task_unref(task); /* not the last */
  else
    w->pool->o.backend->again(w, task);
  return true;
}

bool lf_worker_run_here(lf_worker *w, lf_vm *vm, lf_task *task) {
  lf_clock *c = lf_task_clock(task);
  bool ran = false;
  while (lf_worker_begin(w, task)) {
    if (c)
      c->stays = true; /* it may be in a queue still */
    w->pool->o.ops->run(vm, lf_task_ref(task));
    ran = true;
  }
  return ran;
}

/* --- Tasks --- */

static lf_limited *limited_of(const lf_task *task) {
  return lf_container_of(task, lf_limited, task);
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
  if (from == LF_PENDING)
    lf_limited_give_room(task);
  lf_clock_moved(&limited_of(task)->clock, from, to);
}

static void limited_free(lf_task *task) {
  if (!lf_pool_is_foreign(lf_task_pool(task)))
    lf_limited_give_room(task);
  lf_clock_fini(&limited_of(task)->clock);
  lf_free(limited_of(task));
}

static lf_level *level(lf_task *task) {
  return &limited_of(task)->level;
}

static lf_clock *clock_of(const lf_task *task) {
  return &limited_of(task)->clock;
}

static const char *name(const lf_task *task) {
  return lf_clock_name(clock_of(task));
}

static const lf_task_ops limited_ops = {.free = limited_free,
                                        .moved = moved,
                                        .level = level,
                                        .clock = clock_of,
                                        .name = name};

lf_task *lf_limited_new(lf_owner *owner, lf_limits *limits) {
  lf_limited *t = lf_malloc(sizeof *t);
  if (!t)
    return NULL;
  lf_task_init(&t->task, owner, &limited_ops);
  t->level.priority = limits ? limits->priority : 0;
  t->waits = false;
  lf_clock_init(&t->clock, &t->task, limits);
  return &t->task;
}
