/* SPDX-License-Identifier: MIT
 *
 * See unasked.h. A task that is not done when its future goes gets another one,
 * which a done-callback keeps. */
#include "bindings/pool/unasked.h"

#include <stdio.h>

#include "bindings/core/argument.h"
#include "bindings/core/options.h"
#include "bindings/pool/future.h"
#include "bindings/run/callback.h"
#include "bindings/run/interrupt.h"
#include "runtime/pool/pool.h"
#include "runtime/sync/terminal.h"

/* (message) -> it as text. */
static int to_text(lua_State *L) {
  if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
    luaL_tolstring(L, 1, NULL);
  else
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return 1;
}

/* Writes the value at the top, which is popped, behind what is said of it. */
static void print(lua_State *L, const char *what, const char *label,
                  const char *trace) {
  lua_pushcfunction(L, to_text);
  lua_insert(L, -2);
  bool ok = lua_pcall(L, 1, 1, 0) == LUA_OK;
  lf_terminal_complain(
      "lfut: %s%s: %s\n%s%s%s", what, label,
      ok ? lua_tostring(L, -1) : "(error object cannot be shown)",
      trace ? "worker's " : "", trace ? trace : "", trace ? "\n" : "");
  lua_pop(L, 1);
}

/* Is the error at the top that of a task which the program's end has
 * interrupted? */
static bool is_of_the_end(lua_State *L, const lfb_state *S) {
  return S->global->abandoned && lua_type(L, -1) == LUA_TSTRING &&
         lfb_says_interrupted(lua_tostring(L, -1));
}

/* Protected: (task) */
static int report(lua_State *L) {
  lf_task *task = lua_touserdata(L, 1);
  lfb_push_ref(L, LFB_REF_UNASKED);
  if (lua_isboolean(L, 2))
    return 0;
  lfb_push_failure(L, lfb_self(L), task);
  if (is_of_the_end(L, lfb_self(L)))
    return 0;
  if (lua_isnil(L, 2)) {
    print(L, "nobody has asked for the error of ", lf_task_name(task),
          task->trace);
    return 0;
  }
  if (task->trace)
    lua_pushstring(L, task->trace);
  else
    lua_pushnil(L);
  lua_call(L, 2, 0);
  return 0;
}

/* Once. */
static void report_once(lua_State *L, lfb_state *S, lf_task *task) {
  if (!lua_checkstack(L, 10) || !lf_task_ask(task))
    return;
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, report, 1);
  lua_pushlightuserdata(L, task);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    print(L, "error in lfut.on_unasked", "", NULL);
}

/* Done-callback of the future at 1. */
static int has_ended(lua_State *L) {
  lf_task *task = *(lf_task **)lua_touserdata(L, 1);
  if (lf_task_state(task) == LF_FAILED)
    report_once(L, lfb_self(L), task);
  return 0;
}

/* Protected: (task) */
static int watch(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lfb_push_future(L, S, lua_touserdata(L, 1));
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, has_ended, 1);
  lfb_add_callback(L, S, 2, 3);
  return 0;
}

/* At the interpreter's end finalizers run on top of nothing; so they always do
 * in a coroutine that is theirs, where there is one (LuaJIT, from 2025 on). */
static bool is_closing(lua_State *L, const lfb_state *S) {
  lua_Debug ar;
  return !lua_getstack(L, 1, &ar) &&
         (S->running == L || !lua_getstack(S->running, 0, &ar));
}

void lfb_unasked(lua_State *L, lfb_state *S, lf_task *task) {
  if (!S->global || (task->owner && lf_pool_is_foreign(lf_task_pool(task))))
    return;
  if (lf_task_state(task) == LF_FAILED) {
    report_once(L, S, task);
  } else if (!is_closing(L, S)) {
    lua_pushlightuserdata(L, S);
    lua_pushcclosure(L, watch, 1);
    lua_pushlightuserdata(L, task);
    lua_call(L, 1, 0);
  }
}

int lfb_on_unasked(lua_State *L) {
  lfb_self(L);
  lfb_check_any(L, 1);
  if (!lua_isnil(L, 1))
    lfb_check_callable(L, 1);
  lua_settop(L, 1);
  if (lua_isnil(L, 1))
    lua_pushboolean(L, false);
  lfb_set_ref(L, LFB_REF_UNASKED);
  return 0;
}
