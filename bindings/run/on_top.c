/* SPDX-License-Identifier: MIT
 *
 * See on_top.h. */
#include "bindings/run/on_top.h"

#include "runtime/pool/current.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/loop.h"
#include "runtime/pool/ready.h"
#include "runtime/process/serve.h"
#include "runtime/task/dependent.h"
#include "runtime/task/strand.h"

bool lfb_has_stack(void) {
  return lf_stack_left() >= LFB_STACK;
}

/* Not while its initializer or its finalizer runs. */
static bool can_run(lf_worker *w) {
  return w && lf_worker_vm(w) && lfb_has_stack();
}

bool lfb_run_awaited(lf_worker *w, const lfb_wait_for *what) {
  lf_task *t = what->task;
  if (!can_run(w) || !t || lf_task_pool(t) != lf_worker_pool(w) ||
      lf_runner_of(t) || lf_dependent_of(t) || t->strand ||
      (t->pinned && t->pinned != (uint32_t)lf_worker_id(w)) ||
      lf_pool_in_caller(lf_task_pool(t)))
    return false;
  return lf_worker_run_here(w, lf_worker_vm(w), t);
}

static void covered_each(lf_waits *waits, lf_visit *visit, void *arg) {
  lfb_cover *c = lf_container_of(waits, lfb_cover, waits);
  if (visit(c->top, arg) && c->own && !c->own->any)
    c->own->each(c->own, visit, arg);
}

static void covered_count(lf_waits *waits, int by) {
  lfb_cover *c = lf_container_of(waits, lfb_cover, waits);
  lf_task_await(c->top, by);
  if (c->own && !c->own->any && c->own->count)
    c->own->count(c->own, by);
}

void lfb_cover_begin(lfb_cover *c, lfb_run *r, const lfb_wait_for *what) {
  lfb_run *below = r ? r->below : NULL;
  *c = (lfb_cover){.waits = {covered_each, covered_count, .any = false}};
  if (!below || !below->task || !r->task || what->deadline != LF_FOREVER)
    return;
  c->top = r->task;
  c->task = below->task;
  c->own = atomic_load(&below->task->waits);
  lf_deadlock_swap(c->task, &c->waits);
  lf_serve_cover(c->task, &c->waits, r->task);
}

void lfb_cover_end(lfb_cover *c) {
  if (!c->task)
    return;
  lf_deadlock_swap(c->task, c->own);
  lf_serve_cover(c->task, c->own, NULL);
}

/* Runs on top of the blocked task: another that became ready, or a new one. */
static void run_on_top(lf_worker *w, lf_run *ready, lf_task *task) {
  const lf_vmops *ops = lf_pool_ops(lf_worker_pool(w));
  lf_worker_unblock(w);
  if (ready) {
    ops->resume(lf_worker_vm(w), ready);
  } else {
    ops->run(lf_worker_vm(w), task);
  }
  lf_worker_block(w);
}

lf_run *lfb_ready_on_top(lf_worker *w) {
  return can_run(w) ? lf_worker_ready(w) : NULL;
}

/* A task for this worker alone; it may have to pass a strand. */
static void run_pinned(lf_worker *w, lf_task *task) {
  struct lf_strand *strand = task->strand;
  if (strand && !lf_strand_admit(task))
    return;
  if (lf_worker_begin(w, task))
    run_on_top(w, NULL, task);
  else
    lf_task_unref(task);
  if (strand)
    lf_strand_leave(strand);
}

bool lfb_run_on_top(lf_worker *w) {
  if (!can_run(w))
    return false;
  lf_run *ready = lf_worker_ready(w);
  lf_task *pinned = ready ? NULL : lf_worker_pinned(w);
  if (ready)
    run_on_top(w, ready, NULL);
  else if (pinned)
    run_pinned(w, pinned);
  return ready || pinned;
}
