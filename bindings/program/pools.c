/* SPDX-License-Identifier: MIT
 *
 * See pools.h. */
#include "bindings/program/pools.h"

#include "bindings/pool/completed.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/gather.h"
#include "bindings/pool/source.h"
#include "bindings/process/process_pool.h"
#include "bindings/program/scripts.h"
#include "pool.lua.h"

#define MODULE "lfut.pool"

/* --- What the script is made of, besides what is elsewhere --- */

/* is_inside(exe) -> is this a task of its own? */
static int is_inside(lua_State *L) {
  lfb_executor *exe = lfb_check(L, 1, LFB_EXECUTOR);
  lua_pushboolean(L, exe->inside);
  return 1;
}

/* is_shutdown(exe) -> does it take no more tasks? */
static int is_shutdown(lua_State *L) {
  lfb_executor *exe = lfb_check(L, 1, LFB_EXECUTOR);
  bool foreign = lf_pool_is_foreign(exe->pool);
  lua_pushboolean(L, !foreign && lf_pool_is_shutdown(exe->pool));
  return 1;
}

static const luaL_Reg functions[] = {
    {"ThreadPoolExecutor", lfb_thread_pool_executor},
    {"ProcessPoolExecutor", lfb_process_pool_executor},
    {LFB_STEP "gather", lfb_gather},
    {"is_callable", lfb_script_is_callable},
    {"is_inside", is_inside},
    {"is_shutdown", is_shutdown},
    {"is_supplied", lfb_gather_is_supplied},
    {"metatable", lfb_script_metatable},
    {"start", lfb_gather_start},
    {"supply", lfb_gather_supply},
    {LFB_STEP "wait", lfb_wait_futures},
    {"zip", lfb_zip},
    {NULL, NULL}};

static int open_module(lua_State *L) {
  return lfb_script_run(L, lf_script_pool, sizeof lf_script_pool - 1,
                        functions);
}

void lfb_pools_open(lua_State *L) {
  lfb_script_preload(L, MODULE, open_module);
}

static int make(lua_State *L, const char *kind) {
  luaL_requiref(L, MODULE, open_module, 0);
  lua_getfield(L, -1, "new");
  lua_pushstring(L, kind);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

int lfb_pool(lua_State *L) {
  lua_settop(L, 1);
  return make(L, "Pool");
}

int lfb_thread_pool(lua_State *L) {
  lua_settop(L, 1);
  return make(L, "ThreadPool");
}
