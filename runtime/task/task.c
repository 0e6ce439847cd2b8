/* SPDX-License-Identifier: MIT
 *
 * See task.h. The locks of the waiters are a few for all tasks; a bit in the
 * state says that there are waiters at all, so that most tasks end without
 * any lock. Others say that somebody looks at its moves, and what it has been
 * asked to stop for: all are seen by the one comparison that a move is anyway.
 */
#include "runtime/task/task.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/task/follow.h"
#include "runtime/task/report.h"

#include <pthread.h>
#include <stdio.h>

/* The state's word. */
enum {
  STATE = 7,
  WAITED = 8,
  WATCHED = 16,
  REASON = 224,
  REASON_SHIFT = 5,
  FORCED = 256
};

enum { LOCKS = 32 };

static pthread_mutex_t locks[LOCKS] = {[0 ... LOCKS - 1] =
                                           PTHREAD_MUTEX_INITIALIZER};

static void take_locks(void) {
  for (int i = 0; i < LOCKS; i++)
    pthread_mutex_lock(&locks[i]);
}

static void give_locks(void) {
  for (int i = 0; i < LOCKS; i++)
    pthread_mutex_unlock(&locks[i]);
}

__attribute__((constructor)) static void survive_fork(void) {
  lf_at_fork(LF_FORK_TASKS, take_locks, give_locks, give_locks);
}

static pthread_mutex_t *lock_of(lf_task *task) {
  return &locks[((uintptr_t)task / sizeof *task) % LOCKS];
}

void lf_task_init(lf_task *t, lf_owner *owner, const lf_task_ops *ops) {
  atomic_init(&t->refs, 1);
  atomic_init(&t->state, LF_PENDING | (ops && ops->moved ? WATCHED : 0));
  lf_list_init(&t->link);
  lf_list_init(&t->waiters);
  t->ops = ops;
  t->owner = owner ? lf_owner_ref(owner) : NULL;
  t->code = NULL;
  t->trace = NULL;
  atomic_init(&t->waits, NULL);
  atomic_init(&t->awaited, 0);
  t->strand = NULL;
  t->far.id = 0;
  atomic_init(&t->told, 0);
  atomic_init(&t->parked, false);
  atomic_init(&t->needed, false);
  t->stuck = t->held = false;
  atomic_init(&t->asked, true); /* until it is submitted */
  t->noted = 0;
  t->stage = 0;
  t->error = LF_RAISED;
  t->pinned = 0;
  t->mark = 0;
  lf_buf_init(&t->data, t->small, sizeof t->small);
}

lf_task *lf_task_new(lf_owner *owner) {
  lf_task *t = lf_malloc(sizeof *t);
  if (t)
    lf_task_init(t, owner, NULL);
  return t;
}

typedef struct {
  lf_task task;
  const char *name;
} event;

static void event_free(lf_task *task) {
  lf_free(lf_container_of(task, event, task));
}

static const char *event_name(const lf_task *task) {
  return lf_container_of(task, event, task)->name;
}

static const lf_task_ops event_ops = {.free = event_free, .name = event_name};

lf_task *lf_task_new_event(const char *name) {
  event *e = lf_malloc(sizeof *e);
  if (!e)
    return NULL;
  lf_task_init(&e->task, NULL, &event_ops);
  e->name = name;
  lf_task_start(&e->task);
  return &e->task;
}

void lf_task_unref(void *task) {
  lf_task *t = task;
  if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
    return;
  if (t->noted && !t->owner->ops->release(t))
    return;
  lf_assert(lf_list_empty(&t->waiters));
  lf_buf_fini(&t->data);
  if (t->code)
    lf_code_unref(t->code);
  lf_free(t->trace);
  if (lf_task_has_note(t))
    lf_task_unreport(t);
  lf_owner *owner = t->owner;
  if (t->ops)
    t->ops->free(t);
  else
    lf_free(t);
  if (owner)
    lf_owner_unref(owner);
}

lf_state lf_task_state(lf_task *task) {
  return atomic_load_explicit(&task->state, memory_order_acquire) & STATE;
}

/* Calls everybody who waits, in the order in which they came; under the task's
 * lock. */
static void fire_all(lf_task *task) {
  lf_link *item;
  while ((item = lf_list_pop(&task->waiters))) {
    lf_waiter *w = lf_container_of(item, lf_waiter, link);
    w->fire(w);
  }
}

static lf_reason reason_in(uint32_t word) {
  return (word & REASON) >> REASON_SHIFT;
}

static uint32_t with_reason(uint32_t word, lf_reason reason) {
  return (word & ~(uint32_t)REASON) | (uint32_t)reason << REASON_SHIFT;
}

static lf_state outcome(uint32_t word, lf_state to) {
  lf_reason reason = reason_in(word);
  if (reason == LF_GO_ON || to < LF_FINISHED)
    return to;
  return reason == LF_STOP_CANCEL ? LF_CANCELLED : LF_FAILED;
}

/* Under the task's lock: from one state to the other, if it is that, with
 * 'bits' set. */
static bool move_word(lf_task *task, lf_state from, lf_state to,
                      uint32_t bits) {
  uint32_t old = atomic_load(&task->state);
  while ((old & STATE) == (uint32_t)from &&
         (!(bits & FORCED) || reason_in(old) != LF_GO_ON)) {
    uint32_t new = (old & ~(uint32_t)STATE) | outcome(old, to) | bits;
    if (atomic_compare_exchange_weak(&task->state, &old, new))
      return true;
  }
  return false;
}

static bool move_slowly(lf_task *task, lf_state from, lf_state to,
                        uint32_t bits) {
  pthread_mutex_t *lock = lock_of(task);
  pthread_mutex_lock(lock);
  bool moved = move_word(task, from, to, bits);
  if (moved && to >= LF_FINISHED)
    fire_all(task);
  pthread_mutex_unlock(lock);
  uint32_t word = atomic_load(&task->state);
  if (moved && word & WATCHED)
    task->ops->moved(task, from, to < LF_FINISHED ? to : word & STATE);
  if (moved && to >= LF_FINISHED)
    lf_follow_run();
  return moved;
}

/* Moves the state from one to the other if it is that. Who waits is told in the
 * same step: nobody sees the task done and its waiters not told, if he asks
 * for the lock (lf_task_settle). */
static bool move(lf_task *task, lf_state from, lf_state to) {
  uint32_t old = from;
  if (atomic_compare_exchange_strong(&task->state, &old, to))
    return true;
  if (old == (WATCHED | (uint32_t)from) &&
      atomic_compare_exchange_strong(&task->state, &old,
                                     WATCHED | (uint32_t)to)) {
    task->ops->moved(task, from, to);
    return true;
  }
  return (old & STATE) == (uint32_t)from && move_slowly(task, from, to, 0);
}

void lf_task_settle(lf_task *task) {
  if (!(atomic_load(&task->state) & WAITED))
    return;
  pthread_mutex_lock(lock_of(task));
  pthread_mutex_unlock(lock_of(task));
}

bool lf_task_start(lf_task *task) {
  return move(task, LF_PENDING, LF_RUNNING);
}

static void now_done(lf_task *task) {
  if (task->ops && task->ops->done)
    task->ops->done(task);
}

void lf_task_end(lf_task *task, lf_state state) {
  bool ended = move(task, LF_RUNNING, state);
  lf_check(ended || lf_task_is_forced(task));
  if (ended)
    now_done(task);
}

bool lf_task_rewind(lf_task *task) {
  uint32_t old = atomic_load(&task->state);
  do {
    lf_reason reason = reason_in(old);
    if ((old & STATE) != LF_RUNNING ||
        (reason != LF_GO_ON && reason != LF_STOP_TIMEOUT))
      return false;
  } while (!atomic_compare_exchange_weak(
      &task->state, &old,
      with_reason(old & ~(uint32_t)STATE, LF_GO_ON) | LF_PENDING));
  lf_task_unreport(task);
  atomic_store(&task->parked, false);
  if (old & WATCHED)
    task->ops->moved(task, LF_RUNNING, LF_PENDING);
  return true;
}

bool lf_task_stop(lf_task *task, lf_reason reason) {
  uint32_t old = atomic_load(&task->state);
  for (;;) {
    lf_reason former = reason_in(old);
    bool first = former == LF_GO_ON ||
                 (former == LF_STOP_TIMEOUT && reason == LF_STOP_CANCEL);
    if ((old & STATE) != LF_RUNNING || !first)
      return false;
    if (atomic_compare_exchange_weak(&task->state, &old,
                                     with_reason(old, reason)))
      return true;
  }
}

bool lf_task_cancel(lf_task *task) {
  return lf_task_drop(task, LF_STOP_CANCEL);
}

lf_reason lf_task_reason(lf_task *task) {
  return reason_in(atomic_load(&task->state));
}

lf_state lf_task_outcome(lf_task *task, lf_state state) {
  return outcome(atomic_load(&task->state), state);
}

bool lf_task_force(lf_task *task) {
  bool forced = move_slowly(task, LF_RUNNING, LF_FAILED, FORCED);
  if (forced)
    now_done(task);
  return forced;
}

bool lf_task_is_forced(lf_task *task) {
  return atomic_load(&task->state) & FORCED;
}

/* One whose moves are watched is seen to leave PENDING before those who wait
 * are told of its end. */
static bool drop(lf_task *task, lf_reason reason) {
  bool watched = task->ops && task->ops->moved;
  if (reason == LF_STOP_CANCEL && !watched)
    return move(task, LF_PENDING, LF_CANCELLED);
  if (!lf_task_start(task))
    return false;
  lf_task_stop(task, reason);
  return move(task, LF_RUNNING, LF_CANCELLED);
}

bool lf_task_drop(lf_task *task, lf_reason reason) {
  bool dropped = drop(task, reason);
  if (!dropped)
    return false;
  if (!task->ops) /* else it may be in use */
    lf_buf_fini(&task->data);
  if (task->owner)
    task->owner->cancelled++;
  now_done(task);
  return true;
}

bool lf_task_fail(lf_task *task, lf_error error, const char *text) {
  if (!lf_task_start(task))
    return false;
  lf_buf_reset(&task->data);
  task->error = (uint8_t)error;
  (void)lf_buf_put_text(&task->data, text); /* else: no text */
  if (task->owner)
    task->owner->unstarted++;
  lf_task_end(task, LF_FAILED);
  return true;
}

int lf_lost_put(lf_buf *out, const lf_lost *lost, const char *what,
                const char *within) {
  char who[24], how[40], text[480];
  bool known = !within[0] || (what && strcmp(what, within) == 0);
  if (lost->signal)
    snprintf(how, sizeof how, "died of %s", lf_signal_name(lost->signal));
  else if (lost->exitcode >= 0)
    snprintf(how, sizeof how, "exited with code %d", (int)lost->exitcode);
  else
    snprintf(how, sizeof how, "was lost");
  snprintf(who, sizeof who, lost->pid ? "worker %d" : "a worker",
           (int)lost->pid);
  snprintf(text, sizeof text, "%s%s%s %s while %s%s%s%s%s", who,
           lost->host[0] ? " on " : "", lost->host, how,
           what ? "running " : "starting", what ? what : "",
           known ? "" : " (in ", known ? "" : within, known ? "" : ")");
  lf_buf_reset(out);
  int err = lf_buf_put(out, lost, sizeof *lost);
  return err ? err : lf_buf_put_text(out, text);
}

bool lf_task_lose(lf_task *task, const lf_lost *lost, const char *within) {
  if (lf_task_state(task) == LF_PENDING)
    lf_task_start(task);
  if (lf_task_state(task) != LF_RUNNING)
    return false;
  task->error = LF_LOST;
  (void)lf_lost_put(&task->data, lost, lf_task_name(task), within);
  lf_task_end(task, LF_FAILED);
  return true;
}

const char *lf_task_label(const lf_task *task) {
  return task->code ? task->code->label : "task";
}

const char *lf_task_own_name(const lf_task *task) {
  return task->ops && task->ops->name ? task->ops->name(task) : NULL;
}

const char *lf_task_name(const lf_task *task) {
  const char *name = lf_task_own_name(task);
  return name ? name : lf_task_label(task);
}

bool lf_waiter_add(lf_waiter *waiter, lf_task *task) {
  lf_list_init(&waiter->link);
  waiter->task = task;
  pthread_mutex_t *lock = lock_of(task);
  pthread_mutex_lock(lock);
  uint32_t old = atomic_fetch_or(&task->state, WAITED);
  bool added = (old & STATE) < LF_FINISHED;
  if (added)
    lf_list_add(&task->waiters, &waiter->link);
  pthread_mutex_unlock(lock);
  return added;
}

bool lf_waiter_remove(lf_waiter *waiter) {
  pthread_mutex_t *lock = lock_of(waiter->task);
  pthread_mutex_lock(lock);
  bool waits = !lf_list_empty(&waiter->link);
  lf_list_del(&waiter->link);
  pthread_mutex_unlock(lock);
  return waits;
}
