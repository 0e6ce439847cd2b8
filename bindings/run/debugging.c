/* SPDX-License-Identifier: MIT
 *
 * See debugging.h. */
#include "bindings/run/debugging.h"

#include <limits.h>

#include "bindings/run/run.h"

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

/* --- debug.getinfo --- */

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

int lfb_debug_getinfo(lua_State *L) {
  lua_State *co = lfb_record(L)->hooked;
  int border = co && lua_isinteger(L, 1) ? find_border(L) : -1;
  lua_Integer level = lua_tointeger(L, 1);
  if (border < 0 || level < border || level > INT_MAX)
    return lua_tocfunction(L, lua_upvalueindex(2))(L);
  lua_Debug ar;
  if (!lua_getstack(co, (int)level - border, &ar)) {
    lua_pushnil(L);
    return 1;
  }
  lua_getinfo(co, "Slntu", &ar);
  push_info(L, &ar);
  return 1;
}
