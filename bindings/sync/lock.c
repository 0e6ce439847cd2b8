/* SPDX-License-Identifier: MIT
 *
 * lfut.Lock, RLock, Semaphore, BoundedSemaphore, Condition: what is acquired
 * and released. Who holds a lock is a task, or the interpreter outside of one.
 */
#include "bindings/sync/lock.h"

#include <limits.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pack/packer.h"
#include "bindings/pack/unpacker.h"
#include "bindings/run/wait.h"
#include "bindings/run/wait_shared.h"
#include "bindings/sync/shared.h"

#include "runtime/sync/sync.h"

/* --- Locks --- */

/* A wait for a lock. */
typedef struct {
  lf_lock *lock;
  uint64_t me;
  uint64_t depth; /* to be had with it */
  bool abandoned;
} locking;

static int look_at_lock(void *arg) {
  locking *l = arg;
  int err = lf_lock_try(l->lock, l->me, &l->abandoned);
  if (err == 0 && l->depth > 0)
    l->lock->depth = l->depth;
  return err;
}

static lfb_shared_wait lock_wait(locking *l, int64_t deadline) {
  return (lfb_shared_wait){.object = &l->lock->shared,
                           .kind = LF_WAITER,
                           .deadline = deadline,
                           .look = look_at_lock,
                           .arg = l,
                           .size = sizeof *l};
}

static int raise_own(lua_State *L) {
  lfb_push_error(L, "DeadlockError",
                 "waiting would never end: the caller has the lock");
  return lua_error(L);
}

static int lock_acquired(lua_State *L, int base, int err, void *arg,
                         lf_shared_waiter *waiter) {
  locking *l = arg;
  lfb_push_in_time(L, base, err, arg, waiter);
  if (err || !l->abandoned)
    return 1;
  lua_pushliteral(L, "abandoned");
  return 2;
}

/* acquire([timeout]) -> true [, "abandoned"]; false: not in time. */
static int acquire_lock(lua_State *L, lf_lock *lock) {
  locking l = {.lock = lock, .me = lfb_self_holder(L, lfb_self(L))};
  if (lf_lock_try(lock, l.me, &l.abandoned) == 0)
    return lock_acquired(L, 0, 0, &l, NULL);
  lfb_shared_wait what = lock_wait(&l, lfb_check_deadline(L, 2));
  what.then = lock_acquired;
  if (what.deadline == LF_FOREVER && lf_lock_is_mine(lock, l.me))
    return raise_own(L);
  return lfb_await_shared(L, lfb_self(L), &what);
}

static int release_lock(lua_State *L, lf_lock *lock) {
  if (lf_lock_release(lock, lfb_self_holder(L, lfb_self(L))) != 0)
    return luaL_error(L, "cannot release a lock that the caller does not hold");
  return 0;
}

static lf_lock *check_lock(lua_State *L, lfb_class class) {
  lf_lock *lock = lfb_check_shared(L, 1, class);
  if (lua_gettop(L) > 1)
    lfb_check_deadline(L, 2);
  return lock;
}

static int lock_acquire(lua_State *L) {
  return acquire_lock(L, check_lock(L, LFB_LOCK));
}

static int rlock_acquire(lua_State *L) {
  return acquire_lock(L, check_lock(L, LFB_RLOCK));
}

static int lock_release(lua_State *L) {
  return release_lock(L, lfb_check_shared(L, 1, LFB_LOCK));
}

static int rlock_release(lua_State *L) {
  return release_lock(L, lfb_check_shared(L, 1, LFB_RLOCK));
}

/* Is it held, by whomever? */
static int push_locked(lua_State *L, const lf_lock *lock) {
  uint64_t holder = atomic_load(&lock->holder);
  lua_pushboolean(L, holder && lf_holder_lives(holder));
  return 1;
}

static int lock_locked(lua_State *L) {
  return push_locked(L, lfb_check_shared(L, 1, LFB_LOCK));
}

static int rlock_locked(lua_State *L) {
  return push_locked(L, lfb_check_shared(L, 1, LFB_RLOCK));
}

static void leave_lock(lua_State *L, void *lock) {
  lf_lock_release(lock, lfb_self_holder(L, lfb_self(L)));
}

static int entered(lua_State *L, int base, int err, void *arg,
                   lf_shared_waiter *waiter) {
  (void)arg;
  (void)waiter;
  return err ? lfb_raise_memory(L) : lfb_call_guarded(L, base);
}

/* lock:with(fn, ...) -> fn's results */
static int with_lock(lua_State *L, lf_lock *lock) {
  lfb_check_callable(L, 2);
  locking l = {.lock = lock, .me = lfb_self_holder(L, lfb_self(L))};
  if (!lock->recursive && lf_lock_is_mine(lock, l.me))
    return raise_own(L);
  lfb_push_guard(L, leave_lock, lock);
  if (lf_lock_try(lock, l.me, &l.abandoned) == 0)
    return lfb_call_guarded(L, lua_gettop(L));
  lfb_shared_wait what = lock_wait(&l, LF_FOREVER);
  what.then = entered;
  return lfb_await_shared(L, lfb_self(L), &what);
}

static int lock_with(lua_State *L) {
  return with_lock(L, lfb_check_shared(L, 1, LFB_LOCK));
}

static int rlock_with(lua_State *L) {
  return with_lock(L, lfb_check_shared(L, 1, LFB_RLOCK));
}

/* The guard is at 3. */
static int guard_acquired(lua_State *L, int base, int err, void *arg,
                          lf_shared_waiter *waiter) {
  locking *l = arg;
  if (err) {
    lfb_push_in_time(L, base, err, arg, waiter);
    lua_pushnil(L);
    return 1;
  }
  lfb_arm_guard(L, 3);
  lua_pushvalue(L, 3);
  if (!l || !l->abandoned)
    return 1;
  lua_pushliteral(L, "abandoned");
  return 2;
}

/* guard([timeout]) -> what gives the lock back when it is closed [,
 * "abandoned"]; nil: not in time. */
static int guard_lock(lua_State *L, lf_lock *lock) {
  locking l = {.lock = lock, .me = lfb_self_holder(L, lfb_self(L))};
  lfb_shared_wait what = lock_wait(&l, lfb_check_deadline(L, 2));
  what.then = guard_acquired;
  lua_settop(L, 2);
  lfb_push_own_guard(L, leave_lock, lock);
  if (lf_lock_try(lock, l.me, &l.abandoned) == 0)
    return guard_acquired(L, 0, 0, &l, NULL);
  if (what.deadline == LF_FOREVER && lf_lock_is_mine(lock, l.me))
    return raise_own(L);
  return lfb_await_shared(L, lfb_self(L), &what);
}

static int lock_guard(lua_State *L) {
  return guard_lock(L, lfb_check_shared(L, 1, LFB_LOCK));
}

static int rlock_guard(lua_State *L) {
  return guard_lock(L, lfb_check_shared(L, 1, LFB_RLOCK));
}

static lfb_shared *push_lock(lua_State *L, lfb_class class) {
  lfb_shared *b = lfb_shared_new(L, class, sizeof(lf_lock));
  ((lf_lock *)b->object)->recursive = class == LFB_RLOCK;
  return b;
}

int lfb_lock(lua_State *L) {
  push_lock(L, LFB_LOCK);
  return 1;
}

int lfb_rlock(lua_State *L) {
  push_lock(L, LFB_RLOCK);
  return 1;
}

/* --- Semaphores --- */

static int look_at_semaphore(void *arg) {
  return lf_semaphore_try(*(lf_semaphore **)arg);
}

/* '*s' is copied. */
static lfb_shared_wait semaphore_wait(lf_semaphore **s, int64_t deadline) {
  return (lfb_shared_wait){.object = &(*s)->shared,
                           .kind = LF_WAITER,
                           .deadline = deadline,
                           .look = look_at_semaphore,
                           .arg = s,
                           .size = sizeof *s};
}

/* Either kind. */
static lf_semaphore *check_semaphore(lua_State *L) {
  lfb_shared *b = lfb_shared_at(L, 1);
  if (b && b->class == &lfb_shared_marks[LFB_BOUNDED_SEMAPHORE])
    return b->object;
  return lfb_check_shared(L, 1, LFB_SEMAPHORE);
}

/* acquire([timeout]) -> boolean */
static int semaphore_acquire(lua_State *L) {
  lf_semaphore *s = check_semaphore(L);
  lfb_shared_wait what = semaphore_wait(&s, lfb_check_deadline(L, 2));
  what.then = lfb_push_in_time;
  if (lf_semaphore_try(s) == 0)
    return lfb_push_in_time(L, 0, 0, NULL, NULL);
  return lfb_await_shared(L, lfb_self(L), &what);
}

/* release([n]) */
static int semaphore_release(lua_State *L) {
  lf_semaphore *s = check_semaphore(L);
  lua_Integer n = lfb_optional_integer(L, 2, 1);
  lfb_arg_check(L, n >= 1, 2, "must be at least 1");
  if (lf_semaphore_release(s, n) != 0)
    return luaL_error(L, "semaphore released too many times");
  return 0;
}

/* value() -> how often it can be acquired now */
static int semaphore_value(lua_State *L) {
  lua_pushinteger(L, atomic_load(&check_semaphore(L)->value));
  return 1;
}

static void leave_semaphore(lua_State *L, void *semaphore) {
  (void)L;
  lf_semaphore_release(semaphore, 1);
}

static int semaphore_with(lua_State *L) {
  lf_semaphore *s = check_semaphore(L);
  lfb_check_callable(L, 2);
  lfb_push_guard(L, leave_semaphore, s);
  if (lf_semaphore_try(s) == 0)
    return lfb_call_guarded(L, lua_gettop(L));
  lfb_shared_wait what = semaphore_wait(&s, LF_FOREVER);
  what.then = entered;
  return lfb_await_shared(L, lfb_self(L), &what);
}

static int semaphore_guarded(lua_State *L, int base, int err, void *arg,
                             lf_shared_waiter *waiter) {
  (void)arg;
  return guard_acquired(L, base, err, NULL, waiter);
}

/* guard([timeout]), as a lock's */
static int semaphore_guard(lua_State *L) {
  lf_semaphore *s = check_semaphore(L);
  lfb_shared_wait what = semaphore_wait(&s, lfb_check_deadline(L, 2));
  what.then = semaphore_guarded;
  lua_settop(L, 2);
  lfb_push_own_guard(L, leave_semaphore, s);
  if (lf_semaphore_try(s) == 0)
    return guard_acquired(L, 0, 0, NULL, NULL);
  return lfb_await_shared(L, lfb_self(L), &what);
}

static int push_semaphore(lua_State *L, lfb_class class) {
  lua_Integer n = lfb_optional_integer(L, 1, 1);
  lfb_arg_check(L, n >= 0, 1, "must be at least 0");
  lfb_shared *b = lfb_shared_new(L, class, sizeof(lf_semaphore));
  lf_semaphore *s = b->object;
  s->most = class == LFB_BOUNDED_SEMAPHORE ? n : INT64_MAX;
  atomic_store(&s->value, n);
  return 1;
}

int lfb_semaphore(lua_State *L) {
  return push_semaphore(L, LFB_SEMAPHORE);
}

int lfb_bounded_semaphore(lua_State *L) {
  return push_semaphore(L, LFB_BOUNDED_SEMAPHORE);
}

/* --- Conditions --- */

/* A wait at a condition, which gives its lock away when it has a waiter there,
 * and then waits for the lock. */
typedef struct {
  locking lock;
  bool released, notified;
  int (*then)(lua_State *L, bool notified);
} conditional;

static lf_lock *lock_of(lua_State *L) {
  lfb_check_shared(L, 1, LFB_CONDITION);
  return lfb_shared_at(L, 1)->partner->data;
}

static int condition_acquire(lua_State *L) {
  check_lock(L, LFB_CONDITION);
  return acquire_lock(L, lock_of(L));
}

static int condition_release(lua_State *L) {
  return release_lock(L, lock_of(L));
}

static int condition_locked(lua_State *L) {
  return push_locked(L, lock_of(L));
}

static int condition_guard(lua_State *L) {
  return guard_lock(L, lock_of(L));
}

static int condition_with(lua_State *L) {
  return with_lock(L, lock_of(L));
}

static int give_lock_away(void *arg) {
  conditional *c = arg;
  if (!c->released) {
    c->released = true;
    c->lock.lock->depth = 0;
    lf_lock_release(c->lock.lock, c->lock.me);
  }
  return LF_EAGAIN;
}

/* Interrupted: has the lock, as who catches the error expects, if it is free.
 */
static void take_lock_back(void *arg, int err) {
  conditional *c = arg;
  if (err == LF_EINTR && c->released)
    look_at_lock(&c->lock);
}

/* The lock, which the caller must have. */
static lf_lock *check_held(lua_State *L, uint64_t *me) {
  lf_lock *lock = lock_of(L);
  *me = lfb_self_holder(L, lfb_self(L));
  if (!lf_lock_is_mine(lock, *me))
    luaL_error(L, "the caller does not hold the condition's lock");
  return lock;
}

static int has_lock_again(lua_State *L, int base, int err, void *arg,
                          lf_shared_waiter *waiter) {
  conditional *c = arg;
  (void)base;
  (void)waiter;
  return err ? lfb_raise_memory(L) : c->then(L, c->notified);
}

/* Notified, or too late: wants the lock in any case. */
static int want_lock(lua_State *L, int base, int err, void *arg,
                     lf_shared_waiter *waiter) {
  conditional c = *(conditional *)arg;
  (void)base;
  (void)waiter;
  c.notified = err == 0;
  lfb_shared_wait what = lock_wait(&c.lock, LF_FOREVER);
  what.size = sizeof c;
  what.then = has_lock_again;
  return lfb_await_shared(L, lfb_self(L), &what);
}

static lfb_shared_wait notice_wait(lua_State *L, conditional *c,
                                   int64_t deadline) {
  c->lock.lock = check_held(L, &c->lock.me);
  c->lock.depth = c->lock.lock->depth;
  return (lfb_shared_wait){.object = lfb_shared_at(L, 1)->object,
                           .kind = LF_WAITER,
                           .once = true,
                           .deadline = deadline,
                           .look = give_lock_away,
                           .give_up = take_lock_back,
                           .arg = c,
                           .size = sizeof *c,
                           .then = want_lock};
}

static int await_notice(lua_State *L, int64_t deadline,
                        int (*then)(lua_State *L, bool notified)) {
  conditional c = {.then = then};
  lfb_shared_wait what = notice_wait(L, &c, deadline);
  return lfb_await_shared(L, lfb_self(L), &what);
}

/* The same by the thread: was it notified? */
static bool wait_for_notice(lua_State *L, int64_t deadline) {
  conditional c = {.released = false};
  lfb_shared_wait what = notice_wait(L, &c, deadline);
  int err = lfb_wait_shared(L, lfb_self(L), &what, NULL);
  what = lock_wait(&c.lock, LF_FOREVER);
  if (lfb_wait_shared(L, lfb_self(L), &what, NULL) != 0)
    lfb_raise_memory(L);
  return err == 0;
}

static int push_notified(lua_State *L, bool notified) {
  lua_pushboolean(L, notified);
  return 1;
}

/* wait([timeout]) -> was it notified? */
static int condition_wait(lua_State *L) {
  lfb_check_shared(L, 1, LFB_CONDITION);
  return await_notice(L, lfb_check_deadline(L, 2), push_notified);
}

/* The deadline is a point in time, at 4. */
enum { PREDICATE = 2, LIMIT = 4 };

/* The lock is held; 'more': there is time left. */
static int try_predicate(lua_State *L, bool more) {
  for (;;) {
    lua_pushvalue(L, PREDICATE);
    lua_call(L, 0, 1);
    if (lua_toboolean(L, -1) || !more)
      return 1;
    lua_pop(L, 1); /* a parked wait may be at the top then */
    int64_t deadline = lua_tointeger(L, LIMIT);
    if (lfb_can_park(L, lfb_self(L)))
      return await_notice(L, deadline, try_predicate);
    more = wait_for_notice(L, deadline);
  }
}

/* wait_for(predicate [, timeout]) -> what the predicate has returned last */
static int condition_wait_for(lua_State *L) {
  lfb_check_shared(L, 1, LFB_CONDITION);
  lfb_check_callable(L, PREDICATE);
  int64_t deadline = lfb_check_deadline(L, 3);
  uint64_t me;
  check_held(L, &me);
  lua_settop(L, LIMIT - 1);
  lua_pushinteger(L, deadline);
  return try_predicate(L, true);
}

static int notify(lua_State *L, uint32_t n) {
  uint64_t me;
  check_held(L, &me);
  lf_call(lfb_shared_at(L, 1)->object, LF_WAITER, n);
  return 0;
}

/* notify([n]) */
static int condition_notify(lua_State *L) {
  lfb_check_shared(L, 1, LFB_CONDITION);
  lua_Integer n = lfb_optional_integer(L, 2, 1);
  lfb_arg_check(L, n >= 0, 2, "must be at least 0");
  return notify(L, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
}

static int condition_notify_all(lua_State *L) {
  lfb_check_shared(L, 1, LFB_CONDITION);
  return notify(L, UINT32_MAX);
}

/* The condition at the top has this lock. */
static void set_partner(lua_State *L, lf_array *lock) {
  lfb_shared_at(L, -1)->partner = lf_array_ref(lock);
}

static void pack_partner(lua_State *L, lfb_packer *P) {
  lf_array *lock = lfb_shared_at(L, -1)->partner;
  lfb_packer_put_object(P, lf_array_ref(lock), lf_array_unref);
}

static void unpack_partner(lua_State *L, lfb_unpacker *U) {
  set_partner(L, lfb_unpacker_get_object(U, lf_array_unref));
}

/* lfut.Condition([lock]) */
int lfb_condition(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    push_lock(L, LFB_RLOCK);
    lua_replace(L, 1);
  }
  lfb_shared *lock = lfb_shared_at(L, 1);
  if (!lock || (lock->class != &lfb_shared_marks[LFB_LOCK] &&
                lock->class != &lfb_shared_marks[LFB_RLOCK]))
    lfb_type_error(L, 1, "lfut.Lock or lfut.RLock");
  lfb_shared_new(L, LFB_CONDITION, sizeof(lf_shared));
  set_partner(L, lock->root);
  return 1;
}

/* --- Classes --- */

static void open_locks(lua_State *L, lfb_state *S) {
  static const luaL_Reg lock[] = {{LFB_STEP "acquire", lock_acquire},
                                  {"release", lock_release},
                                  {"locked", lock_locked},
                                  {LFB_STEP "with", lock_with},
                                  {LFB_STEP "guard", lock_guard},
                                  {NULL, NULL}};
  static const luaL_Reg rlock[] = {{LFB_STEP "acquire", rlock_acquire},
                                   {"release", rlock_release},
                                   {"locked", rlock_locked},
                                   {LFB_STEP "with", rlock_with},
                                   {LFB_STEP "guard", rlock_guard},
                                   {NULL, NULL}};
  static const lfb_descriptor lock_class = {.class = LFB_LOCK,
                                            .name = "lfut.Lock",
                                            .methods = lock,
                                            .base = lfb_shared_base,
                                            .handle = &lfb_shared_handle};
  static const lfb_descriptor rlock_class = {.class = LFB_RLOCK,
                                             .name = "lfut.RLock",
                                             .methods = rlock,
                                             .base = lfb_shared_base,
                                             .handle = &lfb_shared_handle};
  lfb_newclass(L, S, &lock_class);
  lfb_newclass(L, S, &rlock_class);
}

static void open_semaphores(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{LFB_STEP "acquire", semaphore_acquire},
                                     {"release", semaphore_release},
                                     {"value", semaphore_value},
                                     {LFB_STEP "with", semaphore_with},
                                     {LFB_STEP "guard", semaphore_guard},
                                     {NULL, NULL}};
  static const lfb_descriptor semaphore_class = {.class = LFB_SEMAPHORE,
                                                 .name = "lfut.Semaphore",
                                                 .methods = methods,
                                                 .base = lfb_shared_base,
                                                 .handle = &lfb_shared_handle};
  static const lfb_descriptor bounded_class = {.class = LFB_BOUNDED_SEMAPHORE,
                                               .name = "lfut.BoundedSemaphore",
                                               .methods = methods,
                                               .base = lfb_shared_base,
                                               .handle = &lfb_shared_handle};
  lfb_newclass(L, S, &semaphore_class);
  lfb_newclass(L, S, &bounded_class);
}

static void open_condition(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{LFB_STEP "acquire", condition_acquire},
                                     {"release", condition_release},
                                     {"locked", condition_locked},
                                     {LFB_STEP "with", condition_with},
                                     {LFB_STEP "guard", condition_guard},
                                     {LFB_STEP "wait", condition_wait},
                                     {LFB_STEP "wait_for", condition_wait_for},
                                     {"notify", condition_notify},
                                     {"notify_all", condition_notify_all},
                                     {NULL, NULL}};
  static const lfb_descriptor condition_class = {.class = LFB_CONDITION,
                                                 .name = "lfut.Condition",
                                                 .methods = methods,
                                                 .base = lfb_shared_base,
                                                 .handle = &lfb_shared_handle,
                                                 .pack = pack_partner,
                                                 .unpack = unpack_partner};
  lfb_newclass(L, S, &condition_class);
}

void lfb_lock_open(lua_State *L, lfb_state *S) {
  lfb_guard_open(L, S);
  open_locks(L, S);
  open_semaphores(L, S);
  open_condition(L, S);
}
