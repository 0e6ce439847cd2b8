/* SPDX-License-Identifier: MIT
 *
 * See steps.h. A step returns a mark and what belongs to it to the Lua code
 * below, or its results. The code is without lines: errors that are raised with
 * a level find no position in it. */
#include <stdlib.h>
#include <string.h>

#include "bindings/engine/dump.h"
#include "bindings/engine/steps.h"
#include "runtime/base/buf.h"

static const char text[] =
    "local YIELDED, CALL, PCALL, again, go_on, protected, pcall = ...\n"
    "local after\n"
    "local function calling(_, kept, k, context, f, ...)\n"
    "  return after(go_on(kept, k, context, f(...)))\n"
    "end\n"
    "local function protecting(_, kept, k, context, ...)\n"
    "  return after(protected(kept, k, context, pcall(...)))\n"
    "end\n"
    "function after(...)\n"
    "  local mark = ...\n"
    "  if mark == YIELDED then return after(again(...)) end\n"
    "  if mark == CALL then return calling(...) end\n"
    "  if mark == PCALL then return protecting(...) end\n"
    "  return ...\n"
    "end\n"
    "local function step(f)\n"
    "  return function(...) return after(f(...)) end\n"
    "end\n"
    "local function checked(failed, ok, ...)\n"
    "  if ok then return ok, ... end\n"
    "  return failed(ok, ...)\n"
    "end\n"
    "return step, function(protect, failed)\n"
    "  return function(...) return checked(failed, protect(...)) end\n"
    "end\n";

static const char yielded, call, protected_call; /* the marks' addresses */
static const char step_key, checked_key; /* of what makes such functions */

/* A pointer to a function among values. */
static void push_continuation(lua_State *L, lua_KFunction k) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)k);
}

static lua_KFunction to_continuation(lua_State *L, int idx) {
  return (lua_KFunction)(uintptr_t)lua_touserdata(L, idx);
}

static void push_context(lua_State *L, lua_KContext context) {
  lua_pushlightuserdata(L, (void *)context);
}

static lua_KContext to_context(lua_State *L, int idx) {
  return (lua_KContext)lua_touserdata(L, idx);
}

int lfb_yield_then(lua_State *L, lua_KContext context, lua_KFunction k) {
  luaL_checkstack(L, 3, "yield");
  lua_pushlightuserdata(L, (void *)&yielded);
  push_continuation(L, k);
  push_context(L, context);
  lua_rotate(L, 1, 3);
  return lua_yield(L, lua_gettop(L));
}

/* The stack below the function goes into a table, unless it is empty. */
static int leave_to_call(lua_State *L, int nargs, lua_KContext context,
                         lua_KFunction k, const char *mark) {
  int base = lua_gettop(L) - nargs - 1;
  luaL_checkstack(L, 6, "call");
  lua_pushlightuserdata(L, (void *)mark);
  if (base == 0)
    lua_pushnil(L);
  else
    lua_createtable(L, base, 1);
  for (int i = 1; i <= base; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i);
  }
  if (base > 0) {
    lua_pushinteger(L, base);
    lua_setfield(L, -2, "n");
  }
  push_continuation(L, k);
  push_context(L, context);
  lua_rotate(L, base + 1, 4);
  return nargs + 5;
}

int lfb_call_then(lua_State *L, int nargs, lua_KContext context,
                  lua_KFunction k) {
  return leave_to_call(L, nargs, context, k, &call);
}

int lfb_pcall_then(lua_State *L, int nargs, lua_KContext context,
                   lua_KFunction k) {
  return leave_to_call(L, nargs, context, k, &protected_call);
}

/* (mark, k, context, ...) */
static int again(lua_State *L) {
  lua_KFunction k = to_continuation(L, 2);
  lua_KContext context = to_context(L, 3);
  lua_rotate(L, 1, -3);
  lua_pop(L, 3);
  return k(L, LUA_YIELD, context);
}

/* Puts the values that are kept at 1 where they were: below the results, which
 * begin at 'from'. */
static void restore(lua_State *L, int from) {
  int n = 0;
  if (lua_istable(L, 1)) {
    lua_getfield(L, 1, "n");
    n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  luaL_checkstack(L, n + 1, "results");
  lua_pushvalue(L, 1);
  for (int i = 1; i <= n; i++)
    lua_rawgeti(L, -i, i);
  lua_rotate(L, 1, n);
  lua_remove(L, lua_gettop(L)); /* the table */
  for (int i = 1; i < from; i++)
    lua_remove(L, n + 1);
}

/* (kept, k, context, results) */
static int go_on(lua_State *L) {
  lua_KFunction k = to_continuation(L, 2);
  lua_KContext context = to_context(L, 3);
  restore(L, 4);
  return k(L, LUA_YIELD, context);
}

/* (kept, k, context, ok, results) */
static int protected(lua_State *L) {
  lua_KFunction k = to_continuation(L, 2);
  lua_KContext context = to_context(L, 3);
  int status = lua_toboolean(L, 4) ? LUA_YIELD : LUA_ERRRUN;
  restore(L, 5);
  return k(L, status, context);
}

static void push_own(lua_State *L, void *state, lua_CFunction f) {
  lua_pushlightuserdata(L, state);
  lua_pushcclosure(L, f, 1);
}

static void load(lua_State *L) {
  lf_buf code = {0};
  if (luaL_loadbufferx(L, text, sizeof text - 1, LFB_STEP_SOURCE, "t") !=
      LUA_OK)
    lua_error(L);
  int err = lfb_dump(L, &code, true);
  lua_pop(L, 1);
  int status = err ? LUA_ERRMEM
                   : luaL_loadbufferx(L, (const char *)code.data, code.len,
                                      LFB_STEP_SOURCE, "b");
  lf_buf_fini(&code);
  if (err)
    luaL_error(L, "not enough memory");
  if (status != LUA_OK)
    lua_error(L);
}

/* pcall as Lua has it, whatever a script has made of it: a library of base
 * functions that nobody has seen. */
static void push_pcall(lua_State *L) {
  lua_getglobal(L, "pcall");
}

/* Files are called FILE* in messages, as they are elsewhere. */
static void name_files(lua_State *L) {
  if (luaL_getmetatable(L, LUA_FILEHANDLE) == LUA_TTABLE) {
    lua_pushliteral(L, LUA_FILEHANDLE);
    lua_setfield(L, -2, "__name");
  }
  lua_pop(L, 1);
}

void lfb_steps_open(lua_State *L, void *state) {
  name_files(L);
  load(L);
  lua_pushlightuserdata(L, (void *)&yielded);
  lua_pushlightuserdata(L, (void *)&call);
  lua_pushlightuserdata(L, (void *)&protected_call);
  push_own(L, state, again);
  push_own(L, state, go_on);
  push_own(L, state, protected);
  push_pcall(L);
  lua_call(L, 7, 2);
  lfb_registry_set(L, &checked_key);
  lfb_registry_set(L, &step_key);
}

void lfb_push_checked(lua_State *L) {
  lfb_registry_push(L, &checked_key);
  lua_insert(L, -3);
  lua_call(L, 2, 1);
}

/* Kept in the registry at the address of the C function. */
void lfb_push_body(lua_State *L, void *state, lua_CFunction f) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, (void *)(uintptr_t)f) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  push_own(L, state, f);
  lfb_push_step(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, (void *)(uintptr_t)f);
}

void lfb_push_step(lua_State *L) {
  lfb_registry_push(L, &step_key);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}
