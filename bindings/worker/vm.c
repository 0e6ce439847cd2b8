/* SPDX-License-Identifier: MIT
 *
 * See vm.h. Each task runs in a coroutine, which is kept for the next when
 * it ends. The arguments are unpacked and the results packed inside it, so
 * that errors there, too, are errors of the task. */
#include "bindings/worker/vm.h"

#include <stdio.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/engine/bytecode.h"
#include "bindings/native/call.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/process/process_worker.h"
#include "bindings/program/lib.h"
#include "bindings/program/program.h"
#include "bindings/run/forked.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/standard.h"
#include "bindings/run/wait.h"
#include "bindings/worker/chunk.h"
#include "bindings/worker/setup.h"
#include "runtime/base/mem.h"
#include "runtime/shm/array.h"

enum { KEEP_RUNS = LF_LIMIT(64, 2) }; /* coroutines kept for later tasks */

static void vm_interrupt(struct lf_vm *vm) {
  lfb_interrupt_here();
  lf_worker_interrupt(vm->worker);
}

/* --- Captured globals, while the task waits --- */

/* Stands for nil in the table, whose names have to stay. */
static char unset;

/* The run's table of captured globals by name: 'save' takes what the task sees
 * now, else they are set again. */
void lfb_exchange_globals(lua_State *L, int ref, bool save) {
  luaL_checkstack(L, 8, "captured globals");
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_pushglobaltable(L);
  int table = lua_gettop(L) - 1, globals = table + 1;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    if (save) {
      lua_pushvalue(L, -1);
      if (lua_rawget(L, globals) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushlightuserdata(L, &unset);
      }
      lua_rawset(L, table);
    } else {
      lua_pushvalue(L, -2);
      if (lua_touserdata(L, -1) == &unset) {
        lua_pop(L, 1);
        lua_pushnil(L);
      }
      lua_rawset(L, globals);
    }
  }
  lua_pop(L, 2);
}

static int save_globals(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lfb_exchange_globals(L, r->globals, true);
  return 0;
}

static int set_globals(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lfb_exchange_globals(L, r->globals, false);
  return 0;
}

/* --- Runs --- */

lfb_run *lfb_run_new(struct lf_vm *vm, lf_task *task) {
  lf_link *l = lf_list_pop(&vm->runs);
  lfb_run *r = l ? lf_container_of(l, lfb_run, link) : lf_zalloc(sizeof *r);
  if (!r)
    return NULL;
  if (l)
    vm->free_runs--;
  if (!l) {
    lf_run_init(&r->base, vm->worker);
    lf_list_init(&r->link);
    lf_list_init(&r->waiter.link);
    r->vm = vm;
    r->co_ref = LUA_NOREF;
    lf_list_add(&vm->all, &r->all);
  }
  r->task = task;
  r->globals = LUA_NOREF;
  r->chunk = NULL;
  r->waiting = r->closing = r->raising = false;
  r->holder.id = 0;
  r->doom[0] = '\0';
  return r;
}

/* Protected: gives the run a coroutine if it has none. */
static int ensure_co(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  if (r->co_ref != LUA_NOREF)
    return 0;
  r->co = lua_newthread(L);
  r->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static void drop_co(lfb_run *r) {
  if (r->vm->S->running == r->co)
    r->vm->S->running = r->vm->L; /* for signals */
  luaL_unref(r->vm->L, LUA_REGISTRYINDEX, r->co_ref);
  r->co_ref = LUA_NOREF;
  r->co = NULL;
}

void lfb_run_free(lfb_run *r) {
  struct lf_vm *vm = r->vm;
  if (r->globals != LUA_NOREF)
    luaL_unref(vm->L, LUA_REGISTRYINDEX, r->globals);
  r->task = NULL;
  if (vm->free_runs >= KEEP_RUNS)
    drop_co(r);
  vm->free_runs++;
  lf_list_add(vm->runs.next, &r->link);
}

typedef struct {
  lfb_state *S;
  lua_CFunction f;
  void *arg;
} trial;

/* Protected, as making a closure takes memory. */
static int call_trial(lua_State *L) {
  trial *t = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, t->S);
  lua_pushcclosure(L, t->f, 1);
  lua_pushlightuserdata(L, t->arg);
  lua_call(L, 1, 0);
  return 0;
}

bool lfb_try(struct lf_vm *vm, lua_CFunction f, void *arg) {
  lua_State *L = vm->L;
  trial t = {vm->S, f, arg};
  lua_pushcfunction(L, call_trial);
  lua_pushlightuserdata(L, &t);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  if (!ok)
    lua_pop(L, 1);
  return ok;
}

/* --- Failures --- */

typedef struct {
  lfb_run *run;
  lf_buf *data;
  char *trace;
  int value; /* registry: the error value, then what is sent instead */
} failure;

/* The traceback, without the C function that called the task. */
static int take_traceback(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  luaL_traceback(L, f->run->co, NULL, 0);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  static const char end[] = "\n\t[C]: in ?";
  size_t cut = sizeof end - 1;
  if (len > cut && memcmp(text + len - cut, end, cut) == 0)
    len -= cut;
  f->trace = lf_strndup(text, len);
  return 0;
}

/* Closes the task's pending variables, as pcall would: an error there takes the
 * place of the first. */
static int take_value(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  if (lua_status(f->run->co) != LUA_OK)
    lfb_close_last(L, f->run, f->run->co);
  if (lua_gettop(f->run->co) > 0)
    lua_xmove(f->run->co, L, 1);
  else
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
  f->value = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static int pack_failure(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  if (f->run->doom[0]) /* whatever was made of it on the way up */
    lua_pushstring(L, f->run->doom);
  else
    lua_rawgeti(L, LUA_REGISTRYINDEX, f->value);
  lfb_pack(L, lfb_self(L), f->data, lua_gettop(L), 1, &lfb_error_value, NULL);
  return 0;
}

/* Its own error takes the place of an error value that cannot travel. */
static int pack_refusal(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  lf_buf_reset(f->data);
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushcclosure(L, pack_failure, 1);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return 0;
  lf_buf_reset(f->data);
  lfb_pack(L, lfb_self(L), f->data, lua_gettop(L), 1, &lfb_error_value, NULL);
  return 0;
}

void lfb_put_memory_error(lf_buf *data) {
  static const char text[] = "not enough memory";
  unsigned char head[] = {1, LFB_T_SHORT, sizeof text - 1};
  lf_buf_reset(data);
  (void)lf_buf_put(data, head, sizeof head);
  (void)lf_buf_put(data, text, sizeof text - 1);
}

void lfb_pack_failure(lfb_run *r, lf_buf *data, char **trace) {
  failure f = {.run = r, .data = data, .value = LUA_NOREF};
  lfb_try(r->vm, take_traceback, &f);
  bool ok =
      lfb_try(r->vm, take_value, &f) &&
      (lfb_try(r->vm, pack_failure, &f) || lfb_try(r->vm, pack_refusal, &f));
  luaL_unref(r->vm->L, LUA_REGISTRYINDEX, f.value);
  if (!ok)
    lfb_put_memory_error(data);
  *trace = f.trace;
}

/* --- Tasks --- */

static int task_done(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lfb_run *r = (lfb_run *)ctx;
  lfb_pack(L, r->vm->S, &r->task->data, 1, lua_gettop(L), &lfb_results, NULL);
  return 0;
}

/* In the task's coroutine: from arguments to results. */
static int task_body(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lf_buf *data = &r->task->data;
  lua_settop(L, 0);
  size_t at = 0;
  int n = lfb_unpack(L, r->vm->S, data, &at, &r->globals);
  lf_buf_reset(data);
  lua_callk(L, n - 1, LUA_MULTRET, (lua_KContext)r, task_done);
  return task_done(L, LUA_OK, (lua_KContext)r);
}

static void task_ended(lfb_run *r, bool ok) {
  lf_task *t = r->task;
  if (!ok) {
    lf_buf_reset(&t->data);
    lfb_pack_failure(r, &t->data, &t->trace);
  }
}

/* The coroutine is as new then. */
static void clean(lfb_run *r, bool ok) {
  lua_sethook(r->co, NULL, 0, 0); /* whoever has set it */
  if (!ok) {
    lfb_closethread(r->co, NULL);
    lua_settop(r->co, 0);
  }
  if (r->doom[0])
    drop_co(r); /* it may have died in a hook: Lua would run no other there */
  lfb_output_flush(r->vm->output);
}

/* Ends the task, or says that the run goes on: with the next item. */
static bool finish(lfb_run *r, bool ok) {
  if (r->chunk) {
    lfb_part_note(r, ok);
    clean(r, ok);
    return lfb_part_more(r);
  }
  lf_task *t = r->task;
  lf_worker *worker = r->vm->worker;
  task_ended(r, ok);
  clean(r, ok);
  lfb_run_free(r);
  lf_worker_end(worker, t, ok ? LF_FINISHED : LF_FAILED);
  return false;
}

/* A library's lua_yield in the task's outermost coroutine. */
static void refuse_yield(lfb_run *r) {
  lfb_closethread(r->co, NULL);
  lua_settop(r->co, 0);
}

/* Runs the coroutine until it parks (false), or ends and has no more to do. */
static bool step(lfb_run *r, int nargs) {
  int n;
  int status = lua_resume(r->co, NULL, nargs, &n);
  if (lf_is_foreign(r->vm->generation))
    lfb_forked_leave(r->vm, status == LUA_OK,
                     lua_gettop(r->co) ? lua_tostring(r->co, -1) : NULL);
  if (!r->waiting)
    lfb_take_signal(r->vm->S); /* perhaps no Lua code has run since */
  if (status == LUA_YIELD && r->waiting) {
    if (r->globals != LUA_NOREF)
      lfb_try(r->vm, save_globals, r);
    return false;
  }
  if (status == LUA_YIELD && !r->doom[0])
    refuse_yield(r);
  return finish(r, status == LUA_OK && !r->doom[0]);
}

static void push_body(lfb_run *r, lua_CFunction body) {
  lua_pushcfunction(r->co, body);
  lua_pushlightuserdata(r->co, r);
}

static void go(lfb_run *r, int nargs) {
  struct lf_vm *vm = r->vm;
  lfb_run *outer = vm->current;
  lfb_state *S = vm->S;
  lua_State *running = S->running;
  bool yielded = S->yields;
  lfb_frame here;
  S->running = r->co;
  r->below = outer;
  vm->current = r;
  lfb_frame_enter(&here, vm, false);
  S->yields = true;
  while (step(r, nargs)) {
    S->running = r->co;
    push_body(r, lfb_part_body);
    nargs = 1;
  }
  lfb_frame_leave(&here);
  vm->current = outer;
  S->running = running;
  S->yields = yielded;
}

/* The run could not be begun for lack of memory. */
static void fail_unstarted(struct lf_vm *vm, lf_task *task) {
  lfb_put_memory_error(&task->data);
  lf_worker_end(vm->worker, task, LF_FAILED);
}

void lfb_run_start(lfb_run *r, lua_CFunction body) {
  push_body(r, body);
  go(r, 1);
}

bool lfb_run_ready(lfb_run *r) {
  return lfb_try(r->vm, ensure_co, r);
}

void lfb_run_native_part(struct lf_vm *vm, lf_job *job, lf_chunk *chunk) {
  lfb_frame here;
  lfb_frame_enter(&here, vm, true);
  lfb_native_part(vm, job, chunk);
  lfb_frame_leave(&here);
}

/* The task below another that runs on top of it finds its captured globals as
 * it has left them. */
static void leave_globals(struct lf_vm *vm, lfb_run *below) {
  if (below && below->globals != LUA_NOREF)
    lfb_try(vm, save_globals, below);
}

static void return_globals(struct lf_vm *vm, lfb_run *below) {
  if (below && below->globals != LUA_NOREF)
    lfb_try(vm, set_globals, below);
}

static void vm_run(struct lf_vm *vm, lf_task *task) {
  vm->interrupted = 0;
  if (lf_runner_of(task)) {
    lfb_part_run(vm, task);
    return;
  }
  if (lfb_is_native_task(task)) {
    lfb_frame here;
    lfb_frame_enter(&here, vm, true);
    lfb_native_run(vm, task);
    lfb_frame_leave(&here);
    return;
  }
  lfb_run *r = lfb_run_new(vm, task);
  if (r && lfb_run_ready(r)) {
    lfb_run *below = vm->current;
    leave_globals(vm, below);
    lfb_run_start(r, task_body);
    return_globals(vm, below);
    return;
  }
  if (r)
    lfb_run_free(r);
  fail_unstarted(vm, task);
}

static int run_callbacks(lua_State *L) {
  lfb_callbacks_run(L, lfb_self(L));
  return 0;
}

static void vm_resume(struct lf_vm *vm, lf_run *base) {
  if (base == &vm->callbacks) {
    lfb_try(vm, run_callbacks, NULL);
    return;
  }
  lfb_run *r = lf_container_of(base, lfb_run, base);
  if (!base->parked)
    return;
  lf_run_unpark(base);
  if (base->interrupted)
    lfb_interrupt_run(r);
  base->interrupted = false;
  r->waiting = false;
  lfb_end_wait(r);
  r->unwatch(r);
  lfb_run *below = vm->current;
  leave_globals(vm, below);
  if (r->globals != LUA_NOREF)
    lfb_try(vm, set_globals, r);
  go(r, 0);
  return_globals(vm, below);
}

/* --- Life
 * ----------------------------------------------------------------------------
 */

static void *vm_alloc(void *ud, void *block, size_t old, size_t size) {
  (void)ud;
  (void)old;
  if (size > 0)
    return lf_realloc(block, size);
  lf_free(block);
  return NULL;
}

/* warn(), as luaL_newstate would have set it up: control messages, and parts
 * that belong together. */
static void vm_warn(void *ud, const char *message, int more) {
  struct lf_vm *vm = ud;
  bool control = !vm->warning && !more && message[0] == '@';
  if (control && strcmp(message, "@on") == 0)
    vm->warns = true;
  else if (control && strcmp(message, "@off") == 0)
    vm->warns = false;
  if (vm->warns && !control)
    fprintf(stderr, "%s%s%s", vm->warning ? "" : "Lua warning: ", message,
            more ? "" : "\n");
  vm->warning = more;
}

static int vm_panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  lf_panic(__FILE__, __LINE__, message ? message : "unprotected error");
}

/* Protected: everything that needs Lua. */
static int open_body(lua_State *L) {
  struct lf_vm *vm = lua_touserdata(L, 1);
  lf_pool *pool = lf_worker_pool(vm->worker);
  const lfb_setup *setup = lf_pool_setup(pool);
  vm->warns = setup->home->warns;
  if (vm->adopted) {
    lfb_adopt(L, vm);
    return 0;
  }
  luaL_openlibs(L);
  lfb_state *S = lfb_state_new(L, setup->home, vm);
  vm->S = S;
  S->wire = lf_pool_is_remote(pool) ? pool : NULL;
  S->reach = S->wire ? lfb_setup_reach(pool, NULL) : NULL;
  S->waker = &vm->callbacks.waker;
  lfb_lib_open(L, S);
  lfb_output_note(L);
  lfb_output_open(L, S);
  lfb_standard_open(L, S);
  lfb_names_open(L, S);
  lfb_part_open(L);
  lfb_start_apply(L, S);
#ifdef LF_DEBUG
  lua_gc(L, LUA_GCINC, 20, 1000, 10);
#endif
  return 0;
}

/* Protected: the initializer, a function or source text. */
static int initialize_body(lua_State *L) {
  struct lf_vm *vm = lua_touserdata(L, 1);
  const lfb_setup *setup = lf_pool_setup(lf_worker_pool(vm->worker));
  size_t at = setup->initializer_at;
  lua_settop(L, 0);
  int n = lfb_unpack(L, vm->S, setup->initializer_in, &at, NULL);
  if (lua_type(L, 1) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, 1, &len);
    if (luaL_loadbufferx(L, text, len, "=initializer", "t") != LUA_OK)
      return lua_error(L);
    lua_replace(L, 1);
  }
  lua_call(L, n - 1, 0);
  return 0;
}

/* Protected: why it has failed, the error value at 1, as text. */
static int put_failure(lua_State *L) {
  static const char head[] = "initializer failed: ";
  lf_buf *why = lua_touserdata(L, 2);
  size_t len;
  const char *text = luaL_tolstring(L, 1, &len);
  if (lf_buf_put(why, head, sizeof head - 1) == 0)
    (void)lf_buf_put(why, text, len);
  return 0;
}

static bool initialize(struct lf_vm *vm, lf_buf *why) {
  lua_State *L = vm->L;
  int top = lua_gettop(L);
  lua_pushcfunction(L, put_failure);
  lua_pushcfunction(L, initialize_body);
  lua_pushlightuserdata(L, vm);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  lua_pushlightuserdata(L, why);
  if (!ok && lua_pcall(L, 2, 0, 0) != LUA_OK) {
    static const char text[] = "initializer failed";
    (void)lf_buf_put(why, text, sizeof text - 1);
  }
  lua_settop(L, top);
  lfb_output_flush(vm->output);
  return ok;
}

static void vm_close(struct lf_vm *vm) {
  vm->closing = true;
  if (vm->L &&
      !vm->adopted) /* the image's objects are the program's to close */
    lua_close(vm->L);
  lfb_output_close(vm->output);
  lf_link *l;
  while ((l = lf_list_pop(&vm->all)))
    lf_free(lf_container_of(l, lfb_run, all));
  lf_free(vm);
}

static int vm_open(lf_worker *worker, struct lf_vm **out, lf_buf *why) {
  struct lf_vm *vm = lf_zalloc(sizeof *vm);
  if (!vm)
    return LF_ENOMEM;
  vm->worker = worker;
  vm->generation = lf_generation;
  lf_list_init(&vm->runs);
  lf_list_init(&vm->all);
  lf_run_init(&vm->callbacks, worker);
  const lfb_setup *setup = lf_pool_setup(lf_worker_pool(worker));
  vm->adopted = setup->image != NULL;
  vm->L = vm->adopted ? setup->image->L : lua_newstate(vm_alloc, NULL);
  bool ok = vm->L != NULL;
  if (ok && !vm->adopted) {
    lua_atpanic(vm->L, vm_panic);
    lua_setwarnf(vm->L, vm_warn, vm);
  }
  ok = ok && lua_checkstack(vm->L, LUA_MINSTACK); /* an image's is in use */
  if (ok) {
    lua_pushcfunction(vm->L, open_body);
    lua_pushlightuserdata(vm->L, vm);
    ok = lua_pcall(vm->L, 1, 0, 0) == LUA_OK;
  }
  if (!ok) {
    vm_close(vm);
    return LF_ENOMEM;
  }
  if (setup->has_initializer && !initialize(vm, why)) {
    vm_close(vm);
    return LF_EBROKEN;
  }
  *out = vm;
  return 0;
}

/* Handles that lie about as garbage keep their executors alive. */
static void vm_idle(struct lf_vm *vm) {
  if (vm->idle_garbage) {
    lua_gc(vm->L, LUA_GCCOLLECT);
    lf_array_sweep();
  }
  vm->idle_garbage = false;
}

/* A task that waits here would do so for ever. */
static void vm_stuck(struct lf_vm *vm, lf_task *task) {
  for (lf_link *l = vm->all.next; l != &vm->all; l = l->next) {
    lfb_run *r = lf_container_of(l, lfb_run, all);
    if (r->task == task && r->base.parked)
      r->base.waker.wake(&r->base.waker);
  }
}

static void vm_notice(struct lf_vm *vm, lf_buf *bytes) {
  lfb_start_receive(vm->S->home, bytes);
}

const lf_vmops lfb_vmops = {
    .open = vm_open,
    .run = vm_run,
    .resume = vm_resume,
    .idle = vm_idle,
    .interrupt = vm_interrupt,
    .close = vm_close,
    .stuck = vm_stuck,
    .notice = vm_notice,
    .annotate = lfb_bytecode_notes,
};
