/* SPDX-License-Identifier: MIT
 *
 * See dependent.h. Each input for which it waits holds a reference to it: given
 * back when it has been told, or does not wait for it any more.
 *
 * It may end while it is still beginning: who is second, of both, takes it out
 * of those that wait for its inputs. */
#include "runtime/task/dependent.h"

#include "runtime/base/mem.h"

enum { BEGUN = 1, OVER = 2 };

/* --- What it waits for --- */

static void each(lf_waits *waits, lf_visit *visit, void *arg) {
  lf_dependent *d = lf_container_of(waits, lf_dependent, waits);
  for (size_t i = 0; i < d->n; i++) {
    lf_task *t = d->inputs[i].waiter.task;
    if (!lf_task_done(t) && !visit(t, arg))
      return;
  }
}

static void count(lf_waits *waits, int by) {
  lf_dependent *d = lf_container_of(waits, lf_dependent, waits);
  for (size_t i = 0; i < d->n; i++)
    lf_task_await(d->inputs[i].waiter.task, by);
}

/* --- Being told --- */

/* Under the input's lock. */
static void fire(lf_waiter *waiter) {
  lf_follow_note(&lf_container_of(waiter, lf_input, waiter)->follow);
}

static void tell(lf_follow *follow) {
  lf_input *in = lf_container_of(follow, lf_input, follow);
  lf_dependent *d = in->of;
  if (!lf_task_done(&d->task))
    d->ops->ready(d, in);
  lf_task_unref(&d->task);
}

/* It waits for no input any more. */
static void leave_all(lf_dependent *d) {
  lf_deadlock_end(&d->task);
  for (size_t i = 0; i < d->n; i++)
    if (lf_waiter_remove(&d->inputs[i].waiter))
      lf_task_unref(&d->task); /* not the last */
}

void lf_dependent_begin(lf_dependent *d) {
  lf_deadlock_swap(&d->task, &d->waits);
  for (size_t i = 0; i < d->n; i++) {
    lf_input *in = &d->inputs[i];
    lf_task_ref(&d->task);
    if (!lf_waiter_add(&in->waiter, in->waiter.task))
      lf_follow_note(&in->follow);
  }
  if (atomic_fetch_or(&d->stage, BEGUN) & OVER)
    leave_all(d);
  lf_follow_run();
}

/* --- As a task --- */

static void done(lf_task *t) {
  lf_dependent *d = lf_container_of(t, lf_dependent, task);
  lf_deadlock_end(t);
  if (atomic_fetch_or(&d->stage, OVER) & BEGUN)
    leave_all(d);
  if (d->ops->over)
    d->ops->over(d);
}

void lf_dependent_let_go(lf_input *in) {
  if (in->waiter.task)
    lf_task_unref(in->waiter.task);
  in->waiter.task = NULL;
}

static void free_now(lf_dependent *d) {
  for (size_t i = 0; i < d->n; i++)
    lf_dependent_let_go(&d->inputs[i]);
  if (d->origin)
    lf_task_unref(d->origin);
  if (d->executor)
    lf_owner_unref(d->executor);
  lf_free(d);
}

static void free_later(lf_follow *follow) {
  free_now(lf_container_of(follow, lf_input, follow)->of);
}

/* Its inputs may be the last to know others, and so on. */
static void dependent_free(lf_task *t) {
  lf_dependent *d = lf_container_of(t, lf_dependent, task);
  if (d->n == 0) {
    free_now(d);
    return;
  }
  d->inputs[0].follow.run = free_later;
  lf_follow_note(&d->inputs[0].follow);
  lf_follow_run();
}

static const lf_task_ops task_ops = {.done = done, .free = dependent_free};

lf_dependent *lf_dependent_of(const lf_task *t) {
  return t->ops == &task_ops ? lf_container_of(t, lf_dependent, task) : NULL;
}

lf_dependent *lf_dependent_new(lf_owner *owner, const lf_dependent_ops *ops,
                               size_t most, bool any) {
  lf_dependent *d = lf_zalloc(sizeof *d + most * sizeof d->inputs[0]);
  if (!d)
    return NULL;
  lf_task_init(&d->task, owner, &task_ops);
  d->ops = ops;
  d->waits = (lf_waits){each, count, any};
  lf_list_init(&d->held);
  return d;
}

void lf_dependent_add(lf_dependent *d, lf_task *input) {
  lf_input *in = &d->inputs[d->n++];
  lf_list_init(&in->waiter.link);
  in->waiter.task = lf_task_ref(input);
  in->waiter.fire = fire;
  in->follow.run = tell;
  in->of = d;
  atomic_store_explicit(&d->left, d->n, memory_order_relaxed);
}

/* --- Failing --- */

lf_task *lf_task_origin(lf_task *t) {
  lf_dependent *d = lf_dependent_of(t);
  return d && d->origin ? d->origin : t;
}

lf_owner *lf_task_executor(const lf_task *t) {
  const lf_dependent *d = lf_dependent_of(t);
  return d && d->executor ? d->executor : t->owner;
}

/* The failure's bytes are those of the first that has it, which stays. */
static void take_failure(lf_dependent *d, lf_task *origin) {
  lf_task *t = &d->task;
  lf_buf_reset(&t->data);
  d->origin = lf_task_ref(origin);
  if (lf_task_reason(origin) != LF_GO_ON) { /* it may still be written to */
    lf_task_stop(t, lf_task_reason(origin));
    return;
  }
  if (lf_buf_lend(&t->data, &origin->data, 0) != 0) {
    t->error = LF_BROKEN;
    (void)lf_buf_put(&t->data, LF_NO_MEMORY, sizeof LF_NO_MEMORY - 1);
    return;
  }
  t->error = origin->error;
  if (origin->trace) /* else: no traceback */
    t->trace = lf_strndup(origin->trace, strlen(origin->trace));
}

void lf_dependent_fail(lf_dependent *d, lf_task *from) {
  lf_task *t = &d->task;
  if (lf_task_state(from) == LF_CANCELLED) {
    lf_task_cancel(t);
    return;
  }
  if (!lf_task_start(t))
    return;
  take_failure(d, lf_task_origin(from));
  if (t->owner)
    t->owner->unstarted++;
  lf_task_end(t, LF_FAILED);
}
