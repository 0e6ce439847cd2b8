/* SPDX-License-Identifier: MIT
 *
 * See element.h. Bits are read and written by their size, and get a meaning
 * by the type. */
#include "bindings/sync/element.h"

#include <string.h>

#include "bindings/core/argument.h"

typedef uint8_t __attribute__((may_alias)) bits8;
typedef uint16_t __attribute__((may_alias)) bits16;
typedef uint32_t __attribute__((may_alias)) bits32;
typedef uint64_t __attribute__((may_alias)) bits64;

lf_element lfb_check_element_type(lua_State *L, int idx) {
  const char *name = lfb_check_string(L, idx, NULL);
  for (int i = 0; i < LF_A_TYPES; i++)
    if (strcmp(name, lf_element_name((lf_element)i)) == 0)
      return (lf_element)i;
  lfb_arg_error(L, idx,
                lua_pushfstring(L,
                                "unknown type '%s' (int8 ... int64, uint8 ... "
                                "uint64, float, double)",
                                name));
  return LF_A_TYPES; /* not reached */
}

static uint64_t load(const lf_array *a, size_t i) {
  switch (lf_element_size(a->type)) {
  case 1:
    return __atomic_load_n((bits8 *)a->data + i, __ATOMIC_RELAXED);
  case 2:
    return __atomic_load_n((bits16 *)a->data + i, __ATOMIC_RELAXED);
  case 4:
    return __atomic_load_n((bits32 *)a->data + i, __ATOMIC_RELAXED);
  default:
    return __atomic_load_n((bits64 *)a->data + i, __ATOMIC_RELAXED);
  }
}

static float float_of(uint64_t bits) {
  float f;
  uint32_t low = (uint32_t)bits;
  memcpy(&f, &low, sizeof f);
  return f;
}

static double double_of(uint64_t bits) {
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

static lua_Integer integer_of(lf_element type, uint64_t bits) {
  switch (type) {
  case LF_A_INT8:
    return (int8_t)bits;
  case LF_A_INT16:
    return (int16_t)bits;
  case LF_A_INT32:
    return (int32_t)bits;
  default: /* unsigned ones are loaded so */
    return (lua_Integer)bits;
  }
}

lua_Integer lfb_integer_element(const lf_array *a, size_t i) {
  return integer_of(a->type, load(a, i));
}

lua_Number lfb_float_element(const lf_array *a, size_t i) {
  uint64_t bits = load(a, i);
  return a->type == LF_A_FLOAT ? (lua_Number)float_of(bits) : double_of(bits);
}

void lfb_push_element(lua_State *L, const lf_array *a, size_t i) {
  if (a->type == LF_A_FLOAT || a->type == LF_A_DOUBLE)
    lua_pushnumber(L, lfb_float_element(a, i));
  else
    lfb_push_exact(L, lfb_integer_element(a, i));
}

/* --- Taking --- */

static bool misfit(lua_State *L, int idx, lf_element type) {
  const char *name = lf_element_name(type);
  if (lua_type(L, idx) == LUA_TNUMBER)
    lua_pushfstring(L, "%s does not fit %s", luaL_tolstring(L, idx, NULL),
                    name);
  else
    lua_pushfstring(L, "%s expected, got %s", name, luaL_typename(L, idx));
  return false;
}

static bool in_range(lf_element type, lua_Integer n) {
  switch (type) {
  case LF_A_INT8:
    return n == (int8_t)n;
  case LF_A_UINT8:
    return n == (uint8_t)n;
  case LF_A_INT16:
    return n == (int16_t)n;
  case LF_A_UINT16:
    return n == (uint16_t)n;
  case LF_A_INT32:
    return n == (int32_t)n;
  case LF_A_UINT32:
    return n == (uint32_t)n;
  default: /* a negative one for uint64 stands for its bits */
    return true;
  }
}

static bool take_integer(lua_State *L, int idx, lf_element type,
                         uint64_t *bits) {
  int exact = lua_type(L, idx) == LUA_TNUMBER;
  lua_Integer n = exact ? lua_tointegerx(L, idx, &exact) : 0;
  lua_Number x = exact ? 0 : lua_tonumber(L, idx);
  if (exact && in_range(type, n)) {
    *bits = (uint64_t)n;
    return true;
  }
  if (type == LF_A_UINT64 && lua_type(L, idx) == LUA_TNUMBER && x >= 0x1p63 &&
      x < 0x1p64) { /* an integer, too */
    *bits = (uint64_t)x;
    return true;
  }
  return misfit(L, idx, type);
}

static bool take_float(lua_State *L, int idx, lf_element type, uint64_t *bits) {
  if (lua_type(L, idx) != LUA_TNUMBER)
    return misfit(L, idx, type);
  double d = lua_tonumber(L, idx);
  *bits = 0;
  if (type == LF_A_DOUBLE) {
    memcpy(bits, &d, sizeof d);
  } else {
    float f = (float)d;
    uint32_t low;
    memcpy(&low, &f, sizeof low);
    *bits = low;
  }
  return true;
}

bool lfb_take_element(lua_State *L, int idx, lf_element type, uint64_t *bits) {
  if (type == LF_A_FLOAT || type == LF_A_DOUBLE)
    return take_float(L, idx, type, bits);
  return take_integer(L, idx, type, bits);
}

/* --- Storing --- */

void lfb_store_element(lf_array *a, size_t i, uint64_t bits) {
  switch (lf_element_size(a->type)) {
  case 1:
    __atomic_store_n((bits8 *)a->data + i, (uint8_t)bits, __ATOMIC_RELAXED);
    break;
  case 2:
    __atomic_store_n((bits16 *)a->data + i, (uint16_t)bits, __ATOMIC_RELAXED);
    break;
  case 4:
    __atomic_store_n((bits32 *)a->data + i, (uint32_t)bits, __ATOMIC_RELAXED);
    break;
  default:
    __atomic_store_n((bits64 *)a->data + i, bits, __ATOMIC_RELAXED);
  }
}

void lfb_fill_elements(lf_array *a, size_t i, size_t n, uint64_t bits) {
  size_t end = i + n;
  switch (lf_element_size(a->type)) {
  case 1:
    memset((char *)a->data + i, (int)(bits & 0xff), n);
    break;
  case 2:
    for (bits16 *p = a->data; i < end; i++)
      p[i] = (uint16_t)bits;
    break;
  case 4:
    for (bits32 *p = a->data; i < end; i++)
      p[i] = (uint32_t)bits;
    break;
  default:
    for (bits64 *p = a->data; i < end; i++)
      p[i] = bits;
  }
}

static bool are_equal(lf_element type, uint64_t a, uint64_t b) {
  if (type == LF_A_FLOAT)
    return float_of(a) == float_of(b);
  if (type == LF_A_DOUBLE)
    return double_of(a) == double_of(b);
  return integer_of(type, a) == integer_of(type, b);
}

/* The bits of the element become 'new' if they are 'old'. */
static bool exchange(lf_array *a, size_t i, uint64_t old, uint64_t new) {
  const int order = __ATOMIC_SEQ_CST;
  uint8_t old8 = (uint8_t)old;
  uint16_t old16 = (uint16_t)old;
  uint32_t old32 = (uint32_t)old;
  switch (lf_element_size(a->type)) {
  case 1:
    return __atomic_compare_exchange_n((bits8 *)a->data + i, &old8,
                                       (uint8_t) new, false, order, order);
  case 2:
    return __atomic_compare_exchange_n((bits16 *)a->data + i, &old16,
                                       (uint16_t) new, false, order, order);
  case 4:
    return __atomic_compare_exchange_n((bits32 *)a->data + i, &old32,
                                       (uint32_t) new, false, order, order);
  default:
    return __atomic_compare_exchange_n((bits64 *)a->data + i, &old, new, false,
                                       order, order);
  }
}

bool lfb_exchange_element(lf_array *a, size_t i, uint64_t old, uint64_t new) {
  for (;;) {
    uint64_t now = load(a, i);
    if (!are_equal(a->type, now, old)) /* floats may be so by other bits */
      return false;
    if (exchange(a, i, now, new))
      return true;
  }
}

void lfb_add_element(lua_State *L, lf_array *a, size_t i, uint64_t bits) {
  uint64_t old;
  switch (lf_element_size(a->type)) {
  case 1:
    old = __atomic_fetch_add((bits8 *)a->data + i, (uint8_t)bits,
                             __ATOMIC_SEQ_CST);
    break;
  case 2:
    old = __atomic_fetch_add((bits16 *)a->data + i, (uint16_t)bits,
                             __ATOMIC_SEQ_CST);
    break;
  case 4:
    old = __atomic_fetch_add((bits32 *)a->data + i, (uint32_t)bits,
                             __ATOMIC_SEQ_CST);
    break;
  default:
    old = __atomic_fetch_add((bits64 *)a->data + i, bits, __ATOMIC_SEQ_CST);
  }
  lfb_push_exact(L, integer_of(a->type, old));
}
