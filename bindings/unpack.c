/* SPDX-License-Identifier: MIT
 *
 * See pack.h. Uses the Lua stack and nothing else, so that an error (of
 * memory, of a module that is not found) leaves nothing behind. */
#include <string.h>

#include "closure.h"
#include "convert.h"
#include "identity.h"
#include "loan.h"
#include "names.h"
#include "native.h"
#include "pack.h"
#include "setup.h"
#include "shared.h"

/* Stack slots from U->base: the objects by number, their metatables, and what a
 * stream within a stream describes. */
enum { ANCHOR, METAS, SELF, SLOTS };

typedef struct {
  lua_State *L;
  lfb_state *S;
  const unsigned char *at;
  int base;
  int self; /* stack index of what an inner stream describes, or 0 */
  uint32_t objects;
  uint32_t filled; /* with their body read */
  int *globals;    /* a table of names, or LUA_NOREF; may be NULL */
} unpacker;

static void unpack_value(unpacker *U);

static unsigned get_byte(unpacker *U) {
  return *U->at++;
}

static uint32_t get_u32(unpacker *U) {
  uint32_t x;
  memcpy(&x, U->at, sizeof x);
  U->at += sizeof x;
  return x;
}

static uint64_t get_u64(unpacker *U) {
  uint64_t x;
  memcpy(&x, U->at, sizeof x);
  U->at += sizeof x;
  return x;
}

static void *get_pointer(unpacker *U) {
  void *p;
  memcpy(&p, U->at, sizeof p);
  U->at += sizeof p;
  return p;
}

static void push_float(unpacker *U) {
  lua_Number n;
  memcpy(&n, U->at, sizeof n);
  U->at += sizeof n;
  lua_pushnumber(U->L, n);
}

static void push_bytes(unpacker *U, size_t len) {
  lua_pushlstring(U->L, (const char *)U->at, len);
  U->at += len;
}

static void push_object(unpacker *U, uint32_t n) {
  lua_rawgeti(U->L, U->base + ANCHOR, (lua_Integer)n + 1);
}

/* --- Objects --- */

/* Numbers the object at the top. One without a body is marked in the anchor
 * table at its negated index. */
static void new_object(unpacker *U, bool body) {
  lua_State *L = U->L;
  if (U->objects == 0) {
    lua_newtable(L);
    lua_replace(L, U->base + ANCHOR);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, U->base + ANCHOR, (lua_Integer)++U->objects);
  if (!body) {
    lua_pushboolean(L, 1);
    lua_rawseti(L, U->base + ANCHOR, -(lua_Integer)U->objects);
  }
}

/* Pushes what the n-th object's body is to fill, if it has one: itself, or for
 * an original a table that is thrown away. */
static bool push_to_fill(unpacker *U, uint32_t n) {
  lua_State *L = U->L;
  int type = lua_rawgeti(L, U->base + ANCHOR, -(lua_Integer)n - 1);
  bool none = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (none)
    return false;
  if (type == LUA_TNIL)
    push_object(U, n);
  else
    lua_newtable(L);
  return true;
}

static void push_closure(unpacker *U) {
  lfb_push_code(U->L, get_pointer(U));
  new_object(U, true);
}

static void push_named(unpacker *U) {
  uint32_t len = get_u32(U);
  const char *name = (const char *)U->at;
  U->at += len;
  lfb_push_named(U->L, U->S, name, len);
}

static void push_stdio(unpacker *U) {
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  lua_State *L = U->L;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "io");
  lua_getfield(L, -1, names[get_byte(U)]);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void push_handle(unpacker *U) {
  const lfb_handle_class *class = &lfb_handles[get_byte(U)];
  class->push(U->L, U->S, get_pointer(U));
  if (class->class == LFB_CONDITION)
    lfb_set_partner(U->L, get_pointer(U));
  new_object(U, false);
}

/* What this forked worker has had from its beginning. */
static void push_pictured(unpacker *U) {
  const lfb_setup *setup = lf_pool_setup(U->S->wire);
  lfb_picture_push(U->L, setup->picture, (int)get_u32(U));
  new_object(U, false);
}

/* --- Streams within the stream --- */

static uint32_t get_count(unpacker *U);
static void unpack_rest(unpacker *U, uint32_t n);

/* Reads an inner stream, whose values are pushed; 'self' is the stack index of
 * what it describes, or 0. */
static void unpack_inner(unpacker *U, int self) {
  unpacker inner = {.L = U->L, .S = U->S, .at = U->at, .globals = U->globals};
  inner.self = self;
  unpack_rest(&inner, get_count(&inner));
  U->at = inner.at;
}

static void clear_table(lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
}

/* Is the class at home in this interpreter? Then it is the original. */
static bool is_original(unpacker *U, const unsigned char *identity) {
  uint64_t home;
  memcpy(&home, identity, sizeof home);
  return home == U->S->id;
}

/* Has the class at the top another description than this? Notes it. */
static bool is_stale(unpacker *U, uint64_t hash) {
  lua_State *L = U->L;
  lfb_push_ref(L, LFB_REF_VERSIONS);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  bool stale = (uint64_t)lua_tointeger(L, -1) != hash;
  lua_pop(L, 1);
  if (stale) {
    lua_pushvalue(L, -2);
    lua_pushinteger(L, (lua_Integer)hash);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
  return stale;
}

/* Pushes the interpreter's own table with the identity that is next; true if it
 * is the original. */
static bool push_known_class(unpacker *U) {
  lua_State *L = U->L;
  const unsigned char *identity = U->at;
  U->at += LFB_IDENTITY;
  if (lfb_identity_find(L, identity))
    return is_original(U, identity);
  lua_newtable(L);
  lfb_identity_set(L, identity, true, true);
  return false;
}

/* One that is described anew each time, for what it shares with others. */
static void push_open_class(unpacker *U) {
  lua_State *L = U->L;
  bool original = push_known_class(U);
  new_object(U, true);
  if (original) { /* its description is read over */
    lua_pushboolean(L, 0);
    lua_rawseti(L, U->base + ANCHOR, -(lua_Integer)U->objects);
    return;
  }
  is_stale(U, 0);
  clear_table(L);
}

/* A class brought up to date when it is described otherwise than before. */
static void push_class(unpacker *U) {
  lua_State *L = U->L;
  bool original = push_known_class(U);
  uint64_t hash = get_u64(U), len = get_u64(U);
  const unsigned char *end = U->at + len;
  new_object(U, false);
  if (len > 0 && !original && is_stale(U, hash)) {
    clear_table(L);
    int self = lua_gettop(L);
    unpack_inner(U, self);
    lua_settop(L, self);
  }
  U->at = end;
}

static void push_userdata(unpacker *U) {
  lua_State *L = U->L;
  uint32_t n = U->objects;
  lua_pushnil(L);
  new_object(U, false); /* takes its number now, its value below */
  lua_pop(L, 1);
  get_u64(U);
  unpack_inner(U, 0); /* the packed form, then __lfut_unpack */
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, U->base + ANCHOR, (lua_Integer)n + 1);
}

/* --- Values --- */

static void unpack_object(unpacker *U, unsigned tag) {
  lua_State *L = U->L;
  switch (tag) {
  case LFB_T_OBJECT:
    push_object(U, get_u32(U));
    break;
  case LFB_T_TABLE: {
    uint32_t items = get_u32(U), fields = get_u32(U);
    lua_createtable(L, (int)(items & INT32_MAX), (int)(fields & INT32_MAX));
    new_object(U, true);
    break;
  }
  case LFB_T_CLOSURE:
    push_closure(U);
    break;
  case LFB_T_PICTURE:
    push_pictured(U);
    break;
  case LFB_T_CLASS:
    push_class(U);
    break;
  case LFB_T_OPEN_CLASS:
    push_open_class(U);
    break;
  case LFB_T_SELF:
    lua_pushvalue(L, U->base + SELF);
    new_object(U, true);
    break;
  case LFB_T_HANDLE:
    push_handle(U);
    break;
  case LFB_T_USERDATA:
    push_userdata(U);
    break;
  default:
    lf_panic(__FILE__, __LINE__, "packed value is damaged");
  }
}

/* Pushes the value that begins with the tag. */
static void unpack_tagged(unpacker *U, unsigned tag) {
  lua_State *L = U->L;
  switch (tag) {
  case LFB_T_NIL:
    lua_pushnil(L);
    break;
  case LFB_T_FALSE:
  case LFB_T_TRUE:
    lua_pushboolean(L, tag == LFB_T_TRUE);
    break;
  case LFB_T_BYTE:
    lua_pushinteger(L, (int8_t)get_byte(U));
    break;
  case LFB_T_INTEGER:
    lua_pushinteger(L, (lua_Integer)get_u64(U));
    break;
  case LFB_T_FLOAT:
    push_float(U);
    break;
  case LFB_T_SHORT:
    push_bytes(U, get_byte(U));
    break;
  case LFB_T_STRING:
    push_bytes(U, get_u64(U));
    break;
  case LFB_T_NAMED:
    push_named(U);
    break;
  case LFB_T_STDIO:
    push_stdio(U);
    break;
  case LFB_T_LOAN:
    lfb_push_loan(L, get_pointer(U));
    break;
  case LFB_T_LIBRARY:
    lfb_push_library(L, lfb_open_library(L, get_pointer(U)));
    break;
  case LFB_T_NATIVE: {
    lf_library *l = lfb_open_library(L, get_pointer(U));
    lfb_push_native(L, l->functions[get_u32(U)]);
    break;
  }
  case LFB_T_POINTER: {
    lfb_pointer p;
    memcpy(&p, U->at, sizeof p);
    U->at += sizeof p;
    lfb_push_pointer(L, &p);
    break;
  }
  case LFB_T_SHARED:
    lfb_push_shared(L, U->S, get_pointer(U));
    break;
  default:
    unpack_object(U, tag);
  }
}

static void unpack_value(unpacker *U) {
  unpack_tagged(U, get_byte(U));
}

/* --- Bodies --- */

static void fill_table(unpacker *U, int table) {
  lua_State *L = U->L;
  lua_Integer i = 0;
  unsigned tag;
  while ((tag = get_byte(U)) != LFB_T_PAIRS) {
    if (tag == LFB_T_FLOATS) {
      for (uint32_t n = get_u32(U); n > 0; n--) {
        push_float(U);
        lua_rawseti(L, table, ++i);
      }
    } else {
      unpack_tagged(U, tag);
      lua_rawseti(L, table, ++i);
    }
  }
  while ((tag = get_byte(U)) != LFB_T_END) {
    unpack_tagged(U, tag);
    unpack_value(U);
    lua_rawset(L, table);
  }
}

/* The captured global whose name is next, after its tag. */
static void set_global(unpacker *U, unsigned tag) {
  lua_State *L = U->L;
  unpack_tagged(U, tag);
  unpack_value(U); /* name, value */
  if (U->globals && *U->globals == LUA_NOREF) {
    lua_newtable(L);
    *U->globals = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  if (U->globals) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, *U->globals);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pushglobaltable(L);
  lua_insert(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void fill_closure(unpacker *U, int function) {
  lua_State *L = U->L;
  unsigned tag;
  for (int i = 1; (tag = get_byte(U)) != LFB_T_END; i++) {
    if (tag == LFB_T_JOIN) {
      push_object(U, get_u32(U));
      lua_upvaluejoin(L, function, i, -1, (int)get_byte(U));
      lua_pop(L, 1);
      continue;
    }
    if (tag == LFB_T_ENV)
      lua_pushglobaltable(L);
    else
      unpack_tagged(U, tag);
    lua_setupvalue(L, function, i);
  }
  while ((tag = get_byte(U)) != LFB_T_END)
    set_global(U, tag);
}

static void fill_objects(unpacker *U) {
  lua_State *L = U->L;
  for (; U->filled < U->objects; U->filled++) {
    if (!push_to_fill(U, U->filled))
      continue;
    if (lua_istable(L, -1))
      fill_table(U, lua_gettop(L));
    else
      fill_closure(U, lua_gettop(L));
    lua_pop(L, 1);
  }
}

/* Notes them at first (in a table, under the objects' numbers): a metatable is
 * set when it has all its fields, for the sake of __gc. */
static uint32_t read_metatables(unpacker *U) {
  lua_State *L = U->L;
  uint32_t n = get_u32(U);
  if (n > 0 && !lua_istable(L, U->base + METAS)) {
    lua_newtable(L);
    lua_replace(L, U->base + METAS);
  }
  for (uint32_t i = 0; i < n; i++) {
    uint32_t object = get_u32(U);
    unpack_value(U);
    lua_rawseti(L, U->base + METAS, (lua_Integer)object);
  }
  return n;
}

static void set_metatables(unpacker *U) {
  lua_State *L = U->L;
  if (!lua_istable(L, U->base + METAS))
    return;
  for (lua_pushnil(L); lua_next(L, U->base + METAS);) {
    push_object(U, (uint32_t)lua_tointeger(L, -2));
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

static void set_identities(unpacker *U) {
  for (uint32_t n = get_u32(U); n > 0; n--) {
    push_object(U, get_u32(U));
    lfb_identity_set(U->L, U->at, false, false);
    U->at += LFB_IDENTITY;
    lua_pop(U->L, 1);
  }
}

static uint32_t get_count(unpacker *U) {
  uint32_t n = get_byte(U);
  return n == 255 ? get_u32(U) : n;
}

/* The last n values of a stream, and what follows them. */
static void unpack_rest(unpacker *U, uint32_t n) {
  lua_State *L = U->L;
  luaL_checkstack(L, (int)n + 40, "too many values");
  U->base = lua_gettop(L) + 1;
  lua_settop(L, U->base + SLOTS - 1);
  if (U->self) {
    lua_pushvalue(L, U->self);
    lua_replace(L, U->base + SELF);
  }
  for (; n > 0; n--)
    unpack_value(U);
  if (U->objects > 0) {
    do
      fill_objects(U);
    while (read_metatables(U) > 0);
    set_metatables(U);
    set_identities(U);
  }
  lua_rotate(L, U->base, -SLOTS);
  lua_pop(L, SLOTS);
}

int lfb_unpack(lua_State *L, lfb_state *S, const unsigned char **at,
               int *globals) {
  unpacker U = {.L = L, .S = S, .at = *at, .globals = globals};
  uint32_t n = get_count(&U), i = 0;
  if (n > LUA_MINSTACK / 2)
    luaL_checkstack(L, (int)n + 20, "too many values");
  /* Most are plain and need no slots on the stack. */
  for (; i < n && *U.at < LFB_T_OBJECT; i++)
    unpack_value(&U);
  if (i < n)
    unpack_rest(&U, n - i);
  *at = U.at;
  return (int)n;
}
