/* SPDX-License-Identifier: MIT
 *
 * See threading.h. A thread is a pool of one worker with one task, without a
 * handle: so it ends with the task. */
#include "bindings/process/threading.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/pack/pack.h"
#include "bindings/pool/future.h"
#include "bindings/process/target.h"
#include "bindings/run/wait.h"
#include "bindings/worker/setup.h"
#include "bindings/worker/vm.h"
#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/pool/current.h"
#include "runtime/pool/threads.h"
#include "runtime/pool/usr1.h"
#include "runtime/sync/terminal.h"

/* INITIAL -> STARTING -> STARTED, or back to INITIAL if the system refuses.
 * STARTING lasts for a moment in the interpreter that starts it. */
enum { INITIAL, STARTING, STARTED };

/* What the userdata points to, in the interpreter that has made it and in those
 * that it was sent to. */
typedef struct {
  _Atomic size_t refs;
  uint32_t generation; /* whose process (fork.h); immutable, as the next */
  bool daemon;
  char *name;
  _Atomic int stage;
  lf_pool *pool;     /* a reference; set before it is STARTED, as the next */
  lf_task *task;     /* a reference */
  atomic_bool asked; /* for its result */
} thread;

static _Atomic int unnamed; /* those that were called Thread-1, -2, ... */

static void thread_ref(void *p) {
  thread *t = p;
  atomic_fetch_add(&t->refs, 1);
}

static void thread_unref(void *p) {
  thread *t = p;
  if (atomic_fetch_sub(&t->refs, 1) != 1)
    return;
  if (t->task)
    lf_task_unref(t->task);
  if (t->pool)
    lf_pool_unref(t->pool);
  lf_free(t->name);
  lf_free(t);
}

static thread **push_empty(lua_State *L) {
  thread **slot = lua_newuserdatauv(L, sizeof *slot, LFB_TARGET_VALUES);
  *slot = NULL;
  lfb_set_class(L, LFB_THREAD);
  return slot;
}

static void push_thread(lua_State *L, lfb_state *S, void *p) {
  (void)S;
  thread **slot = push_empty(L);
  thread_ref(p);
  *slot = p;
}

static void set_name(lua_State *L, thread *t) {
  if (lua_isnil(L, LFB_TARGET_NAME)) {
    lua_pushfstring(L, "Thread-%d", ++unnamed);
    lua_replace(L, LFB_TARGET_NAME);
  }
  size_t len;
  const char *name = lua_tolstring(L, LFB_TARGET_NAME, &len);
  t->name = lf_strndup(name, len);
  if (!t->name)
    lfb_raise_memory(L);
}

int lfb_thread(lua_State *L) {
  bool daemon = lfb_check_target(L);
  thread **slot = push_empty(L);
  thread *t = *slot = lf_zalloc(sizeof *t);
  if (!t)
    return lfb_raise_memory(L);
  atomic_init(&t->refs, 1);
  t->generation = lf_generation;
  t->daemon = daemon;
  set_name(L, t);
  lfb_keep_target(L);
  return 1;
}

static thread *check_thread(lua_State *L, int idx) {
  thread **slot = lfb_check(L, idx, LFB_THREAD);
  lfb_arg_check(L, *slot, idx, "thread is closed");
  return *slot;
}

static bool is_started(thread *t) {
  int now;
  while ((now = atomic_load(&t->stage)) == STARTING)
    sched_yield();
  return now == STARTED;
}

/* --- Starting --- */

static lf_pool *new_pool(lua_State *L, lfb_state *S, const thread *t) {
  lua_pushnil(L); /* no initializer */
  lfb_setup *setup = lfb_setup_new(L, S, lua_gettop(L), "thread", NULL);
  setup->single = true;
  lua_pop(L, 1);
  lf_pool_options options = {
      .max_workers = 1,
      .name = t->name,
      .ops = &lfb_vmops,
      .setup = setup,
      .setup_free = lfb_setup_free,
      .registry = &S->global->registry,
      .backend = &lf_threads_backend,
      .daemon = t->daemon,
  };
  lf_usr1_attend();
  lf_pool *pool = lf_pool_new(&options);
  if (!pool) {
    lfb_setup_free(setup);
    lfb_raise_memory(L);
  }
  return pool;
}

/* Queues the task in the pool; the thread is started for others, too, before it
 * can run. */
static int submit(thread *t, lf_pool *pool, lf_task *task) {
  t->stage = STARTING;
  t->pool = lf_pool_ref(pool);
  t->task = lf_task_ref(task);
  int err = lf_pool_submit(pool, task, LF_NEAR);
  if (err) {
    lf_task_unref(t->task);
    lf_pool_unref(t->pool);
    t->task = NULL;
    t->pool = NULL;
  }
  atomic_store(&t->stage, err ? INITIAL : STARTED);
  return err;
}

/* t:start() -> t. The function and its arguments are captured now. */
static int thread_start(lua_State *L) {
  lfb_state *S = lfb_self(L);
  thread *t = check_thread(L, 1);
  lua_settop(L, 1);
  lfb_poll(L, S);
  if (is_started(t))
    return luaL_error(L, "a thread can only be started once");
  int n = lfb_push_target(L);
  if (n == 0)
    return luaL_error(L, "a thread can only be started where it was made");
  lfb_box *box = lfb_push_box(L, lf_pool_unhandle);
  lf_pool *pool = box->content = new_pool(L, S, t);
  lf_task **slot = lfb_new_future(L, lfb_self(L));
  lf_task *task = *slot = lf_task_new(lf_pool_owner(pool));
  if (!task)
    return lfb_raise_memory(L);
  lfb_pack(L, S, &task->data, 2, n, &lfb_arguments, &task->code);
  int err = submit(t, pool, task);
  if (err)
    return luaL_error(L, "cannot start a thread");
  box->content = NULL;
  lf_pool_unhandle(pool);
  lfb_drop_target(L);
  lua_settop(L, 1);
  return 1;
}

/* --- Its end --- */

static bool is_alive(thread *t) {
  return is_started(t) && !lf_task_done(lf_pool_over(t->pool));
}

/* One that can be waited for; else tells what cannot be done. */
static thread *check_started(lua_State *L, const char *verb) {
  thread *t = check_thread(L, 1);
  if (!is_started(t))
    luaL_error(L, "cannot %s a thread before it is started", verb);
  lf_worker *w = lf_worker_self();
  if (w && lf_worker_pool(w) == t->pool)
    luaL_error(L, "cannot %s the current thread", verb);
  if (lf_is_foreign(t->generation) && is_alive(t))
    luaL_error(L, "thread belongs to another process");
  return t;
}

/* What has to be done: first the task, as waits for tasks are seen in cycles.
 */
static lf_task *next_awaited(thread *t) {
  if (!lf_task_done(t->task))
    return t->task;
  lf_task *over = lf_pool_over(t->pool);
  return lf_task_done(over) ? NULL : over;
}

static int join_step(lua_State *L, lfb_state *S, int64_t deadline,
                     lfb_wait_for *what) {
  thread *t = *(thread **)lua_touserdata(L, 1);
  (void)S;
  return lfb_join_step(L, next_awaited(t), deadline, what);
}

/* t:join([timeout]) */
static int thread_join(lua_State *L) {
  check_started(L, "join");
  return lfb_join(L, join_step);
}

/* t:result([timeout]) */
static int thread_result(lua_State *L) {
  thread *t = check_started(L, "get the result of");
  t->asked = true;
  lfb_push_future(L, lfb_self(L), t->task);
  lua_replace(L, 1);
  return lfb_future_result(L);
}

static int thread_is_alive(lua_State *L) {
  lua_pushboolean(L, is_alive(check_thread(L, 1)));
  return 1;
}

/* Protected: an error that nobody has asked for is told at last. */
static int report_failure(lua_State *L) {
  lfb_state *S = lfb_self(L);
  thread *t = lua_touserdata(L, 1);
  lfb_push_failure(L, S, t->task);
  luaL_tolstring(L, -1, NULL);
  lf_terminal_complain("lfut: error in %s: %s%s%s\n", t->name,
                       lua_tostring(L, -1), t->task->trace ? "\n" : "",
                       t->task->trace ? t->task->trace : "");
  return 0;
}

static bool is_lost(thread *t) {
  return t->refs == 1 && t->stage == STARTED && !t->asked &&
         !lf_is_foreign(t->generation) && lf_task_state(t->task) == LF_FAILED;
}

static int thread_gc(lua_State *L) {
  thread **slot = lfb_check(L, 1, LFB_THREAD);
  thread *t = *slot;
  *slot = NULL;
  if (!t)
    return 0;
  if (is_lost(t)) {
    lua_pushlightuserdata(L, lfb_self(L));
    lua_pushcclosure(L, report_failure, 1);
    lua_pushlightuserdata(L, t);
    lua_pcall(L, 1, 0, 0);
  }
  thread_unref(t);
  return 0;
}

/* --- Looking --- */

static int thread_tostring(lua_State *L) {
  thread *t = check_thread(L, 1);
  const char *stage = !is_started(t) ? "initial"
                      : is_alive(t)  ? "started"
                                     : "stopped";
  lua_pushfstring(L, "Thread(%s, %s%s)", t->name, stage,
                  t->daemon ? ", daemon" : "");
  return 1;
}

/* Two handles of one thread are equal. */
static int thread_eq(lua_State *L) {
  lua_pushboolean(L, check_thread(L, 1) == check_thread(L, 2));
  return 1;
}

static int thread_index(lua_State *L) {
  thread *t = check_thread(L, 1);
  const char *key = lfb_push_method(L);
  if (!key)
    return 1;
  if (strcmp(key, "name") == 0)
    lua_pushstring(L, t->name);
  else if (strcmp(key, "daemon") == 0)
    lua_pushboolean(L, t->daemon);
  return 1;
}

void lfb_thread_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"start", thread_start},
                                     {LFB_STEP "join", thread_join},
                                     {"is_alive", thread_is_alive},
                                     {LFB_STEP "result", thread_result},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__eq", thread_eq},
                                         {"__gc", thread_gc},
                                         {"__tostring", thread_tostring},
                                         {NULL, NULL}};
  static const lfb_handle handle = {
      .ref = thread_ref, .drop = thread_unref, .push = push_thread};
  static const lfb_descriptor thread_class = {.class = LFB_THREAD,
                                              .name = "lfut.Thread",
                                              .methods = methods,
                                              .metamethods = metamethods,
                                              .index = thread_index,
                                              .handle = &handle};
  lfb_newclass(L, S, &thread_class);
}
