/* SPDX-License-Identifier: MIT
 *
 * See pools.h. */
#include "bindings/program/pools.h"

#include "bindings/core/options.h"
#include "bindings/engine/env.h"
#include "bindings/pack/names.h"
#include "bindings/pool/completed.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/gather.h"
#include "bindings/pool/source.h"
#include "bindings/process/process_pool.h"
#include "pool.lua.h"

#define MODULE "lfut.pool"

/* --- What the script is made of, besides what is elsewhere --- */

/* is_callable(value) -> can it be called in a worker? */
static int is_callable(lua_State *L) {
  lua_pushboolean(L, lfb_is_callable(L, 1));
  return 1;
}

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

/* metatable(value) -> the metatable itself, whatever its __metatable says */
static int metatable(lua_State *L) {
  if (!lua_getmetatable(L, 1))
    lua_pushnil(L);
  return 1;
}

static const luaL_Reg functions[] = {
    {"ThreadPoolExecutor", lfb_thread_pool_executor},
    {"ProcessPoolExecutor", lfb_process_pool_executor},
    {"gather", lfb_gather},
    {"is_callable", is_callable},
    {"is_inside", is_inside},
    {"is_shutdown", is_shutdown},
    {"is_supplied", lfb_gather_is_supplied},
    {"metatable", metatable},
    {"start", lfb_gather_start},
    {"supply", lfb_gather_supply},
    {"wait", lfb_wait_futures},
    {"zip", lfb_zip},
    {NULL, NULL}};

/* The loader: runs the script with a table of those functions. */
static int open_module(lua_State *L) {
  if (luaL_loadbufferx(L, lf_script_pool, sizeof lf_script_pool - 1, "=lfut",
                       "t") != LUA_OK)
    return lua_error(L);
  lfb_push_libraries(L);
  lfb_env_set(L, -2, LFB_CHUNK_ENV);
  lua_newtable(L);
  lfb_setfuncs(L, lfb_state_find(L), functions);
  lua_call(L, 1, 1);
  return 1;
}

void lfb_pools_open(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_module);
  lua_setfield(L, -2, MODULE);
  lua_pop(L, 1);
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
