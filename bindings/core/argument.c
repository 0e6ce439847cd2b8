/* SPDX-License-Identifier: MIT
 *
 * See argument.h. */
#include "bindings/core/argument.h"

#include <string.h>

/* Pushes the name of the function below the top among the methods at the top,
 * which are popped; false: it is none of them. */
static bool push_name_in(lua_State *L) {
  int methods = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, methods); lua_pop(L, 1))
    if (lua_rawequal(L, -1, methods - 1)) {
      lua_pop(L, 1);
      lua_replace(L, methods);
      return true;
    }
  lua_pop(L, 1);
  return false;
}

/* Replaces the function at the top by its name, if it is a method. */
static bool name_method(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  for (int class = 0; class < LFB_CLASSES; class ++) {
    if (!S->descriptors[class])
      continue;
    lfb_push_methods(L, (lfb_class) class);
    if (!lua_istable(L, -1)) {
      lua_pop(L, 1);
    } else if (push_name_in(L)) {
      lua_replace(L, -2);
      return true;
    }
  }
  lua_pop(L, 1);
  return false;
}

int lfb_arg_error(lua_State *L, int arg, const char *message) {
  lua_Debug ar;
  if (!lfb_own_frame(L, &ar) || !lua_getinfo(L, "nf", &ar) || !name_method(L))
    return luaL_argerror(L, arg, message);
  bool with_colon = strcmp(ar.namewhat, "method") == 0;
  if (arg == 1 && !with_colon)
    message = lua_pushfstring(L, "use ':': %s", message);
  if (ar.name)
    return luaL_argerror(L, arg, message);
  const char *name = lua_tostring(L, arg == 1 && !with_colon ? -2 : -1);
  return luaL_error(L, "bad argument #%d to '%s' (%s)", arg > 1 ? arg - 1 : 1,
                    name, message);
}

/* "lfut.Future", "light userdata", "nil", "no value" */
static const char *push_type_name(lua_State *L, int arg) {
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING)
    return lua_tostring(L, -1);
  if (lua_type(L, arg) == LUA_TLIGHTUSERDATA)
    return "light userdata";
  return luaL_typename(L, arg);
}

int lfb_type_error(lua_State *L, int arg, const char *expected) {
  const char *got = push_type_name(L, arg);
  return lfb_arg_error(
      L, arg, lua_pushfstring(L, "%s expected, got %s", expected, got));
}

void lfb_check_any(lua_State *L, int arg) {
  lfb_arg_check(L, !lua_isnone(L, arg), arg, "value expected");
}

void lfb_check_type(lua_State *L, int arg, int type) {
  if (lua_type(L, arg) != type)
    lfb_type_error(L, arg, lua_typename(L, type));
}

lua_Integer lfb_check_integer(lua_State *L, int arg) {
  int exact;
  lua_Integer i = lua_tointegerx(L, arg, &exact);
  if (!exact && lua_isnumber(L, arg))
    lfb_arg_error(L, arg, "number has no integer representation");
  else if (!exact)
    lfb_type_error(L, arg, lua_typename(L, LUA_TNUMBER));
  return i;
}

lua_Number lfb_check_number(lua_State *L, int arg) {
  int is;
  lua_Number n = lua_tonumberx(L, arg, &is);
  if (!is)
    lfb_type_error(L, arg, lua_typename(L, LUA_TNUMBER));
  return n;
}

const char *lfb_check_string(lua_State *L, int arg, size_t *len) {
  const char *s = lua_tolstring(L, arg, len);
  if (!s)
    lfb_type_error(L, arg, lua_typename(L, LUA_TSTRING));
  return s;
}

lua_Integer lfb_optional_integer(lua_State *L, int arg, lua_Integer otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : lfb_check_integer(L, arg);
}

const char *lfb_optional_string(lua_State *L, int arg, const char *otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : lfb_check_string(L, arg, NULL);
}

int lfb_check_choice(lua_State *L, int arg, const char *otherwise,
                     const char *const names[]) {
  const char *name = lfb_optional_string(L, arg, otherwise);
  for (int i = 0; names[i]; i++)
    if (strcmp(names[i], name) == 0)
      return i;
  return lfb_arg_error(L, arg, lua_pushfstring(L, "invalid option '%s'", name));
}
