/* SPDX-License-Identifier: MIT
 *
 * See snapshot.h. What a table was is known by a hash of its packed form, all
 * that can be reached from it included. That has addresses, of code and of
 * arrays; the snapshot holds what is there, so that nothing else gets them. The
 * tables themselves are in a table of the registry, weak in the program, at the
 * snapshot's address. */
#include "bindings/process/snapshot.h"

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/engine/env.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "runtime/base/mem.h"

enum {
  LARGE = LF_LIMIT(64 << 10, 512), /* bytes when packed */
  MOST = 64,                       /* tables in a snapshot */
};

typedef struct {
  lfb_known base;
  int n;
  struct {
    const void *table;
    uint64_t hash;
    size_t len;
    lf_buf held; /* references, no bytes */
  } v[MOST];
} lfb_snapshot;

/* Protected: (table at 1, buffer) packs it. */
static int try_pack(lua_State *L) {
  const lfb_label label = {
      .what = "table", .where = "to a worker", .reach = &lfb_reach_anywhere};
  lfb_pack(L, lfb_self(L), lua_touserdata(L, 2), 1, 1, &label, NULL);
  return 0;
}

/* What the table at the top is now, and what its packed form refers to ('held'
 * may be NULL); false: it cannot be sent at all. */
static bool look(lua_State *L, lfb_state *S, uint64_t *hash, size_t *len,
                 lf_buf *held) {
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, try_pack, 1);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, &buf);
  bool ok = lua_pcall(L, 2, 0, 0) == LUA_OK;
  if (!ok)
    lua_pop(L, 1);
  *hash = lf_hash(buf.data, buf.len);
  *len = buf.len;
  if (held) {
    *held = (lf_buf){.refs = buf.refs};
    buf.refs = NULL;
  }
  lf_buf_fini(&buf);
  return ok;
}

/* --- Taking one --- */

/* The value at the top, which is popped; the registry's table is at 'tables'.
 */
static void consider(lua_State *L, lfb_state *S, lfb_snapshot *p, int tables) {
  const void *table = lua_topointer(L, -1);
  bool new = lua_istable(L, -1) && p->n < MOST;
  for (int i = 0; new &&i < p->n; i++)
    new = p->v[i].table != table;
  uint64_t hash;
  size_t len;
  lf_buf held = {0};
  if (new &&look(L, S, &hash, &len, &held) && len >= LARGE) {
    p->v[p->n].table = table;
    p->v[p->n].hash = hash;
    p->v[p->n].len = len;
    p->v[p->n].held = held;
    held = (lf_buf){0};
    lua_pushvalue(L, -1);
    lua_rawseti(L, tables, ++p->n);
  }
  lf_buf_fini(&held);
  lua_pop(L, 1);
}

static void consider_globals(lua_State *L, lfb_state *S, lfb_snapshot *p,
                             int tables) {
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2);) {
    bool own = lua_type(L, -2) == LUA_TSTRING &&
               !lfb_is_standard(L, lua_tostring(L, -2)) &&
               !lua_rawequal(L, -1, -3);
    if (own)
      consider(L, S, p, tables);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Locals and upvalues of who is on the way to here. */
static void consider_calls(lua_State *L, lfb_state *S, lfb_snapshot *p,
                           int tables) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    for (int i = 1; lua_getlocal(L, &ar, i); i++)
      consider(L, S, p, tables);
    lua_getinfo(L, "f", &ar);
    for (int i = 1; lua_getupvalue(L, -1, i); i++) {
      if (lfb_env_is(L))
        lua_pop(L, 1);
      else
        consider(L, S, p, tables);
    }
    lua_pop(L, 1);
  }
}

static void free_snapshot(void *snapshot) {
  lfb_snapshot *p = snapshot;
  for (int i = 0; p && i < p->n; i++)
    lf_buf_fini(&p->v[i].held);
  lf_free(p);
}

static void free_known(lfb_known *known) {
  free_snapshot(lf_container_of(known, lfb_snapshot, base));
}

/* --- Using it --- */

static int find(lua_State *L, lfb_state *S, lfb_known *known) {
  lfb_snapshot *p = lf_container_of(known, lfb_snapshot, base);
  const void *table = lua_topointer(L, -1);
  int i = 0;
  while (i < p->n && p->v[i].table != table)
    i++;
  if (i == p->n)
    return -1;
  luaL_checkstack(L, 10, "too many values to send");
  bool same = false;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, p) == LUA_TTABLE) {
    lua_rawgeti(L, -1, i + 1);
    same = lua_rawequal(L, -1, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  uint64_t hash;
  size_t len;
  same = same && look(L, S, &hash, &len, NULL) && hash == p->v[i].hash &&
         len == p->v[i].len;
  return same ? i : -1;
}

static void forget(lua_State *L, lfb_known *known) {
  lua_pushnil(L); /* removing needs no memory */
  lua_rawsetp(L, LUA_REGISTRYINDEX, lf_container_of(known, lfb_snapshot, base));
}

lfb_known *lfb_snapshot_take(lua_State *L, lfb_state *S) {
  luaL_checkstack(L, 20, "starting workers");
  int top = lua_gettop(L);
  lfb_box *box = lfb_push_box(L, free_snapshot);
  lfb_snapshot *p = box->content = lf_zalloc(sizeof *p);
  if (!p)
    lfb_raise_memory(L);
  p->base = (lfb_known){find, forget, free_known};
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  consider_globals(L, S, p, top + 2);
  consider_calls(L, S, p, top + 2);
  if (p->n > 0) {
    lua_pushvalue(L, top + 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, p);
    box->content = NULL;
  }
  bool some = p->n > 0;
  lua_settop(L, top);
  return some ? &p->base : NULL;
}

void lfb_snapshot_keep(lua_State *L, lfb_known *known) {
  if (known)
    lua_rawgetp(L, LUA_REGISTRYINDEX,
                lf_container_of(known, lfb_snapshot, base));
  else
    lua_pushnil(L);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_setmetatable(L, -2);
  }
  lfb_set_ref(L, LFB_REF_SNAPSHOT);
}
