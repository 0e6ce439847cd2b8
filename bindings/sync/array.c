/* SPDX-License-Identifier: MIT
 *
 * See array.h. a[i] and a[i] = v are what scripts do most: these look at the
 * userdata itself rather than at its metatable. */
#include "bindings/sync/array.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/pack/reach.h"
#include "bindings/run/run.h"
#include "bindings/sync/element.h"

enum { DEBT = 16 << 10, OBJECT = 256 }; /* bytes */

typedef struct {
  lf_array *array;   /* a reference, or NULL */
  const void *class; /* &class_mark; else it is none, or collected */
} box;

static const char class_mark;

LF_INLINE lf_array *array_at(lua_State *L, int idx) {
  box *b = lua_touserdata(L, idx);
  return b && lua_rawlen(L, idx) == sizeof *b && b->class == &class_mark
             ? b->array
             : NULL;
}

static lf_array *check_array(lua_State *L, int idx) {
  lf_array *a = array_at(L, idx);
  if (!a)
    lfb_type_error(L, idx, "lfut.Array");
  return a;
}

static lf_array *check_writable(lua_State *L) {
  lf_array *a = check_array(L, 1);
  if (a->readonly)
    luaL_error(L, "array is read-only");
  return a;
}

lf_array *lfb_test_array(lua_State *L, lfb_state *S, int idx) {
  return lfb_test(L, S, idx, LFB_ARRAY) ? array_at(L, idx) : NULL;
}

/* --- Making --- */

static box *push_empty(lua_State *L) {
  box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (box){NULL, &class_mark};
  lfb_set_class(L, LFB_ARRAY);
  return b;
}

/* A worker gives back what its garbage holds before it sleeps. */
static void push_array(lua_State *L, lfb_state *S, void *array) {
  box *b = push_empty(L);
  b->array = lf_array_ref(array);
  if (S->vm)
    S->vm->idle_garbage = true;
}

/* The collector does not see the memory of arrays: it gets ahead by as much as
 * if it did. */
static void press(lua_State *L, lfb_state *S, size_t bytes) {
  S->array_debt += OBJECT + bytes;
  if (S->array_debt < DEBT)
    return;
  size_t kilobytes = S->array_debt >> 10;
  S->array_debt = 0;
  if (lua_gc(L, LUA_GCISRUNNING))
    lfb_gc_step(L, (int)(kilobytes < INT_MAX ? kilobytes : INT_MAX));
}

static lf_array *push_new(lua_State *L, lf_element type, size_t length) {
  lfb_state *S = lfb_self(L);
  press(L, S, length * lf_element_size(type));
  box *b = push_empty(L);
  b->array = lf_array_new(type, length);
  if (!b->array)
    lfb_raise_memory(L);
  if (S->vm)
    S->vm->idle_garbage = true;
  return b->array;
}

static int push_view(lua_State *L, lf_array *a, size_t skip, size_t length,
                     bool readonly) {
  press(L, lfb_self(L), 0);
  box *b = push_empty(L);
  b->array = lf_array_view(a, skip, length, readonly);
  return b->array ? 1 : lfb_raise_memory(L);
}

static size_t check_length(lua_State *L) {
  int exact = lua_type(L, 2) == LUA_TNUMBER;
  lua_Integer n = exact ? lua_tointegerx(L, 2, &exact) : 0;
  if (lua_type(L, 2) != LUA_TNUMBER)
    lfb_type_error(L, 2, "number of elements, table or string");
  lfb_arg_check(L, exact && n >= 0, 2, "not a number of elements");
  if ((lua_Unsigned)n > SIZE_MAX / 16)
    lfb_raise_memory(L);
  return (size_t)n;
}

/* Stores the first 'n' values of the table at 'idx' behind 'skip' elements. */
static void set_all(lua_State *L, lf_array *a, size_t skip, int idx, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint64_t bits;
    lua_geti(L, idx, (lua_Integer)i + 1);
    if (!lfb_take_element(L, -1, a->type, &bits))
      luaL_error(L, "value %I: %s", (LUAI_UACINT)i + 1, lua_tostring(L, -1));
    lua_pop(L, 1);
    lfb_store_element(a, skip + i, bits);
  }
}

/* Stores the bytes of the string at 'idx'; returns how many elements they
 * make. */
static size_t count_in_string(lua_State *L, lf_element type, int idx) {
  size_t len = lua_rawlen(L, idx), size = lf_element_size(type);
  if (len % size != 0)
    lfb_arg_error(L, idx,
                  lua_pushfstring(L,
                                  "%I bytes are no whole number of elements of "
                                  "%I bytes",
                                  (LUAI_UACINT)len, (LUAI_UACINT)size));
  return len / size;
}

static void set_bytes(lua_State *L, lf_array *a, size_t skip, int idx) {
  size_t len;
  const char *bytes = lua_tolstring(L, idx, &len);
  if (len > 0)
    memcpy((char *)a->data + skip * lf_element_size(a->type), bytes, len);
}

int lfb_array_make(lua_State *L) {
  lf_element type = lfb_check_element_type(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lf_array *a = push_new(L, type, count_in_string(L, type, 2));
    set_bytes(L, a, 0, 2);
    return 1;
  }
  if (!lua_istable(L, 2)) {
    push_new(L, type, check_length(L));
    return 1;
  }
  size_t n = (size_t)luaL_len(L, 2);
  lf_array *a = push_new(L, type, n);
  set_all(L, a, 0, 2, n);
  return 1;
}

static int array_gc(lua_State *L) {
  box *b = lua_touserdata(L, 1);
  lf_array *a = array_at(L, 1);
  if (a) {
    b->array = NULL;
    lf_array_unref(a);
  }
  return 0;
}

/* --- Elements --- */

static int raise_range(lua_State *L, lf_array *a, lua_Integer i) {
  return luaL_error(L, "index %I is out of range (length %I)", (LUAI_UACINT)i,
                    (LUAI_UACINT)a->length);
}

/* The index at 2, counted from 0: perhaps the array's length, or more. */
LF_INLINE size_t check_index(lua_State *L, lf_array *a) {
  int exact = lua_type(L, 2) == LUA_TNUMBER;
  lua_Integer i = exact ? lua_tointegerx(L, 2, &exact) : 0;
  if (!exact)
    return (size_t)luaL_error(L, "array index must be an integer, got %s",
                              lua_type(L, 2) == LUA_TNUMBER
                                  ? luaL_tolstring(L, 2, NULL)
                                  : luaL_typename(L, 2));
  if (i < 1 || (lua_Unsigned)i > a->length)
    if ((lua_Unsigned)i != a->length + 1)
      raise_range(L, a, i);
  return (size_t)i - 1;
}

static size_t check_element(lua_State *L, lf_array *a) {
  size_t i = check_index(L, a);
  if (i == a->length)
    raise_range(L, a, (lua_Integer)i + 1);
  return i;
}

static int push_field(lua_State *L, lf_array *a) {
  const char *key = lfb_push_method(L);
  if (key && strcmp(key, "type") == 0)
    lua_pushstring(L, lf_element_name(a->type));
  return 1;
}

/* Called by a C function, as ipairs, and not by what a script has written? */
static bool is_from_c(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) &&
         ar.what[0] == 'C';
}

/* a[i]; for ipairs, which ends there, behind the last one is nil. */
static int array_index(lua_State *L) {
  lf_array *a = array_at(L, 1);
  if (!a)
    check_array(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING)
    return push_field(L, a);
  size_t i = check_index(L, a);
  if (i < a->length)
    lfb_push_element(L, a, i);
  else if (is_from_c(L))
    lua_pushnil(L);
  else
    raise_range(L, a, (lua_Integer)i + 1);
  return 1;
}

static int array_newindex(lua_State *L) {
  uint64_t bits;
  lf_array *a = check_writable(L);
  size_t i = check_element(L, a);
  if (!lfb_take_element(L, 3, a->type, &bits))
    return luaL_error(L, "%s", lua_tostring(L, -1));
  lfb_store_element(a, i, bits);
  return 0;
}

/* a:add(i, v) -> what it was. In one step for all threads and processes. */
static int array_add(lua_State *L) {
  uint64_t bits;
  lf_array *a = check_writable(L);
  if (a->type == LF_A_FLOAT || a->type == LF_A_DOUBLE)
    return luaL_error(L, "cannot add to an array of %s, only of integers",
                      lf_element_name(a->type));
  size_t i = check_element(L, a);
  lf_element any = a->type == LF_A_UINT64 ? LF_A_UINT64 : LF_A_INT64;
  if (!lfb_take_element(L, 3, any, &bits))
    return lfb_arg_error(L, 3, lua_tostring(L, -1));
  lfb_add_element(L, a, i, bits);
  return 1;
}

/* --- Many elements --- */

/* The positions at 'idx' and behind it, as those of string.sub. */
static size_t check_range(lua_State *L, int idx, const lf_array *a,
                          size_t *count) {
  lua_Integer n = (lua_Integer)a->length;
  lua_Integer i = lfb_optional_integer(L, idx, 1);
  lua_Integer j = lfb_optional_integer(L, idx + 1, -1);
  i = i < -n ? 1 : i < 0 ? n + i + 1 : i == 0 ? 1 : i;
  j = j > n ? n : j < -n ? 0 : j < 0 ? n + j + 1 : j;
  *count = i <= j ? (size_t)(j - i + 1) : 0;
  return *count ? (size_t)i - 1 : 0;
}

/* a:get([i [, j]]) -> the elements */
static int array_get(lua_State *L) {
  size_t n;
  lf_array *a = check_array(L, 1);
  size_t skip = check_range(L, 2, a, &n);
  if (n >= INT_MAX || !lua_checkstack(L, (int)n))
    return luaL_error(L, "too many elements for a list of results");
  for (size_t i = 0; i < n; i++)
    lfb_push_element(L, a, skip + i);
  return (int)n;
}

/* a:set(i, table or string of bytes) -> a. What comes before a value that is
 * refused is stored. */
static int array_set(lua_State *L) {
  lf_array *a = check_writable(L);
  lua_Integer i = lfb_check_integer(L, 2);
  bool bytes = lua_type(L, 3) == LUA_TSTRING;
  if (!bytes && !lua_istable(L, 3))
    lfb_type_error(L, 3, "table or string");
  lua_Integer n =
      bytes ? (lua_Integer)count_in_string(L, a->type, 3) : luaL_len(L, 3);
  if (i < 1 || (lua_Unsigned)i - 1 > a->length)
    return raise_range(L, a, i);
  if (n > (lua_Integer)(a->length - (size_t)i + 1))
    return raise_range(L, a, i + n - 1);
  if (bytes)
    set_bytes(L, a, (size_t)i - 1, 3);
  else
    set_all(L, a, (size_t)i - 1, 3, (size_t)n);
  lua_settop(L, 1);
  return 1;
}

/* a:fill(v) -> a */
static int array_fill(lua_State *L) {
  uint64_t bits;
  lf_array *a = check_writable(L);
  if (!lfb_take_element(L, 2, a->type, &bits))
    return lfb_arg_error(L, 2, lua_tostring(L, -1));
  lfb_fill_elements(a, 0, a->length, bits);
  lua_settop(L, 1);
  return 1;
}

/* a:copy(b) -> a */
static int array_copy(lua_State *L) {
  lf_array *a = check_writable(L), *b = check_array(L, 2);
  if (a->type != b->type)
    lfb_arg_error(L, 2,
                  lua_pushfstring(L, "array of %s expected, got one of %s",
                                  lf_element_name(a->type),
                                  lf_element_name(b->type)));
  if (a->length != b->length)
    lfb_arg_error(L, 2,
                  lua_pushfstring(L, "%I elements expected, got %I",
                                  (LUAI_UACINT)a->length,
                                  (LUAI_UACINT)b->length));
  memmove(a->data, b->data, a->bytes);
  lua_settop(L, 1);
  return 1;
}

/* a:tostring([i [, j]]) -> the bytes of the elements */
static int array_bytes_of(lua_State *L) {
  size_t n;
  lf_array *a = check_array(L, 1);
  size_t skip = check_range(L, 2, a, &n), size = lf_element_size(a->type);
  lua_pushlstring(L, (char *)a->data + skip * size, n * size);
  return 1;
}

/* --- Files --- */

static FILE *check_file(lua_State *L, int idx) {
  luaL_Stream *p = luaL_testudata(L, idx, LUA_FILEHANDLE);
  if (!p)
    lfb_type_error(L, idx, "file");
  lfb_arg_check(L, lfb_file_is_open(p), idx, "the file is closed");
  return p->f;
}

/* a:read(file [, i [, j]]) -> how many elements; nil, message, number */
static int array_read(lua_State *L) {
  size_t n;
  lf_array *a = check_writable(L);
  FILE *f = check_file(L, 2);
  size_t skip = check_range(L, 3, a, &n), size = lf_element_size(a->type);
  errno = 0;
  size_t got = fread((char *)a->data + skip * size, 1, n * size, f);
  if (got < n * size && ferror(f))
    return luaL_fileresult(L, 0, NULL);
  if (got % size != 0)
    return luaL_error(L, "the file ends within an element");
  lua_pushinteger(L, (lua_Integer)(got / size));
  return 1;
}

/* a:write(file [, i [, j]]) -> the same */
static int array_write(lua_State *L) {
  size_t n;
  lf_array *a = check_array(L, 1);
  FILE *f = check_file(L, 2);
  size_t skip = check_range(L, 3, a, &n), size = lf_element_size(a->type);
  errno = 0;
  if (fwrite((char *)a->data + skip * size, size, n, f) < n)
    return luaL_fileresult(L, 0, NULL);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

/* --- Views --- */

/* a:slice([i [, j]]) */
static int array_slice(lua_State *L) {
  size_t n;
  lf_array *a = check_array(L, 1);
  size_t skip = check_range(L, 2, a, &n);
  return push_view(L, a, skip, n, false);
}

/* a:chunks(n) -> list of slices of at most n elements */
static int array_chunks(lua_State *L) {
  lf_array *a = check_array(L, 1);
  lua_Integer n = lfb_check_integer(L, 2), k = 0;
  lfb_arg_check(L, n >= 1, 2, "must be at least 1");
  size_t size = (size_t)n;
  lua_newtable(L);
  for (size_t skip = 0; skip < a->length; skip += size) {
    size_t left = a->length - skip;
    push_view(L, a, skip, left < size ? left : size, false);
    lua_rawseti(L, -2, ++k);
    if (left <= size)
      break;
  }
  return 1;
}

/* a:readonly() */
static int array_readonly(lua_State *L) {
  lf_array *a = check_array(L, 1);
  return push_view(L, a, 0, a->length, true);
}

/* --- Looking --- */

/* a:bytes() */
static int array_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_array(L, 1)->bytes);
  return 1;
}

static int array_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_array(L, 1)->length);
  return 1;
}

static int array_tostring(lua_State *L) {
  lf_array *a = check_array(L, 1);
  lua_pushfstring(L, "lfut.Array(%s, %I%s)", lf_element_name(a->type),
                  (LUAI_UACINT)a->length, a->readonly ? ", read-only" : "");
  return 1;
}

/* The same elements of the same memory. */
static int array_eq(lua_State *L) {
  lf_array *a = array_at(L, 1), *b = array_at(L, 2);
  lua_pushboolean(L, a && b && a->data == b->data && a->type == b->type &&
                         a->length == b->length);
  return 1;
}

void lfb_array_hold(void *array) {
  lf_array_ref(array);
}

bool lfb_array_fits(lfb_class class, const void *array) {
  (void)class;
  return ((const lf_array *)array)->type != LF_A_OBJECT;
}

void lfb_array_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"add", array_add},
                                     {"bytes", array_size},
                                     {"chunks", array_chunks},
                                     {"copy", array_copy},
                                     {"fill", array_fill},
                                     {"get", array_get},
                                     {"read", array_read},
                                     {"readonly", array_readonly},
                                     {"set", array_set},
                                     {"slice", array_slice},
                                     {"tostring", array_bytes_of},
                                     {"write", array_write},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__eq", array_eq},
                                         {"__gc", array_gc},
                                         {"__len", array_len},
                                         {"__newindex", array_newindex},
                                         {"__tostring", array_tostring},
                                         {NULL, NULL}};
  static const lfb_handle handle = {.ref = lfb_array_hold,
                                    .drop = lf_array_unref,
                                    .push = push_array,
                                    .fits = lfb_array_fits,
                                    .crosses = lfb_reach_machine};
  static const lfb_descriptor array_class = {.class = LFB_ARRAY,
                                             .name = "lfut.Array",
                                             .methods = methods,
                                             .metamethods = metamethods,
                                             .index = array_index,
                                             .handle = &handle};
  lfb_newclass(L, S, &array_class);
}
