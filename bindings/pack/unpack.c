/* SPDX-License-Identifier: MIT
 *
 * See unpack.h. Uses the Lua stack and nothing else, so that an error (of
 * memory, of a module that is not found) leaves nothing behind: classes and
 * globals are changed when all has been read. Of what another process has
 * written every length, number and kind is checked, and a pointer is only taken
 * where the buffer has a reference to what it points to. */
#include "bindings/pack/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/pack/borrow.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/identity.h"
#include "bindings/pack/names.h"

/* Stack slots from U->base: the objects by number; the classes by number; what
 * is to be done to classes at the end; globals that are to be set then. */
enum { ANCHOR, CLASSES, STAGED, GLOBALS, SLOTS };

/* In STAGED, for each class: it, a table of its new fields, its metatable or
 * nil, its version. */
enum { CLASS = 1, FIELDS, METATABLE, VERSION, STAGES = VERSION };

enum { MOST_OBJECTS = 1 << 30 };

typedef struct lfb_unpacker {
  lua_State *L;
  lfb_state *S;
  const lf_buf *buf;
  const unsigned char *at, *end;
  int base;
  uint32_t objects;
  uint32_t filled; /* with their body read */
  uint32_t classes;
  lua_Integer staged; /* entries in STAGED */
  int *globals;       /* a table of names, or LUA_NOREF; may be NULL */
} unpacker;

static void unpack_value(unpacker *U);

/* --- Bytes --- */

static _Noreturn void damaged(unpacker *U) {
  lfb_push_error(U->L, "TransferError", "packed values are damaged");
  lua_error(U->L);
  abort();
}

LF_INLINE void need(unpacker *U, uint64_t n) {
  if (n > (uint64_t)(U->end - U->at))
    damaged(U);
}

LF_INLINE unsigned get_byte(unpacker *U) {
  need(U, 1);
  return *U->at++;
}

LF_INLINE void get_bytes(unpacker *U, void *out, size_t n) {
  need(U, n);
  memcpy(out, U->at, n);
  U->at += n;
}

static uint32_t get_u32(unpacker *U) {
  uint32_t x;
  get_bytes(U, &x, sizeof x);
  return x;
}

static uint64_t get_u64(unpacker *U) {
  uint64_t x;
  get_bytes(U, &x, sizeof x);
  return x;
}

/* A count of things that take at least 'size' bytes each. */
static uint32_t get_count_of(unpacker *U, size_t size) {
  uint32_t n = get_u32(U);
  need(U, (uint64_t)n * size);
  return n;
}

/* The buffer's reference at the offset, or NULL: they are in order. */
static const struct lf_ref *find_ref(const lf_refs *refs, size_t offset) {
  size_t low = 0, high = refs ? refs->n : 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (refs->v[middle].at < offset)
      low = middle + 1;
    else
      high = middle;
  }
  return refs && low < refs->n && refs->v[low].at == offset ? &refs->v[low]
                                                            : NULL;
}

/* A pointer to what 'drop' drops. */
static void *get_pointer(unpacker *U, void (*drop)(void *object)) {
  void *p;
  size_t offset = (size_t)(U->at - U->buf->data);
  get_bytes(U, &p, sizeof p);
  if (!U->buf->foreign)
    return p;
  const struct lf_ref *ref = find_ref(U->buf->refs, offset);
  if (!ref || ref->object != p || ref->drop != drop)
    damaged(U);
  return p;
}

/* Code of a Lua function. */
static lf_code *get_code(unpacker *U) {
  lf_code *code = get_pointer(U, lf_code_unref);
  if (code->len == 0 || code->bytes[0] != LUA_SIGNATURE[0])
    damaged(U);
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

/* --- Objects --- */

static void push_object(unpacker *U, uint32_t n) {
  if (n >= U->objects || U->base == 0)
    damaged(U);
  lua_rawgeti(U->L, U->base + ANCHOR, (lua_Integer)n + 1);
}

static void check_objects(unpacker *U, uint64_t more) {
  if (U->objects + more > MOST_OBJECTS)
    damaged(U);
}

/* Pushes what is at the slot, a table made when it is first needed. */
static void push_slot(unpacker *U, int slot) {
  lua_State *L = U->L;
  lua_pushvalue(L, U->base + slot);
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_replace(L, U->base + slot);
}

/* Numbers the object at the top. */
static void new_object(unpacker *U) {
  lua_State *L = U->L;
  check_objects(U, 1);
  push_slot(U, ANCHOR);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)++U->objects);
  lua_pop(L, 1);
}

static void push_named(unpacker *U) {
  uint32_t len = get_u32(U);
  need(U, len);
  const char *name = (const char *)U->at;
  U->at += len;
  lfb_push_named(U->L, U->S, name, len);
}

static void push_stdio(unpacker *U) {
  unsigned which = get_byte(U);
  if (which >= 3)
    damaged(U);
  lfb_push_stdio(U->L, (int)which);
}

static const lfb_descriptor *get_class(unpacker *U) {
  unsigned class = get_byte(U);
  if (class >= LFB_CLASSES || !U->S->descriptors[class])
    damaged(U);
  return U->S->descriptors[class];
}

static void push_handle(unpacker *U) {
  const lfb_descriptor *d = get_class(U);
  if (!d->handle)
    damaged(U);
  void *object = get_pointer(U, d->handle->drop);
  if (d->handle->fits && !d->handle->fits(d->class, object))
    damaged(U);
  d->handle->push(U->L, U->S, object);
  if (d->unpack)
    d->unpack(U->L, U);
  new_object(U);
}

/* What this forked worker has had from its beginning. */
static void push_known(unpacker *U) {
  lua_State *L = U->L;
  uint32_t number = get_u32(U);
  lfb_push_ref(L, LFB_REF_SNAPSHOT);
  if (!lua_istable(L, -1))
    damaged(U);
  lua_rawgeti(L, -1, (lua_Integer)number + 1);
  lua_remove(L, -2);
  if (!lua_istable(L, -1))
    damaged(U);
  new_object(U);
}

/* --- Streams within the stream --- */

static uint32_t get_count(unpacker *U);
static void unpack_values(unpacker *U, uint32_t n);

static void push_userdata(unpacker *U) {
  lua_State *L = U->L;
  uint32_t n = U->objects;
  lua_pushnil(L);
  new_object(U); /* takes its number now, its value below */
  lua_pop(L, 1);
  uint64_t len = get_u64(U);
  need(U, len);
  if (lf_stack_left() < LFB_STACK)
    luaL_error(L, "C stack overflow (objects within objects)");
  unpacker inner = {.L = L, .S = U->S, .buf = U->buf, .globals = U->globals};
  inner.at = U->at;
  inner.end = U->at += len;
  if (get_count(&inner) != 2)
    damaged(U);
  unpack_values(&inner, 2); /* the packed form, then __lfut_unpack */
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  push_slot(U, ANCHOR);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)n + 1);
  lua_pop(L, 1);
}

/* --- Classes --- */

/* Is the class at home in this interpreter? Then it is the original. */
static bool is_original(unpacker *U, const unsigned char *identity) {
  uint64_t home;
  memcpy(&home, identity, sizeof home);
  return home == U->S->id;
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

static void push_class_value(unpacker *U) {
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
  push_slot(U, CLASSES);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)++U->classes);
  lua_pop(L, 1);
}

/* --- Values --- */

static void push_table(unpacker *U) {
  uint32_t items = get_u32(U), fields = get_u32(U);
  need(U, items);
  need(U, 2 * (uint64_t)fields);
  lua_createtable(U->L, (int)(items & INT32_MAX), (int)(fields & INT32_MAX));
  new_object(U);
}

static void unpack_object(unpacker *U, unsigned tag) {
  switch (tag) {
  case LFB_T_OBJECT:
    push_object(U, get_u32(U));
    break;
  case LFB_T_CLASS:
    push_class_value(U);
    break;
  case LFB_T_TABLE:
    push_table(U);
    break;
  case LFB_T_CLOSURE:
  case LFB_T_BARE:
    lfb_push_closure(U->L, U->S, get_code(U), tag == LFB_T_BARE);
    new_object(U);
    break;
  case LFB_T_PICTURE:
    push_known(U);
    break;
  case LFB_T_HANDLE:
    push_handle(U);
    break;
  case LFB_T_USERDATA:
    push_userdata(U);
    break;
  default:
    damaged(U);
  }
}

static void push_loan(unpacker *U) {
  if (U->buf->foreign)
    damaged(U);
  lfb_push_loan(U->L, get_pointer(U, lfb_loan_drop));
}

static void push_instance(unpacker *U) {
  const lfb_descriptor *d = get_class(U);
  if (!d->unpack || d->handle)
    damaged(U);
  d->unpack(U->L, U);
}

static void push_lone(unpacker *U) {
  check_objects(U, 1);
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
  case LFB_T_LOAN:
    push_loan(U);
    break;
  case LFB_T_INSTANCE:
    push_instance(U);
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

static void fill_pairs(unpacker *U, int table) {
  unsigned tag;
  while ((tag = get_byte(U)) != LFB_T_END) {
    unpack_tagged(U, tag);
    unpack_value(U);
    lua_rawset(U->L, table);
  }
}

static void fill_floats(unpacker *U, int table, lua_Integer *i) {
  for (uint32_t n = get_count_of(U, sizeof(lua_Number)); n > 0; n--) {
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
  push_object(U, get_u32(U));
  int other = (int)get_byte(U);
  if (U->buf->foreign &&
      !(has_upvalue(L, function, i) && has_upvalue(L, -1, other)))
    damaged(U);
  lua_upvaluejoin(L, function, i, -1, other);
  lua_pop(L, 1);
}

static void fill_closure(unpacker *U, int function, unsigned tag) {
  lua_State *L = U->L;
  for (int i = 1; tag != LFB_T_END; i++, tag = get_byte(U)) {
    if (tag == LFB_T_JOIN) {
      join(U, function, i);
      continue;
    }
    if (tag == LFB_T_ENV)
      lua_pushglobaltable(L);
    else
      unpack_tagged(U, tag);
    if (!lua_setupvalue(L, function, i))
      damaged(U);
  }
}

/* The bodies of all objects that have none yet. */
static void fill_objects(unpacker *U) {
  lua_State *L = U->L;
  for (; U->filled < U->objects; U->filled++) {
    unsigned tag = get_byte(U);
    if (tag == LFB_T_NONE)
      continue;
    push_object(U, U->filled);
    if (lua_istable(L, -1))
      fill_table(U, lua_gettop(L), tag);
    else if (lua_isfunction(L, -1) && !lua_iscfunction(L, -1))
      fill_closure(U, lua_gettop(L), tag);
    else
      damaged(U);
    lua_pop(L, 1);
  }
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
  push_slot(U, STAGED);
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
  unpack_value(U);
  check_metatable(L);
  if (get_byte(U) != LFB_T_PAIRS)
    damaged(U);
  fill_pairs(U, lua_gettop(L) - 1);
  fill_objects(U);
  if (U->at != end)
    damaged(U);
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
  check_objects(U, s.objects);
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
  if (is_original(U, identity) && lfb_identity_find(L, identity)) {
    lfb_identity_set(L, identity, true, true);
  } else {
    push_object(U, object);
    if (!lua_istable(L, -1))
      damaged(U);
    lfb_identity_set(L, identity, true, true);
  }
  number_class(U);
  lua_pop(L, 1);
}

/* Captured globals: set at the end. */
static void read_globals(unpacker *U) {
  push_slot(U, GLOBALS);
  fill_pairs(U, lua_gettop(U->L));
  lua_pop(U->L, 1);
  fill_objects(U);
}

static void read_segments(unpacker *U) {
  unsigned tag;
  while ((tag = get_byte(U)) != LFB_T_END) {
    if (tag == LFB_T_SEGMENT)
      read_segment(U);
    else if (tag == LFB_T_ALIAS)
      read_alias(U);
    else if (tag == LFB_T_GLOBALS)
      read_globals(U);
    else
      damaged(U);
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

static void copy_fields(lua_State *L, int from, int to) {
  for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, to);
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
  copy_fields(L, class + 1, class);
  set_version(L, class, (uint64_t)lua_tointeger(L, class + 2));
  lua_settop(L, class - 1);
}

/* Metatables come when all classes have their fields, for the sake of __gc. */
static void renew_classes(unpacker *U) {
  lua_State *L = U->L;
  int staged = U->base + STAGED;
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
    lua_rawgeti(U->L, U->base + CLASSES, (lua_Integer) class + 1);
  else
    unpack_value(U); /* one that has a name */
  check_metatable(U->L);
}

static void set_metatables(unpacker *U) {
  lua_State *L = U->L;
  for (uint32_t n = get_count_of(U, 8); n > 0; n--) {
    push_object(U, get_u32(U));
    if (!lua_istable(L, -1))
      damaged(U);
    push_metatable(U);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

/* A copy that comes home is a table of its own there. */
static void set_identities(unpacker *U) {
  unsigned char identity[LFB_IDENTITY];
  for (uint32_t n = get_count_of(U, 4 + LFB_IDENTITY); n > 0; n--) {
    push_object(U, get_u32(U));
    get_bytes(U, identity, sizeof identity);
    if (!lua_istable(U->L, -1))
      damaged(U);
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
  int globals = U->base + GLOBALS;
  if (lua_isnil(L, globals))
    return;
  lua_pushglobaltable(L);
  copy_fields(L, globals, lua_gettop(L));
  lua_pop(L, 1);
  if (!U->globals)
    return;
  if (*U->globals == LUA_NOREF) {
    lua_pushvalue(L, globals);
    *U->globals = luaL_ref(L, LUA_REGISTRYINDEX);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, *U->globals);
  copy_fields(L, globals, lua_gettop(L));
  lua_pop(L, 1);
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
  luaL_checkstack(L, (int)n + 40, "too many values");
  U->base = lua_gettop(L) + 1;
  lua_settop(L, U->base + SLOTS - 1);
  for (; n > 0; n--)
    unpack_value(U);
  fill_objects(U);
  read_segments(U);
  renew_classes(U);
  set_metatables(U);
  set_identities(U);
  set_globals(U);
  lua_rotate(L, U->base, -SLOTS);
  lua_pop(L, SLOTS);
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
  U.at = buf->data + *at;
  U.end = buf->data + buf->len;
  uint32_t n = get_count(&U);
  unpack_values(&U, n);
  *at = (size_t)(U.at - buf->data);
  return (int)n;
}

/* --- For classes --- */

void lfb_unpacker_get(lfb_unpacker *U, void *bytes, size_t n) {
  get_bytes(U, bytes, n);
}

void *lfb_unpacker_get_object(lfb_unpacker *U, void (*drop)(void *object)) {
  return get_pointer(U, drop);
}

void lfb_unpacker_refuse(lfb_unpacker *U) {
  damaged(U);
}
