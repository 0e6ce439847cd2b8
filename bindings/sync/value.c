/* SPDX-License-Identifier: MIT
 *
 * lfut.Value: one number that threads and processes share. Read and changed in
 * one step each, without a lock. */
#include "bindings/sync/value.h"

#include "bindings/core/argument.h"
#include "bindings/sync/element.h"
#include "bindings/sync/shared.h"

/* In the arena. */
typedef struct {
  lf_shared shared;
  uint32_t type; /* lf_element; immutable */
  _Alignas(8) uint64_t bits;
} value;

/* The number as an array of one element, for element.h. */
static lf_array as_array(value *v) {
  lf_array a = {.data = &v->bits, .length = 1, .type = (lf_element)v->type};
  return a;
}

static value *check_value(lua_State *L) {
  return lfb_check_shared(L, 1, LFB_VALUE);
}

/* The number at 'idx', which has to fit. */
static uint64_t check_bits(lua_State *L, int idx, lf_element type) {
  uint64_t bits = 0;
  lfb_check_any(L, idx);
  if (!lfb_take_element(L, idx, type, &bits))
    lfb_arg_error(L, idx, lua_tostring(L, -1));
  return bits;
}

/* get() -> number */
static int value_get(lua_State *L) {
  lf_array a = as_array(check_value(L));
  lfb_push_element(L, &a, 0);
  return 1;
}

/* set(number) */
static int value_set(lua_State *L) {
  lf_array a = as_array(check_value(L));
  lfb_store_element(&a, 0, check_bits(L, 2, a.type));
  return 0;
}

/* add(n) -> what it was */
static int value_add(lua_State *L) {
  lf_array a = as_array(check_value(L));
  if (a.type == LF_A_FLOAT || a.type == LF_A_DOUBLE)
    return luaL_error(L, "cannot add to a value of %s, only to integers",
                      lf_element_name(a.type));
  lf_element any = a.type == LF_A_UINT64 ? LF_A_UINT64 : LF_A_INT64;
  lfb_add_element(L, &a, 0, check_bits(L, 2, any));
  return 1;
}

/* cas(old, new) -> true: it was 'old' and is 'new' */
static int value_cas(lua_State *L) {
  lf_array a = as_array(check_value(L));
  uint64_t old = check_bits(L, 2, a.type), new = check_bits(L, 3, a.type);
  lua_pushboolean(L, lfb_exchange_element(&a, 0, old, new));
  return 1;
}

static int value_tostring(lua_State *L) {
  lf_array a = as_array(check_value(L));
  lfb_push_element(L, &a, 0);
  lua_pushfstring(L, "lfut.Value(%s, %s)", lf_element_name(a.type),
                  luaL_tolstring(L, -1, NULL));
  return 1;
}

/* lfut.Value(type [, number]) */
int lfb_value(lua_State *L) {
  lf_element type = lfb_check_element_type(L, 1);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
  }
  uint64_t bits = check_bits(L, 2, type);
  value *v = lfb_shared_new(L, LFB_VALUE, sizeof *v)->object;
  v->type = (uint32_t)type;
  lf_array a = as_array(v);
  lfb_store_element(&a, 0, bits);
  return 1;
}

void lfb_value_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"get", value_get},
                                     {"set", value_set},
                                     {"add", value_add},
                                     {"cas", value_cas},
                                     {NULL, NULL}};
  static const luaL_Reg extra[] = {{"__tostring", value_tostring},
                                   {NULL, NULL}};
  static const lfb_descriptor value_class = {.class = LFB_VALUE,
                                             .name = "lfut.Value",
                                             .methods = methods,
                                             .metamethods = extra,
                                             .base = lfb_shared_base,
                                             .handle = &lfb_shared_handle};
  lfb_newclass(L, S, &value_class);
}
