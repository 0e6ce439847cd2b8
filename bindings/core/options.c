/* SPDX-License-Identifier: MIT
 *
 * See options.h. */
#include "bindings/core/options.h"
#include "bindings/core/argument.h"
#include "runtime/os/clock.h"

#include <math.h>
#include <string.h>

/* Raises: the key at the top is none of the names, which are told. */
static void refuse_option(lua_State *L, const char *const names[]) {
  luaL_Buffer known;
  const char *key = luaL_tolstring(L, -1, NULL);
  luaL_buffinit(L, &known);
  for (int i = 0; names[i]; i++) {
    luaL_addstring(&known, i ? ", " : "");
    luaL_addstring(&known, names[i]);
  }
  luaL_pushresult(&known);
  luaL_error(L, "unknown option '%s' (options: %s)", key, lua_tostring(L, -1));
}

void lfb_check_option_names(lua_State *L, int idx, const char *const names[]) {
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int i = 0;
    while (names[i] && strcmp(names[i], key) != 0)
      i++;
    if (!names[i]) {
      lua_pop(L, 1);
      refuse_option(L, names);
    }
  }
}

int lfb_option_error(lua_State *L, const char *name, const char *expected) {
  return luaL_error(L, "bad option '%s' (%s expected, got %s)", name, expected,
                    luaL_typename(L, -1));
}

bool lfb_is_callable(lua_State *L, int idx) {
  if (lua_isfunction(L, idx))
    return true;
  if (!lua_istable(L, idx) && !lua_isuserdata(L, idx))
    return false;
  bool callable = luaL_getmetafield(L, idx, "__call") != LUA_TNIL;
  lua_pop(L, callable);
  return callable;
}

void lfb_check_callable(lua_State *L, int idx) {
  if (!lfb_is_callable(L, idx))
    lfb_type_error(L, idx, "function");
}

int lfb_list_length(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lua_pushliteral(L, "n");
  lua_rawget(L, idx);
  lua_Integer n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
  lua_pop(L, 1);
  if (n < 0)
    n = luaL_len(L, idx);
  if (n > 1000000) /* LUAI_MAXSTACK */
    luaL_error(L, "too many values in a list of arguments");
  luaL_checkstack(L, (int)n + 10, "too many values in a list of arguments");
  return (int)n;
}

/* NaN is no time. */
static bool is_time(lua_Number seconds) {
  return !isnan(seconds);
}

int64_t lfb_check_deadline(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx))
    return LF_FOREVER;
  lua_Number seconds = lfb_check_number(L, idx);
  lfb_arg_check(L, is_time(seconds), idx, "not a number of seconds");
  return lf_after(seconds);
}

int64_t lfb_option_deadline(lua_State *L, int idx, const char *name) {
  int64_t deadline = LF_FOREVER;
  if (lua_getfield(L, idx, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      lfb_option_error(L, name, "number");
    if (!is_time(lua_tonumber(L, -1)))
      luaL_error(L, "bad option '%s' (not a number of seconds)", name);
    deadline = lf_after(lua_tonumber(L, -1));
  }
  lua_pop(L, 1);
  return deadline;
}

bool lfb_option_integer(lua_State *L, int idx, const char *name,
                        lua_Integer *value) {
  int integer = 1, type = lua_getfield(L, idx, name);
  lua_Integer i = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &integer) : 0;
  if (type != LUA_TNUMBER && type != LUA_TNIL)
    lfb_option_error(L, name, "integer");
  if (!integer)
    luaL_error(L, "bad option '%s' (number has no integer representation)",
               name);
  lua_pop(L, 1);
  *value = i;
  return type != LUA_TNIL;
}
