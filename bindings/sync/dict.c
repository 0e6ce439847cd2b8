/* SPDX-License-Identifier: MIT
 *
 * lfut.Dict: a dictionary of copies that threads and processes share. */
#include "bindings/sync/dict.h"

#include <math.h>
#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/engine/bytecode.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/sync/shared.h"

#include "runtime/base/mem.h"
#include "runtime/sync/dict.h"

static const lfb_label key_label = {
    .what = "key", .where = "to a dictionary", .reach = &lfb_reach_anywhere};
static const lfb_label value_label = {
    .what = "value", .where = "to a dictionary", .reach = &lfb_reach_anywhere};

static lf_dict *check_dict(lua_State *L) {
  return lfb_check_shared(L, 1, LFB_DICT);
}

static void dict_fini(void *object) {
  lf_dict_fini(object);
}

int lfb_dict(lua_State *L) {
  lfb_shared_new(L, LFB_DICT, sizeof(lf_dict));
  return 1;
}

/* --- Keys and values --- */

/* The key at 2, packed: in the interpreter's buffer, which is used until
 * something else is packed. */
static lf_buf *pack_key(lua_State *L, lfb_state *S) {
  int type = lua_type(L, 2), exact;
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
    lfb_type_error(L, 2, "string, number or boolean");
  lua_Integer i = type == LUA_TNUMBER ? lua_tointegerx(L, 2, &exact) : 0;
  if (type == LUA_TNUMBER && exact) { /* 1.0 is 1 */
    lua_pushinteger(L, i);
    lua_replace(L, 2);
  }
  lfb_arg_check(L, type != LUA_TNUMBER || !isnan(lua_tonumber(L, 2)), 2,
                "key is NaN");
  lfb_arg_check(L, lua_rawlen(L, 2) < UINT32_MAX / 2, 2, "key is too long");
  lf_buf_reset(&S->plain);
  lfb_pack(L, S, &S->plain, 2, 1, &key_label, NULL);
  return &S->plain;
}

/* The number at 'idx', if it is one. */
static bool get_number(lua_State *L, int idx, lf_dict_value *v) {
  if (lua_type(L, idx) != LUA_TNUMBER)
    return false;
  bool integer = lua_isinteger(L, idx);
  lua_Integer i = lua_tointeger(L, idx);
  lua_Number n = lua_tonumber(L, idx);
  v->kind = integer ? LF_D_INTEGER : LF_D_FLOAT;
  if (integer)
    memcpy(&v->bits, &i, sizeof i);
  else
    memcpy(&v->bits, &n, sizeof n);
  return true;
}

static int push_value(lua_State *L, lfb_state *S, const lf_dict_value *v) {
  lua_Integer i;
  lua_Number n;
  memcpy(&i, &v->bits, sizeof i);
  memcpy(&n, &v->bits, sizeof n);
  if (v->kind == LF_D_PACKED) {
    size_t at = 0;
    return lfb_unpack(L, S, v->values, &at, NULL);
  }
  if (v->kind == LF_D_INTEGER)
    lua_pushinteger(L, i);
  else
    lua_pushnumber(L, n);
  return 1;
}

/* Raises what has kept a value from being read. */
static int raise(lua_State *L, int err) {
  if (err == LF_ENOMEM)
    return lfb_raise_memory(L);
  lfb_push_error(L, "TransferError", "%s", "a value is damaged");
  return lua_error(L);
}

/* --- Methods --- */

/* What 'look' finds for the key at 2, or nil. */
static int push_found(lua_State *L,
                      int look(lf_dict *d, const lf_buf *key,
                               lf_dict_value *value, lf_annotate *annotate)) {
  lfb_state *S = lfb_self(L);
  lf_dict *d = check_dict(L);
  lua_settop(L, 2);
  lf_dict_value v = {.values = lfb_push_buf(L)};
  int err = look(d, pack_key(L, S), &v, lfb_bytecode_notes);
  if (err && err != LF_EAGAIN)
    return raise(L, err);
  if (err)
    lua_pushnil(L);
  else
    push_value(L, S, &v);
  return 1;
}

/* get(k) -> a copy of the value, or nil */
static int dict_get(lua_State *L) {
  return push_found(L, lf_dict_get);
}

/* pop(k) -> what was there, or nil */
static int dict_pop(lua_State *L) {
  return push_found(L, lf_dict_pop);
}

/* The value at 'idx', packed in a buffer that is pushed unless it is a number.
 * NULL: it is nil. */
static const lf_dict_value *pack_value(lua_State *L, lfb_state *S, int idx,
                                       lf_dict_value *v) {
  *v = (lf_dict_value){.kind = LF_D_PACKED};
  if (lua_isnil(L, idx))
    return NULL;
  if (get_number(L, idx, v))
    return v;
  v->values = lfb_push_buf(L);
  lfb_pack(L, S, v->values, idx, 1, &value_label, NULL);
  return v;
}

/* set(k, v); nil removes */
static int dict_set(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_dict *d = check_dict(L);
  lfb_check_any(L, 3);
  lua_settop(L, 3);
  lf_dict_value v;
  const lf_dict_value *value = pack_value(L, S, 3, &v);
  if (lf_dict_set(d, pack_key(L, S), value) != 0)
    return lfb_raise_memory(L);
  return 0;
}

/* setdefault(k, v) -> a copy of what is there then */
static int dict_setdefault(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_dict *d = check_dict(L);
  lfb_arg_check(L, !lua_isnoneornil(L, 3), 3, "value expected");
  lua_settop(L, 3);
  lf_dict_value own, v;
  pack_value(L, S, 3, &own);
  v.values = lfb_push_buf(L);
  int err = lf_dict_default(d, pack_key(L, S), &own, &v, lfb_bytecode_notes);
  if (err && err != LF_EAGAIN)
    return raise(L, err);
  return push_value(L, S, err ? &own : &v);
}

/* cas(k, old, new) -> was it old, and is it new now? nil: nothing there */
static int dict_cas(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_dict *d = check_dict(L);
  int type = lua_type(L, 3);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TNUMBER &&
      type != LUA_TSTRING)
    lfb_type_error(L, 3, "nil, boolean, number or string");
  lfb_check_any(L, 4);
  lua_settop(L, 4);
  lf_dict_value old, new;
  const lf_dict_value *from = pack_value(L, S, 3, &old);
  const lf_dict_value *to = pack_value(L, S, 4, &new);
  int err = lf_dict_cas(d, pack_key(L, S), from, to);
  if (err && err != LF_EAGAIN)
    return lfb_raise_memory(L);
  lua_pushboolean(L, err == 0);
  return 1;
}

/* incr(k [, n]) -> the sum; of what is not there 0 is taken */
static int dict_incr(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_dict *d = check_dict(L);
  lf_dict_value v = {.kind = LF_D_INTEGER, .bits = 1};
  if (!lua_isnoneornil(L, 3)) {
    lfb_check_number(L, 3);
    lfb_arg_check(L, get_number(L, 3, &v), 3, "number expected, got string");
  }
  int err = lf_dict_add(d, pack_key(L, S), &v);
  if (err == LF_EPERM)
    return luaL_error(L, "the value of key '%s' is not a number",
                      luaL_tolstring(L, 2, NULL));
  if (err)
    return lfb_raise_memory(L);
  return push_value(L, S, &v);
}

static int dict_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lf_dict_count(check_dict(L)));
  return 1;
}

static void free_copy(void *copy) {
  lf_dict_copy_fini(copy);
  lf_free(copy);
}

/* Upvalues: the state, a box with all entries, the dictionary. */
static int next_entry(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lfb_box *box = lua_touserdata(L, lua_upvalueindex(2));
  lf_buf key;
  size_t at = 0;
  lf_dict_value v = {.values = lfb_push_buf(L)};
  int err = lf_dict_copy_next(box->content, &key, &v, lfb_bytecode_notes);
  if (err && err != LF_EAGAIN)
    return raise(L, err);
  if (err) {
    lua_pushnil(L);
    return 1;
  }
  lfb_unpack(L, S, &key, &at, NULL);
  push_value(L, S, &v);
  return 2;
}

/* pairs() -> iterator of keys and values as they are now, in no order */
static int dict_pairs(lua_State *L) {
  lf_dict *d = check_dict(L);
  lua_settop(L, 1);
  lua_pushlightuserdata(L, lfb_self(L));
  lfb_box *box = lfb_push_box(L, free_copy);
  lf_dict_copy *copy = box->content = lf_zalloc(sizeof *copy);
  if (!copy || lf_dict_copy_init(copy, d) != 0)
    return lfb_raise_memory(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_entry, 3);
  return 1;
}

static int dict_tostring(lua_State *L) {
  lua_Integer n = (lua_Integer)lf_dict_count(check_dict(L));
  lua_pushfstring(L, "lfut.Dict(%I %s)", (LUAI_UACINT)n,
                  n == 1 ? "entry" : "entries");
  return 1;
}

void lfb_dict_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"get", dict_get},
                                     {"set", dict_set},
                                     {"incr", dict_incr},
                                     {"pop", dict_pop},
                                     {"setdefault", dict_setdefault},
                                     {"cas", dict_cas},
                                     {"pairs", dict_pairs},
                                     {"len", dict_len},
                                     {NULL, NULL}};
  static const luaL_Reg extra[] = {{"__len", dict_len},
                                   {"__pairs", dict_pairs},
                                   {"__tostring", dict_tostring},
                                   {NULL, NULL}};
  static const lfb_descriptor dict_class = {.class = LFB_DICT,
                                            .name = "lfut.Dict",
                                            .methods = methods,
                                            .metamethods = extra,
                                            .base = lfb_shared_base,
                                            .handle = &lfb_shared_handle};
  lfb_newclass(L, S, &dict_class);
  lfb_shared_fini(LFB_DICT, dict_fini);
}
