/* SPDX-License-Identifier: MIT
 *
 * See vm.h. */
#include "bindings/worker/vm.h"

#include <stdio.h>

#include "bindings/engine/bytecode.h"
#include "bindings/native/call.h"
#include "bindings/pack/names.h"
#include "bindings/pack/unpack.h"
#include "bindings/run/callback.h"
#include "bindings/run/failure.h"
#include "bindings/run/forked.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/position.h"
#include "bindings/run/run.h"
#include "bindings/run/standard.h"
#include "bindings/worker/chunk.h"
#include "bindings/worker/setup.h"
#include "runtime/base/mem.h"
#include "runtime/pool/current.h"
#include "runtime/pool/ready.h"
#include "runtime/shm/array.h"
#include "runtime/sync/terminal.h"

static void vm_interrupt(struct lf_vm *vm) {
  lfb_interrupt_here();
  lf_worker_interrupt(vm->worker);
}

static void run_native(struct lf_vm *vm, lf_task *task) {
  lfb_frame here;
  lfb_frame_enter(&here, vm, true, task);
  lfb_native_run(vm, task);
  lfb_frame_leave(&here);
}

static void vm_run(struct lf_vm *vm, lf_task *task) {
  lf_task *former = lf_worker_runs(vm->worker, task);
  vm->interrupted = 0;
  if (lf_runner_of(task))
    lfb_chunk_run(vm, task);
  else if (lfb_is_native_task(task))
    run_native(vm, task);
  else
    lfb_run_task(vm, task);
  lf_worker_runs(vm->worker, former);
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
  lf_task *former = lf_worker_runs(vm->worker, r->task);
  lfb_run_resume(vm, r);
  lf_worker_runs(vm->worker, former);
}

/* --- Life
 * ----------------------------------------------------------------------------
 */

/* Protected: everything that needs Lua. */
static int open_body(lua_State *L) {
  struct lf_vm *vm = lua_touserdata(L, 1);
  lf_pool *pool = lf_worker_pool(vm->worker);
  const lfb_setup *setup = lf_pool_setup(pool);
  vm->warnings.on = setup->global->warns;
  if (vm->adopted) {
    setup->adopt(L, vm);
    return 0;
  }
  luaL_openlibs(L);
  lfb_state *S = lfb_state_new(L, setup->global, vm);
  vm->S = S;
  S->reach = lf_pool_is_remote(pool) ? lfb_setup_reach(pool, NULL) : NULL;
  S->waker = &vm->callbacks.waker;
  S->global->open(L, S);
  lfb_output_note(L);
  lfb_output_open(L, S);
  lfb_standard_open(L, S);
  lfb_names_open(L, S);
  lfb_chunk_open(L, S);
  lfb_start_apply(L, S);
#ifdef LF_DEBUG
  lfb_gc_eager(L);
#endif
  return 0;
}

/* Protected: the initializer, a function or source text; then the finalizer is
 * kept. */
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
  if (lua_isnil(L, 1))
    lua_settop(L, 0);
  else
    lua_call(L, n - 1, 0);
  lfb_unpack(L, vm->S, setup->initializer_in, &at, NULL);
  if (!lua_isnil(L, -1))
    vm->finalizer = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static int to_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* The worker leaves as it should. An error is told, and changes nothing. */
static void finalize(struct lf_vm *vm) {
  lua_State *L = vm->L;
  if (vm->finalizer == 0 || lf_is_foreign(vm->generation))
    return;
  int top = lua_gettop(L);
  lua_pushcfunction(L, to_text);
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->finalizer);
  vm->finalizer = 0;
  if (lua_pcall(L, 0, 0, 0) != LUA_OK &&
      (lua_pcall(L, 1, 1, 0) == LUA_OK || lua_isstring(L, -1)))
    lf_terminal_complain("lfut: error in finalizer: %s\n", lua_tostring(L, -1));
  lua_settop(L, top);
  lfb_output_flush(vm->output);
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
  vm->initializing = true;
  lfb_opens_here(vm);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  lfb_opens_here(NULL);
  vm->initializing = false;
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
  finalize(vm);
  vm->closing = true;
  if (vm->L &&
      !vm->adopted) /* the image's objects are the program's to close */
    lua_close(vm->L);
  lfb_output_close(vm->output);
  lfb_runs_free(vm);
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
  vm->L = vm->adopted ? setup->image->L : lfb_newstate(&vm->warnings);
  bool ok = vm->L != NULL;
  if (ok)
    lfb_heap_begin(vm->L, &vm->heap);
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
  (void)lfb_start_publish(vm->S->global, bytes,
                          NULL); /* no memory: as before */
}

const lf_vmops lfb_vmops = {
    .engine = LFB_ENGINE,
    .open = vm_open,
    .run = vm_run,
    .resume = vm_resume,
    .idle = vm_idle,
    .interrupt = vm_interrupt,
    .interrupt_parked = lfb_interrupt_parked,
    .asked = lfb_stop_asked,
    .each = lfb_each_task,
    .poke = lfb_poke_here,
    .close = vm_close,
    .stuck = vm_stuck,
    .notice = vm_notice,
    .annotate = lfb_bytecode_notes,
};
