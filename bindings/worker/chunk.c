/* SPDX-License-Identifier: MIT
 *
 * See chunk.h. */
#include "bindings/worker/chunk.h"

#include <string.h>

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/engine/dump.h"
#include "bindings/engine/env.h"
#include "bindings/native/call.h"
#include "bindings/native/chunk.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/run/debugging.h"
#include "bindings/run/failure.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/items.h"
#include "bindings/sync/array.h"
#include "bindings/sync/element.h"
#include "drivers.lua.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/caller.h"
#include "runtime/pool/current.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/ready.h"

/* What a run knows of the chunk that it runs. */
typedef struct lfb_chunk_run {
  lf_chunk *claimed;
  lf_loop *loop;                /* a reference */
  int setup;                    /* registry: the loop's function and options */
  size_t item;                  /* the next packed one: where in its block */
  const struct lf_array *array; /* else its elements; borrowed */
  lua_Number first, step;       /* else a range of floats */
  uint64_t position;            /* of the next item */
  lfb_sink sink;
  size_t mark;      /* end of the output's last complete entry */
  uint64_t begun;   /* of the chunk, without results: items run */
  bool cut;         /* the rest of the chunk is given back */
  lf_hunger hunger; /* is that wanted? */
  int64_t since;    /* when it began */
} chunk_run;

/* --- Items that change their function --- */

/* Before an item. Upvalues: the function, the number of an upvalue, or 0. */
static int renew(lua_State *L) {
  struct lf_vm *vm = lfb_state_find(L)->vm;
  int env = (int)lua_tointeger(L, lua_upvalueindex(2));
  if (env > 0) {
    lua_pushglobaltable(L);
    lfb_env_set(L, lua_upvalueindex(1), env);
  }
  if (lua_gethook(L)) {
    lua_sethook(L, NULL, 0, 0);
    lfb_debug_task(vm, L);
    if (vm->interrupted) /* it was the one of that, perhaps */
      lfb_look_soon(vm->S);
  }
  return 0;
}

/* Does the function at the top, or one in it, assign to _ENV, or set a hook?
 * The number of that upvalue, if it does, or 0; -1: neither. */
static int find_changes(lua_State *L, lfb_state *S) {
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1))
    return -1;
  lf_code *code = lfb_code_of(L, S, -1);
  const lfb_notes *notes = code->notes;
  int env = notes ? lfb_env_find(L, -1) : 0;
  if (env > 0 && !lfb_is_assigned(notes, (unsigned)env - 1))
    env = 0;
  bool none = env == 0 && !(notes && lfb_has_field(notes, "sethook"));
  lf_code_unref(code);
  return none ? -1 : env;
}

/* What the function of the setup at the top assigns to _ENV, and the debug hook
 * that it sets, are for one item, as they would be for one task. (Other
 * upvalues are the loop's.) */
static void guard_items(lua_State *L, lfb_state *S) {
  lua_rawgeti(L, -1, LFB_SETUP_FUNCTION);
  int env = find_changes(L, S);
  if (env < 0) {
    lua_pop(L, 1);
    return;
  }
  lfb_push_ref(L, LFB_REF_DRIVERS);
  lua_getfield(L, -1, "renewed");
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -1);
  lua_pushinteger(L, env);
  lua_pushcclosure(L, renew, 2);
  lua_call(L, 2, 1);
  lua_rawseti(L, -4, LFB_SETUP_FUNCTION);
  lua_pop(L, 2);
}

/* Pushes the table of the setup's values; each of several runs of one loop has
 * its own, as one may be parked in the middle of the function. One that is not
 * in use is kept for the worker's next chunk. */
static void push_setup(lua_State *L, lfb_run *r) {
  struct lf_vm *vm = r->vm;
  lfb_push_ref(L, LFB_REF_LOOP);
  if (vm->loop == lf_loop_id(r->chunk->loop)) {
    vm->loop = 0;
    lua_rawgeti(L, -1, 2);
    if (lua_istable(L, -1))
      r->globals = luaL_ref(L, LUA_REGISTRYINDEX);
    else
      lua_pop(L, 1);
    if (r->globals != LUA_NOREF)
      lfb_exchange_globals(L, r->globals, false);
    lua_rawgeti(L, -1, 1);
  } else {
    size_t at = 0;
    lua_createtable(L, LFB_SETUP_COUNT, 0);
    int n =
        lfb_unpack(L, vm->S, lf_loop_setup(r->chunk->loop), &at, &r->globals);
    for (; n > 0; n--)
      lua_rawseti(L, -n - 1, n);
    guard_items(L, vm->S);
  }
  lua_remove(L, -2);
}

/* Protected: keeps the setup for the next chunk. */
static int keep_setup(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lfb_push_ref(L, LFB_REF_LOOP);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->chunk->setup);
  lua_rawseti(L, -2, 1);
  if (r->globals != LUA_NOREF)
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->globals);
  else
    lua_pushnil(L);
  lua_rawseti(L, -2, 2);
  r->vm->loop = lf_loop_id(r->chunk->loop);
  return 0;
}

/* --- What the drivers call --- */

static lfb_run *run_of(lua_State *L) {
  const lfb_state *S = lua_touserdata(L, lua_upvalueindex(1));
  return S->vm->current;
}

/* fetch() -> the next item's arguments */
static int fetch_packed(lua_State *L) {
  lfb_run *r = run_of(L);
  r->chunk->position++;
  return lfb_unpack(L, r->vm->S, &r->chunk->claimed->block->bytes,
                    &r->chunk->item, NULL);
}

static int fetch_element(lua_State *L) {
  lfb_run *r = run_of(L);
  lfb_push_element(L, r->chunk->array, (size_t)r->chunk->position++);
  return 1;
}

static int fetch_number(lua_State *L) {
  lfb_run *r = run_of(L);
  lua_pushnumber(L, r->chunk->first +
                        (lua_Number)r->chunk->position++ * r->chunk->step);
  return 1;
}

static int put_number(lua_State *L, lf_buf *out) {
  if (LFB_HAS_INTEGERS && lua_isinteger(L, 1)) {
    lua_Integer i = lua_tointeger(L, 1);
    return lfb_put_number(out, LFB_ITEM_INTEGER, &i);
  }
  lua_Number n = lua_tonumber(L, 1);
  return lfb_put_number(out, LFB_ITEM_FLOAT, &n);
}

/* Should the run end here, and leave its other items to others? */
static bool is_full(lfb_run *r, uint64_t done) {
  r->chunk->cut =
      done < r->chunk->claimed->count &&
      lf_chunk_overruns(r->chunk->claimed, lf_worker_pool(r->vm->worker),
                        r->chunk->since);
  return r->chunk->cut;
}

enum { PIECE = 8 }; /* as in scripts/drivers.lua */

/* full() -> is it enough, with one piece more? */
static int full(lua_State *L) {
  lfb_run *r = run_of(L);
  r->chunk->begun += PIECE;
  if (!lf_is_hungry(&r->chunk->hunger) || !is_full(r, r->chunk->begun))
    return 0;
  lua_pushboolean(L, 1);
  return 1;
}

/* emit(...) -> is it enough?: an item's results */
static int emit(lua_State *L) {
  static const unsigned char kind = LFB_ITEM_RESULT;
  lfb_run *r = run_of(L);
  lf_buf *out = &r->chunk->claimed->out;
  bool number = lua_gettop(L) == 1 && lua_type(L, 1) == LUA_TNUMBER;
  if ((number ? put_number(L, out) : lf_buf_put(out, &kind, 1)) != 0)
    return lfb_raise_memory(L);
  if (!number)
    lfb_pack(L, r->vm->S, out, 1, lua_gettop(L), &lfb_results, NULL);
  r->chunk->mark = out->len;
  r->chunk->claimed->finished++;
  if (!lf_is_hungry(&r->chunk->hunger) || r->chunk->sink != LFB_MAPPED ||
      !is_full(r, r->chunk->claimed->finished))
    return 0;
  lua_pushboolean(L, 1);
  return 1;
}

/* --- Running --- */

/* They are the same for each chunk: LuaJIT compiles calls of the function that
 * it has seen, and what calls others anew. */
static const luaL_Reg helpers[] = {{"emit", emit},
                                   {"fetch_element", fetch_element},
                                   {"fetch_number", fetch_number},
                                   {"fetch_packed", fetch_packed},
                                   {"full", full},
                                   {NULL, NULL}};

static void push_helper(lua_State *L, const char *name) {
  lfb_push_ref(L, LFB_REF_DRIVERS);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

static void push_setup_value(lua_State *L, int setup, int which) {
  lua_rawgeti(L, setup, which);
}

/* Pushes the function, with math.random seeded for each item if asked for. */
static void push_function(lua_State *L, int setup, uint64_t position) {
  push_setup_value(L, setup, LFB_SETUP_SEED);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_setup_value(L, setup, LFB_SETUP_FUNCTION);
    return;
  }
  int seed = lua_gettop(L);
  lfb_push_ref(L, LFB_REF_DRIVERS);
  lua_getfield(L, -1, "seeded");
  push_setup_value(L, setup, LFB_SETUP_FUNCTION);
  lua_pushvalue(L, seed);
  lua_pushinteger(L, (lua_Integer)position);
  lua_rawgeti(L, seed + 1, 1); /* math.randomseed */
  lua_call(L, 4, 1);
  lua_replace(L, seed);
  lua_settop(L, seed);
}

static bool is_integer_range(lua_State *L, int setup) {
  push_setup_value(L, setup, LFB_SETUP_FIRST);
  bool is = lua_isinteger(L, -1);
  lua_pop(L, 1);
  return is;
}

/* first, last (or, without results, how many), step of the items from
 * 'position' to the chunk's end. */
static void push_range(lua_State *L, lfb_run *r, int setup, uint64_t position) {
  push_setup_value(L, setup, LFB_SETUP_FIRST);
  push_setup_value(L, setup, LFB_SETUP_STEP);
  uint64_t first = (uint64_t)lua_tointeger(L, -2);
  uint64_t step = (uint64_t)lua_tointeger(L, -1);
  uint64_t last = r->chunk->claimed->first + r->chunk->claimed->count - 1;
  lua_pop(L, 2);
  lua_pushinteger(L, (lua_Integer)(first + position * step));
  lua_pushinteger(L, r->chunk->sink == LFB_MAPPED
                         ? (lua_Integer)(first + last * step)
                         : (lua_Integer)(last + 1 - position));
  lua_pushinteger(L, (lua_Integer)step);
}

/* How many items there are from 'position' on, and fetch. */
static void push_items(lua_State *L, lfb_run *r, int setup, uint64_t position) {
  lf_block *b = r->chunk->claimed->block;
  uint64_t left =
      r->chunk->claimed->first + r->chunk->claimed->count - position;
  lua_pushinteger(L, (lua_Integer)left);
  r->chunk->position = position;
  if (b) {
    r->chunk->item = lf_block_start(b, position);
    push_helper(L, "fetch_packed");
    return;
  }
  push_setup_value(L, setup, LFB_SETUP_FIRST);
  push_setup_value(L, setup, LFB_SETUP_STEP);
  r->chunk->array = lfb_test_array(L, r->vm->S, -2); /* the setup keeps it */
  r->chunk->first = lua_tonumber(L, -2);
  r->chunk->step = lua_tonumber(L, -1);
  lua_pop(L, 2);
  push_helper(L, r->chunk->array ? "fetch_element" : "fetch_number");
}

static int chunk_done(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

static int chunk_body(lua_State *L) {
  static const char *const drivers[][2] = {{"map_items", "map_range"},
                                           {"each_items", "each_range"},
                                           {"fold_items", "fold_range"}};
  lfb_run *r = lua_touserdata(L, 1);
  lua_settop(L, 0);
  luaL_checkstack(L, 30, "parallel loop");
  if (r->chunk->setup == LUA_NOREF) {
    push_setup(L, r);
    lua_pushvalue(L, -1);
    r->chunk->setup = luaL_ref(L, LUA_REGISTRYINDEX);
  } else {
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->chunk->setup);
  }
  push_setup_value(L, 1, LFB_SETUP_SINK);
  r->chunk->sink = (lfb_sink)lua_tointeger(L, -1);
  bool range = is_integer_range(L, 1);
  uint64_t position = r->chunk->claimed->first + r->chunk->claimed->finished;
  r->chunk->begun = r->chunk->claimed->finished + (r->chunk->sink == LFB_FOLD);
  r->chunk->cut = false;
  r->chunk->hunger = lf_pool_hunger(lf_worker_pool(r->vm->worker));
  lfb_push_ref(L, LFB_REF_DRIVERS);
  lua_getfield(L, -1, drivers[r->chunk->sink][range]);
  int driver = lua_gettop(L);
  push_function(L, 1, position);
  if (range)
    push_range(L, r, 1, position);
  else
    push_items(L, r, 1, position);
  if (r->chunk->sink != LFB_EACH)
    push_helper(L, "emit");
  if (r->chunk->sink == LFB_FOLD)
    push_setup_value(L, 1, LFB_SETUP_COMBINE);
  if (r->chunk->sink != LFB_MAPPED)
    push_helper(L, "full");
  if (r->growth.allowed > 0)
    lfb_memory_begin(r);
  return lfb_call_then(L, lua_gettop(L) - driver, 0, chunk_done);
}

static void give_up(lf_chunk *c, const char *why) {
  c->failed = true;
  (void)lf_buf_put_text(&c->why, why);
}

/* The chunk's runner, the task, has been stopped: so have those of its items
 * that have no result. */
static void note_stopped(lf_chunk *c, lf_reason reason) {
  c->failed = true;
  c->reason = reason;
}

/* The same while a C function ran, whose result does not count. */
static void stop_native(lf_chunk *c, lf_reason reason) {
  lf_buf_cut(&c->out, 0);
  c->finished = c->rest = 0;
  note_stopped(c, reason);
}

/* Is the chunk, which has been stopped, to be run again? Then it is the
 * runner's once more. */
static bool runs_again(struct lf_vm *vm, lf_task *task, lf_chunk *c) {
  lf_reason reason = c->reason;
  if (!task || reason == LF_GO_ON || !lf_task_may_again(task))
    return false;
  lf_buf_cut(&c->out, 0);
  c->finished = c->rest = 0;
  c->failed = false;
  c->reason = LF_GO_ON;
  lf_runner_of(task)->chunk = c;
  if (lf_worker_again(vm->worker, task))
    return true;
  lf_runner_of(task)->chunk = NULL;
  note_stopped(c, reason);
  return false;
}

/* What has become of the chunk, which has taken so long, is known. */
static void finish(struct lf_vm *vm, lf_task *task, lf_loop *loop,
                   lf_chunk *chunk, int64_t ns) {
  if (runs_again(vm, task, chunk))
    return;
  lf_loop_done(loop, chunk, ns);
  if (task)
    lf_worker_end(vm->worker, task, LF_FINISHED);
  else
    lf_worker_count_finished(vm->worker);
}

/* As far as it needs no interpreter; an interruption reaches it. */
static void run_native(struct lf_vm *vm, lf_task *task, lf_loop *loop,
                       lf_chunk *chunk) {
  lfb_frame here;
  lfb_frame_enter(&here, vm, true, task);
  lfb_native_chunk(vm, loop, chunk);
  lfb_frame_leave(&here);
  lf_reason reason = task ? lf_task_reason(task) : LF_GO_ON;
  if (reason != LF_GO_ON)
    stop_native(chunk, reason);
  else if (vm->interrupted == LFB_SIGNALLED)
    give_up(chunk, "interrupted!");
}

/* A run for the chunk; NULL: no memory. */
static lfb_run *new_run(struct lf_vm *vm, lf_task *task) {
  lfb_run *r = lfb_run_new(vm, task);
  if (r && !r->chunk && !(r->chunk = lf_malloc(sizeof *r->chunk))) {
    lfb_run_free(r);
    return NULL;
  }
  return r;
}

static bool chunk_ended(lfb_run *r, bool ok);

static void start(struct lf_vm *vm, lf_task *task, lf_loop *loop,
                  lf_chunk *chunk) {
  int64_t since = lf_now();
  vm->interrupted = 0;
  run_native(vm, task, loop, chunk);
  if (chunk->finished > 0 && lf_is_traced())
    lf_trace_slice(since, lf_now() - since, LF_PHASE_NATIVE, lf_loop_code(loop),
                   lf_loop_name(loop), 0, 0);
  lf_worker_leave_strand(vm->worker); /* the rest passes it call by call */
  vm->interrupted = 0;
  bool ended = chunk->finished + chunk->rest == chunk->count || chunk->failed;
  lfb_run *r = ended ? NULL : new_run(vm, task);
  if (!ended && !r)
    give_up(chunk, LF_NO_MEMORY);
  if (!r) {
    finish(vm, task, loop, chunk, lf_now() - since);
    return;
  }
  *r->chunk = (chunk_run){.claimed = chunk,
                          .loop = lf_loop_ref(loop),
                          .setup = LUA_NOREF,
                          .mark = chunk->out.len,
                          .since = since};
  r->metered.code = lf_loop_code(loop);
  r->metered.name = lf_loop_name(loop);
  r->body = chunk_body;
  r->ended = chunk_ended;
  lfb_run_start(r);
}

void lfb_chunk_run(struct lf_vm *vm, lf_task *task) {
  lf_runner *runner = lf_runner_of(task);
  lf_chunk *chunk = lf_loop_claim(runner->loop, runner);
  if (chunk)
    start(vm, task, runner->loop, chunk);
  else
    lf_worker_end(vm->worker, task, LF_FINISHED);
}

/* The item has limits: it is a task, which can be stopped. */
static void run_limited(struct lf_vm *vm, lf_loop *loop, lf_chunk *chunk) {
  lf_runner *r = lf_runner_new(loop, chunk);
  if (!r) {
    lf_worker_count_started(vm->worker);
    give_up(chunk, LF_NO_MEMORY);
    finish(vm, NULL, loop, chunk, 0);
    return;
  }
  lf_task *task = &r->task;
  chunk->task = task;
  pid_t thread = lf_caller_begin(vm->worker);
  lf_worker_run_here(vm->worker, vm, task);
  lf_caller_end(vm->worker, thread);
  lf_task_unref(task);
}

bool lfb_run_chunk(struct lf_vm *vm, lf_loop *loop) {
  lf_chunk *chunk = lf_loop_claim(loop, NULL);
  if (!chunk)
    return false;
  if (lf_loop_limits(loop)) {
    run_limited(vm, loop, chunk);
    return true;
  }
  lf_worker_count_started(vm->worker);
  start(vm, NULL, loop, chunk);
  return true;
}

/* --- Ending
 * ----------------------------------------------------------------------------
 */

/* The level of the function that has been called first. Each look takes as long
 * as the level is high, so they are few. */
static int find_lowest(lua_State *co) {
  lua_Debug ar;
  int below = 1, at = 0; /* is there one; at this there is */
  while (lua_getstack(co, below, &ar)) {
    at = below;
    below *= 2;
  }
  while (below - at > 1) {
    int middle = at + (below - at) / 2;
    if (lua_getstack(co, middle, &ar))
      at = middle;
    else
      below = middle;
  }
  return at;
}

/* Of a range of integers: where the driver, which lies lowest in the coroutine,
 * is. Its second variable is the item. */
static uint64_t find_in_range(lfb_run *r, lua_Integer first, lua_Integer step) {
  lua_Debug driver = {0};
  bool found = false;
  for (int level = find_lowest(r->co); !found && level >= 0; level--)
    found = lua_getstack(r->co, level, &driver) &&
            lua_getinfo(r->co, "S", &driver) && driver.what[0] != 'C' &&
            !lfb_is_step(&driver);
  if (!found || !lua_checkstack(r->co, 1) || !lua_getlocal(r->co, &driver, 2))
    return 0;
  uint64_t i = (uint64_t)lua_tointeger(r->co, -1);
  lua_pop(r->co, 1);
  return step > 0 ? (i - (uint64_t)first) / (uint64_t)step
                  : ((uint64_t)first - i) / (0 - (uint64_t)step);
}

/* Protected: notes in 'position' how many items have been begun. */
static int count_begun(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->chunk->setup);
  if (!is_integer_range(L, 2))
    return 0;
  lua_rawgeti(L, 2, LFB_SETUP_FIRST);
  lua_rawgeti(L, 2, LFB_SETUP_STEP);
  r->chunk->position =
      find_in_range(r, lua_tointeger(L, -2), lua_tointeger(L, -1)) + 1;
  return 0;
}

/* The number of the item that has failed, from 0 on; the coroutine is as the
 * error has left it. */
static uint64_t failed_item(lfb_run *r) {
  lf_chunk *c = r->chunk->claimed;
  if (r->chunk->sink == LFB_MAPPED || r->chunk->setup == LUA_NOREF)
    return c->first + c->finished;
  lfb_try(r->vm, count_begun, r);
  uint64_t begun = r->chunk->position;
  uint64_t end = c->first + c->count;
  return begun <= c->first ? c->first : begun > end ? end - 1 : begun - 1;
}

/* The error entry of the item that failed. */
static bool put_error(lfb_run *r) {
  lf_chunk *c = r->chunk->claimed;
  lf_buf *out = &c->out;
  lf_buf value;
  char *trace = NULL;
  uint64_t item = failed_item(r), finished = c->finished;
  size_t mark = r->chunk->mark;
  lf_buf_init(&value, NULL, 0);
  lfb_pack_failure(r, &value,
                   &trace); /* one that is stopped may emit in that */
  c->finished = finished;
  r->chunk->mark = mark;
  lf_buf_cut(out, mark);
  bool ok = lf_buf_put(out, &(char){LFB_ITEM_ERROR}, 1) == 0 &&
            lf_buf_append(out, &value) == 0 &&
            lfb_put_error_tail(out, item, trace) == 0;
  if (!ok)
    lf_buf_cut(out, r->chunk->mark);
  lf_buf_fini(&value);
  lf_free(trace);
  return ok;
}

static void note_failure(lfb_run *r) {
  lf_chunk *c = r->chunk->claimed;
  bool interrupted = strcmp(r->abort, "interrupted!") == 0;
  lf_buf_cut(&c->out, r->chunk->mark);
  c->failures++;
  if (put_error(r)) {
    r->chunk->mark = c->out.len;
    c->finished++;
  } else {
    give_up(c, LF_NO_MEMORY);
  }
  if (r->reason != LF_GO_ON)
    note_stopped(c, r->reason);
  else if (interrupted)
    give_up(c, "interrupted!");
}

static void note_items(chunk_run *own) {
  lf_chunk *c = own->claimed;
  if (!own->cut) {
    c->finished = c->count;
    return;
  }
  c->finished = own->sink == LFB_MAPPED ? c->finished : own->begun;
  c->rest = c->count - c->finished;
}

/* After an item has failed: is the next one's turn? */
static bool goes_on(lfb_run *r) {
  lf_chunk *c = r->chunk->claimed;
  if (r->chunk->sink != LFB_MAPPED || c->finished == c->count || c->failed ||
      c->rest)
    return false;
  r->abort[0] = '\0';
  r->stage = LFB_RUNNING;
  if (lfb_run_ready(r))
    return true;
  give_up(c, LF_NO_MEMORY);
  return false;
}

static void end(lfb_run *r) {
  struct lf_vm *vm = r->vm;
  lf_task *task = r->task;
  const chunk_run own = *r->chunk;
  lfb_run_leave_meter(r); /* who waits for it may have the processor next */
  int64_t ns = lf_now() - own.since;
  if (own.setup != LUA_NOREF) {
    lfb_try(vm, keep_setup, r);
    luaL_unref(vm->L, LUA_REGISTRYINDEX, own.setup);
  }
  lfb_run_free(r);
  finish(vm, task, own.loop, own.claimed, ns);
  lf_loop_unref(own.loop);
}

/* The coroutine has ended. */
static bool chunk_ended(lfb_run *r, bool ok) {
  if (ok)
    note_items(r->chunk);
  else
    note_failure(r);
  lfb_run_clean(r, ok);
  if (goes_on(r))
    return true;
  end(r);
  return false;
}

/* The drivers' bytecode, which the program's first worker makes for all. */
static lf_buf *compile_drivers(lua_State *L, lfb_global *global) {
  lf_buf *code = lfb_push_buf(L), *first = NULL;
  if (luaL_loadbufferx(L, lf_script_drivers, sizeof lf_script_drivers - 1,
                       "=lfut", "t") != LUA_OK)
    lua_error(L);
  int err = lfb_dump(L, code, true);
  lf_buf *made = err ? NULL : lf_zalloc(sizeof *made);
  if (!made || lf_buf_move(made, code) != 0) {
    lf_free(made);
    lfb_raise_memory(L);
  }
  lua_pop(L, 2);
  if (atomic_compare_exchange_strong(&global->drivers, &first, made))
    return made;
  lf_buf_fini(made);
  lf_free(made);
  return first;
}

/* Pushes the drivers as a function without names and lines: what they call has
 * the position of the script's code in its messages, or none. */
static void load_drivers(lua_State *L, lfb_global *global) {
  const lf_buf *code = atomic_load(&global->drivers);
  code = code ? code : compile_drivers(L, global);
  if (luaL_loadbufferx(L, (char *)code->data, code->len, "=lfut", "b") !=
      LUA_OK)
    lua_error(L);
}

void lfb_chunk_open(lua_State *L, lfb_state *S) {
  lfb_push_ref(L, LFB_REF_DRIVERS);
  bool there = lua_istable(L, -1); /* a forked worker's program has them */
  lua_pop(L, 1);
  if (there)
    return;
  int top = lua_gettop(L);
  load_drivers(L, S->global);
  lua_call(L, 0, 1);
  lfb_push_standard(L, "math");
  lua_pushliteral(L, "randomseed");
  lua_rawget(L, -2);
  lua_rawseti(L, -3, 1);
  lua_pop(L, 1);
  lua_pushlightuserdata(L, S);
  luaL_setfuncs(L, helpers, 1);
  lfb_set_ref(L, LFB_REF_DRIVERS);
  lua_settop(L, top);
}
