/* SPDX-License-Identifier: MIT
 *
 * See pack.h. No metamethod is called but __lfut_pack. The packer's own memory
 * is userdata on the Lua stack, so that an error leaves nothing behind; it has
 * none until the first object. */
#include "pack.h"

#include <stdio.h>
#include <string.h>

#include "closure.h"
#include "error.h"
#include "identity.h"
#include "loan.h"
#include "names.h"
#include "output.h"

enum { NESTING = 150 }; /* streams within streams */

const lfb_label lfb_arguments = {"argument", -1, "to a worker", 0,
                                  false};
const lfb_label lfb_results = {"result", 1, "back", 0, true};
const lfb_label lfb_error_value = {"error", 0, "back", 0, true};

/* Stack slots of a packer, from P->base: the table of all objects, and the
 * memory of the arrays. */
enum { ANCHOR, MEMO, OBJS, IDS, METAS, SLOTS };

typedef struct {
  uint32_t parent; /* in whose body it was met first, or ROOT + i */
  bool body;       /* its body follows the values */
  size_t hint;     /* where a table's sizes are in the output; 0: nowhere */
} objrec;

typedef struct {
  const void *key; /* of an object, or of an upvalue */
  uint32_t value;  /* number; for an upvalue its closure's */
  uint32_t index;  /* of an upvalue in that closure */
} entry;

/* An array in a userdata on the stack. */
typedef struct {
  void *data;
  size_t n, cap;
} array;

typedef struct packer {
  lua_State *L;
  lfb_state *S;
  lf_buf *out;
  int base;          /* 0: there are none */
  array memo;        /* of entry: open addressing, cap a power of 2 */
  array objs;        /* of objrec */
  array metas;       /* of uint32: tables with a metatable */
  array ids;         /* of idrec: fresh copies with an identity */
  uint32_t drained;  /* objects whose body is written */
  uint32_t current;  /* whose body is being written, or ROOT + i */
  bool fresh_names;
  const lfb_label *label;
  lf_code **code;
  const struct packer *outer; /* whose stream this one is in */
  int subject;       /* stack index of what this stream describes */
  const void *self;  /* the same, if it is a table */
  bool capturing;    /* the value is an upvalue or a global */
  int nesting;
} packer;

typedef struct {
  uint32_t object;
  char identity[LFB_IDENTITY];
} idrec;

#define ROOT 0x80000000u

static void pack_value(packer *P);
static void refuse(packer *P);

/* --- Bytes ------------------------------------------------------------------ */

LF_INLINE unsigned char *room(packer *P, size_t n) {
  unsigned char *at = lf_buf_room(P->out, n);
  if (!at)
    luaL_error(P->L, "not enough memory");
  return at;
}

static void put_tag(packer *P, lfb_tag tag) {
  *room(P, 1) = (unsigned char)tag;
}

LF_INLINE void put(packer *P, lfb_tag tag, const void *bytes, size_t n) {
  unsigned char *at = room(P, 1 + n);
  at[0] = (unsigned char)tag;
  memcpy(at + 1, bytes, n);
}

static void put_u32(packer *P, uint32_t x) {
  memcpy(room(P, sizeof x), &x, sizeof x);
}

static void put_ref(packer *P, void *object, void (*drop)(void *)) {
  if (lf_buf_ref(P->out, object, drop) != 0) {
    drop(object);
    luaL_error(P->L, "not enough memory");
  }
}

/* --- The packer's memory ------------------------------------------------------ */

/* Puts the slots below the value at the top. */
static void open_slots(packer *P) {
  lua_State *L = P->L;
  if (P->base)
    return;
  luaL_checkstack(L, 40, "too many values to send");
  P->base = lua_gettop(L);
  lua_settop(L, P->base + SLOTS);
  lua_rotate(L, P->base, SLOTS);
  lua_newtable(L);
  lua_replace(L, P->base + ANCHOR);
}

static void *array_grow(packer *P, array *a, int slot, size_t cap, size_t size) {
  void *data = lua_newuserdatauv(P->L, cap * size, 0);
  if (a->n)
    memcpy(data, a->data, a->n * size);
  a->data = data;
  a->cap = cap;
  lua_replace(P->L, P->base + slot);
  return data;
}

static void array_add(packer *P, array *a, int slot, const void *item,
                      size_t size) {
  if (a->n == a->cap)
    array_grow(P, a, slot, a->cap ? 2 * a->cap : 16, size);
  memcpy((char *)a->data + a->n++ * size, item, size);
}

static entry *memo_at(array *memo, const void *key) {
  entry *e = memo->data;
  size_t i = ((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15u >> 32;
  for (i &= memo->cap - 1; e[i].key && e[i].key != key;)
    i = (i + 1) & (memo->cap - 1);
  return &e[i];
}

static void memo_grow(packer *P) {
  array old = P->memo;
  P->memo.cap = old.cap ? 2 * old.cap : 32;
  /* The old block stays on the stack until its entries are copied. */
  P->memo.data = lua_newuserdatauv(P->L, P->memo.cap * sizeof(entry), 0);
  memset(P->memo.data, 0, P->memo.cap * sizeof(entry));
  for (size_t i = 0; i < old.cap; i++) {
    entry *e = (entry *)old.data + i;
    if (e->key)
      *memo_at(&P->memo, e->key) = *e;
  }
  lua_replace(P->L, P->base + MEMO);
}

static entry *memo_find(packer *P, const void *key) {
  entry *e = P->memo.cap ? memo_at(&P->memo, key) : NULL;
  return e && e->key ? e : NULL;
}

static void memo_add(packer *P, const void *key, uint32_t value,
                     uint32_t index) {
  if (2 * P->memo.n >= P->memo.cap)
    memo_grow(P);
  *memo_at(&P->memo, key) = (entry){key, value, index};
  P->memo.n++;
}

/* Numbers the object at the top, which occurs for the first time. */
static uint32_t new_object(packer *P, bool body) {
  lua_State *L = P->L;
  open_slots(P);
  uint32_t n = (uint32_t)P->objs.n;
  lf_check(n < ROOT - 1);
  objrec o = {P->current, body, 0};
  memo_add(P, lua_topointer(L, -1), n, 0);
  array_add(P, &P->objs, OBJS, &o, sizeof o);
  lua_pushvalue(L, -1);
  lua_rawseti(L, P->base + ANCHOR, (lua_Integer)n + 1);
  return n;
}

/* --- Values ------------------------------------------------------------------- */

LF_INLINE void pack_integer(packer *P, lua_Integer i) {
  int8_t small = (int8_t)i;
  if (small == i)
    put(P, LFB_T_BYTE, &small, 1);
  else
    put(P, LFB_T_INTEGER, &i, sizeof i);
}

LF_INLINE void pack_number(packer *P, int idx) {
  if (lua_isinteger(P->L, idx)) {
    pack_integer(P, lua_tointeger(P->L, idx));
  } else {
    lua_Number n = lua_tonumber(P->L, idx);
    put(P, LFB_T_FLOAT, &n, sizeof n);
  }
}

static void pack_bytes(packer *P, const char *s, size_t len) {
  if (len < 256) {
    unsigned char *at = room(P, 2 + len);
    at[0] = LFB_T_SHORT;
    at[1] = (unsigned char)len;
    memcpy(at + 2, s, len);
  } else {
    uint64_t n = len;
    unsigned char *at = room(P, 9 + len);
    at[0] = LFB_T_STRING;
    memcpy(at + 1, &n, sizeof n);
    memcpy(at + 9, s, len);
  }
}

/* A long one stays where it is (loan.h). */
static void pack_string(packer *P, int idx) {
  size_t len;
  const char *s = lua_tolstring(P->L, idx, &len);
  if (len >= LFB_LOAN_MIN && !P->label->home) {
    lfb_loan *loan = lfb_lend(P->L, P->S, idx);
    put_ref(P, loan, lfb_loan_drop);
    put(P, LFB_T_LOAN, &loan, sizeof(void *));
  } else {
    pack_bytes(P, s, len);
  }
}

/* The value at the top, if it travels by name. */
static bool pack_named(packer *P) {
  if (!P->fresh_names) {
    lfb_names_refresh(P->L, P->S);
    P->fresh_names = true;
  }
  if (!lfb_push_name(P->L, -1))
    return false;
  size_t len;
  const char *name = lua_tolstring(P->L, -1, &len);
  uint32_t n = (uint32_t)len;
  put(P, LFB_T_NAMED, &n, sizeof n);
  memcpy(room(P, len), name, len);
  lua_pop(P->L, 1);
  return true;
}

static bool pack_seen(packer *P) {
  entry *e = memo_find(P, lua_topointer(P->L, -1));
  if (!e)
    return false;
  put(P, LFB_T_OBJECT, &e->value, sizeof e->value);
  return true;
}

/* A stream within the stream, about the object at 'subject': 'fill' writes it;
 * its length comes first. */
static void pack_inner(packer *P, int subject, void (*fill)(packer *inner)) {
  lua_State *L = P->L;
  if (P->nesting >= NESTING)
    luaL_error(L, "too many objects within objects to send");
  luaL_checkstack(L, 40, "too many objects within objects to send");
  size_t at = P->out->len;
  room(P, sizeof(uint64_t));
  packer inner = {.L = L, .S = P->S, .out = P->out, .label = P->label};
  inner.outer = P;
  inner.subject = subject;
  inner.self = lua_istable(L, subject) ? lua_topointer(L, subject) : NULL;
  inner.nesting = P->nesting + 1;
  inner.current = ROOT;
  inner.fresh_names = P->fresh_names;
  int top = lua_gettop(L);
  fill(&inner);
  lua_settop(L, top);
  uint64_t len = P->out->len - at - sizeof len;
  memcpy(P->out->data + at, &len, sizeof len);
}

static void pack_bodies(packer *P);

/* Is the value at the top the globals table? */
static bool is_globals(lua_State *L) {
  lua_pushglobaltable(L);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return is;
}

/* --- Tables ---------------------------------------------------------------------- */

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
  pack_value(P);
  lua_pop(L, 1);
  pack_bodies(P);
}

static uint64_t hash_stream(const unsigned char *bytes, size_t len) {
  uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
  for (size_t i = 0; i < len; i++)
    h = (h ^ bytes[i]) * 0x100000001b3u;
  return h;
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
    bool fine = is_globals(L) || (object && is_separable(P, class, depth));
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
  new_object(P, false);
  size_t at = P->out->len;
  uint64_t none = 0, hash;
  memcpy(room(P, sizeof none), &none, sizeof none);
  if (describing(P, lua_topointer(L, -1))) { /* whoever unpacks that has it then */
    memcpy(room(P, sizeof none), &none, sizeof none);
    return;
  }
  pack_inner(P, lua_gettop(L), fill_class);
  hash = hash_stream(P->out->data + at + 16, P->out->len - at - 16) | 1;
  memcpy(P->out->data + at, &hash, sizeof hash);
}

/* The table at the top, with its identity above it, which is popped. On the way
 * home, and inside another description, it always stands alone. */
static void pack_class(packer *P) {
  lua_State *L = P->L;
  lua_insert(L, -2); /* identity, table */
  bool closed = P->label->home || P->outer ||
                stands_alone(P, lua_gettop(L), 0);
  lua_insert(L, -2);
  if (closed) {
    pack_closed_class(P);
    return;
  }
  put(P, LFB_T_OPEN_CLASS, lua_tostring(L, -1), LFB_IDENTITY);
  lua_pop(L, 1);
  new_object(P, true);
}

static bool is_metafield(lua_State *L, int idx) {
  if (lua_type(L, idx) != LUA_TSTRING)
    return false;
  const char *key = lua_tostring(L, idx);
  return key[0] == '_' && key[1] == '_';
}

/* Is the table at the top meant as a metatable? A look at some of its keys. */
static bool looks_like_class(lua_State *L) {
  int looks = 32, top = lua_gettop(L);
  lua_pushliteral(L, "__index");
  bool found = lua_rawget(L, top) != LUA_TNIL;
  lua_settop(L, top);
  lua_pushnil(L);
  while (!found && looks-- > 0 && lua_next(L, top)) {
    found = is_metafield(L, -2);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return found;
}

/* Notes that the copy of this table, numbered 'n', is to be recognised when it
 * comes home as a metatable. */
static void note_identity(packer *P, int table, uint32_t n, bool class) {
  idrec rec = {.object = n};
  lfb_identity_make(P->L, P->S, table, class);
  memcpy(rec.identity, lua_tostring(P->L, -1), LFB_IDENTITY);
  lua_pop(P->L, 1);
  array_add(P, &P->ids, IDS, &rec, sizeof rec);
}

static void pack_table(packer *P) {
  lua_State *L = P->L;
  if (pack_seen(P))
    return;
  if (lua_topointer(L, -1) == P->self) {
    new_object(P, true);
    put_tag(P, LFB_T_SELF);
    return;
  }
  if (pack_named(P))
    return;
  if (P->capturing && looks_like_class(L)) {
    lfb_identity_make(L, P->S, -1, true);
    pack_class(P);
  } else if (lfb_identity_class(L, -1)) {
    pack_class(P);
  } else {
    uint32_t n = new_object(P, true);
    uint32_t sizes[2] = {(uint32_t)lua_rawlen(L, -1), 0};
    ((objrec *)P->objs.data)[n].hint = P->out->len + 1;
    put(P, LFB_T_TABLE, sizes, sizeof sizes);
    if (P->capturing)
      note_identity(P, lua_gettop(L), n, false);
  }
}

/* The metatable at the top, of the table numbered 'n': a class, unless it has
 * a name or is here as a plain table already. */
static void pack_metatable(packer *P, uint32_t n) {
  lua_State *L = P->L;
  put_u32(P, n);
  P->current = n;
  entry *e = memo_find(P, lua_topointer(L, -1));
  if (e) {
    put(P, LFB_T_OBJECT, &e->value, sizeof e->value);
    note_identity(P, lua_gettop(L), e->value, true);
  } else if (!pack_named(P)) {
    lfb_identity_make(L, P->S, -1, true);
    pack_class(P);
  }
}

/* A run of floats: 'n' at the end of the output have their tag each; how many
 * bytes are saved by one tag for all is not worth a second pass, so the count
 * is patched while they come. */
typedef struct {
  size_t at;  /* where the run's count is; 0: no run */
  uint32_t n;
} run;

static void add_float(packer *P, run *r, lua_Number x) {
  if (!r->at) {
    put_tag(P, LFB_T_FLOATS);
    r->at = P->out->len;
    r->n = 0;
    put_u32(P, 0);
  }
  memcpy(room(P, sizeof x), &x, sizeof x);
  r->n++;
}

static void end_run(packer *P, run *r) {
  if (r->at)
    memcpy(P->out->data + r->at, &r->n, sizeof r->n);
  r->at = 0;
}

/* The values of 1, 2, 3, ... as long as lua_next gives them in that order,
 * which it does for what is in a table's array part. True if there is more,
 * with the next pair on the stack. */
static bool pack_sequence(packer *P, int table) {
  lua_State *L = P->L;
  run r = {0, 0};
  size_t least = 2 * lua_rawlen(L, table); /* bytes: room at once, not by bits */
  if (least > 1000 && lf_buf_grow(P->out, 4 * least) != 0)
    luaL_error(L, "not enough memory");
  lua_Integer expected = 1;
  bool more;
  lua_pushnil(L);
  for (; (more = lua_next(L, table)); lua_pop(L, 1), expected++) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != expected)
      break;
    if (lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1)) {
      add_float(P, &r, lua_tonumber(L, -1));
      continue;
    }
    end_run(P, &r);
    pack_value(P);
  }
  end_run(P, &r);
  return more;
}

static void pack_table_body(packer *P, uint32_t n, int table) {
  lua_State *L = P->L;
  uint32_t pairs = 0;
  bool meta = false;
  bool more = pack_sequence(P, table);
  put_tag(P, LFB_T_PAIRS);
  for (; more; more = lua_next(L, table), pairs++) {
    meta = meta || is_metafield(L, -2);
    lua_insert(L, -2); /* value, key */
    pack_value(P);
    lua_insert(L, -2);
    pack_value(P);
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
  size_t hint = ((objrec *)P->objs.data)[n].hint;
  if (hint)
    memcpy(P->out->data + hint + sizeof pairs, &pairs, sizeof pairs);
  if (hint && meta)
    note_identity(P, table, n, true);
  if (lua_getmetatable(L, table)) {
    lua_pop(L, 1);
    array_add(P, &P->metas, METAS, &n, sizeof n);
  }
}

/* --- Functions --------------------------------------------------------------------- */

/* Pushes the script's global 'name', if it is one to be captured. */
static bool push_captured(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1) && !lfb_is_standard(L, name))
    return true;
  lua_pop(L, 1);
  return false;
}

static const char *next_name(const char *name) {
  return name + strlen(name) + 1;
}

/* Has the function at the top nothing to capture? */
static bool is_shared(packer *P, const lf_code *code) {
  lua_State *L = P->L;
  bool env = false;
  for (int i = 1; lua_getupvalue(L, -1, i); i++) {
    bool globals = is_globals(L);
    lua_pop(L, 1);
    if (!globals)
      return false;
    env = true;
  }
  const lfb_globals *g = code->notes;
  const char *name = g ? g->names : NULL;
  for (size_t i = 0; g && env && i < g->count; i++, name = next_name(name))
    if (push_captured(L, name)) {
      lua_pop(L, 1);
      return false;
    }
  return true;
}

static void put_code(packer *P, lfb_tag tag, lf_code *code) {
  put(P, tag, &code, sizeof(void *));
  if (P->code && !*P->code && P->current == ROOT)
    *P->code = lf_code_ref(code); /* which keeps it alive here, too */
  else if (!P->code || *P->code != code)
    put_ref(P, lf_code_ref(code), lf_code_unref);
}

static void pack_function(packer *P) {
  lua_State *L = P->L;
  if (pack_seen(P))
    return;
  lf_code *code = NULL;
  if (!lua_iscfunction(L, -1))
    code = lfb_code_cached(L, P->S, -1);
  if (!code && pack_named(P))
    return;
  if (lua_iscfunction(L, -1)) {
    refuse(P);
    return;
  }
  if (!code)
    code = lfb_code_of(L, P->S, -1);
  if (is_shared(P, code)) {
    put_code(P, LFB_T_SHARED, code);
    return;
  }
  put_code(P, LFB_T_CLOSURE, code);
  new_object(P, true);
}

/* The value at the top is an upvalue or a global: a table among these may be
 * used as a metatable in the worker. */
static void pack_captured(packer *P) {
  P->capturing = true;
  pack_value(P);
  P->capturing = false;
}

static void pack_upvalue(packer *P, uint32_t n, int function, int i) {
  lua_State *L = P->L;
  void *cell = lua_upvalueid(L, function, i);
  entry *e = memo_find(P, cell);
  if (is_globals(L)) {
    put_tag(P, LFB_T_ENV);
  } else if (e) {
    put(P, LFB_T_JOIN, &e->value, sizeof e->value);
    *room(P, 1) = (unsigned char)e->index;
  } else {
    memo_add(P, cell, n, (uint32_t)i);
    pack_captured(P);
  }
}

/* The globals that the code names and that no function before it named:
 * the memo knows them by the address of their name's string. */
static void pack_globals(packer *P, const lf_code *code) {
  lua_State *L = P->L;
  const lfb_globals *g = code->notes;
  const char *name = g ? g->names : NULL;
  for (size_t i = 0; g && i < g->count; i++, name = next_name(name)) {
    const void *key = lua_pushstring(L, name);
    bool known = memo_find(P, key) != NULL;
    if (!known && push_captured(L, name)) {
      memo_add(P, key, 0, 0);
      lua_insert(L, -2);
      pack_value(P);
      lua_insert(L, -2);
      pack_captured(P);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
}

static void pack_function_body(packer *P, uint32_t n, int function) {
  lua_State *L = P->L;
  lf_code *code = lfb_code_of(L, P->S, function); /* kept by put_code */
  bool env = false;
  for (int i = 1; lua_getupvalue(L, function, i); i++) {
    env = env || is_globals(L);
    pack_upvalue(P, n, function, i);
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
  if (env)
    pack_globals(P, code);
  else
    put_tag(P, LFB_T_END);
}

/* --- Userdata ---------------------------------------------------------------------- */

/* One of lfut's own objects? */
static bool pack_handle(packer *P) {
  lua_State *L = P->L;
  for (int i = 0; lfb_handles[i].push; i++) {
    void **u = lfb_test(L, P->S, -1, lfb_handles[i].class);
    if (!u)
      continue;
    if (!*u)
      refuse(P);
    unsigned char which = (unsigned char)i;
    put(P, LFB_T_HANDLE, &which, 1);
    memcpy(room(P, sizeof *u), u, sizeof *u);
    lfb_handles[i].ref(*u);
    put_ref(P, *u, lfb_handles[i].drop);
    new_object(P, false);
    return true;
  }
  return false;
}

/* Below the slots: the packed form, then __lfut_unpack. */
static void fill_userdata(packer *P) {
  lua_State *L = P->L;
  int first = lua_gettop(L) - 1;
  *room(P, 1) = 2;
  for (int i = 0; i < 2; i++) {
    lua_pushvalue(L, first + i);
    pack_value(P);
    lua_pop(L, 1);
  }
  pack_bodies(P);
}

/* By its metatable's __lfut_pack and __lfut_unpack. */
static bool pack_by_metamethod(packer *P) {
  lua_State *L = P->L;
  if (luaL_getmetafield(L, -1, "__lfut_unpack") == LUA_TNIL)
    return false;
  if (luaL_getmetafield(L, -2, "__lfut_pack") == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pop(L, 2);
  open_slots(P); /* below the userdata, which is at the top */
  luaL_getmetafield(L, -1, "__lfut_pack");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1);
  luaL_getmetafield(L, -2, "__lfut_unpack");
  lua_pushvalue(L, -3);
  new_object(P, false);
  lua_pop(L, 1);
  put_tag(P, LFB_T_USERDATA);
  pack_inner(P, lua_gettop(L) - 2, fill_userdata);
  lua_pop(L, 2);
  return true;
}

static void pack_userdata(packer *P) {
  lua_State *L = P->L;
  if (pack_seen(P))
    return;
  luaL_checkstack(L, 10, "too many values to send");
  int standard = lfb_stdio_index(L, -1);
  if (standard >= 0) {
    unsigned char which = (unsigned char)standard;
    put(P, LFB_T_STDIO, &which, 1);
  } else if (!pack_handle(P) && !pack_by_metamethod(P) && !pack_named(P)) {
    refuse(P);
  }
}

/* Most values are plain: no packer needed. */
LF_INLINE bool pack_plain(packer *P, int idx) {
  switch (lua_type(P->L, idx)) {
  case LUA_TNUMBER:
    pack_number(P, idx);
    return true;
  case LUA_TBOOLEAN:
    put_tag(P, lua_toboolean(P->L, idx) ? LFB_T_TRUE : LFB_T_FALSE);
    return true;
  case LUA_TNIL:
    put_tag(P, LFB_T_NIL);
    return true;
  case LUA_TSTRING:
    pack_string(P, idx);
    return true;
  default:
    return false;
  }
}

/* The value at the top; stays there. */
static void pack_value(packer *P) {
  lua_State *L = P->L;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE:
    pack_table(P);
    break;
  case LUA_TFUNCTION:
    pack_function(P);
    break;
  case LUA_TUSERDATA:
    pack_userdata(P);
    break;
  case LUA_TLIGHTUSERDATA:
    if (!pack_named(P))
      refuse(P);
    break;
  default:
    if (!pack_plain(P, -1))
      refuse(P);
  }
}

/* --- Refusing ---------------------------------------------------------------- */

/* All of these push a string. */

static void push_path(packer *P, uint32_t parent, int child);

static bool is_identifier(const char *s, size_t len) {
  if (len == 0 || (s[0] >= '0' && s[0] <= '9'))
    return false;
  for (size_t i = 0; i < len; i++)
    if (!(s[i] == '_' || (s[i] >= '0' && s[i] <= '9') ||
          (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')))
      return false;
  return true;
}

static void push_key(lua_State *L, int key) {
  size_t len;
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, key, &len);
    lua_pushfstring(L, is_identifier(s, len) ? ".%s" : "[\"%s\"]", s);
  } else {
    luaL_tolstring(L, key, NULL);
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}

/* Where in the table the child is: ".x", "(key)", "(metatable)". */
static void push_place(lua_State *L, int table, int child) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    bool value = lua_rawequal(L, -1, child);
    if (!value && !lua_rawequal(L, -2, child))
      continue;
    if (value)
      push_key(L, lua_gettop(L) - 1);
    else
      lua_pushliteral(L, "(key)");
    lua_replace(L, -3);
    lua_pop(L, 1);
    return;
  }
  lua_pushliteral(L, "(metatable)");
}

/* "upvalue 'x'", "global 'x'". */
static void push_captured_name(packer *P, int function, int child) {
  lua_State *L = P->L;
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, function, i)); i++) {
    bool found = lua_rawequal(L, -1, child);
    lua_pop(L, 1);
    if (found) {
      lua_pushfstring(L, "upvalue '%s'", name);
      return;
    }
  }
  const lfb_globals *g = lfb_code_of(L, P->S, function)->notes;
  name = g ? g->names : "";
  for (size_t i = 0; g && i < g->count; i++, name = next_name(name)) {
    bool found = push_captured(L, name) && lua_rawequal(L, -1, child);
    if (found) {
      lua_pop(L, 1);
      break;
    }
  }
  lua_pushfstring(L, "global '%s'", name);
}

/* What the stream is about: "argument 2", or the path to its subject. */
static void push_root(packer *P, uint32_t i) {
  lua_State *L = P->L;
  if (P->outer)
    push_path((packer *)P->outer, P->outer->current, P->subject);
  else if (P->label->number)
    lua_pushfstring(L, "%s %I", P->label->what,
                    (LUAI_UACINT)P->label->number);
  else if (P->label->first == 0)
    lua_pushstring(L, P->label->what);
  else if (P->label->first < 0 && i == 0)
    lua_pushliteral(L, "function");
  else
    lua_pushfstring(L, "%s %d", P->label->what,
                    (int)i + (P->label->first > 0 ? P->label->first : 0));
}

/* The path to the child met in the body of 'parent': what it starts from, the
 * way from there, and, if it starts from a function, which. */
static void push_path(packer *P, uint32_t parent, int child) {
  lua_State *L = P->L;
  luaL_checkstack(L, 20, "too many objects within objects to send");
  int top = lua_gettop(L);
  lua_pushliteral(L, "");     /* top + 1: the way */
  lua_pushvalue(L, child);    /* top + 2: the child */
  lua_pushliteral(L, "");     /* top + 3: " of function <...>" */
  while (parent < ROOT) {
    lua_rawgeti(L, P->base + ANCHOR, (lua_Integer)parent + 1);
    if (lua_isfunction(L, -1)) {
      push_captured_name(P, top + 4, top + 2);
      lua_pushfstring(L, " of %s", lfb_code_of(L, P->S, top + 4)->label);
      lua_replace(L, top + 3);
      break;
    }
    push_place(L, top + 4, top + 2);
    lua_pushvalue(L, top + 1);
    lua_concat(L, 2);
    lua_replace(L, top + 1);
    lua_replace(L, top + 2);
    parent = ((objrec *)P->objs.data)[parent].parent;
  }
  if (parent >= ROOT)
    push_root(P, parent - ROOT);
  lua_pushvalue(L, top + 1);
  lua_pushvalue(L, top + 3);
  lua_concat(L, 3);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* "userdata FILE*" */
static void push_kind(lua_State *L, int idx) {
  if (lua_iscfunction(L, idx))
    lua_pushliteral(L, "C function");
  else if (lua_islightuserdata(L, idx))
    lua_pushliteral(L, "light userdata");
  else if (lua_isuserdata(L, idx) &&
           luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
    lua_pushfstring(L, "userdata %s", lua_tostring(L, -1));
  else
    lua_pushstring(L, luaL_typename(L, idx));
}

/* Raises: the value at the top cannot travel. */
static void refuse(packer *P) {
  lua_State *L = P->L;
  luaL_checkstack(L, 20, "too many values to send");
  int value = lua_gettop(L);
  push_path(P, P->current, value);
  const char *path = lua_tostring(L, -1);
  push_kind(L, value);
  lfb_push_error(L, "TransferError", "cannot send %s (%s) %s", path,
                 lua_tostring(L, -1), P->label->where);
  lua_error(L);
}

/* --- What follows the values -------------------------------------------------- */

static void pack_body(packer *P, uint32_t n) {
  lua_State *L = P->L;
  lua_rawgeti(L, P->base + ANCHOR, (lua_Integer)n + 1);
  P->current = n;
  if (lua_isfunction(L, -1))
    pack_function_body(P, n, lua_gettop(L));
  else
    pack_table_body(P, n, lua_gettop(L));
  lua_pop(L, 1);
}

static void pack_all_bodies(packer *P) {
  for (; P->drained < P->objs.n; P->drained++)
    if (((objrec *)P->objs.data)[P->drained].body)
      pack_body(P, P->drained);
}

/* The tables' metatables from the i-th on. */
static void pack_metatables(packer *P, size_t i, size_t end) {
  lua_State *L = P->L;
  put_u32(P, (uint32_t)(end - i));
  for (; i < end; i++) {
    uint32_t n = ((uint32_t *)P->metas.data)[i];
    lua_rawgeti(L, P->base + ANCHOR, (lua_Integer)n + 1);
    lua_getmetatable(L, -1);
    pack_metatable(P, n);
    lua_pop(L, 2);
  }
}

/* The end of a stream that has objects: bodies; counted, tables with their
 * metatables, which may be new objects: so this is repeated until there are
 * none, and a count of 0 ends it; counted, copies with their identities. */
static void pack_bodies(packer *P) {
  if (P->objs.n == 0)
    return;
  size_t done = 0, end = 1;
  while (done < end) {
    pack_all_bodies(P);
    end = P->metas.n;
    pack_metatables(P, done, end);
    if (done == end)
      break;
    done = end++;
  }
  uint32_t n = (uint32_t)P->ids.n;
  put_u32(P, n);
  for (size_t i = 0; i < n; i++) {
    idrec *rec = (idrec *)P->ids.data + i;
    put_u32(P, rec->object);
    memcpy(room(P, LFB_IDENTITY), rec->identity, LFB_IDENTITY);
  }
}

LF_INLINE void put_count(packer *P, int count) {
  uint32_t n = (uint32_t)count;
  *room(P, 1) = (unsigned char)(n < 255 ? n : 255);
  if (n >= 255)
    put_u32(P, n);
}

void lfb_pack(lua_State *L, lfb_state *S, lf_buf *out, int first, int count,
              const lfb_label *label, lf_code **code) {
  packer P = {.L = L, .S = S, .out = out, .label = label, .code = code};
  int top = lua_gettop(L);
  put_count(&P, count);
  for (int i = 0; i < count; i++) {
    if (pack_plain(&P, first + i))
      continue;
    luaL_checkstack(L, 20, "too many values to send");
    P.current = ROOT + (uint32_t)i;
    lua_pushvalue(L, first + i);
    pack_value(&P);
    lua_pop(L, 1);
  }
  pack_bodies(&P);
  lua_settop(L, top);
}
