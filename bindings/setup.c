/* SPDX-License-Identifier: MIT
 *
 * How a pool's workers start: what they take over from the interpreter that
 * makes the pool. See luavm.h. */
#include <string.h>

#include "../runtime/mem.h"
#include "luavm.h"
#include "pack.h"

static const lfb_label start_label = {"package field", 1, "to a worker", 0};
static const lfb_label initializer_label = {"initarg", -1, "to a worker", 0};

void lfb_setup_free(void *p) {
  lfb_setup *setup = p;
  lf_buf_fini(&setup->start);
  lf_buf_fini(&setup->initializer);
  lfb_home_unref(setup->home);
  lf_free(setup);
}

/* Protected, with the record as upvalue: can the value be sent? */
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
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  if (lua_istable(L, -1))
    lua_getfield(L, -1, field);
  else
    lua_pushnil(L);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Copies the global 'arg', if it is the table that it should be. */
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

/* The function or source text at 'idx' and the arguments behind it. */
static void pack_initializer(lua_State *L, lfb_state *S, lfb_setup *setup,
                             int idx) {
  int top = lua_gettop(L);
  lua_pushvalue(L, idx);
  int n = 0;
  if (lua_istable(L, idx + 1)) {
    lua_getfield(L, idx + 1, "n");
    n = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1)
                             : (int)luaL_len(L, idx + 1);
    lua_pop(L, 1);
  }
  luaL_checkstack(L, n + 1, "too many initargs");
  for (int i = 1; i <= n; i++)
    lua_geti(L, idx + 1, i);
  lfb_pack(L, S, &setup->initializer, top + 1, n + 1, &initializer_label,
           NULL);
  setup->has_initializer = true;
  lua_settop(L, top);
}

static int setup_gc(lua_State *L) {
  lfb_setup **slot = lua_touserdata(L, 1);
  if (*slot)
    lfb_setup_free(*slot);
  return 0;
}

/* Pushes a box that frees what is in it. */
static lfb_setup **push_box(lua_State *L) {
  lfb_setup **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, "lfut.Setup")) {
    lua_pushcfunction(L, setup_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return box;
}

lfb_setup *lfb_setup_new(lua_State *L, lfb_state *S, int idx,
                         const char *kind) {
  int top = lua_gettop(L);
  lfb_setup **box = push_box(L);
  lfb_setup *setup = *box = lf_zalloc(sizeof *setup);
  if (!setup)
    luaL_error(L, "not enough memory");
  setup->home = lfb_home_ref(S->home);
  setup->kind = kind;
  push_path(L, "path");
  push_path(L, "cpath");
  push_arg(L, S, &setup->start);
  push_preload(L, S, &setup->start);
  lf_buf_reset(&setup->start);
  lfb_pack(L, S, &setup->start, top + 2, 4, &start_label, NULL);
  if (!lua_isnil(L, idx))
    pack_initializer(L, S, setup, idx);
  *box = NULL;
  lua_settop(L, top);
  return setup;
}
