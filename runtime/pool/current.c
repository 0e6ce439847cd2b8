/* SPDX-License-Identifier: MIT
 *
 * See current.h. */
#include "runtime/pool/current.h"

#include "runtime/os/clock.h"
#include "runtime/pool/internal.h"
#include "runtime/task/strand.h"

_Thread_local lf_worker *lf_self;

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

int64_t lf_worker_since(const lf_worker *w) {
  return atomic_load_explicit(&w->since, memory_order_relaxed);
}

lf_parker *lf_worker_parker(lf_worker *w) {
  return w->parker_at;
}

bool lf_worker_is_asked(const lf_worker *w, lf_task *task) {
  return lf_task_reason(task) != LF_GO_ON ||
         (w->asked_at && atomic_load(w->asked_at) == task->far.id);
}

void lf_worker_count_started(lf_worker *w) {
  atomic_store_explicit(&w->started, w->started + 1, memory_order_relaxed);
}

bool lf_worker_begin(lf_worker *w, lf_task *task) {
  if (!w->pool->o.backend->remote)
    lf_task_carry(task, w); /* for those who ask it to stop, once it runs */
  if (!lf_task_start(task))
    return false;
  lf_worker_count_started(w);
  lf_gate_begin(w);
  return true;
}

void lf_worker_count_finished(lf_worker *w) {
  atomic_store_explicit(&w->finished, w->finished + 1, memory_order_relaxed);
}

void lf_worker_leave_strand(lf_worker *w) {
  lf_strand *strand = w->inside;
  w->inside = NULL;
  if (strand)
    lf_strand_leave(strand);
}

bool lf_worker_is_inside(const lf_worker *w) {
  return w->inside;
}

/* After it was shown what runs: who asks for a stop looks there only before. */
static void look_for_asks(lf_worker *w) {
  uint32_t asks = atomic_load(w->asks_at);
  if (asks == w->asks)
    return;
  w->asks = asks;
  w->pool->o.backend->receive(w->pool);
}

void lf_worker_go_on(lf_worker *w) {
  atomic_store_explicit(&w->since, lf_now_roughly(), memory_order_relaxed);
}

lf_task *lf_worker_runs(lf_worker *w, lf_task *task) {
  lf_task *former = atomic_load_explicit(&w->current, memory_order_relaxed);
  atomic_store_explicit(&w->current, task, memory_order_release);
  if (task)
    lf_worker_go_on(w);
  if (w->runs_at) {
    atomic_store(w->runs_at, task ? task->far.id : 0);
    look_for_asks(w);
  }
  return former;
}
