/* SPDX-License-Identifier: MIT
 *
 * lfut.Queue: values from thread to thread and process to process, first in,
 * first out. */
#include "bindings/sync/queue.h"

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

#include "runtime/sync/queue.h"

enum { SMALL = 256 }; /* bytes of an item that needs no buffer of its own */

static const lfb_label put_label = {
    .what = "argument", .first = 1, .where = "to a queue"};

static lf_queue *check_queue(lua_State *L) {
  return lfb_check_shared(L, 1, LFB_QUEUE);
}

lf_queue *lfb_test_queue(lua_State *L, int idx) {
  lfb_shared *b = lfb_shared_at(L, idx);
  return b && b->class == &lfb_shared_marks[LFB_QUEUE] ? b->object : NULL;
}

static void queue_fini(void *object) {
  lf_queue_fini(object);
}

/* lfut.Queue([maxsize]) */
int lfb_queue(lua_State *L) {
  lua_Integer n = lfb_optional_integer(L, 1, 0);
  lf_queue *q = lfb_shared_new(L, LFB_QUEUE, sizeof(lf_queue))->object;
  lf_queue_init(q, n > 0 ? (uint64_t)n : 0);
  return 1;
}

static int raise_kind(lua_State *L, const char *kind, const char *message) {
  lfb_push_error(L, kind, "%s", message);
  return lua_error(L);
}

/* What a wait that was in vain has come to. */
int lfb_queue_raise(lua_State *L, int err, const char *kind) {
  switch (err) {
  case LF_ETIMEOUT:
    return raise_kind(
        L, kind, *kind == 'F' ? "the queue is full" : "the queue is empty");
  case LF_ECLOSED:
    return raise_kind(L, "Closed", "the queue is closed");
  case LF_EDAMAGED:
    return raise_kind(L, "TransferError", "an item of the queue is damaged");
  case LF_EFOREIGN:
    return raise_kind(L, "TransferError",
                      "cannot take the next item of the queue here: it refers "
                      "to objects of another process");
  default:
    return lfb_raise_memory(L);
  }
}

/* --- Putting --- */

/* A wait for an item, or for room. */
typedef struct {
  lf_queue *queue;
  lf_buf *values;
} transfer;

static int try_put(void *arg) {
  transfer *t = arg;
  return lf_queue_put(t->queue, t->values);
}

/* Is the value at 2 packed without anything that could collect garbage? Then
 * the interpreter's buffer will do, until something else could. */
static bool is_plain(lua_State *L) {
  int type = lua_type(L, 2);
  return type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN;
}

/* Packs the value at 2. */
static lf_buf *pack_value(lua_State *L, lfb_state *S, lf_buf *out) {
  lfb_label label = put_label;
  bool shared = !is_plain(L) && lf_array_is_shared(lfb_shared_at(L, 1)->root);
  label.reach = shared ? &lfb_reach_anywhere : &lfb_reach_process;
  lf_buf_reset(out);
  lfb_pack(L, S, out, 2, 1, &label, NULL);
  return out;
}

static int has_put(lua_State *L, int base, int err, void *arg,
                   lf_shared_waiter *waiter) {
  (void)base;
  (void)arg;
  (void)waiter;
  return err ? lfb_queue_raise(L, err, "Full") : 0;
}

static int put(lua_State *L, int64_t deadline) {
  lfb_state *S = lfb_self(L);
  transfer t = {.queue = check_queue(L)};
  lfb_arg_check(L, !lua_isnoneornil(L, 2), 2, "nil cannot be put into a queue");
  bool plain = is_plain(L);
  t.values = pack_value(L, S, plain ? &S->plain : lfb_push_buf(L));
  int err = try_put(&t);
  if (err != LF_EAGAIN)
    return has_put(L, 0, err, NULL, NULL);
  if (plain) /* callbacks may put, too */
    t.values = pack_value(L, S, lfb_push_buf(L));
  lfb_shared_wait what = {.object = &t.queue->shared,
                          .kind = LF_PUTTER,
                          .deadline = deadline,
                          .look = try_put,
                          .arg = &t,
                          .size = sizeof t,
                          .then = has_put};
  return lfb_await_shared(L, S, &what);
}

/* put(v [, timeout]) */
static int queue_put(lua_State *L) {
  check_queue(L);
  return put(L, lfb_check_deadline(L, 3));
}

static int queue_put_nowait(lua_State *L) {
  return put(L, 0);
}

/* --- Taking --- */

static int try_get(void *arg) {
  transfer *t = arg;
  return lf_queue_get(t->queue, t->values, lfb_bytecode_notes);
}

static int push_own(lua_State *L) {
  lfb_push_buf(L);
  return 1;
}

/* Pushes a box that takes over the values, which nobody else owns. */
static lf_buf *box_values(lua_State *L, lf_buf *values) {
  lua_pushcfunction(L, push_own);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    lf_buf_fini(values);
    lua_error(L);
  }
  lf_buf *own = ((lfb_box *)lua_touserdata(L, -1))->content;
  *own = *values;
  return own;
}

/* Pushes what is in the interpreter's buffer, which is done with before any
 * garbage can be collected: a finalizer may use queues, too. */
static int push_value(lua_State *L, lfb_state *S) {
  unsigned char small[SMALL];
  lf_buf values = S->plain;
  size_t at = 0;
  if (values.len > SMALL || values.refs) {
    S->plain = (lf_buf){0};
    return lfb_unpack(L, S, box_values(L, &values), &at, NULL);
  }
  memcpy(small, values.data, values.len);
  values.data = small;
  return lfb_unpack(L, S, &values, &at, NULL);
}

/* The first item, if there is one, without a buffer of its own: most are small.
 */
static int take_now(lua_State *L, lfb_state *S, lf_queue *q) {
  transfer t = {q, &S->plain};
  lf_buf_reset(&S->plain);
  int err = try_get(&t);
  if (err == 0)
    push_value(L, S);
  return err;
}

static lfb_shared_wait item_wait(transfer *t, int64_t deadline) {
  return (lfb_shared_wait){.object = &t->queue->shared,
                           .kind = LF_GETTER,
                           .deadline = deadline,
                           .look = try_get,
                           .arg = t,
                           .size = sizeof *t};
}

static int take_in_time(lua_State *L, lfb_state *S, lf_queue *q,
                        int64_t deadline) {
  transfer t = {q, lfb_push_buf(L)};
  lfb_shared_wait what = item_wait(&t, deadline);
  int err = lfb_wait_shared(L, S, &what, NULL);
  size_t at = 0;
  if (err == 0)
    lfb_unpack(L, S, t.values, &at, NULL);
  return err;
}

int lfb_queue_take(lua_State *L, lf_queue *q, int64_t deadline) {
  lfb_state *S = lfb_self(L);
  int top = lua_gettop(L);
  int err = take_now(L, S, q);
  if (err == LF_EAGAIN)
    err = take_in_time(L, S, q, deadline);
  if (err == 0 && lua_gettop(L) > top + 1)
    lua_replace(L, top + 1); /* the value, in the waiter of a buffer below it */
  lua_settop(L, err ? top : top + 1);
  return err;
}

/* Of a wait: pushes the value in the buffer. */
static int has_got(lua_State *L, int base, int err, void *arg,
                   lf_shared_waiter *waiter) {
  transfer *t = arg;
  size_t at = 0;
  (void)base;
  (void)waiter;
  if (err)
    return lfb_queue_raise(L, err, "Empty");
  lfb_unpack(L, lfb_self(L), t->values, &at, NULL);
  return 1;
}

static int get(lua_State *L, lf_queue *q, int64_t deadline,
               int (*then)(lua_State *L, int base, int err, void *arg,
                           lf_shared_waiter *waiter)) {
  lfb_state *S = lfb_self(L);
  int err = take_now(L, S, q);
  if (err == 0)
    return 1;
  if (err != LF_EAGAIN)
    return then(L, 0, err, NULL, NULL);
  transfer t = {q, lfb_push_buf(L)};
  lfb_shared_wait what = item_wait(&t, deadline);
  what.then = then;
  return lfb_await_shared(L, S, &what);
}

/* get([timeout]) -> v */
static int queue_get(lua_State *L) {
  lf_queue *q = check_queue(L);
  return get(L, q, lfb_check_deadline(L, 2), has_got);
}

static int queue_get_nowait(lua_State *L) {
  return get(L, check_queue(L), 0, has_got);
}

static int has_next(lua_State *L, int base, int err, void *arg,
                    lf_shared_waiter *waiter) {
  if (err != LF_ECLOSED)
    return has_got(L, base, err, arg, waiter);
  lua_pushnil(L);
  return 1;
}

/* Of iter: the queue is upvalue 2. */
static int iter_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return get(L, check_queue(L), LF_FOREVER, has_next);
}

/* iter() -> iterator of the items until it is closed and drained */
static int queue_iter(lua_State *L) {
  check_queue(L);
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, iter_next, 2);
  lfb_push_step(L);
  return 1;
}

/* --- The rest --- */

static int queue_close(lua_State *L) {
  lf_queue_close(check_queue(L));
  return 0;
}

static int queue_qsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lf_queue_look(check_queue(L)).count);
  return 1;
}

static int queue_empty(lua_State *L) {
  lua_pushboolean(L, lf_queue_look(check_queue(L)).count == 0);
  return 1;
}

static int queue_full(lua_State *L) {
  lf_queue *q = check_queue(L);
  lua_pushboolean(L, q->maxsize > 0 && lf_queue_look(q).count >= q->maxsize);
  return 1;
}

static int queue_task_done(lua_State *L) {
  if (lf_queue_done(check_queue(L)) != 0)
    return luaL_error(L, "task_done() called too many times");
  return 0;
}

static int look_for_rest(void *arg) {
  return lf_queue_look(*(lf_queue **)arg).unfinished == 0 ? 0 : LF_EAGAIN;
}

/* join([timeout]) -> true: task_done has been called for every item; false: not
 * in time */
static int queue_join(lua_State *L) {
  lf_queue *q = check_queue(L);
  lfb_shared_wait what = {.object = &q->shared,
                          .kind = LF_JOINER | LF_CROWD,
                          .deadline = lfb_check_deadline(L, 2),
                          .look = look_for_rest,
                          .arg = &q,
                          .size = sizeof q,
                          .then = lfb_push_in_time};
  return lfb_await_shared(L, lfb_self(L), &what);
}

static int queue_tostring(lua_State *L) {
  lf_queue *q = check_queue(L);
  lf_queue_state s = lf_queue_look(q);
  lua_pushfstring(L, "lfut.Queue(%I%s", (LUAI_UACINT)s.count,
                  s.count == 1 ? " item" : " items");
  if (q->maxsize)
    lua_pushfstring(L, " of %I", (LUAI_UACINT)q->maxsize);
  else
    lua_pushliteral(L, "");
  lua_pushstring(L, s.closed ? ", closed)" : ")");
  lua_concat(L, 3);
  return 1;
}

/* maxsize, closed */
static int queue_index(lua_State *L) {
  const char *key = lfb_push_method(L);
  if (!key)
    return 1;
  lf_queue *q = check_queue(L);
  if (strcmp(key, "maxsize") == 0)
    lua_pushinteger(L, (lua_Integer)q->maxsize);
  else if (strcmp(key, "closed") == 0)
    lua_pushboolean(L, lf_queue_look(q).closed);
  return 1;
}

void lfb_queue_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{LFB_STEP "put", queue_put},
                                     {LFB_STEP "get", queue_get},
                                     {LFB_STEP "put_nowait", queue_put_nowait},
                                     {LFB_STEP "get_nowait", queue_get_nowait},
                                     {"qsize", queue_qsize},
                                     {"empty", queue_empty},
                                     {"full", queue_full},
                                     {"close", queue_close},
                                     {"task_done", queue_task_done},
                                     {LFB_STEP "join", queue_join},
                                     {"iter", queue_iter},
                                     {NULL, NULL}};
  static const luaL_Reg extra[] = {{"__tostring", queue_tostring},
                                   {NULL, NULL}};
  static const lfb_descriptor queue_class = {.class = LFB_QUEUE,
                                             .name = "lfut.Queue",
                                             .methods = methods,
                                             .metamethods = extra,
                                             .base = lfb_shared_base,
                                             .handle = &lfb_shared_handle,
                                             .index = queue_index};
  lfb_newclass(L, S, &queue_class);
  lfb_shared_fini(LFB_QUEUE, queue_fini);
}
