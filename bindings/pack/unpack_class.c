/* SPDX-License-Identifier: MIT
 *
 * What follows the values: classes and captured globals, which are changed when
 * all has been read; metatables; tables to be recognised. See internal.h. */
#include "bindings/pack/addition.h"
#include "bindings/pack/identity.h"
#include "bindings/pack/internal.h"
#include "bindings/pack/unpacker.h"

/* In the slot of what is to be done, for each class: it, a table of its new
 * fields, its metatable or nil, its version. */
enum { CLASS = 1, FIELDS, METATABLE, VERSION, STAGES = VERSION };

/* Is the class at home in this interpreter? Then it is the original. */
static bool is_original(unpacker *U, const unsigned char *identity) {
  uint64_t origin;
  memcpy(&origin, identity, sizeof origin);
  return origin == U->S->id;
}

/* Pushes the interpreter's own table with the identity; true if it is the
 * original. */
static bool push_class(unpacker *U, const unsigned char *identity) {
  lua_State *L = U->L;
  bool known = lfb_identity_find(L, identity);
  if (!known)
    lua_newtable(L);
  if (known && lfb_identity_class(L, -1))
    lua_pop(L, 1);
  else
    lfb_identity_set(L, identity, true, true);
  return known && is_original(U, identity);
}

void lfb_unpack_class(unpacker *U) {
  unsigned char identity[LFB_IDENTITY];
  get_bytes(U, identity, sizeof identity);
  push_class(U, identity);
}

/* Has the class at the top the version? */
static bool has_version(lua_State *L, uint64_t version) {
  lfb_push_ref(L, LFB_REF_VERSIONS);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  bool same = (uint64_t)lua_tointeger(L, -1) == version;
  lua_pop(L, 2);
  return same;
}

static void set_version(lua_State *L, int class, uint64_t version) {
  lfb_push_ref(L, LFB_REF_VERSIONS);
  lua_pushvalue(L, class);
  lua_pushinteger(L, (lua_Integer)version);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* The class at the top is the next one. */
static void number_class(unpacker *U) {
  lua_State *L = U->L;
  lfb_unpacker_slot(U, LFB_U_CLASSES);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)++U->classes);
  lua_pop(L, 1);
}

/* --- Segments --- */

/* The value at the top, which came as a metatable, has to be a table. */
static void check_metatable(lua_State *L) {
  if (!lua_istable(L, -1) && !lua_isnil(L, -1))
    luaL_error(L, "a metatable that travels by name is no table here (but %s)",
               luaL_typename(L, -1));
}

/* Pops what is to be done to a class: it, its fields, its metatable. */
static void stage(unpacker *U, uint64_t version) {
  lua_State *L = U->L;
  int top = lua_gettop(L);
  lua_Integer at = U->staged * STAGES;
  U->staged++;
  lfb_unpacker_slot(U, LFB_U_STAGED);
  lua_pushinteger(L, (lua_Integer)version);
  lua_rawseti(L, top + 1, at + VERSION);
  lua_settop(L, top + 1);
  lua_insert(L, top - 2);
  for (int i = METATABLE; i >= CLASS; i--)
    lua_rawseti(L, top - 2, at + i);
  lua_settop(L, top - 3);
}

/* The class at the top, described otherwise than before, or shared with others;
 * an original's description is read over. It is popped. */
static void read_class(unpacker *U, const lfb_segment *s, bool original) {
  lua_State *L = U->L;
  const unsigned char *end = U->at + s->len;
  lua_newtable(L);
  U->value(U);
  check_metatable(L);
  if (get_byte(U) != LFB_T_PAIRS)
    lfb_unpacker_refuse(U);
  U->pairs(U, lua_gettop(L) - 1);
  U->bodies(U);
  if (U->at != end)
    lfb_unpacker_refuse(U);
  if (original)
    lua_pop(L, 3);
  else
    stage(U, s->version);
}

static void read_segment(unpacker *U) {
  lua_State *L = U->L;
  lfb_segment s;
  get_bytes(U, &s, sizeof s);
  need(U, s.len);
  bool original = push_class(U, s.identity);
  number_class(U);
  if (s.version == 0 || !(original || has_version(L, s.version))) {
    read_class(U, &s, original);
    return;
  }
  lfb_unpacker_check(U, s.objects);
  U->at += s.len;
  U->objects += s.objects;
  U->filled = U->objects;
  lua_pop(L, 1);
}

/* A class that is an object of the stream, too. */
static void read_alias(unpacker *U) {
  lua_State *L = U->L;
  unsigned char identity[LFB_IDENTITY];
  get_bytes(U, identity, sizeof identity);
  uint32_t object = get_u32(U);
  if (!is_original(U, identity) || !lfb_identity_find(L, identity)) {
    lfb_unpacker_object(U, object);
    if (!lua_istable(L, -1))
      lfb_unpacker_refuse(U);
  }
  lfb_identity_set(L, identity, true, true);
  number_class(U);
  lua_pop(L, 1);
}

/* Captured globals: set at the end. */
static void read_globals(unpacker *U) {
  lfb_unpacker_slot(U, LFB_U_GLOBALS);
  U->in_globals = true;
  U->pairs(U, lua_gettop(U->L));
  U->in_globals = false;
  lua_pop(U->L, 1);
  U->bodies(U);
}

void lfb_unpack_segments(unpacker *U) {
  unsigned tag;
  while ((tag = get_byte(U)) != LFB_T_END) {
    if (tag == LFB_T_SEGMENT)
      read_segment(U);
    else if (tag == LFB_T_ALIAS)
      read_alias(U);
    else if (tag == LFB_T_GLOBALS)
      read_globals(U);
    else
      lfb_unpacker_refuse(U);
  }
}

/* --- The end --- */

static void clear_table(lua_State *L, int table) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
}

/* The class gets its fields; it has no version before it is whole. */
static void renew_class(lua_State *L, int staged, lua_Integer at) {
  int class = lua_gettop(L) + 1;
  lua_rawgeti(L, staged, at + CLASS);
  lua_rawgeti(L, staged, at + FIELDS);
  lua_rawgeti(L, staged, at + VERSION);
  set_version(L, class, 0);
  clear_table(L, class);
  lfb_copy_pairs(L, class + 1, class);
  set_version(L, class, (uint64_t)lua_tointeger(L, class + 2));
  lua_settop(L, class - 1);
}

/* Metatables come when all classes have their fields, for the sake of __gc. */
static void renew_classes(unpacker *U) {
  lua_State *L = U->L;
  int staged = U->base + LFB_U_STAGED;
  for (lua_Integer i = 0; i < U->staged; i++)
    renew_class(L, staged, i * STAGES);
  for (lua_Integer i = 0; i < U->staged; i++) {
    lua_rawgeti(L, staged, i * STAGES + CLASS);
    lua_rawgeti(L, staged, i * STAGES + METATABLE);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

static void push_metatable(unpacker *U) {
  uint32_t class = get_u32(U);
  if (class < U->classes)
    lua_rawgeti(U->L, U->base + LFB_U_CLASSES, (lua_Integer) class + 1);
  else
    U->value(U); /* one that has a name */
  check_metatable(U->L);
}

static void set_metatables(unpacker *U) {
  lua_State *L = U->L;
  for (uint32_t n = lfb_unpacker_count(U, 8); n > 0; n--) {
    lfb_unpacker_object(U, get_u32(U));
    if (!lua_istable(L, -1))
      lfb_unpacker_refuse(U);
    push_metatable(U);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

/* A copy that comes home is a table of its own there. */
static void set_identities(unpacker *U) {
  unsigned char identity[LFB_IDENTITY];
  for (uint32_t n = lfb_unpacker_count(U, 4 + LFB_IDENTITY); n > 0; n--) {
    lfb_unpacker_object(U, get_u32(U));
    get_bytes(U, identity, sizeof identity);
    if (!lua_istable(U->L, -1))
      lfb_unpacker_refuse(U);
    if (lfb_identity_class(U->L, -1))
      lua_pop(U->L, 1); /* it has turned out to be one */
    else if (!is_original(U, identity))
      lfb_identity_set(U->L, identity, false, false);
    lua_pop(U->L, 1);
  }
}

/* Sets the captured globals, and notes them for the run. */
static void set_globals(unpacker *U) {
  lua_State *L = U->L;
  int globals = U->base + LFB_U_GLOBALS;
  if (lua_isnil(L, globals))
    return;
  for (lua_pushnil(L); lua_next(L, globals); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      lfb_unpacker_refuse(U);
    lua_pushvalue(L, -2);
    lfb_push_place(L, U->S);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  if (!U->globals)
    return;
  if (*U->globals == LUA_NOREF) {
    lua_pushvalue(L, globals);
    *U->globals = luaL_ref(L, LUA_REGISTRYINDEX);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, *U->globals);
  lfb_copy_pairs(L, globals, lua_gettop(L));
  lua_pop(L, 1);
}

void lfb_unpack_end(unpacker *U) {
  renew_classes(U);
  set_metatables(U);
  set_identities(U);
  set_globals(U);
}
