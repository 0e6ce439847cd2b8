/* SPDX-License-Identifier: MIT
 *
 * Classes: tables that are used as metatables, or meant to be. See packer.h. */
#include "names.h"
#include "packer.h"

/* Is the description of this table being written already? */
static bool describing(const packer *P, const void *table) {
  for (; P; P = P->outer)
    if (P->self == table)
      return true;
  return false;
}

/* The table below the slots describes itself. */
static void fill_class(packer *P) {
  lua_State *L = P->L;
  int table = lua_gettop(L);
  lua_pushvalue(L, table);
  *room(P, 1) = 1;
  lfb_pack_value(P);
  lua_pop(L, 1);
  lfb_pack_bodies(P);
}

static bool stands_alone(packer *P, int class, int depth);

/* May the value at the top be copied without its connections to others? */
static bool is_separable(packer *P, int class, int depth) {
  lua_State *L = P->L;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE:
    if (lua_rawequal(L, -1, class))
      return true;
    break;
  case LUA_TFUNCTION:
    if (lua_iscfunction(L, -1))
      return true;
    break;
  case LUA_TUSERDATA:
    return false;
  default:
    return true;
  }
  bool named = lfb_push_name(L, -1);
  if (named)
    lua_pop(L, 1);
  return named || (depth < 8 && stands_alone(P, lua_gettop(L), depth + 1));
}

/* A function whose upvalues nobody can assign or look into: _ENV, classes, what
 * has a name, other such functions. */
static bool upvalues_stand_alone(packer *P, int class, int depth) {
  lua_State *L = P->L;
  int function = lua_gettop(L);
  for (int i = 1; lua_getupvalue(L, function, i); i++) {
    bool object = lua_istable(L, -1) || lua_isfunction(L, -1);
    bool fine = lfb_is_globals(L) || (object && is_separable(P, class, depth));
    lua_pop(L, 1);
    if (!fine)
      return false;
  }
  return true;
}

/* Has the class (or the function) at the top nothing in common with others that
 * could be seen? */
static bool stands_alone(packer *P, int class, int depth) {
  lua_State *L = P->L;
  luaL_checkstack(L, 10, "classes within classes");
  if (lua_isfunction(L, -1))
    return upvalues_stand_alone(P, class, depth);
  if (depth > 0 && !lfb_identity_class(L, -1))
    return false;
  if (depth > 0)
    lua_pop(L, 1);
  int table = lua_gettop(L);
  bool fine = true;
  for (lua_pushnil(L); fine && lua_next(L, table); lua_pop(L, 1))
    fine = lua_type(L, -2) == LUA_TSTRING && is_separable(P, class, depth);
  lua_settop(L, table);
  return fine;
}

/* A description that a receiver who has it already may skip; the identity is at
 * the top, above the class, and popped. */
static void pack_closed_class(packer *P) {
  lua_State *L = P->L;
  put(P, LFB_T_CLASS, lua_tostring(L, -1), LFB_IDENTITY);
  lua_pop(L, 1);
  lfb_packer_object(P, false);
  size_t at = P->out->len;
  uint64_t none = 0, hash;
  memcpy(room(P, sizeof none), &none, sizeof none);
  if (describing(P,
                 lua_topointer(L, -1))) { /* whoever unpacks that has it then */
    memcpy(room(P, sizeof none), &none, sizeof none);
    return;
  }
  lfb_pack_inner(P, lua_gettop(L), fill_class);
  hash = lf_hash(P->out->data + at + 16, P->out->len - at - 16) | 1;
  memcpy(P->out->data + at, &hash, sizeof hash);
}

/* The table at the top, with its identity above it, which is popped. On the way
 * home, and inside another description, it always stands alone. */
void lfb_pack_class(packer *P) {
  lua_State *L = P->L;
  lua_insert(L, -2); /* identity, table */
  bool closed = P->label->home || P->outer || stands_alone(P, lua_gettop(L), 0);
  lua_insert(L, -2);
  if (closed) {
    pack_closed_class(P);
    return;
  }
  put(P, LFB_T_OPEN_CLASS, lua_tostring(L, -1), LFB_IDENTITY);
  lua_pop(L, 1);
  lfb_packer_object(P, true);
}

bool lfb_is_metafield(lua_State *L, int idx) {
  if (lua_type(L, idx) != LUA_TSTRING)
    return false;
  const char *key = lua_tostring(L, idx);
  return key[0] == '_' && key[1] == '_';
}

bool lfb_looks_like_class(lua_State *L) {
  int looks = 32, top = lua_gettop(L);
  lua_pushliteral(L, "__index");
  bool found = lua_rawget(L, top) != LUA_TNIL;
  lua_settop(L, top);
  lua_pushnil(L);
  while (!found && looks-- > 0 && lua_next(L, top)) {
    found = lfb_is_metafield(L, -2);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return found;
}

void lfb_pack_identity(packer *P, int table, uint32_t n, bool class) {
  lfb_idrec rec = {.object = n};
  lfb_identity_make(P->L, P->S, table, class);
  memcpy(rec.identity, lua_tostring(P->L, -1), LFB_IDENTITY);
  lua_pop(P->L, 1);
  lfb_packer_add(P, &P->ids, LFB_IDS, &rec, sizeof rec);
}

/* The metatable at the top, of the table numbered 'n': a class, unless it has
 * a name or is here as a plain table already. */
void lfb_pack_metatable(packer *P, uint32_t n) {
  lua_State *L = P->L;
  put_u32(P, n);
  P->current = n;
  lfb_memo *e = lfb_packer_find(P, lua_topointer(L, -1));
  if (e) {
    put(P, LFB_T_OBJECT, &e->value, sizeof e->value);
    lfb_pack_identity(P, lua_gettop(L), e->value, true);
  } else if (!lfb_pack_named(P)) {
    lfb_identity_make(L, P->S, -1, true);
    lfb_pack_class(P);
  }
}
