/* SPDX-License-Identifier: MIT
 *
 * See setup.h. What the workers take over is noted in one place for all pools
 * of the program: when an executor is made, and when a module has been loaded
 * since. A worker that does not know a module looks there again. */
#include "bindings/worker/setup.h"

#include <string.h>

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "runtime/base/mem.h"

/* For threads and processes alike: nothing in it may be tied to this process.
 */
static const lfb_label start_label = {.what = "package field",
                                      .first = 1,
                                      .where = "to a worker",
                                      .reach = &lfb_reach_anywhere};

const lfb_reach *lfb_setup_reach(lf_pool *pool, lfb_known *known) {
  lfb_setup *setup = lf_pool_setup(pool);
  setup->reach = (lfb_reach){setup->far, pool, known, false};
  return &setup->reach;
}

bool lfb_is_cluster(lf_pool *pool) {
  return lf_pool_is_remote(pool) &&
         ((lfb_setup *)lf_pool_setup(pool))->far == LFB_REACH_CLUSTER;
}

void lfb_setup_forget(lua_State *L, lf_pool *pool) {
  const lfb_setup *setup = lf_pool_setup(pool);
  if (setup->known)
    setup->known->forget(L, setup->known);
}

void lfb_setup_free(void *p) {
  lfb_setup *setup = p;
  lf_buf_fini(&setup->initializer);
  lf_buf_fini(&setup->greeting);
  if (setup->known)
    setup->known->free(setup->known);
  lfb_global_unref(setup->global);
  lf_free(setup);
}

bool lfb_has_initializer(lua_State *L, int idx) {
  return !lua_isnoneornil(L, idx) || !lua_isnoneornil(L, idx + 2);
}

void lfb_initializer_pack(lua_State *L, lfb_state *S, lf_buf *out, int idx,
                          const lfb_reach *reach) {
  const lfb_label label = {
      .what = "initarg", .first = -1, .where = "to a worker", .reach = reach};
  int top = lua_gettop(L);
  lua_pushvalue(L, idx);
  int n = lua_istable(L, idx + 1) ? lfb_list_length(L, idx + 1) : 0;
  for (int i = 1; i <= n; i++)
    lua_geti(L, idx + 1, i);
  lfb_pack(L, S, out, top + 1, n + 1, &label, NULL);
  const lfb_label last = {
      .what = "finalizer", .where = "to a worker", .reach = reach};
  lua_settop(L, top);
  lua_pushvalue(L, idx + 2);
  lfb_pack(L, S, out, lua_gettop(L), 1, &last, NULL);
  lua_settop(L, top);
}

/* NULL is allowed. */
static void unref_start(void *p) {
  lfb_start *start = p;
  if (!start || atomic_fetch_sub(&start->refs, 1) != 1)
    return;
  lf_buf_fini(&start->packed);
  lf_free(start->path);
  lf_free(start);
}

static lfb_start *latest(lfb_global *global) {
  pthread_mutex_lock(&global->lock);
  lfb_start *start = global->start.latest;
  if (start)
    atomic_fetch_add(&start->refs, 1);
  pthread_mutex_unlock(&global->lock);
  return start;
}

lfb_setup *lfb_setup_new(lua_State *L, lfb_state *S, int idx, const char *kind,
                         const lfb_reach *reach) {
  int top = lua_gettop(L);
  if (!S->vm)
    lfb_start_note(L, S);
  lfb_box *b = lfb_push_box(L, lfb_setup_free);
  lfb_setup *setup = b->content = lf_zalloc(sizeof *setup);
  if (!setup)
    lfb_raise_memory(L);
  setup->global = lfb_global_ref(S->global);
  setup->kind = kind;
  setup->far = reach && reach->kind == LFB_REACH_CLUSTER ? LFB_REACH_CLUSTER
                                                         : LFB_REACH_POOL;
  lfb_start *start = latest(S->global);
  atomic_init(&setup->start, start ? start->version : 0);
  unref_start(start);
  setup->has_initializer = lfb_has_initializer(L, idx);
  if (setup->has_initializer)
    lfb_initializer_pack(L, S, &setup->initializer, idx, reach);
  setup->initializer_in = &setup->initializer;
  b->content = NULL;
  lua_settop(L, top);
  return setup;
}

/* --- What is taken over from the program --- */

/* Protected, with the state as upvalue: can the value be sent? */
static int try_pack(lua_State *L) {
  lf_buf *buf = lua_touserdata(L, 2);
  lf_buf_reset(buf);
  lfb_pack(L, lfb_self(L), buf, 1, 1, &start_label, NULL);
  return 0;
}

static bool can_send(lua_State *L, lfb_state *S, lf_buf *buf) {
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, try_pack, 1);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, buf);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return true;
  lua_pop(L, 1);
  return false;
}

/* Pushes package.preload with those loaders that a script has put there and
 * that can be sent. */
static void push_preload(lua_State *L, lfb_state *S, lf_buf *scratch) {
  lua_newtable(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1) ||
        !can_send(L, S, scratch))
      continue;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -6);
  }
  lua_pop(L, 1);
}

/* Pushes a field of package, if it is a string. */
static void push_path(lua_State *L, const char *field) {
  lfb_push_standard(L, "package");
  lua_pushstring(L, field);
  lua_rawget(L, -2);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_replace(L, -2);
}

/* Pushes the global 'arg', if it is the table that it should be. */
static void push_arg(lua_State *L, lfb_state *S, lf_buf *scratch) {
  lua_pushglobaltable(L);
  lua_pushliteral(L, "arg");
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_istable(L, -1) && can_send(L, S, scratch))
    return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

void lfb_start_pack(lua_State *L, lfb_state *S, lf_buf *out) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, "starting workers");
  push_path(L, "path");
  push_path(L, "cpath");
  push_arg(L, S, out);
  push_preload(L, S, out);
  lf_buf_reset(out);
  lfb_pack(L, S, out, top + 1, 3, &start_label, NULL);
  lfb_pack(L, S, out, top + 4, 1, &start_label, NULL);
  lua_settop(L, top);
}

void lfb_greeting_pack(lua_State *L, lfb_state *S, lfb_setup *setup, int idx,
                       const lfb_reach *reach) {
  const lfb_label label = {
      .what = "setting", .first = 1, .where = "to a worker", .reach = reach};
  lf_buf *out = &setup->greeting;
  int top = lua_gettop(L);
  lfb_start_pack(L, S, out);
  uint64_t second = out->len;
  lua_pushboolean(L, S->global->warns);
  lua_pushinteger(L, S->global->workers);
  lua_pushboolean(L, lfb_has_initializer(L, idx));
  lua_pushboolean(L, setup->far == LFB_REACH_CLUSTER);
  lfb_pack(L, S, out, top + 1, 4, &label, NULL);
  lua_settop(L, top);
  if (lfb_has_initializer(L, idx))
    lfb_initializer_pack(L, S, out, idx, reach);
  if (lf_buf_put(out, &second, sizeof second) != 0)
    lfb_raise_memory(L);
}

/* In a worker they may have come to the program. */
static void refresh(lua_State *L, lfb_state *S) {
  if (S->vm)
    lfb_start_apply(L, S);
  else
    lfb_start_note(L, S);
}

const lfb_start *lfb_start_publish(lfb_global *global, lf_buf *packed,
                                   const char *path) {
  lfb_start *start = lf_zalloc(sizeof *start);
  if (!start || lf_buf_move(&start->packed, packed) != 0) {
    lf_free(start);
    return NULL;
  }
  start->path = path ? lf_strndup(path, strlen(path)) : NULL;
  atomic_init(&start->refs, 1);
  pthread_mutex_lock(&global->lock);
  lfb_start *old = global->start.latest;
  start->version = old ? old->version + 1 : 1;
  global->start.latest = start;
  if (!global->start.refresh) { /* nobody has started yet, who could look */
    global->start.free = unref_start;
    global->start.refresh = refresh;
  }
  pthread_mutex_unlock(&global->lock);
  unref_start(old);
  return start;
}

void lfb_start_note(lua_State *L, lfb_state *S) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, "starting workers");
  lf_buf *packed = lfb_push_buf(L);
  lfb_start_pack(L, S, packed);
  push_path(L, "path");
  if (!lfb_start_publish(S->global, packed, lua_tostring(L, -1)))
    lfb_raise_memory(L);
  lua_settop(L, top);
}

/* Sets a field of package to the value at 'idx'. */
static void set_package(lua_State *L, const char *field, int idx) {
  lfb_push_standard(L, "package");
  lua_pushstring(L, field);
  lua_pushvalue(L, idx);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Protected, with the state as upvalue: the stream at 2 of the start, the
 * loaders of modules. */
static int apply_preload(lua_State *L) {
  const lfb_start *start = lua_touserdata(L, 1);
  size_t at = (size_t)lua_tointeger(L, 2);
  lfb_unpack(L, lfb_self(L), &start->packed, &at, NULL);
  int loaders = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lfb_copy_pairs(L, loaders, lua_gettop(L));
  return 0;
}

/* A loader may name modules that only the loaders can load. Then there are none
 * of them here, as whoever asks for one will be told. */
static void apply(lua_State *L, lfb_state *S, lfb_start *start) {
  size_t at = 0;
  int top = lua_gettop(L);
  lfb_unpack(L, S, &start->packed, &at, NULL);
  S->start = start->version;
  if (!S->global->has_own_path) {
    set_package(L, "path", top + 1);
    set_package(L, "cpath", top + 2);
  }
  lua_pushglobaltable(L);
  lua_pushliteral(L, "arg");
  lua_pushvalue(L, top + 3);
  lua_rawset(L, -3);
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, apply_preload, 1);
  lua_pushlightuserdata(L, start);
  lua_pushinteger(L, (lua_Integer)at);
  if (lua_pcall(L, 2, 0, 0) == LUA_ERRMEM) {
    S->start = 0; /* the next one tries again */
    lua_error(L);
  }
  lua_settop(L, top);
}

void lfb_start_apply(lua_State *L, lfb_state *S) {
  lfb_box *b = lfb_push_box(L, unref_start);
  lfb_start *start = b->content = latest(S->global);
  if (start && start->version != S->start)
    apply(L, S, start);
  b->content = NULL;
  unref_start(start);
  lua_pop(L, 1);
}

static void hold_start(void *start) {
  atomic_fetch_add(&((lfb_start *)start)->refs, 1);
}

void lfb_start_tell(lfb_state *S, lf_pool *pool) {
  lfb_setup *setup = lf_pool_setup(pool);
  lfb_start *start = latest(S->global);
  if (start && start->version != atomic_load(&setup->start)) {
    const lf_notice notice = {&start->packed, start, hold_start, unref_start,
                              start->path};
    atomic_store(&setup->start, start->version);
    lf_pool_tell(pool, &notice);
  }
  unref_start(start);
}
