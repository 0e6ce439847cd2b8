/* SPDX-License-Identifier: MIT
 *
 * See loop.h. */
#include "bindings/pool/loop.h"

#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/core/report.h"
#include "bindings/native/call.h"
#include "bindings/native/native.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/pool/control.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/inline.h"
#include "bindings/pool/results.h"
#include "bindings/pool/supply.h"
#include "bindings/run/debugging.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/wait_shared.h"
#include "bindings/sync/queue.h"
#include "bindings/worker/chunk.h"
#include "bindings/worker/setup.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/sync/queue.h"

typedef struct {
  uint64_t chunksize, buffersize;
  bool unordered, protected, has_seed;
  lua_Integer seed;
  int64_t deadline;
} options;

/* --- Options --- */

/* The positive integer option 'name', 0 if it is not set. */
static uint64_t positive_option(lua_State *L, int idx, const char *name) {
  uint64_t n = 0;
  if (lua_getfield(L, idx, name) != LUA_TNIL) {
    int isint;
    lua_Integer i = lua_tointegerx(L, -1, &isint);
    if (lua_type(L, -1) != LUA_TNUMBER)
      lfb_option_error(L, name, "integer");
    if (!isint || i < 1)
      luaL_error(L, "bad option '%s' (must be an integer >= 1)", name);
    n = (uint64_t)i;
  }
  lua_pop(L, 1);
  return n;
}

static uint64_t chunksize_option(lua_State *L, int idx) {
  lua_getfield(L, idx, "chunksize");
  bool automatic = lua_type(L, -1) == LUA_TSTRING &&
                   strcmp(lua_tostring(L, -1), "auto") == 0;
  lua_pop(L, 1);
  return automatic ? 0 : positive_option(L, idx, "chunksize");
}

static bool flag_option(lua_State *L, int idx, const char *name,
                        bool otherwise) {
  int type = lua_getfield(L, idx, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    lfb_option_error(L, name, "boolean");
  bool flag = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static const char *const option_names[] = {"chunksize",  "ordered",   "timeout",
                                           "buffersize", "protected", "seed",
                                           "progress",   NULL};

static options check_options(lua_State *L, int idx) {
  options o = {.deadline = LF_FOREVER};
  if (lua_isnoneornil(L, idx))
    return o;
  lfb_check_type(L, idx, LUA_TTABLE);
  lfb_check_option_names(L, idx, option_names);
  o.chunksize = chunksize_option(L, idx);
  o.buffersize = positive_option(L, idx, "buffersize");
  o.unordered = !flag_option(L, idx, "ordered", true);
  o.protected = flag_option(L, idx, "protected", false);
  o.deadline = lfb_option_deadline(L, idx, "timeout");
  o.has_seed = lfb_option_integer(L, idx, "seed", &o.seed);
  return o;
}

/* --- Making a loop --- */

int lfb_loop_gc(lua_State *L) {
  lfb_loop *l = lfb_check(L, 1, LFB_MAP);
  if (l->reading && l->reading != l->chunk)
    lf_chunk_free(l->reading);
  if (l->chunk)
    lf_chunk_free(l->chunk);
  if (l->loop)
    lf_loop_unref(l->loop);
  l->chunk = l->reading = NULL;
  l->loop = NULL;
  l->ended = true;
  lfb_meter_end(L, &l->meter);
  return 0;
}

/* Pushes where an indexed loop finds its items; else nil. */
static void push_first(lua_State *L, const lfb_loop *l) {
  const lfb_source *s = &l->source;
  if (!lfb_loop_is_indexed(l))
    lua_pushnil(L);
  else if (s->kind == LFB_ELEMENTS)
    lua_pushvalue(L, 3);
  else if (s->floats)
    lua_pushnumber(L, s->ffirst);
  else
    lua_pushinteger(L, s->first);
}

/* What the function at 'fn', which has been packed, is called in messages: a
 * reference, or NULL. */
static lf_code *label_of(lua_State *L, lfb_state *S, int fn) {
  lf_native *native = lfb_test_native(L, S, fn);
  lf_code *code = NULL;
  if (native)
    return lf_code_ref(native->code);
  if (!lua_isfunction(L, fn))
    return NULL;
  if (!lua_iscfunction(L, fn))
    code = lfb_code_cached(L, S, fn);
  if (!code && lfb_push_name(L, fn)) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    return lfb_code_of_named(L, S, fn, name, len);
  }
  return code ? code : lfb_code_of(L, S, fn);
}

/* The loop: the function at 'fn', what to do with its results, the range. */
static lf_loop *loop_new(lua_State *L, lfb_executor *exe, const lfb_loop *l,
                         int fn, int combine, lfb_sink sink, const options *o) {
  int top = lua_gettop(L);
  const lfb_source *s = &l->source;
  lf_buf *setup = lfb_push_buf(L);
  lf_native *native = lfb_test_native(L, lfb_self(L), fn);
  lua_pushvalue(L, fn);
  lua_pushinteger(L, sink);
  push_first(L, l);
  if (s->floats)
    lua_pushnumber(L, s->fstep);
  else
    lua_pushinteger(L, s->step);
  if (o->has_seed)
    lua_pushinteger(L, o->seed);
  else
    lua_pushnil(L);
  if (combine)
    lua_pushvalue(L, combine);
  else
    lua_pushnil(L);
  lfb_label label = lfb_arguments;
  label.reach = l->reach;
  lfb_pack(L, lfb_self(L), setup, top + 2, LFB_SETUP_COUNT, &label, NULL);
  if (label.reach)
    lfb_start_tell(lfb_self(L), exe->pool);
  lf_code *code = label_of(L, lfb_self(L), fn);
  lf_loop *loop = lf_loop_new(exe->pool, setup, code, o->chunksize,
                              o->unordered ? LF_UNORDERED : LF_ORDERED);
  if (code)
    lf_code_unref(code);
  if (!loop)
    lfb_raise_memory(L);
  if (native)
    lf_loop_restrict(loop, lfb_native_strand(native, exe->pool),
                     lfb_native_route(native) == LF_ROUTE_AFFINE);
  if (exe->limits)
    lf_loop_limit(loop, exe->limits);
  lua_settop(L, top);
  return loop;
}

static void note_call(lua_State *L, lfb_loop *l, bool star, lfb_sink sink) {
  static const char *const methods[] = {"map", "for_each", "reduce"};
  lua_Debug ar;
  l->sink = sink;
  l->method = star ? "starmap" : methods[sink];
  strcpy(l->source_name, "?");
  if (!lfb_find_line(L, 1, &ar))
    return;
  strcpy(l->source_name, ar.short_src);
  l->line = ar.currentline;
}

/* Pushes the loop over the items at 3 with the function at 2 of the executor at
 * 1. */
lfb_loop *lfb_loop_push(lua_State *L, bool star, lfb_sink sink, int combine,
                        int opts) {
  lfb_state *S = lfb_self(L);
  lfb_executor *exe = lfb_check_executor(L, 1);
  options o = check_options(L, opts);
  lf_native *native = lfb_test_native(L, S, 2);
  if (native)
    lfb_check_threads(L, S, native, exe->pool);
  lfb_poll(L, S);
  lfb_check_accepts(L, exe->pool);
  lfb_loop *l = lua_newuserdatauv(L, sizeof *l, LFB_LOOP_VALUES);
  memset(l, 0, sizeof *l);
  lfb_set_class(L, LFB_MAP);
  int self = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, self, LFB_LOOP_EXECUTOR);
  lfb_source_open(L, 3, &l->source);
  lua_setiuservalue(L, self, LFB_LOOP_SOURCE);
  l->star = star;
  note_call(L, l, star, sink);
  l->protected = o.protected;
  l->buffersize = o.buffersize;
  l->deadline = o.deadline;
  l->reach = lfb_reach_to(exe->pool);
  l->loop = loop_new(L, exe, l, 2, combine, sink, &o);
  lfb_meter_option(L, opts);
  lfb_meter_begin(L, &l->meter, self, LFB_LOOP_PROGRESS,
                  exe->limits ? exe->limits->name : NULL, l->source.known,
                  l->source.total);
  lfb_loop_supply(L, l, self);
  return l;
}

/* --- How far it is --- */

static void check_told(lua_State *L, lfb_loop *l, bool told) {
  if (told)
    return;
  lfb_loop_close(L, l, false);
  lua_error(L);
}

void lfb_loop_tell(lua_State *L, lfb_loop *l, int self, uint64_t done) {
  if (l->meter.on)
    check_told(L, l,
               lfb_meter_tell(L, &l->meter, self, done, l->source.known,
                              l->source.total));
}

void lfb_loop_tell_done(lua_State *L, lfb_loop *l, int self) {
  if (!l->meter.on)
    return;
  uint64_t done = lf_loop_finished(l->loop);
  bool all = l->source.known && done >= l->source.total;
  if (!all) /* else at the end, if it is one */
    lfb_loop_tell(L, l, self, done);
}

void lfb_loop_tell_all(lua_State *L, lfb_loop *l, int self) {
  if (l->supply != LFB_SUPPLY_FAILED)
    check_told(L, l, lfb_meter_finish(L, &l->meter, self, l->consumed));
  lfb_meter_end(L, &l->meter);
}

void lfb_loop_close(lua_State *L, lfb_loop *l, bool running) {
  if (l->loop && !lf_pool_is_foreign(lf_loop_pool(l->loop)))
    (running ? lf_loop_stop : lf_loop_close)(l->loop);
  if (l->chunk)
    lfb_loop_drop_chunk(l);
  l->ended = true;
  lfb_meter_end(L, &l->meter);
}

/* --- Asking for chunks --- */

/* An InlineExecutor has no workers: the consumer runs the next chunk. */
bool lfb_loop_run_chunk(lua_State *L, lfb_loop *l, int self) {
  if (!lf_pool_in_caller(lf_loop_pool(l->loop)))
    return false;
  lua_getiuservalue(L, self, LFB_LOOP_EXECUTOR);
  lfb_executor *exe = lua_touserdata(L, -1);
  lua_pop(L, 1);
  struct lf_vm *vm = lfb_inline_vm(L, exe);
  lfb_debug_begin(vm, L, lfb_self(L));
  bool ran = lfb_run_chunk(vm, l->loop);
  lfb_debug_end(vm);
  lfb_state *S = lfb_self(L);
  if (!S->vm && lfb_is_signalled(L, S)) { /* it was for the script's call */
    lf_loop_close(l->loop);
    lfb_raise_interrupted(L, S);
  }
  return ran;
}

static void check_timeout(lua_State *L, lfb_loop *l) {
  if (!lf_is_past(l->deadline))
    return;
  lf_loop_close(l->loop);
  l->ended = true;
  lfb_meter_end(L, &l->meter);
  lfb_push_error(L, "TimeoutError", "%I items had results in time",
                 (LUAI_UACINT)l->consumed);
  lua_error(L);
}

/* Is there an item in the queue, or never again? */
static int look_for_item(void *queue) {
  lf_queue_state s = lf_queue_look(queue);
  return s.count > 0 || s.closed ? 0 : LF_EAGAIN;
}

/* Waits for the loop, unless it has 'nothing' to do, or, if the items are a
 * queue's, for one of them, whichever comes first. A task waits for the queue
 * only when there is nothing else. 0: the wait is over already. */
static int wait_for_news(lua_State *L, lfb_loop *l, int self, bool nothing,
                         lfb_wait_for *what) {
  lfb_state *S = lfb_self(L);
  bool queue = l->source.kind == LFB_ITEMS;
  if (!queue || lfb_loop_is_pulled(l) || lfb_loop_room(l) == 0 ||
      (S->vm && !nothing)) {
    *what = (lfb_wait_for){.loop = l->loop, .deadline = l->deadline};
    return LFB_NOT_YET;
  }
  lua_getiuservalue(L, self, LFB_LOOP_SOURCE);
  lf_queue *q = lfb_test_queue(L, -1);
  lua_pop(L, 1); /* the loop keeps it */
  lfb_shared_wait item = {.object = &q->shared,
                          .kind = LF_GETTER,
                          .loop = nothing ? NULL : l->loop,
                          .deadline = l->deadline,
                          .look = look_for_item,
                          .arg = q};
  if (nothing && lfb_can_park(L, S))
    return lfb_park_shared(L, S, &item) ? LFB_PARKED : 0;
  lfb_wait_shared(L, S, &item, NULL);
  lf_call(&q->shared, LF_GETTER, 1); /* the look has taken nothing */
  return 0;
}

/* Gets the next chunk into l->chunk, waiting for it. */
int lfb_loop_next(lua_State *L, lfb_loop *l, int self, lf_stop *why,
                  lfb_wait_for *what) {
  for (;;) {
    lfb_loop_supply(L, l, self);
    lf_next next = lf_loop_next(l->loop, &l->chunk, why);
    if (next == LF_CHUNK) {
      l->at = l->chunk->out.data;
      l->read = 0;
      return LFB_READY;
    }
    if (next == LF_STOPPED)
      return LFB_STOPPED;
    if (next == LF_END && lfb_loop_is_pulled(l))
      return LFB_END;
    if (lfb_loop_run_chunk(L, l, self))
      continue;
    if (lf_is_past(l->deadline) && !l->caught_up) {
      l->caught_up = true; /* once more, with what has come by now */
      lfb_catch_up(lfb_self(L));
      continue;
    }
    check_timeout(L, l);
    if (next == LF_END && l->source.kind != LFB_ITEMS)
      continue; /* the source has more, but nothing may be pulled */
    int how = wait_for_news(L, l, self, next == LF_END, what);
    if (how < 0)
      return how;
  }
}

/* Pushes the error that has stopped the loop. */
static void push_stop(lua_State *L, lfb_loop *l, const lf_stop *why) {
  lf_pool *pool = lf_loop_pool(l->loop);
  if (why->err == LF_EBROKEN)
    lfb_push_error(L, lfb_broken_kind(pool), "%s", why->text ? why->text : "");
  else if (why->err == LF_ENOMEM)
    lua_pushliteral(L, LF_NO_MEMORY);
  else if (why->err == LF_ETHREAD)
    lua_pushliteral(L, "cannot start a worker thread");
  else if (why->err == LF_ESHUTDOWN)
    lua_pushliteral(L, "cannot schedule new futures after shutdown");
  else
    lfb_push_error(L, "CancelledError", "the rest of the items was cancelled");
}

/* The iterator's end: by an error of the source or the pool, pushed, or not. */
bool lfb_loop_push_end(lua_State *L, lfb_loop *l, int self, int how,
                       const lf_stop *why) {
  l->ended = true;
  if (how == LFB_STOPPED) {
    push_stop(L, l, why);
    return true;
  }
  if (l->supply != LFB_SUPPLY_FAILED)
    return false;
  lua_getiuservalue(L, self, LFB_LOOP_SOURCE_ERROR);
  return true;
}
