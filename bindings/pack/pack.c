/* SPDX-License-Identifier: MIT
 *
 * See pack.h: values, tables, userdata. No metamethod is called but
 * __lfut_pack. */
#include "bindings/pack/pack.h"

#include "bindings/pack/borrow.h"
#include "bindings/pack/identity.h"
#include "bindings/pack/internal.h"
#include "bindings/pack/names.h"

const lfb_label lfb_arguments = {"argument", -1, "to a worker", 0, false, NULL};
const lfb_label lfb_results = {"result", 1, "back", 0, true, NULL};
const lfb_label lfb_error_value = {"error", 0, "back", 0, true, NULL};

static void pack_value(packer *P);
static void pack_rest(packer *P);

/* --- Plain values --- */

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
  if (len >= LFB_BORROW_MIN && !P->label->returning && !P->reach &&
      !P->describing) {
    lfb_borrow *borrow = lfb_borrow_new(P->L, P->S, idx);
    put_ref(P, LF_NOWHERE, borrow, lfb_borrow_drop);
    put(P, LFB_T_BORROW, &borrow, sizeof(void *));
  } else {
    pack_bytes(P, s, len);
  }
}

/* --- Tables --- */

static void pack_table(packer *P) {
  lua_State *L = P->L;
  if (lfb_pack_seen(P) ||
      (lfb_may_be_known(P) && (lfb_pack_named(P) || lfb_pack_class(P))))
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
    pack_value(P);
  }
  end_run(P, &r);
  *items = (uint32_t)(expected - 1);
  return more;
}

/* The key below its value; true: it is a string that begins with "__". */
static bool pack_pair_key(packer *P) {
  lua_State *L = P->L;
  bool meta = false;
  if (lua_type(L, -2) == LUA_TSTRING && lfb_pack_key(P, -2, &meta))
    return meta;
  lua_insert(L, -2);
  pack_value(P);
  lua_insert(L, -2);
  return meta;
}

static void pack_table_body(packer *P, uint32_t n, int table) {
  lua_State *L = P->L;
  uint32_t items, pairs = 0;
  bool meta = false;
  bool more = pack_sequence(P, table, &items);
  put_tag(P, LFB_T_PAIRS);
  for (; more; more = lua_next(L, table), pairs++) {
    meta |= pack_pair_key(P);
    pack_value(P);
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
    pack_value(P);
    lua_pop(L, 1);
  }
  pack_rest(P);
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
  P->S->copying = true; /* whatever has been done in it */
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
  if (d->local && P->reach && P->reach->kind == LFB_REACH_CLUSTER)
    lfb_pack_refuse(P);
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

static bool pack_boxed(packer *P) {
  char text[LFB_BOXED];
  if (!lfb_boxed_integer(P->L, -1, text))
    return false;
  unsigned char len = (unsigned char)strlen(text);
  put(P, LFB_T_BOXED, &len, 1);
  memcpy(room(P, len), text, len);
  return true;
}

static void pack_value(packer *P) {
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
    if (!pack_plain(P, -1) && !pack_boxed(P))
      lfb_pack_refuse(P);
  }
}

/* --- What follows the values --- */

/* The table or closure with the number. */
static void pack_body(packer *P, uint32_t n) {
  lua_State *L = P->L;
  lfb_packer_push(P, n);
  P->current = n;
  if (lua_isfunction(L, -1))
    lfb_pack_function_body(P, n, lua_gettop(L));
  else
    pack_table_body(P, n, lua_gettop(L));
  lua_pop(L, 1);
}

static void pack_bodies(packer *P) {
  for (; P->drained < P->objs.n; P->drained++)
    if (((lfb_objrec *)P->objs.data)[P->drained].body)
      pack_body(P, P->drained);
    else
      put_tag(P, LFB_T_NONE);
}

static void pack_rest(packer *P) {
  if (!P->rest)
    return;
  pack_bodies(P);
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

/* From a value on that is not plain: takes memory of Lua's, which is not
 * refused for that (run/memory.h). */
static void pack_slowly(packer *P, int first, int i, int count) {
  lua_State *L = P->L;
  lfb_state *S = P->S;
  bool copying = S->copying;
  S->copying = true;
  S->copies += !copying;
  for (; i < count; i++) {
    if (pack_plain(P, first + i))
      continue;
    luaL_checkstack(L, 20, "too many values to send");
    P->current = LFB_ROOT + (uint32_t)i;
    lua_pushvalue(L, first + i);
    pack_value(P);
    lua_pop(L, 1);
  }
  pack_rest(P);
  S->copying = copying;
}

void lfb_pack(lua_State *L, lfb_state *S, lf_buf *out, int first, int count,
              const lfb_label *label, lf_code **code) {
  packer P = {.L = L, .S = S, .out = out, .label = label, .code = code};
  lfb_few few;
  P.few = &few;
  P.values = first;
  P.value = pack_value;
  P.bodies = pack_bodies;
  P.reach = label->reach ? label->reach : label->returning ? S->reach : NULL;
  int top = lua_gettop(L);
  put_count(&P, count);
  for (int i = 0; i < count; i++)
    if (!pack_plain(&P, first + i)) {
      pack_slowly(&P, first, i, count);
      break;
    }
  lfb_packer_close(&P);
  lua_settop(L, top);
}
