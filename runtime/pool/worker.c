/* SPDX-License-Identifier: MIT
 *
 * See worker.h, internal.h. */
#include "runtime/pool/worker.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/spin.h"
#include "runtime/task/strand.h"

#include <unistd.h>
enum { IDLE_NS = 250000000 }; /* without work for so long: ops->idle */

/* The worker turns to something: others are to look for what is left. */
static void pass_on(lf_worker *w) {
  if (lf_worker_seek_no_more(w) && lf_pool_any_queued(w->pool))
    lf_pool_rouse_more(w->pool);
}

/* --- Permits --- */

/* Only a worker that runs tasks has a permit to give. One in its initializer
 * keeps it, as another would have to run that first, too; one in its finalizer
 * has none. */
void lf_thread_block(lf_worker *w) {
  lf_pool *p = w->pool;
  if (!w->vm)
    return;
  pthread_mutex_lock(&p->lock);
  if (w->abandoned) { /* it has no permit */
    pthread_mutex_unlock(&p->lock);
    return;
  }
  w->mode = LF_WORKER_BLOCKED;
  p->active--;
  lf_worker *other = lf_pool_replace(p);
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
}

void lf_thread_unblock(lf_worker *w) {
  if (!w->vm)
    return;
  pthread_mutex_lock(&w->pool->lock);
  if (!w->abandoned)
    lf_worker_become_active(w);
  pthread_mutex_unlock(&w->pool->lock);
}

/* Between two tasks: lets one that wants a permit have this one. */
static void give_permit(lf_worker *w) {
  lf_pool *p = w->pool;
  pass_on(w);
  pthread_mutex_lock(&p->lock);
  p->active--;
  w->mode = LF_WORKER_BLOCKED;
  lf_worker *other = lf_pool_pass_permit(p);
  if (other)
    lf_unpark(&other->parker);
  lf_worker_become_active(w);
  pthread_mutex_unlock(&p->lock);
}

/* --- The life of a worker --- */

static lf_habit idling = LF_HABIT;

/* Looks for work for a moment without sleeping: until there may be some, or
 * the worker is woken for something else. */
static void spin_on(lf_worker *w, lf_spin *spin) {
  if (!spin->spins)
    return;
  lf_worker_seek(w);
  bool found = lf_worker_has_work(w);
  for (int i = 1; !found && lf_spin_on(spin); i++) {
    found = lf_pool_any_queued(w->pool) || lf_parker_woken(&w->parker);
    if (i % 64 == 0 && !found)
      found = lf_worker_has_work(w);
  }
}

/* Under the lock: may this worker go for good? */
static bool may_leave(lf_worker *w) {
  lf_pool *p = w->pool;
  if (w->parked > 0 || (p->owner.held > 0 && p->live == 1))
    return false; /* somebody has to be there for what waits at strands */
  if (!lf_pool_is_open(p))
    return true;
  return !w->stays &&
         p->live > p->o.max_workers; /* it stood in for a blocked one */
}

/* Without work for a moment: the interpreter may tidy up. Under the lock, which
 * it gives back meanwhile. */
static void sweep(lf_worker *w) {
  w->swept = true;
  pthread_mutex_unlock(&w->pool->lock);
  w->pool->o.ops->idle(w->vm);
  pthread_mutex_lock(&w->pool->lock);
}

/* Under the lock: sleeps until there is something to do. */
static void sleep_idle(lf_worker *w, int64_t deadline) {
  lf_pool *p = w->pool;
  lf_worker_seek_no_more(w);
  w->mode = LF_WORKER_IDLE;
  p->active--;
  lf_list_add(p->idle.next, &w->standby);
  lf_worker *other = lf_pool_pass_permit(p);
  pthread_mutex_unlock(&p->lock);
  if (other)
    lf_unpark(&other->parker);
  int64_t soon = w->swept ? LF_FOREVER : lf_now() + IDLE_NS;
  bool work = lf_worker_has_work(w);
  soon = work ? 0 : soon < deadline ? soon : deadline;
  int r =
      lf_worker_holds(w) ? lf_worker_sleep(w, soon) : lf_doze(&w->parker, soon);
  pthread_mutex_lock(&p->lock);
  if (w->mode != LF_WORKER_IDLE)
    return; /* it is to seek, and has to hurry */
  lf_worker_become_active(w);
  if (work) /* who brought it has seen this one active, and left it to it */
    lf_worker_seek(w);
  else if (r == LF_ETIMEOUT && soon > 0 && soon < deadline && !w->swept)
    sweep(w);
}

/* Under the lock: this worker will take no more tasks. */
static void leave_permit(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_worker_seek_no_more(w);
  w->mode = LF_WORKER_LEAVING;
  p->live--;
  p->active--;
  lf_worker *other = lf_pool_pass_permit(p);
  if (other)
    lf_unpark(&other->parker);
}

/* Nothing to do now: sleeps, or leaves (false). */
static bool rest(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_spin spin = lf_spin_begin(&idling, LF_FOREVER);
  spin_on(w, &spin);
  if (lf_worker_has_work(w)) {
    lf_spin_end(&spin);
    return true;
  }
  spin.in_vain = true;
  pthread_mutex_lock(&p->lock);
  if (!lf_worker_has_work(w)) {
    if (may_leave(w)) {
      leave_permit(w);
      pthread_mutex_unlock(&p->lock);
      if (lf_pool_any_queued(p)) /* it has come meanwhile */
        lf_pool_rouse_more(p);
      return false;
    }
    sleep_idle(w, lf_deadlines_next(&w->timed));
  }
  pthread_mutex_unlock(&p->lock);
  lf_spin_end(&spin);
  return true;
}

static void run_task(lf_worker *w, lf_task *task) {
  lf_strand *strand = task->strand;
  if (strand && !lf_strand_admit(task))
    return;
  w->inside = strand;
  if (lf_worker_begin(w, task)) {
    w->swept = false;
    w->pool->o.ops->run(w->vm, task);
  } else { /* it was cancelled */
    lf_task_unref(task);
  }
  lf_worker_leave_strand(w);
}

/* One that has been taken. If it does not begin, its place is free. */
static void begin_task(lf_worker *w, lf_task *task) {
  run_task(w, task);
  if (w->has_place)
    lf_gate_leave(w->pool);
  w->has_place = false;
}

/* Its permit is that of the runs it holds: sleeps until one can go on. */
static void hold(lf_worker *w) {
  if (w->queued > 0)
    lf_pool_rouse_more(w->pool); /* for what it has not begun */
  lf_worker_sleep(w, lf_worker_deadline(w));
}

/* It has come back from a task that was given up: there may be others, which
 * are parked. */
static bool step_abandoned(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_run *run = lf_worker_ready(w);
  if (run) {
    p->o.ops->resume(w->vm, run);
    return true;
  }
  if (w->parked > 0) {
    lf_worker_sleep(w, lf_worker_deadline(w));
    return true;
  }
  pthread_mutex_lock(&p->lock);
  p->abandoned--;
  p->threads++; /* until it has left */
  w->mode = LF_WORKER_LEAVING;
  pthread_mutex_unlock(&p->lock);
  lf_threads_discount(1);
  return false;
}

/* Of those that have begun, many may become ready again and again: now and
 * then, one begins all the same. */
static bool is_turn_of_tasks(lf_worker *w) {
  enum { MOST = 64 };
  return w->resumed >= MOST && w->pool->o.backend->parks &&
         lf_pool_any_queued(w->pool);
}

/* The next task is left to a worker with less to do, for some moments: it may
 * be starting. */
static bool defers(lf_worker *w) {
  enum { MOMENT_NS = 1000000, MOMENTS = 50 };
  bool defer = w->deferred < MOMENTS && lf_worker_may_defer(w);
  w->deferred = defer ? w->deferred + 1 : 0;
  if (defer) {
    pass_on(w);
    lf_worker_sleep(w, lf_now() + MOMENT_NS);
  }
  return defer;
}

/* One step of a worker's life; false when it is to leave. */
static bool step(lf_worker *w) {
  if (w->abandoned)
    return step_abandoned(w);
  bool held = lf_worker_is_held(w);
  if (!held &&
      atomic_load_explicit(&w->pool->nwanting, memory_order_relaxed) > 0)
    give_permit(w);
  lf_run *run = is_turn_of_tasks(w) ? NULL : lf_worker_ready(w);
  if (run) {
    pass_on(w);
    w->resumed++;
    w->pool->o.ops->resume(w->vm, run);
    return true;
  }
  w->resumed = 0;
  if (held) {
    pass_on(w);
    hold(w);
    return true;
  }
  if (defers(w))
    return true;
  lf_task *task = lf_worker_take(w);
  if (!task)
    return rest(w);
  pass_on(w);
  begin_task(w, task);
  return true;
}

/* The thread's last act on the worker, after leave_permit: tasks for it alone
 * that came too late fail, and the pool may have ended. */
static void leave(lf_worker *w, bool opened, const char *why) {
  lf_pool *p = w->pool;
  lf_link pinned;
  lf_list_init(&pinned);
  pthread_mutex_lock(&p->lock);
  w->mode = LF_WORKER_GONE;
  lf_list_add(&p->gone, &w->standby);
  w->thread = 0;
  w->open = w->abandoned = false;
  w->batch = 0;
  lf_stack_init(&w->ready); /* late wake-ups: its interpreter is closed */
  p->threads--;
  lf_list_move(&pinned, &w->pinned);
  w->npinned = 0;
  bool ended = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  lf_pool_fail_all(&pinned, why);
  if (ended)
    lf_pool_end(p);
  else if (opened && lf_pool_any_queued(p))
    lf_pool_rouse_more(p);
}

/* Its interpreter could not be opened. An initializer that fails breaks the
 * pool; lack of memory is nobody's fault but fails what nobody can run. */
static void open_failed(lf_worker *w, int err, lf_buf *why) {
  lf_pool *p = w->pool;
  const char *text = "cannot start a worker: " LF_NO_MEMORY;
  if (err == LF_EBROKEN && lf_buf_put(why, "", 1) == 0) {
    text = (char *)why->data;
    lf_pool_break(p, text);
  }
  pthread_mutex_lock(&p->lock);
  leave_permit(w);
  bool alone = p->live == 0;
  pthread_mutex_unlock(&p->lock);
  if (alone) {
    lf_link tasks;
    lf_pool_drain(p, &tasks);
    lf_pool_fail_all(&tasks, text);
  }
  pthread_mutex_lock(&p->lock);
  lf_pool_try_later(p);
  pthread_mutex_unlock(&p->lock);
  leave(w, false, text);
}

void lf_worker_main(void *arg) {
  lf_worker *w = arg;
  lf_pool *p = w->pool;
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  lf_self = w;
  pthread_mutex_lock(&p->lock);
  w->thread = gettid();
  pthread_mutex_unlock(&p->lock);
  int err = p->o.ops->open(w, &w->vm, &why);
  pthread_mutex_lock(&p->lock);
  w->open = err == 0;
  pthread_mutex_unlock(&p->lock);
  if (err == 0) {
    while (step(w))
      continue;
    lf_vm *vm = w->vm;
    w->vm = NULL; /* what it submits while closing is not its own */
    p->o.ops->close(vm);
    if (w->doorbell)
      lf_doorbell_end(w->doorbell);
    w->doorbell = NULL;
    leave(w, true, "the worker has left");
  } else {
    open_failed(w, err, &why);
  }
  lf_buf_fini(&why);
  lf_self = NULL;
  lf_pool_unref(p);
}

void lf_thread_end(lf_worker *w, lf_task *task, lf_state state) {
  state = lf_task_outcome(task, state);
  _Atomic uint64_t *count = state == LF_FINISHED    ? &w->finished
                            : state == LF_CANCELLED ? &w->stopped
                                                    : &w->failed;
  atomic_store_explicit(count, *count + 1, memory_order_relaxed);
  lf_task_end(task, state);
  bool leaves = lf_gate_is_limited(w->pool) && /* and has not yet */
                !lf_task_is_forced(task);
  lf_task_unref(task);
  if (leaves)
    lf_gate_leave(w->pool);
}
