/* SPDX-License-Identifier: MIT
 *
 * See convert.h. */
#include "bindings/native/convert.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/native/native.h"
#include "bindings/pack/packer.h"
#include "bindings/pack/unpacker.h"
#include "bindings/sync/array.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

/* --- Numbers ----------------------------------------------------------------
 */

/* Of signed and unsigned integers of 1, 2, 4 bytes. */
static bool in_range(lua_Integer i, lf_ckind kind) {
  switch (kind) {
  case LF_C_INT8:
    return i >= INT8_MIN && i <= INT8_MAX;
  case LF_C_UINT8:
    return i >= 0 && i <= UINT8_MAX;
  case LF_C_INT16:
    return i >= INT16_MIN && i <= INT16_MAX;
  case LF_C_UINT16:
    return i >= 0 && i <= UINT16_MAX;
  case LF_C_INT32:
    return i >= INT32_MIN && i <= INT32_MAX;
  case LF_C_UINT32:
    return i >= 0 && i <= UINT32_MAX;
  default:
    return true;
  }
}

bool lfb_fit_integer(lua_Integer i, lf_ckind kind, lf_cvalue *out) {
  out->bits = 0;
  if (kind == LF_C_DOUBLE)
    out->d = (double)i;
  else if (kind == LF_C_FLOAT)
    out->f = (float)i;
  else
    out->i = i;
  return kind != LF_C_BOOL && kind < LF_C_POINTER && in_range(i, kind);
}

bool lfb_fit_number(lua_Number n, lf_ckind kind, lf_cvalue *out) {
  lua_Integer i;
  out->bits = 0;
  if (kind == LF_C_DOUBLE || kind == LF_C_FLOAT) {
    if (kind == LF_C_DOUBLE)
      out->d = n;
    else
      out->f = (float)n;
    return true;
  }
  if (n != floor(n))
    return false;
  if (n < 0 && kind == LF_C_UINT64)
    return false; /* only integers stand for their bits */
  if (lfb_is_integral(n, &i))
    return lfb_fit_integer(i, kind, out);
  out->bits = n >= 0 && n < 0x1p64 ? (uint64_t)n : 0;
  return kind == LF_C_UINT64 && n >= 0 && n < 0x1p64;
}

/* The value at 'idx' as an argument of that kind (no pointer); false: it is
 * none, or does not fit. */
static bool to_cvalue(lua_State *L, int idx, lf_ckind kind, lf_cvalue *out) {
  int type = lua_type(L, idx);
  if (kind == LF_C_BOOL) {
    out->bits = (uint64_t)lua_toboolean(L, idx);
    return type == LUA_TBOOLEAN;
  }
  if (type != LUA_TNUMBER)
    return false;
  return lua_isinteger(L, idx)
             ? lfb_fit_integer(lua_tointeger(L, idx), kind, out)
             : lfb_fit_number(lua_tonumber(L, idx), kind, out);
}

/* --- Errors in words --------------------------------------------------------
 */

/* As luaL_error, but the loops' driver is not a place to point to. */
static int fail(lua_State *L, const char *format, ...) {
  va_list args;
  lua_Debug ar;
  bool driver = lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) &&
                strcmp(ar.source, "=lfut") == 0;
  if (driver)
    lua_pushliteral(L, "");
  else
    luaL_where(L, 1);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

static const char *param_name(lua_State *L, const lf_native *n, int i) {
  const char *name = n->proto->params[i].name;
  if (!name[0])
    return lua_pushfstring(L, "%s: argument %d", n->proto->name, i + 1);
  return lua_pushfstring(L, "%s: argument %d '%s'", n->proto->name, i + 1,
                         name);
}

void lfb_print_param(lf_buf *out, const lf_native *n, int i) {
  const char *name = n->proto->params[i].name;
  lf_buf_print(out, "%s: argument %d", n->proto->name, i + 1);
  if (name[0])
    lf_buf_print(out, " '%s'", name);
}

static const char *type_name(lua_State *L, lfb_state *S, int idx) {
  lf_array *a = lfb_test_array(L, S, idx);
  if (a)
    return lua_pushfstring(L, "%s array", lf_element_name(a->type));
  if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
    return lua_tostring(L, -1);
  return luaL_typename(L, idx);
}

static int wrong_type(lua_State *L, lfb_state *S, const lf_native *n, int i,
                      int idx, const char *expected) {
  return fail(L, "%s: %s expected, got %s", param_name(L, n, i), expected,
              type_name(L, S, idx));
}

/* "compress2: 5 arguments expected, got 4 (dest, destLen, src, n, level)" */
static int wrong_count(lua_State *L, const lf_native *n, int count) {
  const lf_cfunc *f = n->proto;
  luaL_Buffer names;
  luaL_buffinit(L, &names);
  for (int i = 0; i < f->nparams; i++) {
    luaL_addstring(&names, i > 0 ? ", " : " (");
    luaL_addstring(&names, f->params[i].name[0] ? f->params[i].name
                                                : f->params[i].type->name);
  }
  if (f->nparams > 0)
    luaL_addchar(&names, ')');
  luaL_pushresult(&names);
  return fail(L, "%s: %d argument%s expected, got %d%s", f->name, f->nparams,
              f->nparams == 1 ? "" : "s", count, lua_tostring(L, -1));
}

/* --- Pointers ---------------------------------------------------------------
 */

bool lfb_pointer_fits(const lfb_pointer *p, const lf_native *n, lfb_target to,
                      lf_buf *why) {
  bool own = p->pid == getpid();
  if (p->library != n->library->identity)
    lf_buf_print(why, "handle belongs to another library");
  else if (to == LFB_HERE ? !own : to == LFB_THERE && own)
    lf_buf_print(why, "handle belongs to process %d", (int)p->pid);
  else
    return true;
  return false;
}

/* Arrays' element types by the kinds of C's. */
static bool same_element(lf_element e, lf_ckind kind) {
  static const lf_ckind kinds[LF_A_TYPES] = {
      [LF_A_INT8] = LF_C_INT8,   [LF_A_UINT8] = LF_C_UINT8,
      [LF_A_INT16] = LF_C_INT16, [LF_A_UINT16] = LF_C_UINT16,
      [LF_A_INT32] = LF_C_INT32, [LF_A_UINT32] = LF_C_UINT32,
      [LF_A_INT64] = LF_C_INT64, [LF_A_UINT64] = LF_C_UINT64,
      [LF_A_FLOAT] = LF_C_FLOAT, [LF_A_DOUBLE] = LF_C_DOUBLE,
  };
  return kinds[e] == kind;
}

/* What a parameter that is a pointer takes. */
typedef struct {
  bool text;    /* strings without zeroes */
  bool bytes;   /* strings */
  bool any;     /* arrays of all types */
  bool handles; /* pointers that C has given */
  bool write;   /* what it points to may be changed */
} accepted;

static accepted accepted_by(const lf_ctype *pointer) {
  const lf_ctype *to = pointer->to;
  bool is_bytes = to->kind == LF_C_VOID || to->kind == LF_C_UINT8;
  accepted a = {.write = !to->is_const};
  a.text = to->is_const && to->is_char;
  a.bytes = to->is_const && is_bytes;
  a.any = is_bytes || (to->is_char && !to->is_const);
  a.handles = to->kind == LF_C_VOID || to->kind == LF_C_OPAQUE;
  return a;
}

static const char *expected_by(lua_State *L, const lf_ctype *pointer) {
  const lf_ctype *to = pointer->to;
  accepted a = accepted_by(pointer);
  if (a.text)
    return "string";
  if (a.bytes)
    return "string or array";
  if (a.any)
    return "array";
  if (to->kind == LF_C_POINTER)
    return "lfut.Out";
  if (to->kind == LF_C_FUNCTION)
    return "function of a library";
  if (to->kind == LF_C_OPAQUE)
    return lua_pushfstring(L, "handle (%s)", pointer->name);
  for (int e = 0; e < LF_A_TYPES; e++)
    if (same_element((lf_element)e, to->kind))
      return lua_pushfstring(L, "%s array", lf_element_name((lf_element)e));
  return pointer->name;
}

static void convert_string(lua_State *L, const lf_native *n, int i, int idx,
                           bool is_text, lfb_cargs *out) {
  size_t len;
  const char *s = lua_tolstring(L, idx, &len);
  if (is_text && strlen(s) != len)
    fail(L,
         "%s: string contains '\\0'; pass a length and use const "
         "uint8_t *",
         param_name(L, n, i));
  out->values[i].p = (void *)(uintptr_t)s;
  out->lengths[i] = len;
}

bool lfb_takes_array(const lf_ctype *type, const lf_array *array) {
  accepted a = accepted_by(type);
  bool fits = a.any || a.bytes || same_element(array->type, type->to->kind);
  return fits && !a.text && !(a.write && array->readonly);
}

size_t lfb_array_length(const lf_array *array, const lf_ctype *type) {
  accepted a = accepted_by(type);
  return a.any || a.bytes ? array->bytes : array->length;
}

static void convert_array(lua_State *L, lfb_state *S, const lf_native *n, int i,
                          int idx, lf_array *array, lfb_cargs *out) {
  const lf_ctype *type = n->proto->params[i].type;
  if (!lfb_takes_array(type, array)) {
    if (accepted_by(type).write && array->readonly)
      fail(L, "%s: the array is read-only", param_name(L, n, i));
    wrong_type(L, S, n, i, idx, expected_by(L, type));
  }
  out->values[i].p = array->data;
  out->lengths[i] = lfb_array_length(array, type);
}

static void convert_pointer(lua_State *L, const lf_native *n, int i,
                            const lfb_pointer *p, lfb_target to,
                            lfb_cargs *out) {
  char text[100];
  lf_buf why;
  lf_buf_init(&why, text, sizeof text);
  if (!lfb_pointer_fits(p, n, to, &why)) {
    lua_pushlstring(L, (char *)why.data, why.len);
    fail(L, "%s: %s", param_name(L, n, i), lua_tostring(L, -1));
  }
  out->values[i].p = p->pointer;
}

static void refuse_callback(lua_State *L, const lf_native *n, int i) {
  fail(L, "%s: Lua callbacks cannot be passed to native tasks",
       param_name(L, n, i));
}

/* The value at 'idx' as the i-th argument, which is a pointer. */
static void convert_reference(lua_State *L, lfb_state *S, const lf_native *n,
                              int i, int idx, lfb_target target,
                              lfb_cargs *out) {
  const lf_ctype *type = n->proto->params[i].type;
  const lf_ckind to = type->to->kind;
  accepted a = accepted_by(type);
  void *object;
  out->values[i].p = NULL;
  out->lengths[i] = SIZE_MAX;
  if (lua_isnil(L, idx))
    return;
  if ((a.text || a.bytes) && lua_type(L, idx) == LUA_TSTRING)
    convert_string(L, n, i, idx, a.text, out);
  else if (to == LF_C_POINTER && (object = lfb_test(L, S, idx, LFB_OUT)))
    out->values[i].p = (*(lf_array **)object)->data;
  else if (a.handles && (object = lfb_test(L, S, idx, LFB_POINTER)))
    convert_pointer(L, n, i, object, target, out);
  else if (to == LF_C_FUNCTION && (object = lfb_test(L, S, idx, LFB_NATIVE)))
    out->values[i].p = lf_native_entry(*(lf_native **)object);
  else if (to == LF_C_FUNCTION && lua_isfunction(L, idx))
    refuse_callback(L, n, i);
  else if (to != LF_C_POINTER && to != LF_C_OPAQUE && to != LF_C_FUNCTION &&
           (object = lfb_test_array(L, S, idx)))
    convert_array(L, S, n, i, idx, object, out);
  else
    wrong_type(L, S, n, i, idx, expected_by(L, type));
}

static void convert_number(lua_State *L, lfb_state *S, const lf_native *n,
                           int i, int idx, lf_cvalue *out) {
  const lf_ctype *type = n->proto->params[i].type;
  if (to_cvalue(L, idx, type->kind, out))
    return;
  if (lua_type(L, idx) == LUA_TNUMBER && type->kind != LF_C_BOOL)
    fail(L, "%s: %s does not fit %s", param_name(L, n, i),
         luaL_tolstring(L, idx, NULL), type->name);
  wrong_type(L, S, n, i, idx, type->kind == LF_C_BOOL ? "boolean" : type->name);
}

void lfb_convert(lua_State *L, lfb_state *S, const lf_native *n, int first,
                 int count, lfb_target target, lfb_cargs *out) {
  const lf_cfunc *f = n->proto;
  char text[1024]; /* as much as lf_buf_print appends: nothing to free */
  lf_buf why;
  if (f->variadic)
    fail(L,
         "%s: give the types of its further arguments first, as in "
         "lib.%s:types('int, double')",
         f->name, f->name);
  if (count < n->least || count > f->nparams)
    wrong_count(L, n, count);
  for (int i = 0; i < count; i++)
    if (f->params[i].type->kind == LF_C_POINTER)
      convert_reference(L, S, n, i, first + i, target, out);
    else
      convert_number(L, S, n, i, first + i, &out->values[i]);
  lf_native_fill(n, count, out->values, out->lengths);
  lf_buf_init(&why, text, sizeof text);
  if (lf_native_check(n, out->values, out->lengths, &why))
    return;
  lua_pushlstring(L, (char *)why.data, why.len);
  fail(L, "%s: %s", f->name, lua_tostring(L, -1));
}

/* --- Results ----------------------------------------------------------------
 */

/* What it has returned, if that is a number. */
static void push_code(lua_State *L, const lf_native *n, const lf_cvalue *v) {
  lf_ckind kind = n->proto->result->kind;
  if (kind == LF_C_POINTER || kind == LF_C_VOID)
    lua_pushnil(L);
  else
    lfb_push_cvalue(L, n, v);
}

void lfb_push_native_error(lua_State *L, const lf_native *n,
                           const char *message, const lf_native_error *e) {
  lfb_push_error(L, "NativeError", "%s", message);
  lua_pushfstring(L, "function %s of %s", n->proto->name, n->library->name);
  lua_setfield(L, -2, "func");
  push_code(L, n, &e->value);
  lua_setfield(L, -2, "code");
  if (e->error_number) {
    lua_pushinteger(L, e->error_number);
    lua_setfield(L, -2, "errno");
  }
}

void lfb_explain(const lf_native *n, const lfut_task *task,
                 const lf_native_error *e, lf_buf *out) {
  if (task->error) {
    lf_buf_print(out, "%s of %s: ", n->proto->name, n->library->name);
    (void)lf_buf_put_text(out, task->error);
  } else if (task->no_memory) {
    lf_buf_print(out, LF_NO_MEMORY);
  } else {
    lf_native_explain(n, e, out);
  }
}

int lfb_raise_native(lua_State *L, const lf_native *n, const lfut_task *task,
                     const lf_native_error *e) {
  lf_buf *out = lfb_push_buf(L);
  lfb_explain(n, task, e, out);
  lua_pushlstring(L, (char *)out->data, out->len);
  lfb_push_native_error(L, n, lua_tostring(L, -1), e);
  return lua_error(L);
}

/* Pushes a pointer; nil for NULL. */
static void push_pointer(lua_State *L, const lfb_pointer *p) {
  if (!p->pointer) {
    lua_pushnil(L);
    return;
  }
  lfb_pointer *u = lua_newuserdatauv(L, sizeof *u, 0);
  *u = *p;
  lfb_set_class(L, LFB_POINTER);
}

int lfb_push_cvalue(lua_State *L, const lf_native *n, const lf_cvalue *v) {
  const lf_ctype *type = n->proto->result;
  switch (type->kind) {
  case LF_C_VOID:
    return 0;
  case LF_C_BOOL:
    lua_pushboolean(L, v->i != 0);
    return 1;
  case LF_C_FLOAT:
    lua_pushnumber(L, (lua_Number)v->f);
    return 1;
  case LF_C_DOUBLE:
    lua_pushnumber(L, v->d);
    return 1;
  case LF_C_POINTER:
    break;
  default:
    lfb_push_exact(L, (lua_Integer)v->i);
    return 1;
  }
  if (type->to->is_char) {
    lua_pushstring(L, v->p); /* nil for NULL */
    return 1;
  }
  lfb_pointer p = {v->p, n->library->identity, getpid()};
  push_pointer(L, &p);
  return 1;
}

int lfb_push_extra(lua_State *L, const lfut_task *task) {
  const unsigned char *at = task->extra.data;
  const unsigned char *end = at + task->extra.len;
  int n = 0;
  for (; task->extra.len > 0 && at < end; n++) {
    uint64_t size;
    memcpy(&size, at, sizeof size);
    luaL_checkstack(L, 1, "too many results");
    lua_pushlstring(L, (const char *)at + sizeof size, (size_t)size);
    at += sizeof size + size;
  }
  return n;
}

/* --- Handles and outs -------------------------------------------------------
 */

static int pointer_tostring(lua_State *L) {
  const lfb_pointer *p = lfb_check(L, 1, LFB_POINTER);
  lua_pushfstring(L, "lfut.Handle(%p, process %d)", p->pointer, (int)p->pid);
  return 1;
}

static int pointer_eq(lua_State *L) {
  lfb_state *S = lfb_self(L);
  const lfb_pointer *a = lfb_test(L, S, 1, LFB_POINTER);
  const lfb_pointer *b = lfb_test(L, S, 2, LFB_POINTER);
  lua_pushboolean(L, a && b && a->pointer == b->pointer && a->pid == b->pid);
  return 1;
}

static void pack_pointer(lua_State *L, lfb_packer *P) {
  lfb_packer_put(P, lua_touserdata(L, -1), sizeof(lfb_pointer));
}

static void unpack_pointer(lua_State *L, lfb_unpacker *U) {
  lfb_pointer p;
  lfb_unpacker_get(U, &p, sizeof p);
  push_pointer(L, &p);
}

static lf_array **new_out(lua_State *L) {
  lf_array **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = NULL;
  lfb_set_class(L, LFB_OUT);
  return slot;
}

int lfb_out(lua_State *L) {
  lf_array **slot = new_out(L);
  *slot = lf_array_new(LF_A_UINT64, LFB_OUT_WORDS);
  return *slot ? 1 : lfb_raise_memory(L);
}

static void push_out(lua_State *L, lfb_state *S, void *array) {
  (void)S;
  *new_out(L) = lf_array_ref(array);
}

void lfb_sign_out(lf_array *out, const lf_native *n) {
  uint64_t *words = out->data;
  words[LFB_OUT_LIBRARY] = n->library->identity;
  words[LFB_OUT_PID] = (uint64_t)getpid();
}

/* out:get() */
static int out_get(lua_State *L) {
  lf_array **slot = lfb_check(L, 1, LFB_OUT);
  const uint64_t *words = (*slot)->data;
  lfb_pointer p = {(void *)(uintptr_t)words[LFB_OUT_POINTER],
                   words[LFB_OUT_LIBRARY], (int32_t)words[LFB_OUT_PID]};
  push_pointer(L, &p);
  return 1;
}

static int out_gc(lua_State *L) {
  lf_array **slot = lfb_check(L, 1, LFB_OUT);
  if (*slot)
    lf_array_unref(*slot);
  *slot = NULL;
  return 0;
}

void lfb_convert_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg pointer[] = {
      {"__tostring", pointer_tostring}, {"__eq", pointer_eq}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"get", out_get}, {NULL, NULL}};
  static const luaL_Reg out[] = {{"__gc", out_gc}, {NULL, NULL}};
  static const lfb_descriptor pointer_class = {.class = LFB_POINTER,
                                               .name = "lfut.Handle",
                                               .methods = none,
                                               .metamethods = pointer,
                                               .pack = pack_pointer,
                                               .unpack = unpack_pointer,
                                               .local = true};
  static const lfb_handle handle = {.ref = lfb_array_hold,
                                    .drop = lf_array_unref,
                                    .push = push_out,
                                    .fits = lfb_array_fits,
                                    .crosses = lfb_reach_machine};
  static const lfb_descriptor out_class = {.class = LFB_OUT,
                                           .name = "lfut.Out",
                                           .methods = methods,
                                           .metamethods = out,
                                           .handle = &handle};
  lfb_newclass(L, S, &pointer_class);
  lfb_newclass(L, S, &out_class);
}
