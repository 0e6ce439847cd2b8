/* SPDX-License-Identifier: MIT
 *
 * See cluster.h. */
#include "bindings/cluster/cluster.h"

#ifdef LF_CLUSTER

#include <stdlib.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/engine/compat.h"
#include "bindings/pool/executor.h"
#include "bindings/process/process_pool.h"
#include "runtime/base/mem.h"
#include "runtime/cluster/client.h"
#include "runtime/cluster/functions.h"

#include "cluster.lua.h"

enum { RETRIES = 2 };

#define RECONNECT 30.0

void lfb_cluster_init(void) {
  lf_cluster_set_version(LFB_LUA);
  lf_functions_set(lf_script_cluster, sizeof lf_script_cluster - 1);
}

/* Where the server is: the option, or what the environment says; NULL: nobody
 * does. */
static const char *url_of(lua_State *L) {
  const char *url = lfb_optional_string(L, LFB_URL, NULL);
  url = url ? url : getenv("LFUT_CLUSTER");
  return url && *url ? url : NULL;
}

/* What a script has said: the first argument is a number, or the options. */
static bool has_max_workers(lua_State *L) {
  if (!lua_istable(L, 1))
    return !lua_isnoneornil(L, 1);
  bool has = lua_getfield(L, 1, "max_workers") != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* Goes into the setup. A name of the workers is the members' matter. */
static void prepare(lua_State *L, lfb_state *S, lfb_setup *setup,
                    lf_pool_options *options) {
  char why[300];
  lf_url parsed;
  const char *url = url_of(L);
  options->max_tasks = (uint64_t)lfb_optional_integer(L, LFB_MAX_TASKS, 0);
  if (!(luaL_optnumber(L, LFB_RECONNECT, 0) >= 0))
    luaL_error(L, "bad option 'reconnect' (must not be negative)");
  if (url && !lf_url_parse(&parsed, url, why, sizeof why))
    luaL_error(L, "%s", why);
  if (url)
    lf_url_free(&parsed);
  lfb_greeting_pack(L, S, setup, LFB_INITIALIZER, &lfb_reach_cluster);
}

static void start(lua_State *L, lfb_state *S, lf_pool *pool) {
  char why[400] = "";
  const char *url = url_of(L);
  lfb_setup *setup = lf_pool_setup(pool);
  lf_cluster_options o = {
      .reconnect = luaL_optnumber(L, LFB_RECONNECT, RECONNECT),
      .setup = &setup->greeting,
  };
  lfb_setup_reach(pool, NULL);
  lfb_cluster_init();
  if (!url || has_max_workers(L))
    o.max_workers = lf_pool_max_workers(pool);
  if (!url)
    o.program = lfb_program_path(L);
  else if (!lf_url_parse(&o.url, url, why, sizeof why))
    luaL_error(L, "%s", why);
  if (lf_pool_cluster(pool, &o, why, sizeof why) == 0) {
    atomic_store(&setup->start, 0); /* so that it is told */
    lfb_start_tell(S, pool);
    return;
  }
  lfb_push_error(L, "ClusterError", "%s", why);
  lua_error(L);
}

int lfb_cluster_executor(lua_State *L) {
  static const lfb_kind clusters = {.name = "cluster",
                                    .backend = &lf_cluster_backend,
                                    .retries = RETRIES,
                                    .reach = &lfb_reach_cluster,
                                    .prepare = prepare,
                                    .start = start};
  return lfb_executor_new(L, &clusters);
}

#else

int lfb_cluster_executor(lua_State *L) {
  return luaL_error(L, "no clusters: lfut was built without hiredis (Debian's "
                       "package libhiredis-dev)");
}

#endif
