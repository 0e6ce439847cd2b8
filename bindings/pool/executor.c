/* SPDX-License-Identifier: MIT
 *
 * See executor.h. */
#include "bindings/pool/executor.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/native/call.h"
#include "bindings/native/native.h"
#include "bindings/pack/pack.h"
#include "bindings/pool/control.h"
#include "bindings/pool/future.h"
#include "bindings/pool/inline.h"
#include "bindings/run/output.h"
#include "bindings/run/wait.h"
#include "bindings/worker/setup.h"
#include "bindings/worker/vm.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/processors.h"
#include "runtime/pool/current.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/room.h"
#include "runtime/pool/threads.h"
#include "runtime/pool/usr1.h"

lfb_executor *lfb_check_executor(lua_State *L, int idx) {
  lfb_executor *exe = lfb_check(L, idx, LFB_EXECUTOR);
  lfb_arg_check(L, exe->pool, idx, "executor is closed");
  if (lf_pool_is_foreign(exe->pool))
    luaL_error(L, "executor belongs to another process");
  return exe;
}

void lfb_check_accepts(lua_State *L, lf_pool *pool) {
  if (lf_pool_is_shutdown(pool))
    lfb_raise_code(L, LF_ESHUTDOWN, pool);
  if (lf_pool_broken(pool))
    lfb_raise_code(L, LF_EBROKEN, pool);
}

/* --- Making one --- */

static const double LOOK_AGAIN = 0.005; /* seconds */

enum { LAST = LFB_RECONNECT };

/* All kinds take all options, so that a script can change the kind alone. */
static const char *const option_names[] = {
    "max_workers", "name",      "initializer",
    "initargs",    "finalizer", "start_method",
    "timeout",     "grace",     "max_tasks_per_child",
    "max_queue",   "retries",   "memory_limit",
    "url",         "reconnect", "max_running",
    NULL};

static int default_workers(lfb_state *S, const lfb_kind *kind) {
  if (kind->backend->caller)
    return 1;
  return S->global->workers > 0 ? S->global->workers
                                : lf_cpu_count() + kind->more;
}

/* The value at the top, which is popped. */
static int take_workers(lua_State *L, lfb_state *S, const lfb_kind *kind) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return default_workers(S, kind);
  }
  int isint;
  lua_Integer n = lua_tointegerx(L, -1, &isint);
  if (!isint || lua_type(L, -1) != LUA_TNUMBER) {
    bool number = lua_type(L, -1) == LUA_TNUMBER;
    if (!number || !(lua_tonumber(L, -1) < 1))
      return luaL_error(
          L, "max_workers must be greater than 0 (integer expected, got %s)",
          number ? luaL_tolstring(L, -1, NULL) : luaL_typename(L, -1));
    n = 0;
  }
  if (n < 1)
    return luaL_error(L, "max_workers must be greater than 0");
  if (n > LF_MAX_WORKERS)
    return luaL_error(L, "max_workers must not be greater than %d",
                      LF_MAX_WORKERS);
  lua_pop(L, 1);
  return kind->backend->caller ? 1 : (int)n;
}

static void check_option(lua_State *L, int idx, const char *name, int type,
                         const char *expected) {
  lua_pushvalue(L, idx);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != type)
    lfb_option_error(L, name, expected);
  lua_pop(L, 1);
}

/* The value at LFB_START_METHOD. */
static void check_start_method(lua_State *L) {
  static const char *const methods[] = {"fork", "spawn"};
  const char *method = lfb_optional_string(L, LFB_START_METHOD, methods[0]);
  if (strcmp(method, methods[0]) != 0 && strcmp(method, methods[1]) != 0)
    luaL_error(L,
               "bad option 'start_method' ('fork' or 'spawn' expected, got "
               "'%s')",
               method);
}

/* The value at 'idx' is nil, or a number of at least one. */
static void check_count(lua_State *L, int idx, const char *name) {
  int isint = 1;
  check_option(L, idx, name, LUA_TNUMBER, "integer");
  lua_Integer n = lua_isnil(L, idx) ? 1 : lua_tointegerx(L, idx, &isint);
  if (!isint || n < 1)
    luaL_error(L, "bad option '%s' (must be an integer >= 1)", name);
}

/* Leaves the options at their places; returns max_workers. */
static int take_options(lua_State *L, lfb_state *S, const lfb_kind *kind) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1)) {
    lua_settop(L, LAST);
    lua_pushvalue(L, 1);
    return take_workers(L, S, kind);
  }
  lfb_check_option_names(L, 1, option_names);
  lua_getfield(L, 1, "name");
  lua_getfield(L, 1, "initializer");
  lua_getfield(L, 1, "initargs");
  lua_getfield(L, 1, "finalizer");
  lua_getfield(L, 1, "start_method");
  lua_getfield(L, 1, "max_tasks_per_child");
  lua_getfield(L, 1, "max_queue");
  lua_getfield(L, 1, "max_running");
  lua_getfield(L, 1, "url");
  lua_getfield(L, 1, "reconnect");
  check_option(L, LFB_URL, "url", LUA_TSTRING, "string");
  check_option(L, LFB_RECONNECT, "reconnect", LUA_TNUMBER, "number");
  check_option(L, LFB_NAME, "name", LUA_TSTRING, "string");
  check_option(L, LFB_INITARGS, "initargs", LUA_TTABLE, "table");
  check_option(L, LFB_START_METHOD, "start_method", LUA_TSTRING, "string");
  check_start_method(L);
  check_count(L, LFB_MAX_TASKS, "max_tasks_per_child");
  check_count(L, LFB_MAX_QUEUE, "max_queue");
  check_count(L, LFB_MAX_RUNNING, "max_running");
  lua_pushvalue(L, LFB_INITIALIZER);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING &&
      !lfb_is_callable(L, -1))
    lfb_option_error(L, "initializer", "function or source text");
  lua_pushvalue(L, LFB_FINALIZER);
  if (!lua_isnil(L, -1) && !lfb_is_callable(L, -1))
    lfb_option_error(L, "finalizer", "function");
  lua_getfield(L, 1, "max_workers");
  int n = take_workers(L, S, kind);
  lua_settop(L, LAST);
  return n;
}

/* Pushes the userdata, without a pool. */
static lfb_executor *push_empty(lua_State *L) {
  lfb_executor *exe = lua_newuserdatauv(L, sizeof *exe, 1);
  *exe = (lfb_executor){0};
  lfb_mark(exe, sizeof *exe, LFB_EXECUTOR);
  lfb_set_class(L, LFB_EXECUTOR);
  return exe;
}

/* The userdata at the top is what the interpreter has for the pool. */
static void remember(lua_State *L, lf_pool *pool) {
  lfb_push_ref(L, LFB_REF_HANDLES);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, pool);
  lua_pop(L, 1);
}

/* Where the caller runs each task at once, none ever waits. */
static size_t max_queue(lua_State *L, const lfb_kind *kind) {
  return kind->backend->caller ? 0 : (size_t)lua_tointeger(L, LFB_MAX_QUEUE);
}

/* Elsewhere max_workers bounds how many run. */
static size_t max_running(lua_State *L, const lfb_kind *kind) {
  return kind->backend->parks ? (size_t)lua_tointeger(L, LFB_MAX_RUNNING) : 0;
}

int lfb_executor_new(lua_State *L, const lfb_kind *kind) {
  lfb_state *S = lfb_self(L);
  lfb_poll(L, S);
  int workers = take_options(L, S, kind);
  lfb_executor *exe = push_empty(L);
  lfb_box *box = lfb_push_box(L, lfb_setup_free);
  lfb_setup *setup =
      lfb_setup_new(L, S, LFB_INITIALIZER, kind->name, kind->reach);
  box->content = setup;
  lf_pool_options options = {
      .max_workers = workers,
      .max_queue = max_queue(L, kind),
      .max_running = max_running(L, kind),
      .name = lfb_optional_string(L, LFB_NAME, "lfut"),
      .ops = &lfb_vmops,
      .setup = setup,
      .setup_free = lfb_setup_free,
      .registry = &S->global->registry,
      .backend = kind->backend,
  };
  if (kind->prepare)
    kind->prepare(L, S, setup, &options);
  if (!kind->backend->caller)
    lf_usr1_attend();
  exe->pool = lf_pool_new(&options);
  if (!exe->pool) {
    lf_free(options.program);
    return lfb_raise_memory(L);
  }
  exe->limited = lf_room_is_limited(exe->pool);
  box->content = NULL;
  lua_pop(L, 1);
  if (kind->start)
    kind->start(L, S, exe->pool); /* the executor at the top closes it */
  remember(L, exe->pool);
  exe->limits = lfb_executor_limits(L, 1, kind->retries);
  return 1;
}

int lfb_thread_pool_executor(lua_State *L) {
  static const lfb_kind threads = {
      .name = "thread", .more = 4, .backend = &lf_threads_backend};
  return lfb_executor_new(L, &threads);
}

int lfb_async_executor(lua_State *L) {
  static const lfb_kind async = {.name = "async", .backend = &lf_async_backend};
  return lfb_executor_new(L, &async);
}

/* Pushes one for the pool, of which it has a handle, or, inside, no more than a
 * reference. */
static lfb_executor *push_for(lua_State *L, lfb_state *S, lf_pool *pool,
                              bool inside) {
  lfb_executor *exe = push_empty(L);
  exe->inside = inside;
  exe->pool = inside ? lf_pool_ref(pool) : lf_pool_handle(pool);
  exe->limited = lf_room_is_limited(pool);
  if (S->vm && !inside)
    S->vm->idle_garbage = true;
  return exe;
}

/* Pushes the interpreter's executor object for the pool. */
static void push_executor(lua_State *L, lfb_state *S, void *p) {
  lf_pool *pool = p;
  lfb_push_ref(L, LFB_REF_HANDLES);
  if (lua_rawgetp(L, -1, pool) == LUA_TUSERDATA) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 2);
  bool inside = S->vm && lf_worker_pool(S->vm->worker) == pool;
  lfb_executor *exe = push_for(L, S, pool, inside);
  if (inside && lf_pool_in_caller(pool))
    exe->vm = S->vm;
  remember(L, pool);
}

lfb_executor *lfb_push_view(lua_State *L, lfb_state *S, int idx) {
  idx = lua_absindex(L, idx);
  lfb_executor *exe = lua_touserdata(L, idx);
  lfb_executor *view = push_for(L, S, exe->pool, exe->inside);
  view->base = exe->base ? exe->base : exe;
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, -2, 1);
  return view;
}

/* One inside has no more than a reference to the pool. */
static int executor_gc(lua_State *L) {
  lfb_executor *exe = lfb_check(L, 1, LFB_EXECUTOR);
  const lfb_executor was = *exe;
  exe->pool = NULL;
  exe->vm = NULL;
  exe->limits = NULL;
  if (was.limits)
    lf_limits_unref(was.limits);
  if (!was.pool)
    return 0;
  if (was.inside) {
    lf_pool_unref(was.pool);
    return 0;
  }
  if (!was.base && !lf_pool_is_foreign(was.pool)) {
    lfb_setup_forget(L, was.pool);
    if (was.vm)
      lfb_vmops.close(was.vm);
  }
  lf_pool_unhandle(was.pool);
  return 0;
}

/* --- Methods --- */

const lfb_reach *lfb_reach_to(lf_pool *pool) {
  if (!lf_pool_is_remote(pool))
    return NULL;
  lfb_output_sync(); /* what was written before comes before the task's */
  return &((lfb_setup *)lf_pool_setup(pool))->reach;
}

/* The task is to call the C function with the n values from 3 on. */
static void pack_native_call(lua_State *L, lfb_state *S, lf_native *native,
                             lf_task *task, int n) {
  lf_pool *pool = lf_task_pool(task);
  if (lfb_is_cluster(pool)) {
    lfb_push_error(L, "TransferError",
                   "cannot send function (userdata lfut.Function, which stays "
                   "on this machine) to a worker");
    lua_error(L);
  }
  lfb_check_threads(L, S, native, pool);
  lfb_native_pack(L, S, native, 3, n, lfb_reach_to(pool), &task->data);
  task->code = lf_code_ref(native->code);
  task->strand = lfb_native_strand(native, pool);
}

/* Raises unless what is at 2 can be called. Returns it if it is native. */
static lf_native *check_function(lua_State *L, lfb_state *S) {
  lf_native *native = lfb_test_native(L, S, 2);
  if (!native)
    lfb_check_callable(L, 2);
  return native;
}

/* How many tasks after the nth the next one is that is to be timed: the first
 * ones all are, then one of 16, later of 64; which, is left to chance, lest the
 * program has a pattern (Knuth's multiplicative hash). */
static unsigned gap_after(unsigned n) {
  enum { FIRST = 256, FIRST_TRACED = 10000, MANY = 4096, BITS = 32 };
  if (n < FIRST || (n < FIRST_TRACED && lf_is_traced()))
    return 1;
  uint32_t chance = (uint32_t)n * 2654435761U;
  return 1 + (chance >> (BITS - (n < MANY ? 5 : 7)));
}

static bool begin_gap(lfb_state *S) {
  unsigned gap = gap_after(S->submits);
  S->submits += gap;
  S->untimed = gap - 1;
  return true;
}

/* Is the packing of the next task to be timed, and its run so that what it
 * takes to unpack and pack there is told apart? A look at the clock takes
 * longer than to pack a number: so it is that of some. */
static bool is_fine(lfb_state *S) {
  return S->untimed == 0 ? begin_gap(S) : (S->untimed--, false);
}

/* A stamp of that moment, roughly, which no other task has: of each interpreter
 * they grow, and those of several differ. Odd: it is fine. */
static int64_t make_stamp(lfb_state *S, int64_t now, bool fine) {
  enum { UNIT = 128 };
  int64_t stamp = now / UNIT * UNIT;
  stamp = stamp > S->last_born ? stamp : S->last_born + UNIT;
  S->last_born = stamp;
  uint64_t who = (S->id * 31 + (uint64_t)getpid()) % (UNIT / 2);
  return stamp | (int64_t)(who << 1) | fine;
}

static void note_timed(lfb_state *S, lf_task *task, int64_t since) {
  int64_t now = lf_now();
  lf_task_set_born(task, make_stamp(S, now, since != 0));
  if (since)
    lf_profile_packed(lf_pool_profile(lf_task_pool(task)),
                      lf_task_counted(task), now - since);
  if (lf_is_traced())
    lf_trace_slice(since ? since : now, since ? now - since : 0, LF_PHASE_PACK,
                   task->code, lf_task_own_name(task), 's',
                   (uint64_t)lf_task_born(task));
}

/* The task, the packing of which was begun then (0: is not known), is about to
 * be submitted. Of a quick one nothing is timed here, also if its run is. */
static inline void note_packed(lfb_state *S, lf_task *task, int64_t since) {
  if (since || lf_code_is_slow(lf_task_counted(task)))
    note_timed(S, task, since);
  else if (lf_is_traced())
    lf_task_set_born(task, LF_BORN_QUIETLY);
}

/* The values are for one task of the pool, which can wait for futures. */
static lfb_reach reach_of_call(const lfb_reach *to) {
  lfb_reach reach = *to;
  reach.futures = true;
  return reach;
}

/* Pushes a future for the call of what is at 2 with what follows: n values with
 * it. 'each': it is one of a broadcast. */
static lf_task *push_call(lua_State *L, lfb_state *S, const lfb_executor *exe,
                          lf_native *native, int n, bool each) {
  lf_pool *pool = exe->pool;
  int64_t since = is_fine(S) ? lf_now() : 0;
  lf_owner *owner = lf_pool_owner(pool);
  lf_task **slot = lfb_new_future(L, S);
  lf_task *task = *slot = exe->limits || exe->limited
                              ? lf_limited_new(owner, exe->limits)
                              : lf_task_new(owner);
  if (!task)
    lfb_raise_memory(L);
  if (native) {
    pack_native_call(L, S, native, task, n - 1);
    note_packed(S, task, since);
    return task;
  }
  lfb_label label = lfb_arguments;
  label.reach = lfb_reach_to(pool);
  lfb_reach reach;
  if (label.reach && !each) {
    reach = reach_of_call(label.reach);
    label.reach = &reach;
  }
  lfb_pack(L, S, &task->data, 2, n, &label, &task->code);
  if (label.reach)
    lfb_start_tell(S, pool);
  note_packed(S, task, since);
  return task;
}

static lf_route route_of(const lf_native *native) {
  return native ? lfb_native_route(native) : LF_NEAR;
}

/* --- Where a limited number of tasks may wait --- */

/* Is there no place, even now that what has begun is seen? */
static bool is_full(lfb_executor *exe) {
  if (exe->inside || !lf_room_is_full(exe->pool))
    return false;
  lf_pool_see_begun(exe->pool);
  return lf_room_is_full(exe->pool);
}

static int push_full(lua_State *L) {
  lua_pushnil(L);
  lua_pushliteral(L, "full");
  return 2;
}

/* Queues the task of the future at the top if there is a place. */
static bool queue_limited(lua_State *L, lfb_state *S, lfb_executor *exe) {
  lf_task *task = *(lf_task **)lua_touserdata(L, -1);
  lf_native *native = lfb_test_native(L, S, 2);
  lfb_check_accepts(L, exe->pool);
  if (!lf_limited_take_room(task, exe->inside))
    return false;
  int err = lf_pool_submit(exe->pool, task, route_of(native));
  if (err) {
    lf_limited_give_room(task);
    lfb_raise_code(L, err, exe->pool);
  }
  lf_clock_queued(task);
  lf_task_offer(task);
  return true;
}

/* The future is at 'context'. */
static int submit_step(lua_State *L, lfb_state *S, int64_t context,
                       lfb_wait_for *what) {
  lfb_executor *exe = lua_touserdata(L, 1);
  lua_settop(L, (int)context);
  while (is_full(exe) || !queue_limited(L, S, exe)) {
    lf_task *room;
    lfb_check_accepts(L, exe->pool);
    lfb_box *box = lfb_push_box(L, lf_task_unref);
    if (lf_room_await(exe->pool, &room) != 0)
      return lfb_raise_memory(L);
    box->content = room;
    if (room) { /* nobody tells when a process begins a task */
      bool remote = lf_pool_is_remote(exe->pool);
      int64_t until = remote ? lf_after(LOOK_AGAIN) : LF_FOREVER;
      *what = (lfb_wait_for){.task = room, .deadline = until};
      return LFB_NOT_YET;
    }
    lua_pop(L, 1);
  }
  return 1;
}

static int submit_limited(lua_State *L, lfb_state *S, lfb_executor *exe,
                          lf_native *native, bool waits) {
  if (!waits && is_full(exe))
    return push_full(L);
  push_call(L, S, exe, native, lua_gettop(L) - 1, false);
  if (waits)
    return lfb_waiting(L, S, submit_step, lua_gettop(L));
  return queue_limited(L, S, exe) ? 1 : push_full(L);
}

static int submit(lua_State *L, bool waits) {
  lfb_state *S = lfb_self(L);
  lfb_executor *exe = lfb_check_executor(L, 1);
  lf_native *native = check_function(L, S);
  lfb_poll(L, S);
  lfb_check_accepts(L, exe->pool);
  if (exe->limited)
    return submit_limited(L, S, exe, native, waits);
  lf_task *task = push_call(L, S, exe, native, lua_gettop(L) - 1, false);
  if (lf_pool_in_caller(exe->pool)) {
    lfb_inline_run(L, S, exe, task);
    lf_task_offer(task);
    return 1;
  }
  int err = lf_pool_submit(exe->pool, task, route_of(native));
  if (err)
    return lfb_raise_code(L, err, exe->pool);
  if (exe->limits)
    lf_clock_queued(task);
  lf_task_offer(task);
  return 1;
}

/* exe:submit(fn, ...) */
static int executor_submit(lua_State *L) {
  return submit(L, true);
}

/* exe:try_submit(fn, ...) */
static int executor_try_submit(lua_State *L) {
  return submit(L, false);
}

/* How often the executor of which it is a view has tasks run again. */
static uint64_t base_retries(const lfb_executor *exe) {
  return exe->base->limits ? exe->base->limits->retries : 0;
}

/* exe:broadcast(fn, ...) */
static int executor_broadcast(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lfb_executor *exe = lfb_check_executor(L, 1);
  lf_native *native = check_function(L, S);
  if (exe->base && exe->limits->retries != base_retries(exe))
    return luaL_error(L, "bad option 'retries' (a broadcast is for each worker "
                         "once)");
  if (native && native->threads == LF_AFFINE)
    return luaL_error(L, "%s may only run in one worker (threads = 'affine')",
                      native->proto->name);
  lfb_poll(L, S);
  lfb_check_accepts(L, exe->pool);
  int n = lua_gettop(L) - 1;
  int workers = lf_pool_count(exe->pool);
  lf_task **tasks = lua_newuserdatauv(L, sizeof *tasks * (size_t)workers, 0);
  lua_createtable(L, workers, 0);
  for (int i = 0; i < workers; i++) {
    tasks[i] = push_call(L, S, exe, native, n, true);
    lf_task_run_once(tasks[i]);
    lua_rawseti(L, -2, i + 1);
  }
  if (lf_pool_in_caller(exe->pool)) {
    lfb_inline_run(L, S, exe, tasks[0]);
    lf_task_offer(tasks[0]);
    return 1;
  }
  int err = lf_pool_broadcast(exe->pool, tasks, workers);
  if (err)
    return lfb_raise_code(L, err, exe->pool);
  for (int i = 0; i < workers; i++)
    lf_task_offer(tasks[i]);
  return 1;
}

static int shutdown_step(lua_State *L, lfb_state *S, int64_t deadline,
                         lfb_wait_for *what) {
  lfb_executor *exe = lua_touserdata(L, 1);
  bool waits = lfb_await(L, S, lf_pool_over(exe->pool), deadline, what);
  return waits ? LFB_NOT_YET : 0;
}

static bool option_flag(lua_State *L, const char *name, bool otherwise) {
  lua_getfield(L, 2, name);
  bool flag = lua_isnil(L, -1) ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static int shut_down(lua_State *L, lfb_executor *exe, bool wait, bool cancel) {
  lfb_state *S = lfb_self(L);
  lf_pool_shutdown(exe->pool, cancel);
  lfb_poll(L, S);
  if (!wait)
    return 0;
  if (exe->inside && !lf_pool_in_caller(exe->pool)) {
    lfb_push_error(L, "DeadlockError",
                   "a task cannot wait for the shutdown of its own executor");
    return lua_error(L);
  }
  lua_settop(L, 1);
  return lfb_waiting(L, S, shutdown_step, LF_FOREVER);
}

/* exe:shutdown([wait [, cancel_futures]]), exe:shutdown{...} */
static int executor_shutdown(lua_State *L) {
  lfb_executor *exe = lfb_check_executor(L, 1);
  bool wait = true, cancel = false;
  if (lua_istable(L, 2)) {
    static const char *const names[] = {"wait", "cancel_futures", NULL};
    lfb_check_option_names(L, 2, names);
    wait = option_flag(L, "wait", true);
    cancel = option_flag(L, "cancel_futures", false);
  } else {
    wait = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
    cancel = lua_toboolean(L, 3);
  }
  return shut_down(L, exe, wait, cancel);
}

static int executor_close(lua_State *L) {
  return shut_down(L, lfb_check_executor(L, 1), true, false);
}

/* exe:stats() */
static int executor_stats(lua_State *L) {
  lf_pool_stats s;
  lf_pool_stat(lfb_check_executor(L, 1)->pool, &s);
  const struct {
    const char *name;
    uint64_t value;
  } fields[] = {{"workers", s.workers},     {"idle", s.idle},
                {"queued", s.queued},       {"running", s.running},
                {"finished", s.finished},   {"failed", s.failed},
                {"cancelled", s.cancelled}, {"parked", s.parked}};
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    lua_pushinteger(L, (lua_Integer)fields[i].value);
    lua_setfield(L, -2, fields[i].name);
  }
  return 1;
}

static const char *class_name(lf_pool *pool) {
  return lfb_is_cluster(pool)      ? "ClusterExecutor"
         : lf_pool_is_remote(pool) ? "ProcessPoolExecutor"
         : lf_pool_in_caller(pool) ? "InlineExecutor"
         : lf_pool_parks(pool)     ? "AsyncExecutor"
                                   : "ThreadPoolExecutor";
}

static int end_workers(lua_State *L, const char *name, int sig) {
  lfb_executor *exe = lfb_check_executor(L, 1);
  if (!lf_pool_is_remote(exe->pool))
    return luaL_error(L, "%s: the workers are no processes", name);
  if (exe->inside)
    return luaL_error(L, "%s: called by one of the workers", name);
  lf_pool_kill(exe->pool, sig);
  lfb_poll(L, lfb_self(L));
  return 0;
}

/* exe:terminate_workers() */
static int executor_terminate(lua_State *L) {
  return end_workers(L, "terminate_workers", SIGTERM);
}

/* exe:kill_workers() */
static int executor_kill(lua_State *L) {
  return end_workers(L, "kill_workers", SIGKILL);
}

static int executor_tostring(lua_State *L) {
  lfb_executor *exe = lfb_check(L, 1, LFB_EXECUTOR);
  if (exe->pool)
    lua_pushfstring(L, "%s(%s, max_workers=%d)", class_name(exe->pool),
                    lf_pool_name(exe->pool), lf_pool_max_workers(exe->pool));
  else
    lua_pushliteral(L, "Executor(closed)");
  return 1;
}

static int executor_index(lua_State *L) {
  lfb_executor *exe = lfb_check(L, 1, LFB_EXECUTOR);
  const char *key = lfb_push_method(L);
  if (!key || !exe->pool)
    return 1;
  if (strcmp(key, "max_workers") == 0)
    lua_pushinteger(L, lf_pool_max_workers(exe->pool));
  else if (strcmp(key, "name") == 0)
    lua_pushstring(L, lf_pool_name(exe->pool));
  return 1;
}

static void ref(void *pool) {
  lf_pool_handle(pool);
}

/* A worker process knows its own. */
static bool crosses(const lfb_reach *reach, const void *pool) {
  return reach->pool == pool;
}

void lfb_executor_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {
      {LFB_STEP "submit", executor_submit},
      {"try_submit", executor_try_submit},
      {"broadcast", executor_broadcast},
      {LFB_STEP "shutdown", executor_shutdown},
      {"stats", executor_stats},
      {LFB_STEP "terminate_workers", executor_terminate},
      {LFB_STEP "kill_workers", executor_kill},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", executor_gc},
                                         {LFB_STEP "__close", executor_close},
                                         {"__tostring", executor_tostring},
                                         {NULL, NULL}};
  static const lfb_handle handle = {.ref = ref,
                                    .drop = lf_pool_unhandle,
                                    .push = push_executor,
                                    .crosses = crosses};
  static const lfb_descriptor executor_class = {.class = LFB_EXECUTOR,
                                                .name = "lfut.Executor",
                                                .methods = methods,
                                                .metamethods = metamethods,
                                                .index = executor_index,
                                                .handle = &handle,
                                                .pack = lfb_limits_pack,
                                                .unpack = lfb_limits_unpack};
  lfb_newclass(L, S, &executor_class);
}
