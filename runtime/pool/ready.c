/* SPDX-License-Identifier: MIT
 *
 * Runs that stand still, and when they go on. See internal.h, vm.h. */
#include "runtime/pool/ready.h"

#include "runtime/os/clock.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/loop.h"

/* Any thread: puts the run on its worker's ready list, once. */
void lf_run_ready(lf_waker *waker) {
  lf_run *r = lf_container_of(waker, lf_run, waker);
  lf_worker *w = r->worker;
  if (atomic_exchange(&r->ready, true))
    return;
  lf_stack_push(&w->ready, &r->node);
  lf_unpark(w->parker_at);
}

void lf_run_init(lf_run *run, lf_worker *worker) {
  *run = (lf_run){.waker = {.wake = lf_run_ready}, .worker = worker};
  atomic_init(&run->ready, false);
  lf_list_init(&run->held);
}

void lf_run_park(lf_run *run, int64_t deadline) {
  lf_worker *w = run->worker;
  run->parked = true;
  w->parked++;
  run->deadline.at = deadline;
  if (deadline != LF_FOREVER)
    lf_deadline_set(&w->timed, &run->deadline, deadline);
}

bool lf_run_hold(lf_run *run, lf_shared_waiter *waiter, int64_t deadline) {
  lf_worker *w = run->worker;
  if (!w->doorbell && !(w->doorbell = lf_doorbell_new()))
    return false;
  run->waiter = waiter;
  lf_shared_waiter_ring(waiter, w->doorbell);
  lf_list_add(&w->held, &run->held);
  lf_run_park(run, deadline);
  if (lf_shared_waiter_stirred(waiter)) /* before it could ring */
    lf_run_ready(&run->waker);
  return true;
}

void lf_run_unpark(lf_run *run) {
  run->waiter = NULL;
  lf_list_del(&run->held);
  run->parked = false;
  run->worker->parked--;
  lf_deadline_unset(&run->worker->timed, &run->deadline);
}

/* Makes the runs ready whose deadline has come. */
static void expire(lf_worker *w) {
  if (!w->timed.first)
    return;
  int64_t now = lf_now();
  for (lf_deadline *d; (d = lf_deadline_past(&w->timed, now));)
    lf_run_ready(&lf_container_of(d, lf_run, deadline)->waker);
}

/* Makes the held runs ready that have been called, or have to end. They are
 * many where they do not keep the worker from new tasks: so only if one rang.
 */
static void look_at_held(lf_worker *w, bool all) {
  if (!lf_doorbell_take(w->doorbell) && !all)
    return;
  for (lf_link *l = w->held.next; l != &w->held; l = l->next) {
    lf_run *r = lf_container_of(l, lf_run, held);
    r->interrupted = r->interrupted || all;
    if (all || lf_shared_waiter_stirred(r->waiter))
      lf_run_ready(&r->waker);
  }
}

bool lf_worker_is_held(const lf_worker *w) {
  return lf_worker_holds(w) && !w->pool->o.backend->parks;
}

void lf_worker_interrupt(lf_worker *w) {
  if (w->parked > 0)
    atomic_store(&w->interrupted, true);
  lf_unpark(w->parker_at);
}

/* True: the parked ones are to end. */
static bool look_for_interrupt(lf_worker *w) {
  if (!atomic_load_explicit(&w->interrupted, memory_order_relaxed) ||
      !atomic_exchange(&w->interrupted, false))
    return false;
  if (w->pool->o.backend->parks)
    w->pool->o.ops->interrupt_parked(w->vm);
  return true;
}

bool lf_worker_rings(lf_worker *w, lf_shared_waiter *waiter) {
  bool holds = lf_worker_holds(w);
  lf_shared_waiter_ring(waiter, holds ? w->doorbell : NULL);
  return holds;
}

int lf_worker_sleep(lf_worker *w, int64_t deadline) {
  return lf_worker_holds(w) ? lf_sleep(w->doorbell, w->parker_at, deadline)
                            : lf_park(w->parker_at, deadline);
}

int64_t lf_worker_deadline(lf_worker *w) {
  int64_t again = w->pool->again, next = lf_deadlines_next(&w->timed);
  return again && again < next ? again : next;
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
  if (w->pool->o.backend->receive)
    w->pool->o.backend->receive(w->pool);
  expire(w);
  if (w->pool->again)
    try_again(w->pool);
  if (atomic_load_explicit(&w->asked, memory_order_relaxed) &&
      atomic_exchange(&w->asked, false))
    w->pool->o.ops->asked(w->vm);
  bool interrupted = look_for_interrupt(w);
  if (lf_worker_holds(w))
    look_at_held(w, interrupted);
  lf_node *node = lf_stack_take(&w->ready);
  if (!node)
    return NULL;
  lf_run *r = lf_container_of(node, lf_run, node);
  atomic_store(&r->ready, false);
  return r;
}

/* --- The end of a run --- */

void lf_worker_took(lf_worker *w, const lf_times *times) {
  if (times->begun) {
    w->times = *times;
    return;
  }
  w->times.sent = times->sent;
  w->times.received = times->received;
}

void lf_worker_end(lf_worker *w, lf_task *task, lf_state state) {
  if (!lf_runner_of(task)) /* whose loop counts */
    lf_tallies_run(&w->tallies, lf_task_counted(task), state != LF_FINISHED,
                   &w->times);
  w->pool->o.backend->end(w, task, state);
  w->times.begun = 0;
}
