/* SPDX-License-Identifier: MIT
 *
 * See process_worker.h. */
#include "bindings/process/process_worker.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/pack/names.h"
#include "bindings/pack/unpack.h"
#include "bindings/process/snapshot.h"
#include "bindings/run/forked.h"
#include "bindings/run/output.h"
#include "bindings/run/position.h"
#include "bindings/run/standard.h"
#include "bindings/worker/chunk.h"
#include "bindings/worker/vm.h"
#include "runtime/base/mem.h"
#include "runtime/pool/current.h"
#include "runtime/process/serve.h"

/* --- Forked --- */

void lfb_adopt(lua_State *L, struct lf_vm *vm) {
  lfb_state *S = lfb_state_find(L);
  lfb_forked(L, S);
  vm->S = S;
  S->vm = vm;
  S->waker = &vm->callbacks.waker;
  lf_pool *pool = lf_worker_pool(vm->worker);
  S->reach = lfb_setup_reach(pool, NULL);
  lfb_note_news(S);
  lfb_output_open(L, S);
  lfb_standard_adopt(L, S);
  lfb_names_renew(L, S);
  lfb_chunk_open(L, S);
  const lfb_setup *setup = lf_pool_setup(pool);
  lfb_snapshot_keep(L, setup->known);
}

/* --- Spawned --- */

/* Protected: the setup of this process, from the greeting. The interpreter at
 * hand only serves to read a few values. */
typedef struct {
  lf_buf *greeting;
  lfb_setup *setup;
} making;

/* For global->open; set at the beginning. */
static void (*open_module)(lua_State *L, lfb_state *S);
static const char *its_client;

static int make_setup(lua_State *L) {
  making *m = lua_touserdata(L, 1);
  lfb_state *S = lfb_state_new(L, NULL, NULL);
  lfb_setup *setup = lf_zalloc(sizeof *setup);
  const lfb_start *start = lfb_start_publish(S->global, m->greeting, NULL);
  if (!setup || !start)
    return lfb_raise_memory(L);
  uint64_t second;
  memcpy(&second, start->packed.data + start->packed.len - sizeof second,
         sizeof second);
  size_t at = (size_t)second;
  int top = lua_gettop(L);
  lfb_unpack(L, S, &start->packed, &at, NULL);
  setup->global = lfb_global_ref(S->global);
  setup->global->is_lfut = true;
  setup->global->open = open_module;
  setup->global->warns = lua_toboolean(L, top + 1);
  setup->global->workers = (int)lua_tointeger(L, top + 2);
  setup->has_initializer = lua_toboolean(L, top + 3);
  setup->initializer_in = &start->packed;
  setup->initializer_at = at;
  bool far = lua_toboolean(L, top + 4);
  setup->kind = far ? "cluster" : "process";
  setup->far = far ? LFB_REACH_CLUSTER : LFB_REACH_POOL;
  setup->global->has_own_path = far;
  setup->global->client = its_client;
  m->setup = setup;
  return 0;
}

static void *read_greeting(lf_buf *greeting) {
  making m = {.greeting = greeting};
  lua_State *L = luaL_newstate();
  if (!L)
    return NULL;
  lua_pushcfunction(L, make_setup);
  lua_pushlightuserdata(L, &m);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  lua_close(L);
  return ok ? m.setup : NULL;
}

void lfb_spawned_main(char **argv, void (*open)(lua_State *L, lfb_state *S)) {
  lf_usr1_catch(lfb_see_here);
  open_module = open;
  its_client = argv[5];
  lf_serve_spawned(argv[2], atoi(argv[3]), atoi(argv[4]), &lfb_vmops,
                   read_greeting);
}
