/* SPDX-License-Identifier: MIT
 *
 * See map.h. A loop is a job (runtime/job.h) and what its consumer knows: the
 * source from which items are pulled, and the chunk whose results are being
 * read. */
#include "map.h"

#include <string.h>

#include "closure.h"
#include "error.h"
#include "executor.h"
#include "options.h"
#include "pack.h"
#include "part.h"
#include "source.h"
#include "wait.h"

enum {
  WINDOW = LF_LIMIT(8192, 32), /* items pulled ahead of their use */
  BLOCK = LF_LIMIT(16384, 8),  /* items of a table given to the workers at once,
                                  who so begin while others are still packed */
};

/* User values. */
enum { EXECUTOR = 1, SOURCE, SOURCE_ERROR, USER_VALUES = SOURCE_ERROR };

typedef struct {
  lf_job *job; /* a reference */
  lfb_source source;
  bool star; /* each item is a table of arguments */
  bool protected;
  bool failed_source; /* user value SOURCE_ERROR is to be raised at the end */
  bool ended;
  uint64_t buffersize; /* 0: automatic */
  uint64_t pulled;     /* items given to the job */
  uint64_t consumed;   /* items whose results have been taken */
  int64_t deadline;
  lf_chunk *chunk;         /* being read, or NULL */
  const unsigned char *at; /* its next entry */
  uint64_t read;           /* entries read */
} loop;

typedef struct {
  uint64_t chunksize, buffersize;
  bool unordered, protected, has_seed;
  lua_Integer seed;
  int64_t deadline;
} options;

/* --- Options
 * -------------------------------------------------------------------------- */

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
  if (lua_getfield(L, idx, "timeout") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      lfb_option_error(L, "timeout", "number");
    o.deadline = lfb_check_deadline(L, -1);
  }
  if (lua_getfield(L, idx, "seed") != LUA_TNIL) {
    int isint;
    o.seed = lua_tointegerx(L, -1, &isint);
    if (!isint)
      lfb_option_error(L, "seed", "integer");
    o.has_seed = true;
  }
  lua_pop(L, 2);
  return o;
}

/* --- Making a loop
 * ---------------------------------------------------------------------- */

static int loop_gc(lua_State *L) {
  loop *l = lfb_check(L, 1, LFB_MAP);
  if (l->chunk)
    lf_chunk_free(l->chunk);
  if (l->job)
    lf_job_unref(l->job);
  l->chunk = NULL;
  l->job = NULL;
  l->ended = true;
  return 0;
}

static const lfb_label setup_label = {"argument", -1, "to a worker", 0, false};

static int buf_gc(lua_State *L) {
  lf_buf_fini(lua_touserdata(L, 1));
  return 0;
}

/* Pushes a buffer that an error frees. */
static lf_buf *push_buf(lua_State *L) {
  lf_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);
  lf_buf_init(buf, NULL, 0);
  if (luaL_newmetatable(L, "lfut.Buffer")) {
    lua_pushcfunction(L, buf_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return buf;
}

/* The job: the function at 'fn', what to do with its results, the range. */
static lf_job *job_new(lua_State *L, lfb_executor *exe, const loop *l, int fn,
                       int combine, lfb_sink sink, const options *o) {
  int top = lua_gettop(L);
  const lfb_source *s = &l->source;
  lf_buf *setup = push_buf(L);
  lf_code *code = NULL;
  bool range = s->kind == LFB_RANGE && !l->star;
  lua_pushvalue(L, fn);
  lua_pushinteger(L, sink);
  if (range && s->floats)
    lua_pushnumber(L, s->ffirst);
  else if (range)
    lua_pushinteger(L, s->first);
  else
    lua_pushnil(L);
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
  lfb_pack(L, lfb_self(L), setup, top + 2, LFB_SETUP_COUNT, &setup_label, NULL);
  if (lua_isfunction(L, fn) && !lua_iscfunction(L, fn))
    code = lfb_code_of(L, lfb_self(L), fn);
  lf_job *job = lf_job_new(exe->pool, setup, code, o->chunksize,
                           o->unordered ? LF_UNORDERED : LF_ORDERED);
  if (!job)
    luaL_error(L, "not enough memory");
  lua_settop(L, top);
  return job;
}

static void supply(lua_State *L, loop *l, int self);

/* Pushes the loop over the items at 3 with the function at 2 of the executor at
 * 1. */
static loop *push_loop(lua_State *L, bool star, lfb_sink sink, int combine,
                       int opts) {
  lfb_state *S = lfb_self(L);
  lfb_executor *exe = lfb_check_executor(L, 1);
  options o = check_options(L, opts);
  lfb_poll(L, S);
  lfb_check_accepts(L, exe->pool);
  loop *l = lua_newuserdatauv(L, sizeof *l, USER_VALUES);
  memset(l, 0, sizeof *l);
  lfb_set_class(L, LFB_MAP);
  int self = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, self, EXECUTOR);
  lfb_source_open(L, 3, &l->source);
  lua_setiuservalue(L, self, SOURCE);
  l->star = star;
  l->protected = o.protected;
  l->buffersize = o.buffersize;
  l->deadline = o.deadline;
  l->job = job_new(L, exe, l, 2, combine, sink, &o);
  supply(L, l, self);
  return l;
}

/* --- Supplying items
 * ---------------------------------------------------------------------- */

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

/* Pulls one item into the block; false at the source's end. */
static bool pull_item(lua_State *L, loop *l, lf_block *block, int kept) {
  int top = lua_gettop(L);
  int n = lfb_source_next(L, &l->source, kept);
  if (n == 0)
    return false;
  uint64_t i = block->first + block->count + 1;
  if (l->star)
    n = spread(L, i);
  const lfb_label label = {"item", 0, "to a worker", i, false};
  size_t start = block->bytes.len;
  lfb_pack(L, lfb_self(L), &block->bytes, top + 1, n, &label, NULL);
  if (lf_block_item(block, start) != 0)
    luaL_error(L, "not enough memory");
  lua_settop(L, top);
  return true;
}

static int block_gc(lua_State *L) {
  lf_block **box = lua_touserdata(L, 1);
  if (*box)
    lf_block_unref(*box);
  return 0;
}

static lf_block **push_block(lua_State *L) {
  lf_block **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, "lfut.Block")) {
    lua_pushcfunction(L, block_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  *box = lf_block_new();
  if (!*box)
    luaL_error(L, "not enough memory");
  return box;
}

/* What pull_items is called with, protected. */
typedef struct {
  loop *loop;
  lf_block *block;
  uint64_t most;
  bool end;
} pulling;

static int pull_items(lua_State *L) {
  pulling *p = lua_touserdata(L, 1);
  while (!p->end && p->block->count < p->most)
    p->end = !pull_item(L, p->loop, p->block, 2);
  return 0;
}

/* Pulls up to 'most' items and gives them to the job. An error of the source
 * is kept for its position; one of the values to be sent, too, unless the
 * items are read at the call: then it is raised here. */
static void pull(lua_State *L, loop *l, int self, uint64_t most) {
  lf_block **box = push_block(L);
  lf_block *block = *box;
  block->first = l->pulled;
  pulling p = {.loop = l, .block = block, .most = most};
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushcclosure(L, pull_items, 1);
  lua_pushlightuserdata(L, &p);
  lua_getiuservalue(L, self, SOURCE);
  lfb_self(L)->interrupted = false;
  bool failed = lua_pcall(L, 2, 0, 0) != LUA_OK;
  if (failed && (l->source.at_call || lfb_must_stop(lfb_self(L)))) {
    lf_job_close(l->job);
    lua_error(L);
  }
  if (failed) {
    lua_setiuservalue(L, self, SOURCE_ERROR);
    l->failed_source = true;
  }
  if (failed || p.end)
    l->source.known = true, l->source.total = block->first + block->count;
  *box = NULL;
  l->pulled += block->count;
  if (lf_job_supply(l->job, block, l->pulled) != 0)
    luaL_error(L, "not enough memory");
  lua_pop(L, 1);
}

/* After shutdown nothing more is pulled: the error at that position. */
static void refuse_more(lua_State *L, loop *l, int self) {
  luaL_where(L, 1);
  lua_pushliteral(L, "cannot schedule new futures after shutdown");
  lua_concat(L, 2);
  lua_setiuservalue(L, self, SOURCE_ERROR);
  l->failed_source = true;
  l->source.known = true;
  l->source.total = l->pulled;
}

static bool all_pulled(const loop *l) {
  return l->source.known && l->pulled >= l->source.total;
}

/* How many items may be pulled now. */
static uint64_t room(loop *l) {
  uint64_t window = l->buffersize;
  if (!window) {
    window = lf_job_window(l->job);
    if (l->source.kind != LFB_RANGE && window > WINDOW)
      window = WINDOW;
  }
  uint64_t ahead = l->pulled - l->consumed;
  return ahead < window ? window - ahead : 0;
}

/* Lets the workers have more items, as many as may be pulled now. */
static void supply(lua_State *L, loop *l, int self) {
  if (all_pulled(l))
    return;
  bool first = l->pulled == 0 && l->consumed == 0;
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
  if (l->source.kind == LFB_RANGE && !l->star) {
    uint64_t left = l->source.total - l->pulled;
    l->pulled += n < left ? n : left;
    lf_job_supply(l->job, NULL, l->pulled);
  } else {
    pull(L, l, self, n);
  }
}

/* --- Reading results
 * ------------------------------------------------------------------- */

static uint64_t entry_kind(loop *l) {
  return *l->at++;
}

/* Skips an error's traceback; a copy, zero-terminated, on the stack, or nil. */
static void push_trace(lua_State *L, loop *l) {
  uint32_t len;
  memcpy(&len, l->at, sizeof len);
  lua_pushlstring(L, (const char *)l->at + sizeof len, len);
  l->at += sizeof len + len;
}

/* Pushes the error of the items that the chunk has no results for. */
static void push_chunk_error(lua_State *L, const lf_chunk *c) {
  lua_pushlstring(L, (const char *)c->why.data, c->why.len);
}

static void drop_chunk(loop *l) {
  lf_chunk_free(l->chunk);
  l->chunk = NULL;
}

/* Reads the next entry of the chunk. True: its results are pushed, *n of them;
 * false: an error value, and above it its traceback or nil. */
static bool read_entry(lua_State *L, loop *l, int *n) {
  lf_chunk *c = l->chunk;
  if (l->read++ >= c->finished) {
    push_chunk_error(L, c);
    lua_pushnil(L);
    return false;
  }
  uint64_t kind = entry_kind(l);
  *n = lfb_unpack(L, lfb_self(L), &l->at, NULL);
  if (kind == LFB_ITEM_RESULT)
    return true;
  push_trace(L, l);
  return false;
}

/* Raises the error value below the traceback at the top. */
static int raise_item(lua_State *L) {
  const char *trace = lua_tostring(L, -1);
  lua_pushvalue(L, -2);
  return lfb_raise(L, trace && trace[0] ? trace : NULL);
}

/* --- Asking for chunks
 * --------------------------------------------------------------------- */

typedef enum { READY, YIELD, END, STOPPED } progress;

/* An InlineExecutor has no workers: the consumer runs the next chunk. */
static bool run_part(lua_State *L, loop *l, int self) {
  if (!lf_pool_in_caller(lf_job_pool(l->job)))
    return false;
  lua_getiuservalue(L, self, EXECUTOR);
  lfb_executor *exe = lua_touserdata(L, -1);
  lua_pop(L, 1);
  struct lf_vm *vm = lfb_inline_vm(L, lfb_self(L), exe);
  return lfb_run_part(vm, l->job);
}

static void check_timeout(lua_State *L, loop *l) {
  if (l->deadline == LF_FOREVER || lf_now() < l->deadline)
    return;
  lf_job_close(l->job);
  l->ended = true;
  lfb_push_error(L, "TimeoutError", "%I items had results in time",
                 (LUAI_UACINT)l->consumed);
  lua_error(L);
}

/* Gets the next chunk into l->chunk, waiting for it. */
static progress next_chunk(lua_State *L, loop *l, int self, lf_stop *why) {
  for (;;) {
    supply(L, l, self);
    lf_next next = lf_job_next(l->job, &l->chunk, why);
    if (next == LF_CHUNK) {
      l->at = l->chunk->out.data;
      l->read = 0;
      return READY;
    }
    if (next == LF_STOPPED)
      return STOPPED;
    if (next == LF_END && all_pulled(l))
      return END;
    if (run_part(L, l, self))
      continue;
    check_timeout(L, l);
    if (next == LF_END) /* the source has more, but nothing may be pulled */
      continue;
    lfb_wait_for what = {.job = l->job, .deadline = l->deadline};
    if (lfb_wait(L, lfb_self(L), &what))
      return YIELD;
  }
}

/* Pushes the error that has stopped the job. */
static void push_stop(lua_State *L, loop *l, const lf_stop *why) {
  lf_pool *pool = lf_job_pool(l->job);
  if (why->err == LF_EBROKEN)
    lfb_push_error(L, lfb_broken_kind(pool), "%s", why->text ? why->text : "");
  else if (why->err == LF_ENOMEM)
    lua_pushliteral(L, "not enough memory");
  else if (why->err == LF_ETHREAD)
    lua_pushliteral(L, "cannot start a worker thread");
  else if (why->err == LF_ESHUTDOWN)
    lua_pushliteral(L, "cannot schedule new futures after shutdown");
  else
    lfb_push_error(L, "CancelledError", "the rest of the items was cancelled");
}

/* The iterator's end: by an error of the source or the pool, pushed, or not. */
static bool push_end(lua_State *L, loop *l, int self, progress how,
                     const lf_stop *why) {
  l->ended = true;
  if (how == STOPPED) {
    push_stop(L, l, why);
    return true;
  }
  if (!l->failed_source)
    return false;
  lua_getiuservalue(L, self, SOURCE_ERROR);
  return true;
}

/* --- map
 * ----------------------------------------------------------------------------------
 */

/* The values of one step of the iterator, from the chunk's next entry. */
static int deliver(lua_State *L, loop *l) {
  int n = 0;
  uint64_t i = l->chunk->first + l->read + 1;
  luaL_checkstack(L, 10, "results");
  lua_pushinteger(L, (lua_Integer)i);
  if (l->protected)
    lua_pushboolean(L, 1);
  bool ok = read_entry(L, l, &n);
  l->consumed++;
  if (l->read == l->chunk->count)
    drop_chunk(l);
  if (ok)
    return 1 + l->protected + n;
  if (!l->protected)
    return raise_item(L);
  lua_pop(L, 1);
  lua_pushboolean(L, 0);
  lua_replace(L, -3);
  return 3;
}

static int deliver_end(lua_State *L, loop *l, progress how,
                       const lf_stop *why) {
  uint64_t i = l->consumed + 1;
  if (!push_end(L, l, 1, how, why)) {
    lua_pushnil(L);
    return 1;
  }
  if (!l->protected)
    return lua_error(L);
  lua_pushinteger(L, (lua_Integer)i);
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -3);
  return 3;
}

/* it(): the loop is at stack index 1. */
static int next_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  loop *l = lua_touserdata(L, 1);
  lf_stop why;
  lua_settop(L, 1);
  if (l->ended && !l->chunk) {
    lua_pushnil(L);
    return 1;
  }
  if (!l->chunk) {
    progress how = next_chunk(L, l, 1, &why);
    if (how == YIELD)
      return lua_yieldk(L, 0, 0, next_k);
    if (how != READY)
      return deliver_end(L, l, how, &why);
  } else if (l->buffersize) {
    supply(L, l, 1);
  }
  return deliver(L, l);
}

static int loop_call(lua_State *L) {
  lfb_check(L, 1, LFB_MAP);
  lfb_poll(L, lfb_self(L));
  return next_k(L, LUA_OK, 0);
}

/* Appends the chunk's first results to the table at 2. */
static void list_chunk(lua_State *L, loop *l) {
  while (l->chunk) {
    int n = 0;
    lua_Integer i = (lua_Integer)(l->chunk->first + l->read + 1);
    bool ok = read_entry(L, l, &n);
    l->consumed++;
    if (l->read == l->chunk->count)
      drop_chunk(l);
    if (!ok && !l->protected)
      raise_item(L);
    if (!ok || n == 0)
      lua_settop(L, 3), lua_pushnil(L);
    lua_settop(L, 4);
    lua_rawseti(L, 2, i);
  }
}

/* The loop at 1, the list at 2, the number of results at 3. */
static int list_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  loop *l = lua_touserdata(L, 1);
  lf_stop why;
  while (!l->ended || l->chunk) {
    lua_settop(L, 3);
    if (l->chunk) {
      list_chunk(L, l);
      continue;
    }
    progress how = next_chunk(L, l, 1, &why);
    if (how == YIELD)
      return lua_yieldk(L, 0, 0, list_k);
    if (how != READY && push_end(L, l, 1, how, &why))
      return lua_error(L);
  }
  lua_settop(L, 2);
  lua_pushinteger(L, (lua_Integer)l->consumed);
  lua_setfield(L, 2, "n");
  return 1;
}

/* it:list() */
static int loop_list(lua_State *L) {
  loop *l = lfb_check(L, 1, LFB_MAP);
  lfb_poll(L, lfb_self(L));
  lua_settop(L, 1);
  uint64_t n =
      l->source.known && l->source.total < 1 << 24 ? l->source.total : 0;
  lua_createtable(L, (int)n, 1);
  lua_pushnil(L);
  return list_k(L, LUA_OK, 0);
}

/* it:close() */
static int loop_close(lua_State *L) {
  loop *l = lfb_check(L, 1, LFB_MAP);
  if (l->job)
    lf_job_close(l->job);
  if (l->chunk)
    drop_chunk(l);
  l->ended = true;
  return 0;
}

/* An InlineExecutor runs what is known at the call at once, as it does what is
 * submitted. */
static void run_at_call(lua_State *L, loop *l, int self) {
  if (l->source.at_call)
    while (run_part(L, l, self))
      continue;
}

/* For generic for: the iterator, and (Lua 5.4) what a break closes. */
static int push_iterator(lua_State *L) {
  int self = lua_gettop(L);
  run_at_call(L, lua_touserdata(L, self), self);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, self);
  return 4;
}

/* Before missing arguments become nil. */
static void check_call(lua_State *L) {
  lfb_check_executor(L, 1);
  lfb_check_callable(L, 2);
  if (lua_isnone(L, 3))
    luaL_typeerror(L, 3, "table, range, zip or iterator function");
}

int lfb_map(lua_State *L) {
  check_call(L);
  lua_settop(L, 4);
  push_loop(L, false, LFB_MAPPED, 0, 4);
  return push_iterator(L);
}

int lfb_starmap(lua_State *L) {
  check_call(L);
  lua_settop(L, 4);
  push_loop(L, true, LFB_MAPPED, 0, 4);
  return push_iterator(L);
}

/* --- for_each, reduce
 * --------------------------------------------------------------------- */

/* Reads the chunk of a loop without results: raises its error, if any. */
static void check_chunk(lua_State *L, loop *l) {
  int n;
  lf_chunk *c = l->chunk;
  bool entries = c->out.len > 0;
  l->consumed += c->count;
  if (entries || c->failed) {
    l->read = entries ? 0 : c->finished;
    if (!read_entry(L, l, &n)) {
      lf_job_close(l->job);
      raise_item(L);
    }
  }
  drop_chunk(l);
}

/* The loop at 1. */
static int for_each_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  loop *l = lua_touserdata(L, 1);
  lf_stop why;
  while (!l->ended) {
    lua_settop(L, 1);
    progress how = next_chunk(L, l, 1, &why);
    if (how == YIELD)
      return lua_yieldk(L, 0, 0, for_each_k);
    if (how == READY)
      check_chunk(L, l);
    else if (push_end(L, l, 1, how, &why))
      return lua_error(L);
  }
  lua_pushinteger(L, (lua_Integer)l->consumed);
  return 1;
}

/* All items of a range may be given to the workers at once: there are no
 * results to be kept. */
static void supply_all(lua_State *L, loop *l) {
  (void)L;
  if (l->source.kind != LFB_RANGE || l->star || l->buffersize)
    return;
  l->pulled = l->source.total;
  lf_job_supply(l->job, NULL, l->pulled);
}

int lfb_for_each(lua_State *L) {
  check_call(L);
  lua_settop(L, 4);
  supply_all(L, push_loop(L, false, LFB_EACH, 0, 4));
  lua_replace(L, 1);
  lua_settop(L, 1);
  return for_each_k(L, LUA_OK, 0);
}

/* The loop at 1, combine at 2, the value so far at 3 if 'some'. */
static int reduce_k(lua_State *L, int status, lua_KContext some) {
  (void)status;
  loop *l = lua_touserdata(L, 1);
  lf_stop why;
  while (!l->ended) {
    lua_settop(L, 3);
    progress how = next_chunk(L, l, 1, &why);
    if (how == YIELD)
      return lua_yieldk(L, 0, some, reduce_k);
    if (how != READY) {
      if (push_end(L, l, 1, how, &why))
        return lua_error(L);
      continue;
    }
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    int n = 0;
    l->consumed += l->chunk->count;
    l->read = l->chunk->finished ? 0 : l->read;
    if (!read_entry(L, l, &n)) {
      lf_job_close(l->job);
      return raise_item(L);
    }
    drop_chunk(l);
    lua_settop(L, 6);
    if (some)
      lua_call(L, 2, 1);
    lua_replace(L, 3);
    some = 1;
  }
  lua_settop(L, 3);
  return some ? 1 : 0;
}

int lfb_reduce(lua_State *L) {
  check_call(L);
  lua_settop(L, 6);
  bool some = !lua_isnil(L, 5);
  lfb_check_callable(L, 4);
  supply_all(L, push_loop(L, false, LFB_FOLD, 4, 6));
  lua_replace(L, 1);
  lua_pushvalue(L, 4);
  lua_replace(L, 2);
  lua_pushvalue(L, 5);
  lua_replace(L, 3);
  lua_settop(L, 3);
  return reduce_k(L, LUA_OK, some);
}

/* --- The class
 * ----------------------------------------------------------------------------
 */

static int loop_tostring(lua_State *L) {
  loop *l = lfb_check(L, 1, LFB_MAP);
  lua_pushfstring(L, "map(%I items read%s)", (LUAI_UACINT)l->consumed,
                  l->ended ? ", ended" : "");
  return 1;
}

void lfb_map_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {
      {"list", loop_list}, {"close", loop_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__call", loop_call},
                                         {"__close", loop_close},
                                         {"__gc", loop_gc},
                                         {"__tostring", loop_tostring},
                                         {NULL, NULL}};
  lfb_newclass(L, S, LFB_MAP, "lfut.Map", methods, metamethods);
}
