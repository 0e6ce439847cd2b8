/* SPDX-License-Identifier: MIT
 *
 * See native.h. A library is a userdata with a pointer to it, and a table of
 * what it has: functions by their names, constants. */
#include "bindings/native/native.h"

#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/native/convert.h"
#include "bindings/pack/packer.h"
#include "bindings/pack/unpacker.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/run.h"
#include "bindings/run/wait.h"
#include "runtime/base/mem.h"
#include "runtime/task/strand.h"

lf_native *lfb_test_native(lua_State *L, lfb_state *S, int idx) {
  lf_native **slot = lfb_test(L, S, idx, LFB_NATIVE);
  return slot ? *slot : NULL;
}

static void push_native(lua_State *L, lf_native *n) {
  lfb_push_ref(L, LFB_REF_HANDLES);
  if (lua_rawgetp(L, -1, n) == LUA_TUSERDATA) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lf_native **slot = lua_newuserdatauv(L, sizeof(lf_native *), 0);
  *slot = n;
  lfb_set_class(L, LFB_NATIVE);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, n);
  lua_remove(L, -2);
}

/* Pushes the table of functions and constants. */
static void push_members(lua_State *L, const lf_library *l) {
  lua_newtable(L);
  for (size_t i = 0; i < l->decl->nconstants; i++) {
    lua_pushinteger(L, (lua_Integer)l->decl->constants[i].value);
    lua_setfield(L, -2, l->decl->constants[i].name);
  }
  for (size_t i = l->nfunctions; i-- > 0;) { /* the first of a name stays */
    push_native(L, l->functions[i]);
    lua_setfield(L, -2, l->functions[i]->proto->name);
  }
}

static void push_library(lua_State *L, lf_library *l) {
  lfb_push_ref(L, LFB_REF_HANDLES);
  if (lua_rawgetp(L, -1, l) == LUA_TUSERDATA) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lf_library **slot = lua_newuserdatauv(L, sizeof(lf_library *), 1);
  *slot = l;
  push_members(L, l);
  lua_setiuservalue(L, -2, 1);
  lfb_set_class(L, LFB_LIBRARY);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, l);
  lua_remove(L, -2);
}

/* The library that a code describes; raises if it cannot be loaded here. */
static lf_library *open_library(lua_State *L, lf_code *code) {
  lf_library *l;
  lf_buf *why = lfb_push_buf(L);
  int err = lf_library_open(code, &l, why);
  if (err == LF_ENOMEM)
    lfb_raise_memory(L);
  if (err) {
    luaL_where(L, 1);
    lua_pushlstring(L, (char *)why->data, why->len);
    lua_concat(L, 2);
    lua_error(L);
  }
  lua_pop(L, 1);
  return l;
}

/* --- lfut.load --------------------------------------------------------------
 */

/* A string without zeroes. */
static const char *check_text(lua_State *L, int idx) {
  size_t len;
  const char *s = lfb_check_string(L, idx, &len);
  lfb_arg_check(L, strlen(s) == len, idx, "string contains '\\0'");
  return s;
}

static lf_threads threads_option(lua_State *L, int opts) {
  int i = 0;
  if (lua_isnil(L, opts) || lua_getfield(L, opts, "threads") == LUA_TNIL)
    return LF_SERIAL;
  if (lua_type(L, -1) != LUA_TSTRING)
    lfb_option_error(L, "threads", "string");
  const char *value = lua_tostring(L, -1);
  while (lf_threads_names[i] && strcmp(lf_threads_names[i], value) != 0)
    i++;
  if (!lf_threads_names[i])
    luaL_error(L,
               "bad option 'threads' ('serial', 'safe', 'affine' or 'process' "
               "expected, got '%s')",
               value);
  lua_pop(L, 1);
  return (lf_threads)i;
}

/* Pushes the least key of the table that is greater than the one at the top
 * (nil: the least of all), which it replaces; false: there is none. */
static bool next_key(lua_State *L, int table) {
  int last = lua_gettop(L), best = last + 1;
  lua_pushnil(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    bool later = lua_isnil(L, last) || lua_compare(L, last, -2, LUA_OPLT);
    if (!later || (!lua_isnil(L, best) && lua_compare(L, best, -2, LUA_OPLT)))
      continue;
    lua_pushvalue(L, -2);
    lua_replace(L, best);
  }
  lua_replace(L, last);
  return !lua_isnil(L, last);
}

static const char *option_text(lua_State *L, const char *option, int idx) {
  size_t len;
  const char *s = lua_tolstring(L, idx, &len);
  if (strlen(s) != len)
    luaL_error(L, "bad option '%s' (string contains '\\0')", option);
  return s;
}

/* Adds an option that is a table of strings by functions' names; in their
 * order, so that the same options give the same bytes. */
static void put_option(lua_State *L, int opts, const char *name,
                       lf_library_option what, lf_buf *out) {
  if (lua_isnil(L, opts) || lua_getfield(L, opts, name) == LUA_TNIL)
    return;
  if (!lua_istable(L, -1))
    lfb_option_error(L, name, "table");
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "bad option '%s' (strings by functions' names expected)",
                 name);
  lua_pushnil(L);
  while (next_key(L, table)) {
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    if (lf_library_option_put(out, what, option_text(L, name, -2),
                              option_text(L, name, -1)) != 0)
      lfb_raise_memory(L);
    lua_pop(L, 1);
  }
  lua_settop(L, table - 1);
}

static void unref_code(void *code) {
  lf_code_unref(code);
}

/* Loads what the description in 'bytes' says; pushes what keeps the code,
 * too. */
static lf_library *load_described(lua_State *L, const lf_buf *bytes) {
  lfb_box *box = lfb_push_box(L, unref_code);
  box->content = lf_code_get(bytes->data, bytes->len, "library", NULL);
  if (!box->content)
    lfb_raise_memory(L);
  return open_library(L, box->content);
}

int lfb_load(lua_State *L) {
  static const char *const names[] = {"threads", "error", "args", NULL};
  const char *name = check_text(L, 1), *text = check_text(L, 2);
  lfb_arg_check(L, name[0], 1, "name of a library expected");
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) {
    lfb_check_type(L, 3, LUA_TTABLE);
    lfb_check_option_names(L, 3, names);
  }
  lf_buf *bytes = lfb_push_buf(L);
  if (lf_library_describe(bytes, name, threads_option(L, 3), text) != 0)
    lfb_raise_memory(L);
  put_option(L, 3, "error", LF_OPT_ERROR, bytes);
  put_option(L, 3, "args", LF_OPT_ARGS, bytes);
  push_library(L, load_described(L, bytes));
  return 1;
}

int lfb_plugin(lua_State *L) {
  const char *path = check_text(L, 1);
  lfb_arg_check(L, path[0], 1, "path of a plugin expected");
  lua_settop(L, 1);
  lf_buf *bytes = lfb_push_buf(L);
  if (lf_library_describe_plugin(bytes, path) != 0)
    lfb_raise_memory(L);
  push_library(L, load_described(L, bytes));
  return 1;
}

/* --- Calling ----------------------------------------------------------------
 */

void lfb_check_threads(lua_State *L, lfb_state *S, const lf_native *n,
                       lf_pool *pool) {
  bool far = pool ? lf_pool_is_remote(pool) : S->reach != NULL;
  if (n->threads == LF_BY_PROCESS && !far)
    luaL_error(L,
               "%s of %s may only run in worker processes (threads = "
               "'process'): submit it to a ProcessPoolExecutor",
               n->proto->name, n->library->name);
}

/* Outs that were passed belong to the process that has called. */
static void sign_outs(lua_State *L, lfb_state *S, const lf_native *n,
                      int first) {
  for (int i = 0; i < n->proto->nparams; i++) {
    lf_array **out = lua_isuserdata(L, first + i)
                         ? lfb_test(L, S, first + i, LFB_OUT)
                         : NULL;
    if (out)
      lfb_sign_out(*out, n);
  }
}

static void free_call(void *task) {
  lf_call_fini(task);
  lf_free(task);
}

/* Pushes what belongs to a call of a plugin's function, or nothing. */
static lfut_task *push_task(lua_State *L, lfb_state *S, const lf_native *n) {
  if (!n->library->version)
    return NULL;
  lfb_box *box = lfb_push_box(L, free_call);
  lfut_task *task = box->content = lf_zalloc(sizeof *task);
  if (!task)
    lfb_raise_memory(L);
  task->stop = S->vm ? &S->vm->interrupted : &lfb_signalled;
  return task;
}

/* f(...) */
static int native_call(lua_State *L) {
  lfb_state *S = lfb_self(L);
  const lf_native *n = *(lf_native **)lfb_check(L, 1, LFB_NATIVE);
  int nargs = lua_gettop(L) - 1;
  lfb_cargs args;
  lf_cvalue result;
  lf_native_error error;
  lfut_task none = {0};
  lfb_check_threads(L, S, n, NULL);
  lfb_convert(L, S, n, 2, nargs, LFB_HERE, &args);
  lfut_task *task = push_task(L, S, n);
  task = task ? task : &none;
  lfb_enter(L, S, n->strand);
  bool ok = lf_native_call(n, args.values, task, &result, &error);
  if (n->strand)
    lf_strand_leave(n->strand);
  sign_outs(L, S, n, 2);
  if (!ok)
    return lfb_raise_native(L, n, task, &error);
  int pushed = lfb_push_cvalue(L, n, &result);
  return pushed + lfb_push_extra(L, task);
}

/* f:types("int, double"): the variadic function with these types. */
static int native_types(lua_State *L) {
  const lf_native *n = *(lf_native **)lfb_check(L, 1, LFB_NATIVE);
  const char *types = check_text(L, 2);
  const lf_library *l = n->library;
  if (!n->proto->variadic)
    return luaL_error(L, "%s is not variadic", n->proto->name);
  lf_buf *bytes = lfb_push_buf(L);
  if (lf_buf_put(bytes, l->code->bytes, l->code->len) != 0 ||
      lf_library_option_put(bytes, LF_OPT_TYPES, n->proto->name, types) != 0)
    return lfb_raise_memory(L);
  lf_library *more = load_described(L, bytes);
  push_native(L, more->functions[more->nfunctions - 1]);
  return 1;
}

static int native_tostring(lua_State *L) {
  const lf_native *n = *(lf_native **)lfb_check(L, 1, LFB_NATIVE);
  lua_pushfstring(L, "%s: %s", n->code->label, n->proto->text);
  return 1;
}

/* --- Libraries --------------------------------------------------------------
 */

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value); /* NULL: nil */
  lua_setfield(L, -2, key);
}

/* Pushes what is true of a function besides its prototype. */
static void push_description(lua_State *L, const lf_native *n) {
  static const struct {
    uint32_t flag;
    const char *name;
  } flags[] = {{LFUT_IDEMPOTENT, "idempotent"},
               {LFUT_BLOCKING, "blocking"},
               {LFUT_CANCELLABLE, "cancellable"},
               {LFUT_OWN_THREADS, "own_threads"}};
  lua_createtable(L, 0, 4);
  set_string(L, "prototype", n->proto->text);
  set_string(L, "threads", lf_threads_names[n->threads]);
  set_string(L, "doc", n->doc);
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    if (!(n->flags & flags[i].flag))
      continue;
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, flags[i].name);
  }
}

/* lib:info() */
static int library_info(lua_State *L) {
  const lf_library *l = *(lf_library **)lfb_check(L, 1, LFB_LIBRARY);
  lua_createtable(L, 0, 5);
  set_string(L, "name", l->name);
  set_string(L, "path", l->path);
  set_string(L, "version", l->version);
  if (!l->version)
    set_string(L, "threads", lf_threads_names[l->threads]);
  lua_newtable(L);
  for (size_t i = 0; i < l->decl->nfunctions; i++) {
    push_description(L, l->functions[i]);
    lua_setfield(L, -2, l->functions[i]->proto->name);
  }
  lua_setfield(L, -2, "functions");
  return 1;
}

static int library_index(lua_State *L) {
  const lf_library *l = *(lf_library **)lfb_check(L, 1, LFB_LIBRARY);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL)
    return 1;
  if (!lfb_push_method(L))
    return 1;
  return luaL_error(L, "'%s' is not declared for %s",
                    luaL_tolstring(L, 2, NULL), l->name);
}

static int library_tostring(lua_State *L) {
  const lf_library *l = *(lf_library **)lfb_check(L, 1, LFB_LIBRARY);
  lua_pushfstring(L, "lfut.Library(%s)", l->name);
  return 1;
}

/* --- Packed -----------------------------------------------------------------
 */

/* Libraries stay; other processes load what is named so. */
static void pack_code(lfb_packer *P, lf_code *code) {
  if (lfb_packer_reach(P))
    lfb_packer_put_object(P, lf_code_ref(code), lf_code_unref);
  else
    lfb_packer_put(P, &code, sizeof code);
}

/* A description of a library, not of a Lua function. */
static lf_library *unpack_code(lua_State *L, lfb_unpacker *U) {
  lf_code *code = lfb_unpacker_get_object(U, lf_code_unref);
  if (code->len > 0 && code->bytes[0] == LUA_SIGNATURE[0])
    lfb_unpacker_refuse(U);
  return open_library(L, code);
}

static void pack_library(lua_State *L, lfb_packer *P) {
  pack_code(P, (*(lf_library **)lua_touserdata(L, -1))->code);
}

static void unpack_library(lua_State *L, lfb_unpacker *U) {
  push_library(L, unpack_code(L, U));
}

static void pack_native(lua_State *L, lfb_packer *P) {
  const lf_native *n = *(lf_native **)lua_touserdata(L, -1);
  pack_code(P, n->library->code);
  lfb_packer_put(P, &n->index, sizeof n->index);
}

static void unpack_native(lua_State *L, lfb_unpacker *U) {
  uint32_t i;
  lf_library *l = unpack_code(L, U);
  lfb_unpacker_get(U, &i, sizeof i);
  if (i >= l->nfunctions)
    lfb_unpacker_refuse(U);
  push_native(L, l->functions[i]);
}

void lfb_native_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"types", native_types}, {NULL, NULL}};
  static const luaL_Reg function[] = {
      {"__call", native_call}, {"__tostring", native_tostring}, {NULL, NULL}};
  static const luaL_Reg library_methods[] = {{"info", library_info},
                                             {NULL, NULL}};
  static const luaL_Reg library[] = {{"__tostring", library_tostring},
                                     {NULL, NULL}};
  static const lfb_descriptor native_class = {.class = LFB_NATIVE,
                                              .name = "lfut.Function",
                                              .methods = methods,
                                              .metamethods = function,
                                              .pack = pack_native,
                                              .local = true,
                                              .unpack = unpack_native};
  static const lfb_descriptor library_class = {.class = LFB_LIBRARY,
                                               .name = "lfut.Library",
                                               .methods = library_methods,
                                               .metamethods = library,
                                               .index = library_index,
                                               .pack = pack_library,
                                               .local = true,
                                               .unpack = unpack_library};
  lfb_newclass(L, S, &native_class);
  lfb_newclass(L, S, &library_class);
}
