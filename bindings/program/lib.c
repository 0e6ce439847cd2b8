/* SPDX-License-Identifier: MIT
 *
 * See lib.h. */
#include "bindings/program/lib.h"

#include <string.h>

#include "bindings/cluster/cluster.h"
#include "bindings/cluster/module.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/native/convert.h"
#include "bindings/native/native.h"
#include "bindings/pool/combine.h"
#include "bindings/pool/completed.h"
#include "bindings/pool/control.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/future.h"
#include "bindings/pool/inline.h"
#include "bindings/pool/map.h"
#include "bindings/pool/source.h"
#include "bindings/pool/text.h"
#include "bindings/pool/unasked.h"
#include "bindings/process/process.h"
#include "bindings/process/process_pool.h"
#include "bindings/process/threading.h"
#include "bindings/program/helpers.h"
#include "bindings/program/pools.h"
#include "bindings/program/popen.h"
#include "bindings/program/program.h"
#include "bindings/program/scope.h"
#include "bindings/program/scripts.h"
#include "bindings/program/socket.h"
#include "bindings/program/statistics.h"
#include "bindings/run/blocking.h"
#include "bindings/run/callback.h"
#include "bindings/run/descriptor.h"
#include "bindings/run/subprocess.h"
#include "bindings/sync/array.h"
#include "bindings/sync/barrier.h"
#include "bindings/sync/dict.h"
#include "bindings/sync/event.h"
#include "bindings/sync/lock.h"
#include "bindings/sync/queue.h"
#include "bindings/sync/value.h"

/* Shuts the executor at 1 down after fn: raises its error, or returns its
 * results, which are behind it. */
static int with_done(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  lua_getfield(L, 1, "shutdown");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  if (status != LUA_OK && status != LUA_YIELD)
    return lua_error(L);
  return lua_gettop(L) - 1;
}

/* lfut.with(exe, fn) */
static int with(lua_State *L) {
  lfb_check_executor(L, 1);
  lfb_check_callable(L, 2);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  return lfb_pcall_then(L, 1, 0, with_done);
}

static void set_constants(lua_State *L) {
  static const char *const when[] = {"ALL_COMPLETED", "FIRST_COMPLETED",
                                     "FIRST_EXCEPTION"};
  for (int i = 0; i < 3; i++) {
    lua_pushstring(L, when[i]);
    lua_setfield(L, -2, when[i]);
  }
  lua_pushliteral(L, PACKAGE_VERSION);
  lua_setfield(L, -2, "_VERSION");
}

/* Methods are found in the module, so that they travel by name: what
 * exe:submit(queue.put, queue, 1) sends is lfut._methods.Queue.put. */
static void set_methods(lua_State *L, lfb_state *S) {
  lua_newtable(L);
  for (int class = 0; class < LFB_CLASSES; class ++) {
    const char *name = S->descriptors[class]->name;
    if (strncmp(name, "lfut.", 5) != 0)
      continue;
    lfb_push_methods(L, (lfb_class) class);
    if (lua_istable(L, -1))
      lua_setfield(L, -2, name + 5);
    else
      lua_pop(L, 1);
  }
  lua_setfield(L, -2, "_methods");
}

static void open_classes(lua_State *L, lfb_state *S) {
  lfb_future_open(L, S);
  lfb_executor_open(L, S);
  lfb_combine_open(L, S);
  lfb_map_open(L, S);
  lfb_control_open(L, S);
  lfb_completed_open(L, S);
  lfb_process_open(L, S);
  lfb_thread_open(L, S);
  lfb_convert_open(L, S);
  lfb_native_open(L, S);
  lfb_array_open(L, S);
  lfb_queue_open(L, S);
  lfb_lock_open(L, S);
  lfb_event_open(L, S);
  lfb_barrier_open(L, S);
  lfb_value_open(L, S);
  lfb_dict_open(L, S);
  lfb_descriptor_open(L, S);
  for (int class = 0; class < LFB_CLASSES; class ++)
    lf_check(S->descriptors[class]);
}

static const luaL_Reg functions[] = {
    {"ThreadPoolExecutor", lfb_thread_pool_executor},
    {"ProcessPoolExecutor", lfb_process_pool_executor},
    {"AsyncExecutor", lfb_async_executor},
    {"InlineExecutor", lfb_inline_executor},
    {"ClusterExecutor", lfb_cluster_executor},
    {"Pool", lfb_pool},
    {"ThreadPool", lfb_thread_pool},
    {"Process", lfb_process},
    {"Thread", lfb_thread},
    {"load", lfb_load},
    {"plugin", lfb_plugin},
    {"Out", lfb_out},
    {"Array", lfb_array_make},
    {"Queue", lfb_queue},
    {"Lock", lfb_lock},
    {"RLock", lfb_rlock},
    {"Semaphore", lfb_semaphore},
    {"BoundedSemaphore", lfb_bounded_semaphore},
    {"Event", lfb_event},
    {"Condition", lfb_condition},
    {"Barrier", lfb_barrier},
    {"Value", lfb_value},
    {"Dict", lfb_dict},
    {"on_unasked", lfb_on_unasked},
    {LFB_STEP "run", lfb_run_command},
    {"Popen", lfb_popen},
    {"all", lfb_all},
    {"any", lfb_any},
    {LFB_STEP "wait", lfb_wait_futures},
    {LFB_STEP "wait_fd", lfb_wait_fd},
    {"blocking", lfb_blocking},
    {"fileno", lfb_fileno},
    {"as_completed", lfb_as_completed},
    {"is_error", lfb_is_error},
    {"range", lfb_range},
    {"zip", lfb_zip},
    {"text", lfb_text},
    {LFB_STEP "scope", lfb_scope},
    {LFB_STEP "with", with},
    {NULL, NULL}};

void lfb_lib_open(lua_State *L, lfb_state *S) {
  open_classes(L, S);
  lua_newtable(L);
  lfb_setfuncs(L, S, functions);
  lfb_error_open(L, S);
  lfb_source_open_types(L, S);
  lfb_helpers_open(L, S);
  lfb_pools_open(L);
  lfb_scope_open(L);
  lfb_socket_open(L);
  lfb_popen_open(L);
  lfb_statistics_open(L, S);
  lfb_module_open(L, S);
  set_constants(L);
  set_methods(L, S);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "lfut");
  lua_pop(L, 1);
  lfb_script_preload(L, "lfut", luaopen_lfut); /* for who loads modules anew */
  lfb_set_ref(L, LFB_REF_MODULE);
}
