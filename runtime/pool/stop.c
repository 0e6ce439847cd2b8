/* SPDX-License-Identifier: MIT
 *
 * See stop.h. A signal that comes just before a system call is lost, so there
 * have to be more. */
#include "runtime/pool/stop.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/timer.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/limits.h"

/* Owned by its timer. */
typedef struct {
  lf_timer timer;
  lf_task *task; /* a reference */
  uint64_t left; /* of its retries: if it has less, that is another run */
  int64_t grace, until;
  int64_t delay;
} watch;

static uint64_t retries_left(const lf_task *task) {
  const lf_clock *clock = lf_task_clock(task);
  return clock ? atomic_load(&clock->left) : 0;
}

static void set(watch *w) {
  int64_t at = lf_remind_at(&w->delay);
  at = at < w->until ? at : w->until;
  if (lf_timer_set(&w->timer, at) == 0)
    return;
  lf_task_unref(w->task); /* no memory: it will hardly stop without, either */
  lf_free(w);
}

/* It may have been run again, and been asked again. */
static void look_at_run(watch *w) {
  uint64_t left = retries_left(w->task);
  if (left == w->left)
    return;
  w->left = left;
  w->until = lf_after_ns(w->grace);
}

static void look(lf_timer *timer) {
  watch *w = lf_container_of(timer, watch, timer);
  lf_pool *p = lf_task_pool(w->task);
  look_at_run(w);
  bool over = lf_task_done(w->task) || lf_task_reason(w->task) == LF_GO_ON;
  bool late = !over && lf_now() >= w->until;
  if (late && p->o.backend->give_up)
    over = p->o.backend->give_up(p, w->task);
  else if (late)
    over = true;
  if (!over) {
    if (late)
      w->until = LF_FOREVER; /* it does not hang: it only has to go on */
    p->o.backend->remind(p, w->task);
    set(w);
    return;
  }
  lf_task_unref(w->task);
  lf_free(w);
}

static void watch_task(lf_task *task, uint64_t left, int64_t grace) {
  watch *w = lf_malloc(sizeof *w);
  if (!w)
    return;
  lf_timer_init(&w->timer, look);
  w->task = lf_task_ref(task);
  w->left = left;
  w->grace = grace;
  w->until = lf_after_ns(grace);
  w->delay = 0;
  set(w);
}

void lf_pool_watch(lf_task *task) {
  watch_task(task, retries_left(task), lf_task_grace(task));
}

bool lf_pool_stop(lf_task *task, lf_reason reason, int64_t grace) {
  lf_pool *p = lf_task_pool(task);
  uint64_t left = retries_left(task);
  if (!p || lf_pool_is_foreign(p) || !p->o.backend->ask ||
      !p->o.backend->ask(p, task, reason))
    return false;
  if (!lf_task_done(task))
    watch_task(task, left, grace);
  return true;
}

/* It may begin, or wait to be run again, between two looks. */
bool lf_pool_cancel_running(lf_task *task) {
  enum { TRIES = 100 };
  for (int i = 0; i < TRIES && !lf_task_done(task); i++)
    if (lf_pool_cancel(task) ||
        lf_pool_stop(task, LF_STOP_CANCEL, lf_task_grace(task)) ||
        lf_task_reason(task) == LF_STOP_CANCEL)
      return true;
  return lf_task_state(task) == LF_CANCELLED;
}

bool lf_pool_cancel_future(lf_task *task, bool running) {
  return running ? lf_pool_cancel_running(task)
                 : lf_pool_cancel(task) || lf_task_state(task) == LF_CANCELLED;
}
