/* SPDX-License-Identifier: MIT
 *
 * See pack.h: values, tables, userdata. No metamethod is called but
 * __lfut_pack. */
#include "bindings/pack/pack.h"

#include "bindings/pack/borrow.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/identity.h"
#include "bindings/pack/internal.h"
#include "bindings/pack/names.h"

const lfb_label lfb_arguments = {"argument", -1, "to a worker", 0, false, NULL};
const lfb_label lfb_results = {"result", 1, "back", 0, true, NULL};
const lfb_label lfb_error_value = {"error", 0, "back", 0, true, NULL};

/* --- Values --- */

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

/* A long one stays where it is (borrow.h). */
static void pack_string(packer *P, int idx) {
  size_t len;
  const char *s = lua_tolstring(P->L, idx, &len);
  if (len >= LFB_LOAN_MIN && !P->label->home && !P->reach && !P->describing) {
    lfb_loan *loan = lfb_lend(P->L, P->S, idx);
    put_ref(P, LF_NOWHERE, loan, lfb_loan_drop);
    put(P, LFB_T_LOAN, &loan, sizeof(void *));
  } else {
    pack_bytes(P, s, len);
  }
}

static bool push_name(packer *P) {
  if (!P->fresh_names) {
    lfb_names_refresh(P->L, P->S);
    P->fresh_names = true;
  }
  return lfb_push_name(P->L, -1);
}

bool lfb_has_name(packer *P) {
  bool has = push_name(P);
  lua_pop(P->L, has);
  return has;
}

bool lfb_pack_named(packer *P) {
  lua_State *L = P->L;
  if (!push_name(P))
    return false;
  size_t len;
  const char *name = lua_tolstring(L, -1, &len);
  uint32_t n = (uint32_t)len;
  put(P, LFB_T_NAMED, &n, sizeof n);
  memcpy(room(P, len), name, len);
  feed(P, lf_hash(name, len));
  if (P->code && !*P->code && P->current == LFB_ROOT && lua_isfunction(L, -2))
    *P->code = lfb_code_of_named(L, P->S, -2, name, len);
  lua_pop(L, 1);
  return true;
}

static void put_class(packer *P, const lfb_classrec *c) {
  uint64_t half[2];
  memcpy(half, c->identity, sizeof half);
  put(P, LFB_T_CLASS, c->identity, LFB_IDENTITY);
  feed(P, half[0]);
  feed(P, half[1]);
  P->rest = true;
}

static void put_object(packer *P, uint32_t n) {
  lfb_objrec *o = (lfb_objrec *)P->objs.data + n;
  put(P, LFB_T_OBJECT, &n, sizeof n);
  P->rest = true;
  if (o->lone)
    P->out->data[o->hint] = LFB_T_BARE;
  o->lone = false;
  if (n < P->first)
    lfb_packer_share(P, n);
  feed(P, n - P->first);
}

bool lfb_pack_seen(packer *P) {
  lfb_memo *e = lfb_packer_find(P, lua_topointer(P->L, -1));
  if (!e)
    return false;
  if (e->value >= LFB_CLASS_BASE)
    put_class(P, (lfb_classrec *)P->classes.data + (e->value - LFB_CLASS_BASE));
  else
    put_object(P, e->value);
  return true;
}

void lfb_pack_inner(packer *P, int subject, void (*fill)(packer *inner)) {
  lua_State *L = P->L;
  if (lf_stack_left() < LFB_STACK)
    luaL_error(L, "C stack overflow (too many objects within objects to send)");
  luaL_checkstack(L, 40, "too many objects within objects to send");
  size_t at = P->out->len;
  room(P, sizeof(uint64_t));
  packer inner = {.L = L, .S = P->S, .out = P->out, .label = P->label};
  inner.reach = P->reach;
  inner.outer = P;
  inner.subject = subject;
  inner.current = LFB_ROOT;
  inner.fresh_names = P->fresh_names;
  int top = lua_gettop(L);
  fill(&inner);
  lua_settop(L, top);
  uint64_t len = P->out->len - at - sizeof len;
  memcpy(P->out->data + at, &len, sizeof len);
}

/* --- Tables --- */

static void pack_table(packer *P) {
  lua_State *L = P->L;
  if (lfb_pack_seen(P) || lfb_pack_named(P) || lfb_pack_class(P))
    return;
  uint32_t n = lfb_packer_object(P, true);
  uint32_t sizes[2] = {0, 0}; /* known when it has been walked through */
  ((lfb_objrec *)P->objs.data)[n].hint = P->out->len + 1;
  put(P, LFB_T_TABLE, sizes, sizeof sizes);
  if (P->capturing)
    lfb_pack_identity(P, lua_gettop(L), n);
}

/* A run of floats: 'n' at the end of the output have their tag each; how many
 * bytes are saved by one tag for all is not worth a second pass, so the count
 * is patched while they come. */
typedef struct {
  size_t at; /* where the run's count is; 0: no run */
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
static bool pack_sequence(packer *P, int table, uint32_t *items) {
  lua_State *L = P->L;
  run r = {0, 0};
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
    lfb_pack_value(P);
  }
  end_run(P, &r);
  *items = (uint32_t)(expected - 1);
  return more;
}

static void pack_table_body(packer *P, uint32_t n, int table) {
  lua_State *L = P->L;
  uint32_t items, pairs = 0;
  bool meta = false;
  bool more = pack_sequence(P, table, &items);
  put_tag(P, LFB_T_PAIRS);
  for (; more; more = lua_next(L, table), pairs++) {
    meta = meta || lfb_is_metafield(L, -2);
    lua_insert(L, -2);
    lfb_pack_value(P);
    lua_insert(L, -2);
    lfb_pack_value(P);
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
  unsigned char *hint = P->out->data + ((lfb_objrec *)P->objs.data)[n].hint;
  memcpy(hint, &items, sizeof items);
  memcpy(hint + sizeof items, &pairs, sizeof pairs);
  if (meta)
    lfb_pack_identity(P, table, n);
  if (lua_getmetatable(L, table)) {
    lfb_pack_metatable(P, n);
    lua_pop(L, 1);
  }
}

/* --- Userdata --- */

/* One of lfut's own objects. */
static void pack_handle(packer *P, const lfb_descriptor *d) {
  const lfb_handle *h = d->handle;
  void **u = lua_touserdata(P->L, -1);
  unsigned char class = (unsigned char)d->class;
  bool far = lfb_reach_is_far(P->reach);
  if (!*u || (far && !(h->crosses && h->crosses(P->reach, *u))))
    lfb_pack_refuse(P);
  put(P, LFB_T_HANDLE, &class, 1);
  memcpy(room(P, sizeof *u), u, sizeof *u);
  h->ref(*u);
  put_ref(P, P->out->len - sizeof *u, *u, h->drop);
  if (d->pack)
    d->pack(P->L, P);
  lfb_packer_object(P, false);
}

/* The packed form at the top but one, __lfut_unpack above it. */
static void fill_userdata(packer *P) {
  lua_State *L = P->L;
  int first = P->values = lua_gettop(L) - 1;
  *room(P, 1) = 2;
  for (int i = 0; i < 2; i++) {
    lua_pushvalue(L, first + i);
    lfb_pack_value(P);
    lua_pop(L, 1);
  }
  lfb_pack_rest(P);
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
  lfb_packer_open(P); /* below the userdata, which is at the top */
  lua_getmetatable(L, -1);
  if (!lfb_has_name(P)) { /* it is a class, and may be an upvalue of these */
    lfb_identity_make(L, P->S, -1, true);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  luaL_getmetafield(L, -1, "__lfut_pack");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1);
  luaL_getmetafield(L, -2, "__lfut_unpack");
  lua_pushvalue(L, -3);
  lfb_packer_object(P, false);
  lua_pop(L, 1);
  put_tag(P, LFB_T_USERDATA);
  lfb_pack_inner(P, lua_gettop(L) - 2, fill_userdata);
  lua_pop(L, 2);
  return true;
}

/* Of a class that packs what its userdata are; no object of the stream. */
static void pack_instance(packer *P, const lfb_descriptor *d) {
  unsigned char class = (unsigned char)d->class;
  put(P, LFB_T_INSTANCE, &class, 1);
  d->pack(P->L, P);
}

static void pack_userdata(packer *P) {
  lua_State *L = P->L;
  const lfb_descriptor *class = lfb_class_at(L, P->S, -1);
  P->whole = false;
  if (class && class->pack && !class->handle) {
    pack_instance(P, class);
    return;
  }
  if (lfb_pack_seen(P))
    return;
  luaL_checkstack(L, 10, "too many values to send");
  int standard = class ? -1 : lfb_stdio_index(L, P->S, -1);
  if (standard >= 0) {
    unsigned char which = (unsigned char)standard;
    put(P, LFB_T_STDIO, &which, 1);
  } else if (class && class->handle) {
    pack_handle(P, class);
  } else if (!pack_by_metamethod(P) && !lfb_pack_named(P)) {
    lfb_pack_refuse(P);
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

bool lfb_pack_plain(packer *P) {
  size_t at = P->out->len;
  if (!pack_plain(P, -1))
    return false;
  feed(P, lf_hash(P->out->data + at, P->out->len - at));
  return true;
}

void lfb_pack_value(packer *P) {
  lua_State *L = P->L;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE:
    pack_table(P);
    break;
  case LUA_TFUNCTION:
    lfb_pack_function(P);
    break;
  case LUA_TUSERDATA:
    pack_userdata(P);
    break;
  case LUA_TLIGHTUSERDATA:
    if (!lfb_pack_named(P))
      lfb_pack_refuse(P);
    break;
  default:
    if (!pack_plain(P, -1))
      lfb_pack_refuse(P);
  }
}

/* --- What follows the values --- */

/* The table or closure with the number. */
static void pack_body(packer *P, uint32_t n) {
  lua_State *L = P->L;
  lua_rawgeti(L, P->base + LFB_ANCHOR, (lua_Integer)n + 1);
  P->current = n;
  if (lua_isfunction(L, -1))
    lfb_pack_function_body(P, n, lua_gettop(L));
  else
    pack_table_body(P, n, lua_gettop(L));
  lua_pop(L, 1);
}

void lfb_pack_bodies(packer *P) {
  for (; P->drained < P->objs.n; P->drained++)
    if (((lfb_objrec *)P->objs.data)[P->drained].body)
      pack_body(P, P->drained);
    else
      put_tag(P, LFB_T_NONE);
}

void lfb_pack_rest(packer *P) {
  if (!P->rest)
    return;
  lfb_pack_bodies(P);
  for (;;) {
    if (P->described < P->classes.n)
      lfb_pack_segment(P);
    else if (P->globals.n > 0)
      lfb_pack_globals(P);
    else
      break;
  }
  put_tag(P, LFB_T_END);
  lfb_pack_metatables(P);
  lfb_pack_identities(P);
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
  P.values = first;
  P.reach = label->reach ? label->reach : label->home ? S->reach : NULL;
  int top = lua_gettop(L);
  put_count(&P, count);
  for (int i = 0; i < count; i++) {
    if (pack_plain(&P, first + i))
      continue;
    luaL_checkstack(L, 20, "too many values to send");
    P.current = LFB_ROOT + (uint32_t)i;
    lua_pushvalue(L, first + i);
    lfb_pack_value(&P);
    lua_pop(L, 1);
  }
  lfb_pack_rest(&P);
  lua_settop(L, top);
}
