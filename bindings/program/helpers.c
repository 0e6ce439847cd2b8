/* SPDX-License-Identifier: MIT
 *
 * See helpers.h. */
#include "bindings/program/helpers.h"

#include <math.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/run/callback.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/run.h"
#include "bindings/run/wait.h"
#include "bindings/worker/setup.h"
#include "runtime/os/clock.h"
#include "runtime/os/processors.h"
#include "runtime/pool/current.h"

/* lfut.cpu_count() */
static int cpu_count(lua_State *L) {
  lua_pushinteger(L, lf_cpu_count());
  return 1;
}

/* lfut.getpid() */
static int process_id(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* lfut.worker() -> { kind =, id =, name =, pid = } or nil */
static int worker(lua_State *L) {
  struct lf_vm *vm = lfb_self(L)->vm;
  if (!vm) {
    lua_pushnil(L);
    return 1;
  }
  lf_pool *pool = lf_worker_pool(vm->worker);
  const lfb_setup *setup = lf_pool_setup(pool);
  int id = lf_worker_id(vm->worker);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, setup->kind);
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, id);
  lua_setfield(L, -2, "id");
  if (setup->single)
    lua_pushstring(L, lf_pool_name(pool));
  else
    lua_pushfstring(L, "%s_%d", lf_pool_name(pool), id);
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, getpid());
  lua_setfield(L, -2, "pid");
  return 1;
}

/* lfut.report(fraction [, text]): what the future's progress() is. Nothing is
 * to be seen of what runs outside of a task, or in a loop. */
static int report(lua_State *L) {
  lfb_check_type(L, 1, LUA_TNUMBER);
  lua_Number fraction = lua_tonumber(L, 1);
  size_t len = 0;
  const char *text =
      lua_isnoneornil(L, 2) ? NULL : lfb_check_string(L, 2, &len);
  struct lf_vm *vm = lfb_self(L)->vm;
  lf_task *task = vm && vm->current ? vm->current->task : NULL;
  lf_report said;
  lfb_arg_check(L, !isnan(fraction), 1, "number expected, got NaN");
  if (!task || lf_runner_of(task))
    return 0;
  lf_report_init(&said, fraction, text, len);
  if (lf_worker_report(vm->worker, task, &said) != 0)
    lfb_raise_memory(L);
  return 0;
}

/* lfut.sleep(s) */
static int sleep_seconds(lua_State *L) {
  lfb_check_number(L, 1);
  return lfb_sleep(L, lfb_self(L), lfb_check_deadline(L, 1));
}

/* lfut.perf_counter() */
static int perf_counter(lua_State *L) {
  lua_pushnumber(L, (lua_Number)lf_now() / 1e9);
  return 1;
}

/* lfut.time() */
static int wall_time(lua_State *L) {
  lua_pushnumber(L, lf_wall_time());
  return 1;
}

/* lfut.poll() */
static int poll(lua_State *L) {
  lfb_callbacks_run(L, lfb_self(L));
  return 0;
}

void lfb_helpers_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg functions[] = {{"cancelled", lfb_cancelled},
                                       {"cpu_count", cpu_count},
                                       {"getpid", process_id},
                                       {"worker", worker},
                                       {"report", report},
                                       {LFB_STEP "sleep", sleep_seconds},
                                       {"perf_counter", perf_counter},
                                       {"time", wall_time},
                                       {"poll", poll},
                                       {NULL, NULL}};
  lfb_setfuncs(L, S, functions);
}
