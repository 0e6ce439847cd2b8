/* SPDX-License-Identifier: MIT
 *
 * See wait.h. */
#include "bindings/run/wait.h"

#include "bindings/core/error.h"
#include "bindings/run/callback.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/on_top.h"
#include "bindings/run/position.h"
#include "bindings/run/wait_shared.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/current.h"
#include "runtime/pool/gate.h"
#include "runtime/pool/ready.h"
#include "runtime/pool/registry.h"
#include "runtime/process/serve.h"
#include "runtime/shm/array.h"
#include "runtime/task/dependent.h"
#include "runtime/task/strand.h"

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

static lf_waits *waits_of(const lfb_wait_for *what, lf_wait_one *one) {
  return what->task   ? lf_wait_for_one(one, what->task)
         : what->loop ? lf_loop_waits(what->loop)
                      : what->waits;
}

/* What it waits for may have to begin. */
static void note_needs(const lfb_wait_for *what, bool counted) {
  lf_wait_one one;
  lf_waits *waits = lf_pools_limited() ? waits_of(what, &one) : NULL;
  lf_pool *of_loop = what->loop ? lf_loop_pool(what->loop) : NULL;
  if (waits)
    lf_gate_need(waits, of_loop, counted);
}

/* Records what the run waits for; false, with an error at the top, if that
 * would be a cycle. A wait with a deadline ends anyway. */
__attribute__((warn_unused_result)) static bool
begin_wait(lua_State *L, lfb_run *r, const lfb_wait_for *what) {
  char path[1000];
  if (!r || !r->task)
    return true;
  if (what->deadline != LF_FOREVER) {
    note_needs(what, false);
    return true;
  }
  if (r->task->stuck) {
    push_stuck(L, r->task);
    return false;
  }
  lf_waits *waits = waits_of(what, &r->one);
  if (waits && lf_deadlock_begin(r->task, waits, path, sizeof path) != 0) {
    lfb_push_error(L, "DeadlockError", "waiting would never end: %s", path);
    return false;
  }
  if (waits)
    lf_serve_wait(r->task, waits);
  note_needs(what, true);
  return true;
}

void lfb_end_wait(lfb_run *r) {
  if (!r || !r->task)
    return;
  lf_deadlock_end(r->task);
  lf_serve_unwait(r->task);
}

/* --- Parking --- */

bool lfb_can_park(lua_State *L, lfb_state *S) {
  return S->vm && S->vm->current && lfb_can_yield(L, S) &&
         !lf_pool_in_caller(lf_worker_pool(S->vm->worker));
}

bool lfb_parks_all(lua_State *L, lfb_state *S) {
  return lfb_can_park(L, S) && lf_pool_parks(lf_worker_pool(S->vm->worker));
}

/* Until when it waits at most. */
static int64_t until(const lfb_wait_for *what) {
  return what->again && what->again < what->deadline ? what->again
                                                     : what->deadline;
}

static void park(lua_State *L, lfb_run *r, const lfb_wait_for *what) {
  if (!begin_wait(L, r, what))
    lua_error(L);
  if (r->task)
    lf_serve_rest(r->task);
  r->base.occupies = what->occupies;
  lf_run_park(&r->base, until(what));
  lfb_watch_begin(&r->watch, &r->base.waker, what);
}

/* --- Sleeping --- */

lf_parker *lfb_parker(lfb_state *S, lf_worker *w) {
  return w ? lf_worker_parker(w) : &S->global->parker;
}

/* Sleeps until the wait is over in any way; LF_EINTR if it is to raise. */
static int sleep_on(lua_State *L, lfb_state *S, lfb_sleeper *s, lf_worker *w,
                    bool occupies, int64_t deadline) {
  for (;;) {
    if (atomic_load(&s->fired) || lfb_callbacks_due(S))
      return 0;
    if (lfb_is_interrupted(L, S))
      return LF_EINTR;
    if (S->vm && S->vm->current && S->vm->current->task &&
        S->vm->current->task->stuck)
      return 0;
    if (!occupies && lfb_run_on_top(w))
      continue;
    int64_t until = occupies && w ? deadline
                    : w           ? lf_worker_deadline(w)
                                  : lf_after(LFB_LOOK_AGAIN);
    until = until < deadline ? until : deadline;
    int r = w ? lf_worker_sleep(w, until)
              : lf_registry_park(&S->global->registry, until);
    if (r == LF_ETIMEOUT && until == deadline)
      return LF_ETIMEOUT;
  }
}

static void block(lua_State *L, lfb_state *S, const lfb_wait_for *what) {
  lf_worker *w = lf_worker_self();
  lfb_run *r = S->vm ? S->vm->current : NULL;
  lfb_cover c;
  lf_array_sweep(); /* there is time */
  lfb_cover_begin(&c, r, what);
  if (!begin_wait(L, r, what)) {
    lfb_cover_end(&c);
    lua_error(L);
  }
  if (lfb_run_awaited(w, what)) {
    lfb_cover_end(&c);
    lfb_end_wait(r);
    return;
  }
  lfb_sleeper s;
  lfb_watch watch = {0};
  if (r && r->task)
    lf_serve_rest(r->task);
  if (w && !what->occupies)
    lf_worker_block(w);
  lfb_sleeper_init(&s, lfb_parker(S, w));
  lfb_watch_begin(&watch, &s.waker, what);
  lfb_blocked blocked = {.what = what, .until = what->deadline};
  lfb_blocked_begin(S, &blocked);
  lf_metered waiting = {.name = "wait", .phase = LF_PHASE_WAIT};
  bool metered = lf_metered_now || lf_is_traced();
  if (r && !r->metered.times && lf_timing_now())
    lfb_run_note_long(r);
  if (metered)
    lf_meter_enter(&waiting);
  int err = sleep_on(L, S, &s, w, what->occupies, until(what));
  if (metered)
    lf_meter_leave(&waiting);
  if (r)
    lf_worker_go_on(r->vm->worker);
  lfb_blocked_end(S, &blocked);
  watch.end(&watch);
  if (w && !what->occupies)
    lf_worker_unblock(w);
  lfb_cover_end(&c);
  lfb_end_wait(r);
  if (err == LF_EINTR)
    lfb_raise_interrupted(L, S);
}

/* --- Initializers --- */

/* What an initializer waits for: what no worker of its pool begins before it
 * has ended, and others. */
typedef struct {
  const lf_pool *pool;
  bool own, others;
} awaited;

static bool never_ends(const awaited *a, const lf_waits *waits) {
  return a->own && !(waits->any && a->others);
}

static bool note_awaited(lf_task *t, void *arg) {
  awaited *a = arg, inputs = {.pool = a->pool};
  lf_waits *waits = lf_dependent_of(t) ? atomic_load(&t->waits) : NULL;
  bool own = lf_task_pool(t) == a->pool;
  if (waits && !own) {
    waits->each(waits, note_awaited, &inputs);
    own = never_ends(&inputs, waits);
  }
  own = own && lf_task_state(t) == LF_PENDING;
  a->own |= own;
  a->others |= !own;
  return true;
}

/* All workers of the pool run the initializer first, so they would wait, too.
 */
static void check_initializer(lua_State *L, lfb_state *S,
                              const lfb_wait_for *what) {
  lf_wait_one one;
  if (!S->vm || !S->vm->initializing || what->deadline != LF_FOREVER)
    return;
  awaited a = {.pool = lf_worker_pool(S->vm->worker)};
  a.own = what->loop && lf_loop_pool(what->loop) == a.pool;
  lf_waits *waits = waits_of(what, &one);
  if (waits && !what->loop)
    lf_deadlock_visit(waits, note_awaited, &a);
  if (waits && never_ends(&a, waits)) {
    lfb_push_error(L, "DeadlockError",
                   "waiting would never end: an initializer waits for a task "
                   "of its own executor");
    lua_error(L);
  }
}

/* --- Before a wait --- */

void lfb_check_may_wait(lua_State *L, lfb_state *S) {
  if (S->vm && S->vm->closing)
    luaL_error(L, "cannot wait in a worker that closes");
}

static void check(lua_State *L, lfb_state *S, const lfb_wait_for *what) {
  lfb_check_may_wait(L, S);
  lfb_poll(L, S);
  if (what->task)
    lfb_refuse_foreign(L, what->task);
  check_initializer(L, S, what);
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
  if (lfb_is_aborted(S)) {
    lfb_leave_shared(r);
    return lfb_abort(L, S, NULL);
  }
  return lfb_waiting(L, S, r->step, r->context);
}

/* Only one step of a task is parked at a time, however many coroutines wait for
 * it to go on: so the run knows it. */
static int leave(lua_State *L, lfb_state *S, lfb_step *step, int64_t context) {
  lfb_run *r = S->vm->current;
  r->step = step;
  r->context = context;
  r->at = L;
  r->parked_since = lf_now_roughly();
  return lfb_yield_then(L, 0, try_again);
}

int lfb_wait_on(lua_State *L, lfb_state *S, lfb_step *step, int64_t context,
                int how, lfb_wait_for *what) {
  while (how == LFB_NOT_YET) {
    check(L, S, what);
    if (what->occupies ? lfb_parks_all(L, S) : lfb_can_park(L, S)) {
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

/* One look at the strand; true: it has been entered. */
static bool enter(lfb_state *S, struct lf_strand *strand, int64_t since) {
  lfb_blocked blocked = {
      .words = "a strand, to enter it", .since = since, .until = LF_FOREVER};
  lfb_blocked_begin(S, &blocked);
  bool entered = lf_strand_enter(strand, lf_after(LFB_LOOK_AGAIN));
  lfb_blocked_end(S, &blocked);
  return entered;
}

void lfb_enter(lua_State *L, lfb_state *S, struct lf_strand *strand) {
  if (!strand)
    return;
  int64_t since = lf_now_roughly();
  while (!enter(S, strand, since))
    if (lfb_is_interrupted(L, S))
      lfb_raise_interrupted(L, S);
}

/* Others run even if it is for no time. */
static int sleep_step(lua_State *L, lfb_state *S, int64_t deadline,
                      lfb_wait_for *what) {
  bool begun = lua_toboolean(L, -1);
  (void)S;
  if (begun && lf_is_past(deadline))
    return 0;
  lua_pop(L, 1);
  lua_pushboolean(L, true);
  *what = (lfb_wait_for){.deadline = deadline, .occupies = true};
  return LFB_NOT_YET;
}

int lfb_sleep(lua_State *L, lfb_state *S, int64_t deadline) {
  lua_pushboolean(L, false);
  return lfb_waiting(L, S, sleep_step, deadline);
}

void lfb_wait_callbacks(lua_State *L, lfb_state *S) {
  lfb_blocked blocked = {.words = "futures with done-callbacks, at its end",
                         .until = LF_FOREVER};
  for (;;) {
    lfb_poll(L, S);
    if (!lfb_callbacks_left(S))
      return;
    if (lfb_is_interrupted(L, S))
      lfb_raise_interrupted(L, S);
    lfb_blocked_begin(S, &blocked);
    lf_registry_park(&S->global->registry, lf_after(LFB_LOOK_AGAIN));
    lfb_blocked_end(S, &blocked);
  }
}
