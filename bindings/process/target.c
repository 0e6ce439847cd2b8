/* SPDX-License-Identifier: MIT
 *
 * See target.h. */
#include "bindings/process/target.h"

#include "bindings/core/argument.h"
#include "bindings/core/options.h"
#include "runtime/os/clock.h"

static const char *const option_names[] = {"target", "args", "name", "daemon",
                                           NULL};

/* Pushes an option, nil or of the type. */
static void push_option(lua_State *L, const char *name, int type,
                        const char *expected) {
  lua_getfield(L, 1, name);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != type)
    lfb_option_error(L, name, expected);
}

bool lfb_check_target(lua_State *L) {
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lfb_check_option_names(L, 1, option_names);
  lua_getfield(L, 1, "target");
  if (!lfb_is_callable(L, 2))
    lfb_option_error(L, "target", "function");
  push_option(L, "args", LUA_TTABLE, "table");
  push_option(L, "name", LUA_TSTRING, "string");
  push_option(L, "daemon", LUA_TBOOLEAN, "boolean");
  bool daemon = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return daemon;
}

void lfb_keep_target(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, LFB_TARGET);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, LFB_ARGS);
}

int lfb_push_target(lua_State *L) {
  if (lua_getiuservalue(L, 1, LFB_TARGET) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  lua_getiuservalue(L, 1, LFB_ARGS);
  int args = lua_gettop(L);
  int n = lua_istable(L, args) ? lfb_list_length(L, args) : 0;
  for (int i = 1; i <= n; i++)
    lua_geti(L, args, i);
  lua_remove(L, args);
  return n + 1;
}

int lfb_join(lua_State *L, lfb_step *step) {
  lfb_state *S = lfb_self(L);
  int64_t deadline = lfb_check_deadline(L, 2);
  lua_settop(L, 1);
  lfb_poll(L, S);
  return lfb_waiting(L, S, step, deadline);
}

int lfb_join_step(lua_State *L, lf_task *awaited, int64_t deadline,
                  lfb_wait_for *what) {
  if (awaited && !lf_is_past(deadline)) {
    *what = (lfb_wait_for){.task = awaited, .deadline = deadline};
    return LFB_NOT_YET;
  }
  lua_pushboolean(L, !awaited);
  return 1;
}

void lfb_drop_target(lua_State *L) {
  for (int i = LFB_TARGET; i <= LFB_ARGS; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, 1, i);
  }
}
