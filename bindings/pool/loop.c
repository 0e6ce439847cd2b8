/* SPDX-License-Identifier: MIT
 *
 * See loop.h. */
#include "bindings/pool/loop.h"

#include <string.h>

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/native/call.h"
#include "bindings/native/native.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/inline.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/wait_shared.h"
#include "bindings/sync/queue.h"
#include "bindings/worker/chunk.h"
#include "bindings/worker/setup.h"
#include "runtime/base/mem.h"
#include "runtime/sync/queue.h"

enum {
  WINDOW = LF_LIMIT(8192, 32), /* items pulled ahead of their use */
  BLOCK = LF_LIMIT(16384, 8),  /* items of a table given to the workers at once,
                                  who so begin while others are still packed */
};

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

static const char *const option_names[] = {
    "chunksize", "ordered", "timeout", "buffersize", "protected", "seed", NULL};

static options check_options(lua_State *L, int idx) {
  options o = {.deadline = LF_FOREVER};
  if (lua_isnoneornil(L, idx))
    return o;
  luaL_checktype(L, idx, LUA_TTABLE);
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
  if (l->job)
    lf_job_unref(l->job);
  l->chunk = l->reading = NULL;
  l->job = NULL;
  l->ended = true;
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

/* The job: the function at 'fn', what to do with its results, the range. */
static lf_job *job_new(lua_State *L, lfb_executor *exe, const lfb_loop *l,
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
  label.reach = lfb_reach_to(exe->pool);
  lfb_pack(L, lfb_self(L), setup, top + 2, LFB_SETUP_COUNT, &label, NULL);
  if (label.reach)
    lfb_start_tell(lfb_self(L), exe->pool);
  lf_code *code = label_of(L, lfb_self(L), fn);
  lf_job *job = lf_job_new(exe->pool, setup, code, o->chunksize,
                           o->unordered ? LF_UNORDERED : LF_ORDERED);
  if (code)
    lf_code_unref(code);
  if (!job)
    lfb_raise_memory(L);
  if (native)
    lf_job_restrict(job, lfb_native_gate(native, exe->pool),
                    lfb_native_place(native) == LF_HOME);
  lua_settop(L, top);
  return job;
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
  l->protected = o.protected;
  l->buffersize = o.buffersize;
  l->deadline = o.deadline;
  l->reach = lfb_reach_to(exe->pool);
  l->job = job_new(L, exe, l, 2, combine, sink, &o);
  lfb_loop_supply(L, l, self);
  return l;
}

/* --- Supplying items --- */

/* Replaces the item's table at the top by its arguments. */
static int spread(lua_State *L, uint64_t i) {
  if (!lua_istable(L, -1)) {
    luaL_where(L, 2); /* of who called map, or the iterator */
    lua_pushfstring(L, "%sbad item #%I (table of arguments expected, got %s)",
                    lua_tostring(L, -1), (LUAI_UACINT)i, luaL_typename(L, -2));
    lua_error(L);
  }
  int table = lua_gettop(L);
  int n = lfb_list_length(L, table);
  for (int k = 1; k <= n; k++)
    lua_geti(L, table, k);
  lua_remove(L, table);
  return n;
}

/* Pulls one item into the block: 1, or what lfb_source_next says of none. */
static int pull_item(lua_State *L, lfb_loop *l, lf_block *block, int kept) {
  int top = lua_gettop(L);
  int n = lfb_source_next(L, &l->source, kept);
  if (n <= 0)
    return n;
  uint64_t i = block->first + block->count + 1;
  if (l->star && n == 1) /* else they are arguments already, as a zip's */
    n = spread(L, i);
  const lfb_label label = {
      .what = "item", .where = "to a worker", .number = i, .reach = l->reach};
  size_t start = block->bytes.len;
  lfb_pack(L, lfb_self(L), &block->bytes, top + 1, n, &label, NULL);
  if (lf_block_item(block, start) != 0)
    lfb_raise_memory(L);
  lua_settop(L, top);
  return 1;
}

static void free_block(void *block) {
  lf_block_unref(block);
}

/* What pull_items is called with, protected. */
typedef struct {
  lfb_loop *loop;
  lf_block *block;
  uint64_t most;
  int got; /* of the last item */
} pulling;

static int pull_items(lua_State *L) {
  pulling *p = lua_touserdata(L, 1);
  while (p->got > 0 && p->block->count < p->most)
    p->got = pull_item(L, p->loop, p->block, 2);
  return 0;
}

/* Pulls up to 'most' items and gives them to the job. An error of the source
 * is kept for its position; one of the values to be sent, too, unless the
 * items are read at the call: then it is raised here. */
static void pull(lua_State *L, lfb_loop *l, int self, uint64_t most) {
  if (l->pulling)
    luaL_error(L, "the loop's source is already being asked for an item");
  lfb_box *box = lfb_push_box(L, free_block);
  lf_block *block = box->content = lf_block_new();
  if (!block)
    lfb_raise_memory(L);
  block->first = l->pulled;
  pulling p = {.loop = l, .block = block, .most = most, .got = 1};
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushcclosure(L, pull_items, 1);
  lua_pushlightuserdata(L, &p);
  lua_getiuservalue(L, self, LFB_LOOP_SOURCE);
  lfb_self(L)->interrupted = false;
  l->pulling = true;
  bool failed = lua_pcall(L, 2, 0, 0) != LUA_OK;
  l->pulling = false;
  if (failed && (l->source.at_call || lfb_must_stop(lfb_self(L)))) {
    lf_job_close(l->job);
    lua_error(L);
  }
  if (failed) {
    lua_setiuservalue(L, self, LFB_LOOP_SOURCE_ERROR);
    l->failed_source = true;
  }
  if (failed || p.got == 0)
    l->source.known = true, l->source.total = block->first + block->count;
  if (p.got < 0 && block->count == 0) {
    lua_pop(L, 1);
    return;
  }
  box->content = NULL;
  l->pulled += block->count;
  if (l->reach)
    lfb_start_tell(lfb_self(L), l->reach->pool);
  if (lf_job_supply(l->job, block, l->pulled) != 0)
    lfb_raise_memory(L);
  lua_pop(L, 1);
}

/* After shutdown nothing more is pulled: the error at that position. */
static void refuse_more(lua_State *L, lfb_loop *l, int self) {
  luaL_where(L, 1);
  lua_pushliteral(L, "cannot schedule new futures after shutdown");
  lua_concat(L, 2);
  lua_setiuservalue(L, self, LFB_LOOP_SOURCE_ERROR);
  l->failed_source = true;
  l->source.known = true;
  l->source.total = l->pulled;
}

static bool all_pulled(const lfb_loop *l) {
  return l->source.known && l->pulled >= l->source.total;
}

bool lfb_loop_is_supplied(const lfb_loop *l) {
  return l->ended || all_pulled(l);
}

void lfb_loop_supply_rest(lua_State *L, lfb_loop *l, int self) {
  if (lfb_loop_is_indexed(l) && !all_pulled(l)) {
    l->pulled = l->source.total;
    lf_job_supply(l->job, NULL, l->pulled);
  }
  bool queue = l->source.kind == LFB_ITEMS;
  l->source.waits = true;
  while (!lfb_loop_is_supplied(l))
    pull(L, l, self, queue ? 1 : BLOCK);
}

/* How many items may be pulled now. */
static uint64_t room(lfb_loop *l) {
  uint64_t window = l->buffersize;
  if (!window) {
    window = lf_job_window(l->job);
    if (!lfb_loop_is_indexed(l) && window > WINDOW)
      window = WINDOW;
  }
  uint64_t ahead = l->pulled - l->consumed;
  return ahead < window ? window - ahead : 0;
}

/* Lets the workers have more items, as many as may be pulled now. */
void lfb_loop_supply(lua_State *L, lfb_loop *l, int self) {
  if (all_pulled(l))
    return;
  bool first = !l->begun;
  l->begun = true;
  if (l->source.at_call && !l->buffersize && first) {
    while (!all_pulled(l))
      pull(L, l, self, BLOCK);
    return;
  }
  if (!first && lf_pool_is_shutdown(lf_job_pool(l->job))) {
    refuse_more(L, l, self);
    return;
  }
  uint64_t n = room(l);
  if (n == 0)
    return;
  if (lfb_loop_is_indexed(l)) {
    uint64_t left = l->source.total - l->pulled;
    l->pulled += n < left ? n : left;
    lf_job_supply(l->job, NULL, l->pulled);
  } else {
    pull(L, l, self, n);
  }
}

/* --- Reading results --- */

/* Has the chunk n more bytes? One from another process may have anything. */
LF_INLINE bool has_bytes(const lf_buf *out, const unsigned char *at, size_t n) {
  return (size_t)(out->data + out->len - at) >= n;
}

/* Is the entry a number? */
LF_INLINE bool is_number(const lf_buf *out, const unsigned char *at) {
  return has_bytes(out, at, 1 + sizeof(lua_Number)) && *at >= LFB_ITEM_INTEGER;
}

/* Skips an error's traceback; a copy, zero-terminated, on the stack, or nil. */
static void push_trace(lua_State *L, lfb_loop *l, const lf_buf *out) {
  uint32_t len = 0;
  if (has_bytes(out, l->at, sizeof len))
    memcpy(&len, l->at, sizeof len);
  if (!has_bytes(out, l->at, sizeof len + (size_t)len)) {
    lua_pushnil(L);
    return;
  }
  lua_pushlstring(L, (const char *)l->at + sizeof len, len);
  l->at += sizeof len + len;
}

/* Pushes the error of the items that the chunk has no results for. */
static void push_chunk_error(lua_State *L, const lfb_loop *l) {
  const lf_chunk *c = l->chunk;
  if (c->error == LF_LOST) {
    lfb_push_lost(L, c->why.data, c->why.len, lf_job_label(l->job));
    return;
  }
  if (c->why.len > 0)
    lua_pushlstring(L, (const char *)c->why.data, c->why.len);
  else /* there was none for the words, either */
    lua_pushliteral(L, LF_NO_MEMORY);
  if (c->error == LF_BROKEN) {
    lfb_push_error(L, lfb_broken_kind(lf_job_pool(l->job)), "%s",
                   lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}

void lfb_loop_drop_chunk(lfb_loop *l) {
  if (l->chunk != l->reading)
    lf_chunk_free(l->chunk);
  l->chunk = NULL;
}

static void end_reading(lfb_loop *l) {
  lf_chunk *c = l->reading;
  l->reading = NULL;
  if (l->chunk != c)
    lf_chunk_free(c);
}

/* Pushes the number of an entry of that kind. */
LF_INLINE void push_number(lua_State *L, lfb_loop *l) {
  lfb_entry kind = (lfb_entry)*l->at++;
  lua_Integer i;
  lua_Number n;
  memcpy(&i, l->at, sizeof i);
  memcpy(&n, l->at, sizeof n);
  l->at += sizeof n;
  if (kind == LFB_ITEM_INTEGER)
    lua_pushinteger(L, i);
  else
    lua_pushnumber(L, n);
}

void lfb_loop_list_numbers(lua_State *L, lfb_loop *l, int list) {
  const lf_chunk *c = l->chunk;
  uint64_t before = l->read;
  while (l->read < c->finished && is_number(&c->out, l->at)) {
    push_number(L, l);
    lua_rawseti(L, list, (lua_Integer)(c->first + ++l->read));
  }
  l->consumed += l->read - before;
}

/* Reads the next entry of the chunk. True: its results are pushed, *n of them;
 * false: an error value, and above it its traceback or nil. */
bool lfb_loop_read(lua_State *L, lfb_loop *l, int *n) {
  lf_chunk *c = l->chunk;
  if (l->read++ >= c->finished) {
    push_chunk_error(L, l);
    lua_pushnil(L);
    return false;
  }
  if (is_number(&c->out, l->at)) {
    push_number(L, l);
    *n = 1;
    return true;
  }
  unsigned kind = has_bytes(&c->out, l->at, 1) ? *l->at++ : LFB_ITEM_RESULT;
  size_t at = (size_t)(l->at - c->out.data);
  l->reading = c;
  *n = lfb_unpack(L, lfb_self(L), &c->out, &at, NULL);
  l->at = c->out.data + at;
  if (kind != LFB_ITEM_RESULT)
    push_trace(L, l, &c->out);
  end_reading(l);
  return kind == LFB_ITEM_RESULT;
}

/* Raises the error value below the traceback at the top. */
int lfb_loop_raise(lua_State *L) {
  const char *trace = lua_tostring(L, -1);
  lua_pushvalue(L, -2);
  return lfb_raise(L, trace && trace[0] ? trace : NULL);
}

/* --- Asking for chunks --- */

/* An InlineExecutor has no workers: the consumer runs the next chunk. */
bool lfb_loop_run_part(lua_State *L, lfb_loop *l, int self) {
  if (!lf_pool_in_caller(lf_job_pool(l->job)))
    return false;
  lua_getiuservalue(L, self, LFB_LOOP_EXECUTOR);
  lfb_executor *exe = lua_touserdata(L, -1);
  lua_pop(L, 1);
  struct lf_vm *vm = lfb_inline_vm(L, lfb_self(L), exe);
  return lfb_run_part(vm, l->job);
}

static bool is_late(const lfb_loop *l) {
  return l->deadline != LF_FOREVER && lf_now() >= l->deadline;
}

static void check_timeout(lua_State *L, lfb_loop *l) {
  if (!is_late(l))
    return;
  lf_job_close(l->job);
  l->ended = true;
  lfb_push_error(L, "TimeoutError", "%I items had results in time",
                 (LUAI_UACINT)l->consumed);
  lua_error(L);
}

/* Is there an item in the queue, or never again? */
static int look_for_item(void *queue) {
  lf_queue_state s = lf_queue_look(queue);
  return s.count > 0 || s.closed ? 0 : LF_EAGAIN;
}

/* Waits for the job, unless it has 'nothing' to do, or, if the items are a
 * queue's, for one of them, whichever comes first. A task waits for the queue
 * only when there is nothing else. 0: the wait is over already. */
static int wait_for_news(lua_State *L, lfb_loop *l, int self, bool nothing,
                         lfb_wait_for *what) {
  lfb_state *S = lfb_self(L);
  bool queue = l->source.kind == LFB_ITEMS;
  if (!queue || all_pulled(l) || room(l) == 0 || (S->vm && !nothing)) {
    *what = (lfb_wait_for){.job = l->job, .deadline = l->deadline};
    return LFB_NOT_YET;
  }
  lua_getiuservalue(L, self, LFB_LOOP_SOURCE);
  lf_queue *q = lfb_test_queue(L, -1);
  lua_pop(L, 1); /* the loop keeps it */
  lfb_shared_wait item = {.object = &q->shared,
                          .kind = LF_GETTER,
                          .job = nothing ? NULL : l->job,
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
    lf_next next = lf_job_next(l->job, &l->chunk, why);
    if (next == LF_CHUNK) {
      l->at = l->chunk->out.data;
      l->read = 0;
      return LFB_READY;
    }
    if (next == LF_STOPPED)
      return LFB_STOPPED;
    if (next == LF_END && all_pulled(l))
      return LFB_END;
    if (lfb_loop_run_part(L, l, self))
      continue;
    if (is_late(l) && !l->caught_up) {
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

/* Pushes the error that has stopped the job. */
static void push_stop(lua_State *L, lfb_loop *l, const lf_stop *why) {
  lf_pool *pool = lf_job_pool(l->job);
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
  if (!l->failed_source)
    return false;
  lua_getiuservalue(L, self, LFB_LOOP_SOURCE_ERROR);
  return true;
}
