/* SPDX-License-Identifier: MIT
 *
 * See unpack.h. Uses the Lua stack and nothing else, so that an error (of
 * memory, of a module that is not found) leaves nothing behind: classes and
 * globals are changed when all has been read. Of what another process has
 * written every length, number and kind is checked, and a pointer is only taken
 * where the buffer has a reference to what it points to. */
#include "bindings/pack/unpack.h"

#include <string.h>

#include "bindings/pack/borrow.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/internal.h"
#include "bindings/pack/names.h"
#include "bindings/pack/unpacker.h"

static void unpack_value(unpacker *U);

/* Code of a Lua function. */
static lf_code *get_code(unpacker *U) {
  lf_code *code = lfb_unpacker_get_object(U, lf_code_unref);
  if (code->len == 0 || code->bytes[0] != LUA_SIGNATURE[0])
    lfb_unpacker_refuse(U);
  return code;
}

static void push_float(unpacker *U) {
  lua_Number n;
  get_bytes(U, &n, sizeof n);
  lua_pushnumber(U->L, n);
}

static void push_bytes(unpacker *U, uint64_t len) {
  need(U, len);
  lua_pushlstring(U->L, (const char *)U->at, (size_t)len);
  U->at += len;
}

/* What is being unpacked is a function's, or a global: pushes which. */
static bool push_owner(unpacker *U) {
  lua_State *L = U->L;
  lua_Debug ar;
  if (U->in_globals && lua_type(L, -1) == LUA_TSTRING) {
    lua_pushfstring(L, "global '%s'", lua_tostring(L, -1));
    return true;
  }
  if (U->function == 0)
    return false;
  lua_pushvalue(L, U->function);
  lua_getinfo(L, ">S", &ar);
  const char *name = lua_getupvalue(L, U->function, U->upvalue);
  lua_pop(L, name ? 1 : 0);
  lua_pushfstring(L, "upvalue '%s' of function <%s:%d>", name ? name : "?",
                  ar.short_src, ar.linedefined);
  return true;
}

/* Protected: (state, name) -> the object. */
static int get_named(lua_State *L) {
  size_t len;
  const char *name = lua_tolstring(L, 2, &len);
  lfb_push_named(L, lua_touserdata(L, 1), name, len);
  return 1;
}

/* Requires what the name is of. A message says of what that is needed for, as
 * nobody has written 'require' there. */
static void require_named(unpacker *U, const char *name, size_t len) {
  lua_State *L = U->L;
  luaL_checkstack(L, 10, "names");
  bool owned = push_owner(U);
  lua_pushcfunction(L, get_named);
  lua_pushlightuserdata(L, U->S);
  lua_pushlstring(L, name, len);
  bool ok = lua_pcall(L, 2, 1, 0) == LUA_OK;
  if (ok && owned)
    lua_remove(L, -2);
  if (ok)
    return;
  if (owned && lua_type(L, -1) == LUA_TSTRING &&
      strstr(lua_tostring(L, -1), "module '")) {
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  lua_error(L);
}

static void push_named(unpacker *U) {
  uint32_t len = get_u32(U);
  need(U, len);
  const char *name = (const char *)U->at;
  U->at += len;
  if (!lfb_push_if_known(U->L, name, len))
    require_named(U, name, len);
}

static void push_stdio(unpacker *U) {
  unsigned which = get_byte(U);
  if (which >= 3)
    lfb_unpacker_refuse(U);
  lfb_push_stdio(U->L, (int)which);
}

static const lfb_descriptor *get_class(unpacker *U) {
  unsigned class = get_byte(U);
  if (class >= LFB_CLASSES || !U->S->descriptors[class])
    lfb_unpacker_refuse(U);
  return U->S->descriptors[class];
}

static void push_handle(unpacker *U) {
  const lfb_descriptor *d = get_class(U);
  if (!d->handle)
    lfb_unpacker_refuse(U);
  void *object = lfb_unpacker_get_object(U, d->handle->drop);
  if (d->handle->fits && !d->handle->fits(d->class, object))
    lfb_unpacker_refuse(U);
  d->handle->push(U->L, U->S, object);
  if (d->unpack)
    d->unpack(U->L, U);
  lfb_unpacker_note(U);
}

/* What this forked worker has had from its beginning. */
static void push_known(unpacker *U) {
  lua_State *L = U->L;
  uint32_t number = get_u32(U);
  lfb_push_ref(L, LFB_REF_SNAPSHOT);
  if (!lua_istable(L, -1))
    lfb_unpacker_refuse(U);
  lua_rawgeti(L, -1, (lua_Integer)number + 1);
  lua_remove(L, -2);
  if (!lua_istable(L, -1))
    lfb_unpacker_refuse(U);
  lfb_unpacker_note(U);
}

/* --- Streams within the stream --- */

static uint32_t get_count(unpacker *U);
static void unpack_values(unpacker *U, uint32_t n);

/* The next, whose length comes first. */
static unpacker open_inner(unpacker *U) {
  uint64_t len = get_u64(U);
  need(U, len);
  if (lf_stack_left() < LFB_STACK)
    luaL_error(U->L, "C stack overflow (objects within objects)");
  unpacker inner = {.L = U->L, .S = U->S, .buf = U->buf, .globals = U->globals};
  inner.value = U->value;
  inner.pairs = U->pairs;
  inner.bodies = U->bodies;
  inner.at = U->at;
  inner.end = U->at += len;
  return inner;
}

static void push_userdata(unpacker *U) {
  lua_State *L = U->L;
  uint32_t n = U->objects;
  lua_pushnil(L);
  lfb_unpacker_note(U); /* takes its number now, its value below */
  lua_pop(L, 1);
  unpacker inner = open_inner(U);
  if (get_count(&inner) != 2)
    lfb_unpacker_refuse(U);
  unpack_values(&inner, 2); /* the packed form, then __lfut_unpack */
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  U->S->copying = true; /* whatever has been done in it */
  lfb_unpacker_set(U, n);
}

/* What lfut.all has: the first values of streams, and how many. */
static void push_list(unpacker *U) {
  lua_State *L = U->L;
  uint32_t n = lfb_unpacker_count(U, sizeof(uint64_t) + 1);
  luaL_checkstack(L, 10, "lists within lists");
  lua_createtable(L, (int)(n & INT32_MAX), 1);
  int list = lua_gettop(L);
  for (uint32_t i = 1; i <= n; i++) {
    unpacker inner = open_inner(U);
    unpack_values(&inner, get_count(&inner));
    lua_settop(L, list + 1);
    lua_rawseti(L, list, i);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, list, "n");
}

/* --- Values --- */

static void push_table(unpacker *U) {
  uint32_t items = get_u32(U), fields = get_u32(U);
  need(U, items);
  need(U, 2 * (uint64_t)fields);
  lua_createtable(U->L, (int)(items & INT32_MAX), (int)(fields & INT32_MAX));
  lfb_unpacker_note(U);
}

static void unpack_object(unpacker *U, unsigned tag) {
  switch (tag) {
  case LFB_T_OBJECT:
    lfb_unpacker_object(U, get_u32(U));
    break;
  case LFB_T_CLASS:
    lfb_unpack_class(U);
    break;
  case LFB_T_TABLE:
    push_table(U);
    break;
  case LFB_T_CLOSURE:
  case LFB_T_BARE:
    lfb_push_closure(U->L, U->S, get_code(U), tag == LFB_T_BARE);
    lfb_unpacker_note(U);
    break;
  case LFB_T_SNAPSHOT:
    push_known(U);
    break;
  case LFB_T_HANDLE:
    push_handle(U);
    break;
  case LFB_T_USERDATA:
    push_userdata(U);
    break;
  default:
    lfb_unpacker_refuse(U);
  }
}

static void push_borrow(unpacker *U) {
  if (U->buf->foreign)
    lfb_unpacker_refuse(U);
  lfb_push_borrow(U->L, lfb_unpacker_get_object(U, lfb_borrow_drop));
}

static void push_instance(unpacker *U) {
  const lfb_descriptor *d = get_class(U);
  if (!d->unpack || d->handle)
    lfb_unpacker_refuse(U);
  d->unpack(U->L, U);
}

static void push_boxed(unpacker *U) {
  size_t len = get_byte(U);
  need(U, len);
  U->at += len;
  lfb_push_boxed(U->L, (const char *)U->at - len, len);
}

static void push_lone(unpacker *U) {
  lfb_unpacker_check(U, 1);
  U->objects++;
  lfb_push_closure(U->L, U->S, get_code(U), true);
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
  case LFB_T_BORROW:
    push_borrow(U);
    break;
  case LFB_T_INSTANCE:
    push_instance(U);
    break;
  case LFB_T_LIST:
    push_list(U);
    break;
  case LFB_T_BOXED:
    push_boxed(U);
    break;
  case LFB_T_LONE:
    push_lone(U);
    break;
  default:
    unpack_object(U, tag);
  }
}

static void unpack_value(unpacker *U) {
  unpack_tagged(U, get_byte(U));
}

/* --- Bodies --- */

static void push_key(unpacker *U, unsigned tag) {
  if (tag == LFB_T_KEY)
    lfb_unpack_key(U);
  else if (tag == LFB_T_NEW_KEY)
    lfb_unpack_new_key(U);
  else
    unpack_tagged(U, tag);
}

static void fill_pairs(unpacker *U, int table) {
  unsigned tag;
  while ((tag = get_byte(U)) != LFB_T_END) {
    push_key(U, tag);
    unpack_value(U);
    lua_rawset(U->L, table);
  }
}

static void fill_floats(unpacker *U, int table, lua_Integer *i) {
  for (uint32_t n = lfb_unpacker_count(U, sizeof(lua_Number)); n > 0; n--) {
    push_float(U);
    lua_rawseti(U->L, table, ++*i);
  }
}

static void fill_table(unpacker *U, int table, unsigned tag) {
  lua_Integer i = 0;
  for (; tag != LFB_T_PAIRS; tag = get_byte(U)) {
    if (tag == LFB_T_FLOATS) {
      fill_floats(U, table, &i);
    } else {
      unpack_tagged(U, tag);
      lua_rawseti(U->L, table, ++i);
    }
  }
  fill_pairs(U, table);
}

/* Is the value at 'idx' a Lua function with an upvalue of that number? */
static bool has_upvalue(lua_State *L, int idx, int i) {
  idx = lua_absindex(L, idx);
  if (!lua_isfunction(L, idx) || lua_iscfunction(L, idx) ||
      !lua_getupvalue(L, idx, i))
    return false;
  lua_pop(L, 1);
  return true;
}

/* The upvalue becomes that of another closure. */
static void join(unpacker *U, int function, int i) {
  lua_State *L = U->L;
  lfb_unpacker_object(U, get_u32(U));
  int other = (int)get_byte(U);
  if (U->buf->foreign &&
      !(has_upvalue(L, function, i) && has_upvalue(L, -1, other)))
    lfb_unpacker_refuse(U);
  lua_upvaluejoin(L, function, i, -1, other);
  lua_pop(L, 1);
}

static void fill_closure(unpacker *U, int function, unsigned tag) {
  lua_State *L = U->L;
  U->function = function;
  for (int i = 1; tag != LFB_T_END; i++, tag = get_byte(U)) {
    U->upvalue = i;
    if (tag == LFB_T_JOIN) {
      join(U, function, i);
      continue;
    }
    if (tag == LFB_T_ENV)
      lua_pushglobaltable(L);
    else
      unpack_tagged(U, tag);
    if (!lua_setupvalue(L, function, i))
      lfb_unpacker_refuse(U);
  }
  U->function = 0;
}

/* The bodies of all objects that have none yet. */
static void fill_objects(unpacker *U) {
  lua_State *L = U->L;
  for (; U->filled < U->objects; U->filled++) {
    unsigned tag = get_byte(U);
    if (tag == LFB_T_NONE)
      continue;
    lfb_unpacker_object(U, U->filled);
    if (lua_istable(L, -1))
      fill_table(U, lua_gettop(L), tag);
    else if (lua_isfunction(L, -1) && !lua_iscfunction(L, -1))
      fill_closure(U, lua_gettop(L), tag);
    else
      lfb_unpacker_refuse(U);
    lua_pop(L, 1);
  }
}

static uint32_t get_count(unpacker *U) {
  uint32_t n = get_byte(U);
  n = n == 255 ? get_u32(U) : n;
  need(U, n);
  return n;
}

/* The last n values of a stream that has something behind them. */
static void unpack_rest(unpacker *U, uint32_t n) {
  lua_State *L = U->L;
  luaL_checkstack(L, (int)n + 32, "too many values");
  U->base = lua_gettop(L) + 1;
  lua_settop(L, U->base + LFB_U_SLOTS - 1);
  for (; n > 0; n--)
    unpack_value(U);
  fill_objects(U);
  lfb_unpack_segments(U);
  lfb_unpack_end(U);
  lua_rotate(L, U->base, -LFB_U_SLOTS);
  lua_pop(L, LFB_U_SLOTS);
}

/* Most values are plain and need no slots on the stack. */
static void unpack_values(unpacker *U, uint32_t n) {
  if (n > LUA_MINSTACK / 2)
    luaL_checkstack(U->L, (int)n + 20, "too many values");
  for (; n > 0 && U->at < U->end && *U->at < LFB_T_OBJECT; n--)
    unpack_value(U);
  if (n > 0)
    unpack_rest(U, n);
}

int lfb_unpack(lua_State *L, lfb_state *S, const lf_buf *buf, size_t *at,
               int *globals) {
  unpacker U = {.L = L, .S = S, .buf = buf, .globals = globals};
  U.value = unpack_value;
  U.pairs = fill_pairs;
  U.bodies = fill_objects;
  U.at = buf->data + *at;
  U.end = buf->data + buf->len;
  bool copying = S->copying;
  S->copying = true;
  S->copies += !copying;
  uint32_t n = get_count(&U);
  unpack_values(&U, n);
  *at = (size_t)(U.at - buf->data);
  S->copying = copying;
  return (int)n;
}
