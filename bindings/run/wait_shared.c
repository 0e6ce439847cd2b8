/* SPDX-License-Identifier: MIT
 *
 * See wait_shared.h and runtime/shm/waiters.h. Who waits has a waiter at the
 * object from before its first look to its last. A task is parked there if it
 * can be: its worker goes on with other tasks that it has begun, but begins
 * none. Else the thread sleeps, and only wakes to run those. */
#include "bindings/run/wait_shared.h"

#include <string.h>

#include "bindings/core/error.h"
#include "bindings/run/callback.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/on_top.h"
#include "bindings/run/position.h"
#include "runtime/os/clock.h"
#include "runtime/pool/current.h"
#include "runtime/pool/ready.h"
#include "runtime/pool/registry.h"
#include "runtime/shm/array.h"

/* Not of the runtime's codes. */
enum { ERROR_ON_TOP = -1000, NO_PLACE };

/* Looks once; the waiter may have been called. LF_EAGAIN: the wait goes on. */
static int look(const lfb_shared_wait *what, void *arg, lf_shared_waiter *s) {
  if (what->once && lf_shared_waiter_called(s))
    return 0;
  if (!what->once)
    lf_shared_waiter_rearm(s);
  return what->look(arg);
}

/* The end of the stay at the object, with what has come of it. Each look may
 * have been one of several that a call was for: others are to look, too, so
 * that none is lost. */
static int leave(const lfb_shared_wait *what, void *arg, lf_shared_waiter *s,
                 int err) {
  if (what->once && err == LF_ETIMEOUT && lf_shared_waiter_called(s))
    err = 0;
  if (err && what->give_up)
    what->give_up(arg, err == ERROR_ON_TOP ? LF_EINTR : err);
  if (err == 0 && what->keep)
    return err;
  if (lf_shared_waiter_end(s) ? !what->once || err : err == LF_EFOREIGN)
    lf_call(what->object, what->kind, 1);
  return err;
}

/* --- Sleeping --- */

static int run_callbacks(lua_State *L) {
  lfb_callbacks_run(L, lua_touserdata(L, 1));
  return 0;
}

/* Calls are for those who look soon: meanwhile others get them. (Of one who
 * waits to be called, they are kept.) */
static void pause_waiter(lf_shared_waiter *s, const lfb_shared_wait *what) {
  if (!what->once && lf_shared_waiter_pause(s))
    lf_call(what->object, what->kind, 1);
}

static void resume_waiter(lf_shared_waiter *s, const lfb_shared_wait *what) {
  if (!what->once)
    lf_shared_waiter_resume(s);
}

/* What may not be left to an error while a waiter is held: false if there is
 * one at the top. */
static bool callbacks_are_run(lua_State *L, lfb_state *S, lf_shared_waiter *s,
                              const lfb_shared_wait *what) {
  pause_waiter(s, what);
  lua_pushcfunction(L, run_callbacks);
  lua_pushlightuserdata(L, S);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  resume_waiter(s, what);
  return ok;
}

/* Runs a task of this worker that was parked and became ready: it may be the
 * one that has what is waited for, and nobody else can. */
static bool resume_ready(lf_worker *w, lf_shared_waiter *s,
                         const lfb_shared_wait *what) {
  lf_run *ready = lfb_ready_on_top(w);
  if (!ready)
    return false;
  pause_waiter(s, what);
  lf_pool_ops(lf_worker_pool(w))->resume(lf_worker_vm(w), ready);
  resume_waiter(s, what);
  return true;
}

static void sleep_at(lfb_state *S, lf_shared_waiter *s, lf_worker *w,
                     int64_t deadline) {
  bool rings = w && lf_worker_rings(w, s);
  if (lf_shared_waiter_stirred(s))
    return;
  if (!w)
    lf_registry_sleep(&S->global->registry, s, deadline);
  else if (rings)
    lf_worker_sleep(w, deadline);
  else
    lf_sleep(s, lf_worker_parker(w), deadline);
}

/* Looks and sleeps; LF_EINTR: interrupted. */
static int look_and_sleep(lua_State *L, lfb_state *S, lf_shared_waiter *s,
                          const lfb_shared_wait *what, lfb_sleeper *loop) {
  lf_worker *w = lf_worker_self();
  for (;;) {
    if (what->loop && atomic_load(&loop->fired))
      return 0;
    int err = look(what, what->arg, s);
    if (err != LF_EAGAIN)
      return err;
    if (lfb_is_interrupted(L, S))
      return LF_EINTR;
    if (lfb_callbacks_due(S)) {
      if (!callbacks_are_run(L, S, s, what))
        return ERROR_ON_TOP;
      continue;
    }
    if (lf_is_past(what->deadline))
      return LF_ETIMEOUT;
    if (resume_ready(w, s, what))
      continue;
    int64_t until = !w                ? lf_after(LFB_LOOK_AGAIN)
                    : lfb_has_stack() ? lf_worker_deadline(w)
                                      : LF_FOREVER;
    sleep_at(S, s, w, until < what->deadline ? until : what->deadline);
  }
}

/* The same, being told of the loop's news. */
static int look_for_both(lua_State *L, lfb_state *S, lf_shared_waiter *s,
                         const lfb_shared_wait *what) {
  lfb_sleeper loop;
  lfb_watch watch = {0};
  lfb_wait_for news = {.loop = what->loop};
  lf_worker *w = lf_worker_self();
  lfb_sleeper_init(&loop, lfb_parker(S, w));
  if (what->loop)
    lfb_watch_begin(&watch, &loop.waker, &news);
  int err = look_and_sleep(L, S, s, what, &loop);
  if (what->loop)
    watch.end(&watch);
  return err;
}

/* A look without a waiter, where that may do. */
static int look_first(lua_State *L, lfb_state *S, const lfb_shared_wait *what) {
  lfb_poll(L, S);
  if (what->once || what->first)
    return LF_EAGAIN;
  int err = what->look(what->arg);
  return err == LF_EAGAIN && what->deadline <= 0 ? LF_ETIMEOUT : err;
}

static void prepare(lua_State *L, lfb_state *S) {
  lfb_check_may_wait(L, S);
  luaL_checkstack(L, 20, "waits");
  lf_array_sweep(); /* there is time */
}

static lf_shared_waiter *new_waiter(lua_State *L, const lfb_shared_wait *what) {
  lf_shared_waiter *s = lf_shared_waiter_new(what->object, what->kind);
  if (!s)
    luaL_error(L, "too many threads wait");
  return s;
}

/* After 'prepare'. */
static int wait_asleep(lua_State *L, lfb_state *S, const lfb_shared_wait *what,
                       lf_shared_waiter **waiter) {
  lf_shared_waiter *s = new_waiter(L, what);
  lfb_blocked blocked = {
      .object = what->object, .kind = what->kind, .until = what->deadline};
  lfb_blocked_begin(S, &blocked);
  int err = look_for_both(L, S, s, what);
  lfb_blocked_end(S, &blocked);
  err = leave(what, what->arg, s, err);
  if (err == LF_EINTR)
    lfb_raise_interrupted(L, S);
  if (err == ERROR_ON_TOP)
    lua_error(L);
  if (waiter)
    *waiter = s;
  return err;
}

int lfb_wait_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what,
                    lf_shared_waiter **waiter) {
  int err = look_first(L, S, what);
  if (err != LF_EAGAIN)
    return err;
  prepare(L, S);
  return wait_asleep(L, S, what, waiter);
}

/* --- Parking --- */

/* A wait that outlives the C function's frame: a value that is to be closed, on
 * the stack of the task. */
typedef struct {
  lfb_shared_wait what;
  int base;
  lf_shared_waiter *waiter; /* NULL: the wait is over */
  _Alignas(8) char arg[];   /* as userdata are */
} parked_wait;

#define PARKED_WAIT "lfut.wait" /* the name of its metatable */

/* The task ends in the middle. */
static int parked_close(lua_State *L) {
  parked_wait *p = lua_touserdata(L, 1);
  if (p->waiter)
    leave(&p->what, p->arg, p->waiter, LF_EINTR);
  p->waiter = NULL;
  return 0;
}

/* The one at the top, if it is of this size: of a wait that is over. */
static parked_wait *reuse_parked(lua_State *L, const lfb_shared_wait *what) {
  parked_wait *p = lua_touserdata(L, -1);
  bool fits = p && lua_rawlen(L, -1) == sizeof *p + what->size &&
              lfb_has_metatable(L, -1, PARKED_WAIT) && !p->waiter;
  return fits ? p : NULL;
}

static parked_wait *push_new_parked(lua_State *L, const lfb_shared_wait *what) {
  parked_wait *p = lua_newuserdatauv(L, sizeof *p + what->size, 0);
  p->waiter = NULL;
  lfb_push_metatable(L, PARKED_WAIT, "__close", parked_close);
  lua_setmetatable(L, -2);
  lfb_toclose(L, -1);
  return p;
}

/* A function that waits several times has one for all: it cannot be popped, as
 * some releases of Lua may lose its stack then. */
static parked_wait *push_parked(lua_State *L, const lfb_shared_wait *what) {
  parked_wait *p = reuse_parked(L, what);
  if (!p)
    p = push_new_parked(L, what);
  *p = (parked_wait){.what = *what, .base = lua_gettop(L) - 1};
  memcpy(p->arg, what->arg, what->size);
  return p;
}

static void leave_to_others(lfb_watch *watch) {
  (void)watch; /* the waiter stays as it is */
}

/* A step, of a parked_wait: looks; parks the task, or ends the wait. */
static int go_on(lua_State *L, lfb_state *S, int64_t context,
                 lfb_wait_for *unused) {
  parked_wait *p = (parked_wait *)(intptr_t)context;
  lfb_run *r = S->vm->current;
  (void)unused;
  if (lfb_is_interrupted(L, S))
    return lfb_raise_interrupted(L, S);
  int err = look(&p->what, p->arg, p->waiter);
  if (err == LF_EAGAIN && lf_is_past(p->what.deadline))
    err = LF_ETIMEOUT;
  if (err == LF_EAGAIN && lf_run_hold(&r->base, p->waiter, p->what.deadline)) {
    r->watch.end = leave_to_others;
    return LFB_PARKED;
  }
  lf_shared_waiter *s = p->waiter;
  p->waiter = NULL;
  r->step = NULL;
  err = leave(&p->what, p->arg, s, err == LF_EAGAIN ? LF_ENOMEM : err);
  return p->what.then(L, p->base, err, p->arg, s);
}

int lfb_push_in_time(lua_State *L, int base, int err, void *arg,
                     lf_shared_waiter *waiter) {
  (void)base;
  (void)arg;
  (void)waiter;
  if (err == LF_ENOMEM)
    return lfb_raise_memory(L);
  lua_pushboolean(L, err == 0);
  return 1;
}

void lfb_leave_shared(lfb_run *r) {
  parked_wait *p = (parked_wait *)(intptr_t)r->context;
  if (LFB_HAS_CLOSE || r->step != go_on)
    return;
  leave(&p->what, p->arg, p->waiter, LF_EINTR);
  p->waiter = NULL;
  r->step = NULL;
}

bool lfb_parked_at(const lfb_run *r, lf_shared **object, uint32_t *kind) {
  const parked_wait *p = (const parked_wait *)(intptr_t)r->context;
  if (r->step != go_on)
    return false;
  *object = p->what.object;
  *kind = p->what.kind;
  return true;
}

static void pass_place(lfb_watch *watch) {
  lf_shared_waiter_pass(watch->object);
}

bool lfb_park_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what) {
  lfb_run *r = S->vm->current;
  if (lfb_is_interrupted(L, S))
    lfb_raise_interrupted(L, S);
  prepare(L, S);
  lf_shared_waiter *s = new_waiter(L, what);
  if (what->look(what->arg) != LF_EAGAIN ||
      !lf_run_hold(&r->base, s, what->deadline)) {
    lf_shared_waiter_pass(s);
    return false;
  }
  r->watch.object = s;
  r->watch.end = pass_place;
  return true;
}

int lfb_await_shared(lua_State *L, lfb_state *S, const lfb_shared_wait *what) {
  int base = lua_gettop(L);
  int err = look_first(L, S, what);
  lf_shared_waiter *waiter = NULL;
  if (err == LF_EAGAIN) {
    prepare(L, S);
    if (lfb_can_park(L, S)) {
      parked_wait *p = push_parked(L, what);
      p->waiter = new_waiter(L, what);
      return lfb_waiting(L, S, go_on, (intptr_t)p);
    }
    err = wait_asleep(L, S, what, &waiter);
  }
  return what->then(L, base, err, what->arg, waiter);
}
