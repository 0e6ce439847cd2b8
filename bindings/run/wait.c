/* SPDX-License-Identifier: MIT
 *
 * See wait.h. */
#include "bindings/run/wait.h"

#include "bindings/core/error.h"
#include "bindings/run/callback.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/run.h"
#include "runtime/base/mem.h"
#include "runtime/pool/crew.h"
#include "runtime/pool/ready.h"
#include "runtime/pool/registry.h"
#include "runtime/process/serve.h"
#include "runtime/shm/array.h"
#include "runtime/task/strand.h"

static void wake_thread(lf_waker *waker) {
  lfb_sleeper *s = lf_container_of(waker, lfb_sleeper, waker);
  lf_parker *parker = s->parker;
  atomic_store(&s->fired, true); /* then 's' may be gone */
  lf_unpark(parker);
}

static void fire_thread(lf_waiter *waiter) {
  lfb_sleeper *s = lf_container_of(waiter, lfb_sleeper, waiter);
  wake_thread(&s->waker);
}

static void run_fire(lf_waiter *waiter) {
  lfb_run *r = lf_container_of(waiter, lfb_run, waiter);
  r->base.waker.wake(&r->base.waker);
}

/* --- Cycles --- */

/* The program has found out that what a task in this worker process waits for
 * waits for it. */
static void push_stuck(lua_State *L, lf_task *task) {
  lua_pushstring(L, task->trace ? task->trace : "");
  lf_free(task->trace);
  task->trace = NULL;
  task->stuck = false;
  lfb_push_error(L, "DeadlockError", "waiting would never end: %s",
                 lua_tostring(L, -1));
}

/* Records what the run waits for; false, with an error at the top, if that
 * would be a cycle. A wait with a deadline ends anyway. */
__attribute__((warn_unused_result)) static bool
begin_wait(lua_State *L, lfb_run *r, const lfb_wait_for *what) {
  char path[1000];
  if (!r || !r->task || what->deadline != LF_FOREVER)
    return true;
  if (r->task->stuck) {
    push_stuck(L, r->task);
    return false;
  }
  lf_waits *waits = what->waits;
  if (what->task)
    waits = lf_wait_for_one(&r->one, what->task);
  else if (what->job)
    waits = lf_job_waits(what->job);
  if (waits && lf_cycle_begin(r->task, waits, path, sizeof path) != 0) {
    lfb_push_error(L, "DeadlockError", "waiting would never end: %s", path);
    return false;
  }
  if (waits)
    lf_remote_wait(r->task, waits);
  return true;
}

void lfb_end_wait(lfb_run *r) {
  if (!r || !r->task)
    return;
  lf_cycle_end(r->task);
  lf_remote_unwait(r->task);
}

/* --- Parking --- */

static void unwatch_task(lfb_run *r) {
  lf_waiter_remove(&r->waiter);
  lf_task_unref(r->watched);
}

static void unwatch_set(lfb_run *r) {
  lf_waitset_unwatch(r->watched, &r->base.waker);
}

static void unwatch_job(lfb_run *r) {
  lf_job_unwatch(r->watched, &r->base.waker);
  lf_job_unref(r->watched);
}

/* Has the run woken when what it waits for comes. */
static void watch(lfb_run *r, const lfb_wait_for *what) {
  lf_waker *waker = &r->base.waker;
  if (what->task) {
    r->watched = lf_task_ref(what->task);
    r->unwatch = unwatch_task;
    r->waiter.fire = run_fire;
    if (!lf_waiter_add(&r->waiter, what->task))
      waker->wake(waker);
  } else if (what->set) {
    r->watched = what->set;
    r->unwatch = unwatch_set;
    if (!lf_waitset_watch(what->set, waker))
      waker->wake(waker);
  } else {
    r->watched = lf_job_ref(what->job);
    r->unwatch = unwatch_job;
    if (!lf_job_watch(what->job, waker))
      waker->wake(waker);
  }
}

bool lfb_can_park(lua_State *L, lfb_state *S) {
  return S->vm && S->vm->current && lfb_can_yield(L, S) &&
         !lf_pool_in_caller(lf_worker_pool(S->vm->worker));
}

static void park(lua_State *L, lfb_run *r, const lfb_wait_for *what) {
  if (!begin_wait(L, r, what))
    lua_error(L);
  if (r->task)
    lf_remote_rest(r->task);
  lf_run_park(&r->base, what->deadline);
  watch(r, what);
}

/* --- Sleeping --- */

void lfb_watch_asleep(lfb_state *S, lfb_sleeper *s, const lfb_wait_for *what) {
  bool now = false;
  lf_worker *w = lf_worker_self();
  *s = (lfb_sleeper){.waker = {.wake = wake_thread},
                     .waiter = {.fire = fire_thread}};
  s->parker = w ? lf_worker_parker(w) : &S->home->parker;
  if (what->task)
    now = !lf_waiter_add(&s->waiter, what->task);
  else if (what->set)
    now = !lf_waitset_watch(what->set, &s->waker);
  else
    now = !lf_job_watch(what->job, &s->waker);
  if (now)
    wake_thread(&s->waker);
}

void lfb_unwatch_asleep(lfb_sleeper *s, const lfb_wait_for *what) {
  if (what->task)
    lf_waiter_remove(&s->waiter);
  else if (what->set)
    lf_waitset_unwatch(what->set, &s->waker);
  else
    lf_job_unwatch(what->job, &s->waker);
}

bool lfb_has_stack(void) {
  return lf_stack_left() >= LFB_STACK;
}

/* A task that the waiting one, which occupies its worker, can run itself: it
 * is pending and its turn would come on this worker anyway. */
static bool run_awaited(lf_worker *w, const lfb_wait_for *what) {
  lf_task *t = what->task;
  if (!w || !t || lf_task_pool(t) != lf_worker_pool(w) || lf_runner_of(t) ||
      t->gate || (t->pinned && t->pinned != (uint32_t)lf_worker_id(w)) ||
      lf_pool_in_caller(lf_task_pool(t)) || !lfb_has_stack() ||
      !lf_task_start(t))
    return false;
  lf_worker_count_started(w);
  lf_pool_ops(lf_task_pool(t))->run(lf_worker_vm(w), lf_task_ref(t));
  return true;
}

/* What a blocked task waits for while another is blocked on top of it: that
 * one, too. (Of several of which any would do, none is enough without it.) One
 * that can be parked is in nobody's way. */
typedef struct {
  lf_waits waits;
  lf_waits *own;
  lf_task *top;
  lf_task *task; /* the blocked one; NULL: there is none */
} covered;

static void covered_each(lf_waits *waits, lf_visit *visit, void *arg) {
  covered *c = lf_container_of(waits, covered, waits);
  if (visit(c->top, arg) && c->own && !c->own->any)
    c->own->each(c->own, visit, arg);
}

static void covered_count(lf_waits *waits, int by) {
  covered *c = lf_container_of(waits, covered, waits);
  lf_task_await(c->top, by);
  if (c->own && !c->own->any && c->own->count)
    c->own->count(c->own, by);
}

/* The run is about to be blocked, perhaps on top of another. */
static void cover(covered *c, lfb_run *r, const lfb_wait_for *what) {
  lfb_run *below = r ? r->below : NULL;
  *c = (covered){.waits = {covered_each, covered_count, .any = false}};
  if (!below || !below->task || !r->task || what->deadline != LF_FOREVER)
    return;
  c->top = r->task;
  c->task = below->task;
  c->own = atomic_load(&below->task->waits);
  lf_cycle_swap(c->task, &c->waits);
  lf_remote_cover(c->task, &c->waits, r->task);
}

static void uncover(covered *c) {
  if (!c->task)
    return;
  lf_cycle_swap(c->task, c->own);
  lf_remote_cover(c->task, c->own, NULL);
}

/* Runs on top of the blocked task: another that became ready, or a new one. */
static void run_on_top(lf_worker *w, lf_run *ready, lf_task *task) {
  const lf_vmops *ops = lf_pool_ops(lf_worker_pool(w));
  lf_worker_unblock(w);
  if (ready) {
    ops->resume(lf_worker_vm(w), ready);
  } else {
    lf_worker_count_started(w);
    ops->run(lf_worker_vm(w), task);
  }
  lf_worker_block(w);
}

/* A task for this worker alone that has to pass a gate. */
static bool run_at_gate(lf_worker *w, lf_task *task) {
  struct lf_gate *gate = task->gate;
  if (!lf_gate_admit(task))
    return true;
  if (lf_task_start(task)) {
    lf_task_ref(task);
    run_on_top(w, NULL, task);
  }
  lf_task_unref(task);
  lf_gate_leave(gate);
  return true;
}

/* Runs a task of this worker that was parked and became ready, or that is for
 * this worker alone: it may be what this one waits for, and nobody else can. */
static bool run_ready(lf_worker *w) {
  if (!w || !lfb_has_stack())
    return false;
  lf_run *ready = lf_worker_ready(w);
  lf_task *pinned = ready ? NULL : lf_worker_pinned(w);
  if (pinned && pinned->gate)
    return run_at_gate(w, pinned);
  if (ready) {
    run_on_top(w, ready, NULL);
  } else if (pinned && lf_task_start(pinned)) {
    lf_task_ref(pinned);
    run_on_top(w, NULL, pinned);
    lf_task_unref(pinned);
  } else if (pinned) {
    lf_task_unref(pinned);
  }
  return ready || pinned;
}

/* Sleeps until the wait is over in any way; LF_EINTR if it is to raise. */
static int sleep_on(lua_State *L, lfb_state *S, lfb_sleeper *s, lf_worker *w,
                    int64_t deadline) {
  for (;;) {
    if (atomic_load(&s->fired) || lfb_callbacks_due(S))
      return 0;
    if (lfb_is_interrupted(L, S))
      return LF_EINTR;
    if (S->vm && S->vm->current && S->vm->current->task &&
        S->vm->current->task->stuck)
      return 0;
    if (run_ready(w))
      continue;
    int64_t until = w ? lf_worker_deadline(w) : lf_after(LFB_LOOK_AGAIN);
    until = until < deadline ? until : deadline;
    int r = w ? lf_worker_sleep(w, until) : lf_host_park(&S->home->host, until);
    if (r == LF_ETIMEOUT && until == deadline)
      return LF_ETIMEOUT;
  }
}

static void block(lua_State *L, lfb_state *S, const lfb_wait_for *what) {
  lf_worker *w = lf_worker_self();
  lfb_run *r = S->vm ? S->vm->current : NULL;
  covered c;
  lf_array_sweep(); /* there is time */
  cover(&c, r, what);
  if (!begin_wait(L, r, what)) {
    uncover(&c);
    lua_error(L);
  }
  if (run_awaited(w, what)) {
    uncover(&c);
    lfb_end_wait(r);
    return;
  }
  lfb_sleeper s;
  if (r && r->task)
    lf_remote_rest(r->task);
  if (w)
    lf_worker_block(w);
  lfb_watch_asleep(S, &s, what);
  int err = sleep_on(L, S, &s, w, what->deadline);
  lfb_unwatch_asleep(&s, what);
  if (w)
    lf_worker_unblock(w);
  uncover(&c);
  lfb_end_wait(r);
  if (err == LF_EINTR)
    lfb_raise_interrupted(L, S);
}

/* Before a wait. */
static void check(lua_State *L, lfb_state *S, const lfb_wait_for *what) {
  if (S->vm && S->vm->closing)
    luaL_error(L, "cannot wait in a worker that closes");
  lfb_poll(L, S);
  if (what->task)
    lfb_refuse_foreign(L, what->task);
}

void lfb_wait_here(lua_State *L, lfb_state *S, const lfb_wait_for *what) {
  check(L, S, what);
  block(L, S, what);
  lfb_poll(L, S);
}

/* --- Steps --- */

static int try_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lfb_state *S = lfb_self(L);
  lfb_run *r = S->vm->current;
  return lfb_waiting(L, S, r->step, r->context);
}

/* Only one step of a task is parked at a time, however many coroutines wait for
 * it to go on: so the run knows it. */
static int leave(lua_State *L, lfb_state *S, lfb_step *step, int64_t context) {
  lfb_run *r = S->vm->current;
  r->step = step;
  r->context = context;
  return lua_yieldk(L, 0, 0, try_again);
}

int lfb_wait_on(lua_State *L, lfb_state *S, lfb_step *step, int64_t context,
                int how, lfb_wait_for *what) {
  while (how == LFB_NOT_YET) {
    check(L, S, what);
    if (lfb_can_park(L, S)) {
      park(L, S->vm->current, what);
      how = LFB_PARKED;
      break;
    }
    block(L, S, what);
    lfb_poll(L, S);
    how = step(L, S, context, what);
  }
  return how == LFB_PARKED ? leave(L, S, step, context) : how;
}

void lfb_enter(lua_State *L, lfb_state *S, struct lf_gate *gate) {
  while (gate && !lf_gate_enter(gate, lf_after(LFB_LOOK_AGAIN)))
    if (lfb_is_interrupted(L, S))
      lfb_raise_interrupted(L, S);
}

void lfb_sleep(lua_State *L, lfb_state *S, int64_t deadline) {
  lf_worker *w = lf_worker_self();
  lf_parker *parker = w ? lf_worker_parker(w) : &S->home->parker;
  int r = 0;
  while (r != LF_ETIMEOUT) {
    lfb_poll(L, S);
    if (lfb_is_interrupted(L, S))
      lfb_raise_interrupted(L, S);
    r = lf_park(parker, deadline);
  }
}

void lfb_wait_callbacks(lua_State *L, lfb_state *S) {
  for (;;) {
    lfb_poll(L, S);
    if (!lfb_callbacks_left(S))
      return;
    if (lfb_is_interrupted(L, S))
      lfb_raise_interrupted(L, S);
    lf_host_park(&S->home->host, lf_after(LFB_LOOK_AGAIN));
  }
}
