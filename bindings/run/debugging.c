/* SPDX-License-Identifier: MIT
 *
 * See debugging.h. */
#include "bindings/run/debugging.h"

#include <limits.h>

#include "bindings/core/box.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/run/run.h"

#if LFB_HAS_HOOKS

/* In the place of the script's hook while that runs: there are no hooks within
 * hooks. */
static void quiet(lua_State *L, lua_Debug *ar) {
  (void)L;
  (void)ar;
}

void lfb_debug_begin(struct lf_vm *vm, lua_State *L, lfb_state *S) {
  lua_Hook hook = S->vm ? NULL : lua_gethook(L);
  if (!hook || hook != S->debug_hook)
    return;
  vm->debugged = L;
  vm->hook = hook;
}

void lfb_debug_end(struct lf_vm *vm) {
  vm->debugged = NULL;
}

/* Protected: (event) in the script's interpreter. */
static int call_hook(lua_State *L) {
  lua_Debug *ar = lua_touserdata(L, 1);
  lfb_state_find(L)->debug_hook(L, ar);
  return 0;
}

static void pass_on(lua_State *co, lua_Debug *ar) {
  struct lf_vm *vm = lfb_state_find(co)->vm;
  lua_State *L = vm ? vm->debugged : NULL;
  if (!L || !lua_checkstack(L, 10))
    return;
  lfb_state *S = lfb_state_find(L);
  lua_State *outer = S->hooked;
  int mask = lua_gethookmask(L), count = lua_gethookcount(L);
  S->hooked = co;
  lua_sethook(L, quiet, LUA_MASKCOUNT, INT_MAX);
  lua_pushcfunction(L, call_hook);
  lua_pushlightuserdata(L, ar);
  int status = lua_pcall(L, 1, 0, 0);
  S->hooked = outer;
  if (lua_gethook(L) == quiet)
    lua_sethook(L, vm->hook, mask, count);
  else /* it has set another, or none */
    lfb_debug_task(vm, co);
  if (status == LUA_OK)
    return;
  const char *text = lua_tostring(L, -1);
  lua_pushstring(co, text ? text : "error in a debug hook");
  lua_pop(L, 1);
  lua_error(co);
}

void lfb_debug_task(struct lf_vm *vm, lua_State *co) {
  lua_State *L = vm->debugged;
  if (!L)
    return;
  int mask = lua_gethookmask(L);
  lua_sethook(co, mask ? pass_on : NULL, mask, lua_gethookcount(L));
}

/* --- debug.getinfo, debug.getlocal --- */

/* At which level the hook was called from outside, or -1. */
static int find_border(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "f", &ar);
    bool is = lua_tocfunction(L, -1) == call_hook;
    lua_pop(L, 1);
    if (is)
      return level;
  }
  return -1;
}

static void set_string(lua_State *L, const char *field, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, lua_Integer i) {
  lua_pushinteger(L, i);
  lua_setfield(L, -2, field);
}

/* What can be told in another interpreter: all but functions. */
static void push_info(lua_State *L, const lua_Debug *ar) {
  lua_createtable(L, 0, 12);
  lua_pushlstring(L, ar->source, ar->srclen);
  lua_setfield(L, -2, "source");
  set_string(L, "short_src", ar->short_src);
  set_string(L, "what", ar->what);
  set_string(L, "name", ar->name);
  set_string(L, "namewhat", ar->namewhat);
  set_integer(L, "currentline", ar->currentline);
  set_integer(L, "linedefined", ar->linedefined);
  set_integer(L, "lastlinedefined", ar->lastlinedefined);
  set_integer(L, "nups", ar->nups);
  set_integer(L, "nparams", ar->nparams);
  lua_pushboolean(L, ar->isvararg);
  lua_setfield(L, -2, "isvararg");
  lua_pushboolean(L, ar->istailcall);
  lua_setfield(L, -2, "istailcall");
}

/* Is the level one of the task's, below a hook of the script's? Then *ar is
 * that function, if it is there. */
static bool find_level(lua_State *L, lua_State *co, lua_Debug *ar,
                       bool *there) {
  int border = co && lua_isinteger(L, 1) ? find_border(L) : -1;
  lua_Integer level = lua_tointeger(L, 1);
  if (border < 0 || level < border || level > INT_MAX)
    return false;
  *there = lua_getstack(co, (int)level - border, ar);
  return true;
}

/* What the standard library has in its place, with the same arguments. */
static int call_standard(lua_State *L) {
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

int lfb_debug_getinfo(lua_State *L) {
  lua_State *co = lfb_state_of(L)->hooked;
  lua_Debug ar;
  bool there;
  if (!find_level(L, co, &ar, &there))
    return call_standard(L);
  if (!there) {
    lua_pushnil(L);
    return 1;
  }
  lua_getinfo(co, "Slntu", &ar);
  push_info(L, &ar);
  return 1;
}

/* Protected, in the task's interpreter: (value, buffer). */
static int pack_local(lua_State *L) {
  lf_buf *out = lua_touserdata(L, 2);
  lfb_pack(L, lfb_state_find(L), out, 1, 1, &lfb_results, NULL);
  return 0;
}

/* The value at the task's top, popped, as a copy; what cannot travel, in words.
 */
static void push_copy(lua_State *L, lua_State *co) {
  size_t at = 0;
  lf_buf *copy = lfb_push_buf(L);
  const char *type = luaL_typename(co, -1);
  const void *address = lua_topointer(co, -1);
  lua_pushcfunction(co, pack_local);
  lua_insert(co, -2);
  lua_pushlightuserdata(co, copy);
  if (lua_pcall(co, 2, 0, 0) == LUA_OK) {
    lfb_unpack(L, lfb_state_find(L), copy, &at, NULL);
  } else {
    lua_pop(co, 1);
    lua_pushfstring(L, "%s: %p", type, address);
  }
  lua_remove(L, -2);
}

int lfb_debug_getlocal(lua_State *L) {
  lua_State *co = lfb_state_of(L)->hooked;
  lua_Debug ar;
  bool there;
  if (!find_level(L, co, &ar, &there))
    return call_standard(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, there, 1, "level out of range");
  luaL_argcheck(L, n >= INT_MIN && n <= INT_MAX, 2, "out of range");
  if (!lua_checkstack(co, LUA_MINSTACK))
    return luaL_error(L, "stack overflow");
  const char *name = lua_getlocal(co, &ar, (int)n);
  if (!name) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, name);
  push_copy(L, co);
  return 2;
}

#else

/* The script's hook is its interpreter's: tasks have another. */
void lfb_debug_begin(struct lf_vm *vm, lua_State *L, lfb_state *S) {
  (void)vm;
  (void)L;
  (void)S;
}

void lfb_debug_end(struct lf_vm *vm) {
  (void)vm;
}

void lfb_debug_task(struct lf_vm *vm, lua_State *co) {
  (void)vm;
  (void)co;
}

#endif
