/* SPDX-License-Identifier: MIT
 *
 * lfut.Barrier: a number of threads or processes that wait for each other. Its
 * action is kept as packed bytes behind it, for whoever comes last. */
#include "bindings/sync/barrier.h"

#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/engine/bytecode.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/run/wait_shared.h"
#include "bindings/sync/shared.h"

#include "runtime/sync/record.h"
#include "runtime/sync/sync.h"

/* In the arena. */
typedef struct {
  lf_barrier b;
  lf_position action; /* immutable: where its record begins; 0: there is none */
} barrier;

/* The user value of a handle: the action as a function. */
enum { ACTION = 1 };

static const lfb_label action_label = {
    .what = "action", .where = "to a barrier", .reach = &lfb_reach_anywhere};

static barrier *check_barrier(lua_State *L) {
  return lfb_check_shared(L, 1, LFB_BARRIER);
}

/* --- Making --- */

/* Keeps the function at 2 behind the barrier. */
static void keep_action(lua_State *L, barrier *b) {
  lf_record r;
  lf_buf *values = lfb_push_buf(L), *tail = lfb_push_buf(L);
  lfb_pack(L, lfb_self(L), values, 2, 1, &action_label, NULL);
  lf_position at = lf_stream_begin(&b->b.shared), first = at;
  if (!at || lf_record_make(&b->b.shared, &r, values, tail) != 0)
    lfb_raise_memory(L);
  if (!lf_record_write(&b->b.shared, &at, &r, values, tail)) {
    lf_record_undo(&b->b.shared, tail);
    lfb_raise_memory(L);
  }
  lf_record_keep(values);
  b->action = first;
}

/* Nobody has the barrier any more. */
static void barrier_fini(void *object) {
  lf_record r;
  lf_buf values = {0}, tail = {0};
  barrier *b = object;
  lf_position at = b->action;
  if (at && lf_record_read(&at, &r, &values, &tail) == 0)
    lf_record_drop(&b->b.shared, &r, &tail, false);
  lf_buf_fini(&values);
  lf_buf_fini(&tail);
}

/* lfut.Barrier(parties [, action]) */
int lfb_barrier(lua_State *L) {
  lua_Integer n = lfb_check_integer(L, 1);
  lfb_arg_check(L, n >= 1, 1, "must be at least 1");
  lfb_arg_check(L, n <= LF_PARTIES, 1, "too many parties");
  lua_settop(L, 2);
  if (!lua_isnil(L, 2))
    lfb_check_callable(L, 2);
  barrier *b = lfb_shared_new(L, LFB_BARRIER, sizeof(barrier))->object;
  b->b.parties = (uint32_t)n;
  if (lua_isnil(L, 2))
    return 1;
  keep_action(L, b);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, ACTION);
  lua_settop(L, 3);
  return 1;
}

/* Pushes the action as a function of this interpreter. */
static void push_action(lua_State *L, barrier *b) {
  if (lua_getiuservalue(L, 1, ACTION) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  lf_record r;
  lf_position at = b->action;
  lf_buf *values = lfb_push_buf(L), *tail = lfb_push_buf(L);
  if (lf_record_read(&at, &r, values, tail) != 0 ||
      lf_record_open(values, tail, lfb_bytecode_notes) != 0)
    lfb_raise_memory(L);
  size_t first = 0;
  lfb_unpack(L, lfb_self(L), values, &first, NULL);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, ACTION);
}

/* --- Waiting --- */

/* A party on its way through the barrier, which has a waiter at it from before
 * it comes until it has gone: who is killed meanwhile is noticed. */
typedef struct {
  lf_barrier *b;
  int index; /* -1: it has not been let in yet */
  uint32_t round;
  bool acts; /* the last one has something to do before it passes */
} party;

static bool is_last(const party *p) {
  return (uint32_t)p->index + 1 == p->b->parties;
}

static int look_at_barrier(void *arg) {
  party *p = arg;
  if (p->index < 0) {
    int err = lf_barrier_enter(p->b, &p->round);
    if (err < 0)
      return err;
    p->index = err;
    if (is_last(p))
      return p->acts ? 0 : lf_barrier_pass(p->b, p->round);
  }
  return lf_barrier_look(p->b, p->round);
}

static void leave_barrier(void *arg, int err) {
  party *p = arg;
  (void)err;
  if (p->index >= 0)
    lf_barrier_leave(p->b, p->round);
}

static int raise_broken(lua_State *L) {
  lfb_push_error(L, "BrokenBarrier", "the barrier is broken");
  return lua_error(L);
}

static int run_action(lua_State *L) {
  push_action(L, check_barrier(L));
  lua_call(L, 0, 0);
  return 0;
}

/* The last one runs the action, which is at 3 with its argument, and lets all
 * pass: 0, LF_EBROKEN, or LF_EAGAIN with an error at the top. */
static int act(lua_State *L, party *p, lf_shared_waiter *waiter) {
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 1);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  int err = ok ? lf_barrier_pass(p->b, p->round) : LF_EAGAIN;
  if (!ok)
    leave_barrier(p, err);
  lf_shared_waiter_end(waiter);
  return err;
}

static int barrier_waited(lua_State *L, int base, int err, void *arg,
                          lf_shared_waiter *waiter) {
  party *p = arg;
  (void)base;
  if (err == 0 && p->acts && is_last(p))
    err = act(L, p, waiter);
  else if (err == 0 && p->acts)
    lf_shared_waiter_end(waiter);
  if (err == LF_EAGAIN)
    return lua_error(L);
  if (err)
    return raise_broken(L);
  lua_pushinteger(L, p->index);
  return 1;
}

/* wait([timeout]) -> 0 ... parties - 1 */
static int barrier_wait(lua_State *L) {
  barrier *b = check_barrier(L);
  party p = {.b = &b->b, .index = -1, .acts = b->action != 0};
  lfb_shared_wait what = {.object = &p.b->shared,
                          .kind = LF_WAITER | LF_CROWD,
                          .first = true,
                          .deadline = lfb_check_deadline(L, 2),
                          .look = look_at_barrier,
                          .give_up = leave_barrier,
                          .arg = &p,
                          .size = sizeof p,
                          .keep = p.acts,
                          .then = barrier_waited};
  lua_settop(L, 2);
  lua_pushlightuserdata(L, lfb_self(L)); /* while an error harms nobody */
  lua_pushcclosure(L, run_action, 1);
  return lfb_await_shared(L, lfb_self(L), &what);
}

/* --- The rest --- */

static int barrier_abort(lua_State *L) {
  lf_barrier_abort(&check_barrier(L)->b);
  return 0;
}

static int barrier_reset(lua_State *L) {
  lf_barrier_reset(&check_barrier(L)->b);
  return 0;
}

/* parties, n_waiting, broken */
static int barrier_index(lua_State *L) {
  lf_barrier *b = &check_barrier(L)->b;
  const char *key = lfb_push_method(L);
  if (!key)
    return 1;
  if (strcmp(key, "parties") == 0)
    lua_pushinteger(L, b->parties);
  else if (strcmp(key, "n_waiting") == 0)
    lua_pushinteger(L, lf_barrier_waiting(b));
  else if (strcmp(key, "broken") == 0)
    lua_pushboolean(L, lf_barrier_is_broken(b));
  return 1;
}

void lfb_barrier_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{LFB_STEP "wait", barrier_wait},
                                     {"abort", barrier_abort},
                                     {"reset", barrier_reset},
                                     {NULL, NULL}};
  static const lfb_descriptor barrier_class = {.class = LFB_BARRIER,
                                               .name = "lfut.Barrier",
                                               .methods = methods,
                                               .base = lfb_shared_base,
                                               .handle = &lfb_shared_handle,
                                               .index = barrier_index};
  lfb_newclass(L, S, &barrier_class);
  lfb_shared_fini(LFB_BARRIER, barrier_fini);
}
