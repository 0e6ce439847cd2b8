/* SPDX-License-Identifier: MIT
 *
 * What a worker process is at, as it says itself in the memory that it shares
 * with the program, when a signal asks it, or if there is a trace; and what the
 * program knows of one that does not answer (pool/survey.h). See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/os/clock.h"
#include "runtime/pool/loop.h"
#include "runtime/pool/sight.h"
#include "runtime/trace/trace.h"

#include <signal.h>

enum {
  ANSWER_NS = 1000000000, /* that a worker has to send its part of a trace */
  MOMENT_NS = 1000000,
};

/* Before it is ready it may not have its handler yet, and would die. */
lf_presence lf_proc_look_at(lf_worker *w, uint32_t number, lf_sight **sight) {
  lf_proc *c = lf_worker_proc(w);
  if (!c || !c->region)
    return w->mode == LF_WORKER_STARTING ? LF_STARTING : LF_ABSENT;
  if (!c->ready && !atomic_load(&c->region->answers))
    return LF_STARTING;
  *sight = &c->region->sight;
  if (number && !c->mad && lf_sight_ask(*sight, number))
    lf_proc_signal(c, SIGUSR1);
  return LF_THERE;
}

void lf_proc_know(lf_worker *w, lf_sight_line *line) {
  lf_proc *c = lf_worker_proc(w);
  uint64_t id = c && c->region ? atomic_load(&c->region->running) : 0;
  const lf_in_flight *f = id ? lf_proc_find(c, id) : NULL;
  if (!f)
    return;
  *line = (lf_sight_line){.count = 1, .what = LF_SIGHT_TASK};
  line->task = (uintptr_t)f->task;
  lf_line_copy(line->name, sizeof line->name, lf_task_name(f->task));
}

/* What the worker calls a task that it was sent, or knows as a future. */
static const lf_task *find(lf_proc *c, uint64_t id) {
  const lf_in_flight *f = lf_proc_find(c, id);
  if (f)
    return f->task;
  lf_task *t = lf_requests_names.find(c, id);
  if (t)
    lf_task_unref(t); /* not the last: the worker is still to be told */
  return t;
}

void lf_proc_resolve(lf_worker *w, lf_sight_line *line) {
  lf_proc *c = lf_worker_proc(w);
  const lf_task *task = c ? find(c, line->task) : NULL;
  lf_task *awaited =
      c && line->awaited ? (lf_task *)find(c, line->awaited) : NULL;
  line->task = (uintptr_t)task;
  if (task) /* the worker does not know what it is called */
    lf_line_copy(line->name, sizeof line->name, lf_task_name(task));
  line->awaited = (uintptr_t)awaited;
  line->pending = awaited && lf_task_is_queued(awaited);
}

void lf_proc_put_rest(lf_proc *c) {
  uint64_t id = atomic_load(&c->region->running);
  const lf_in_flight *f = id ? lf_proc_find(c, id) : NULL;
  if (!f)
    return;
  const lf_runner *r = lf_runner_of(f->task);
  lf_trace_rest(c->own_pid, &c->region->desk.now,
                r ? lf_loop_code(r->loop) : f->task->code,
                r ? lf_loop_name(r->loop) : lf_task_own_name(f->task));
}

static lf_proc *traced(lf_worker *w) {
  lf_proc *c = lf_worker_proc(w);
  return c && c->region && c->ready ? c : NULL;
}

void lf_proc_trace_ask(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (traced(w)) { /* what it has been sent already is not traced any more */
      atomic_store(&traced(w)->region->timing, lf_timing_now());
      lf_trace_ask(&traced(w)->region->desk);
    }
  pthread_mutex_unlock(&p->lock);
}

/* Waits a moment for one that has not answered; false: all have. Under the
 * lock, as its process may end. */
static bool await_trace(lf_pool *p, int64_t moment) {
  bool all = true;
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w && all; w = w->next)
    if (traced(w) && !lf_trace_has_answered(&traced(w)->region->desk)) {
      lf_trace_await(&traced(w)->region->desk, moment);
      all = false;
    }
  pthread_mutex_unlock(&p->lock);
  return !all;
}

void lf_proc_trace_rest(lf_pool *p) {
  int64_t deadline = lf_after_ns(ANSWER_NS);
  while (lf_now() < deadline && await_trace(p, lf_after_ns(MOMENT_NS)))
    lf_pump(p);                                /* it may be waiting for room */
  atomic_store(&lf_members_of(p)->rung, true); /* also of those that rest */
  lf_pump(p);
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (traced(w))
      lf_proc_put_rest(traced(w));
  pthread_mutex_unlock(&p->lock);
}
