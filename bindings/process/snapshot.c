/* SPDX-License-Identifier: MIT
 *
 * See snapshot.h. What a table was is known by a hash of its packed form, all
 * that can be reached from it included. That has addresses, of code and of
 * arrays; the picture holds what is there, so that nothing else gets them. The
 * tables themselves are in a table of the registry, weak in the program, at the
 * picture's address. */
#include "bindings/process/snapshot.h"

#include <string.h>

#include "bindings/core/box.h"
#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/worker/setup.h"
#include "runtime/base/mem.h"

enum {
  LARGE = LF_LIMIT(64 << 10, 512), /* bytes when packed */
  MOST = 64,                       /* tables in a picture */
};

struct lfb_picture {
  int n;
  struct {
    const void *table;
    uint64_t hash;
    size_t len;
    lf_buf held; /* references, no bytes */
  } v[MOST];
};

/* Protected: (table at 1, buffer) packs it. */
static int try_pack(lua_State *L) {
  const lfb_label label = {
      .what = "table", .where = "to a worker", .wire = LFB_SOME_PROCESS};
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
static void consider(lua_State *L, lfb_state *S, lfb_picture *p, int tables) {
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

static void consider_globals(lua_State *L, lfb_state *S, lfb_picture *p,
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
static void consider_calls(lua_State *L, lfb_state *S, lfb_picture *p,
                           int tables) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    for (int i = 1; lua_getlocal(L, &ar, i); i++)
      consider(L, S, p, tables);
    lua_getinfo(L, "f", &ar);
    for (int i = 1; lua_getupvalue(L, -1, i); i++) {
      lua_pushglobaltable(L);
      bool globals = lua_rawequal(L, -1, -2);
      lua_pop(L, 1);
      if (globals)
        lua_pop(L, 1);
      else
        consider(L, S, p, tables);
    }
    lua_pop(L, 1);
  }
}

static void free_picture(void *picture) {
  lfb_picture *p = picture;
  for (int i = 0; p && i < p->n; i++)
    lf_buf_fini(&p->v[i].held);
  lf_free(p);
}

lfb_picture *lfb_picture_take(lua_State *L, lfb_state *S) {
  luaL_checkstack(L, 20, "starting workers");
  int top = lua_gettop(L);
  lfb_box *box = lfb_push_box(L, free_picture);
  lfb_picture *p = box->content = lf_zalloc(sizeof *p);
  if (!p)
    luaL_error(L, "not enough memory");
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
  return some ? p : NULL;
}

void lfb_picture_free(lfb_picture *p) {
  free_picture(p);
}

void lfb_picture_forget(lua_State *L, lfb_picture *p) {
  if (!p)
    return;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, p); /* removing needs no memory */
}

/* --- Using it --- */

void lfb_picture_keep(lua_State *L, lfb_picture *p) {
  if (!p || lua_rawgetp(L, LUA_REGISTRYINDEX, p) != LUA_TTABLE)
    return;
  lua_pushnil(L);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

int lfb_picture_find(lua_State *L, lfb_state *S, lfb_picture *p) {
  const void *table = lua_topointer(L, -1);
  int i = 0;
  while (p && i < p->n && p->v[i].table != table)
    i++;
  if (!p || i == p->n)
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

bool lfb_picture_push(lua_State *L, lfb_picture *p, uint32_t number) {
  if (!p || number >= (uint32_t)p->n ||
      lua_rawgetp(L, LUA_REGISTRYINDEX, p) != LUA_TTABLE)
    return false;
  lua_rawgeti(L, -1, (lua_Integer)number + 1);
  lua_remove(L, -2);
  return true;
}
