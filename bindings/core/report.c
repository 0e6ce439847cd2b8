/* SPDX-License-Identifier: MIT
 *
 * See report.h. */
#include "bindings/core/report.h"

#include <stdbool.h>
#include <string.h>

#include "bindings/core/error.h"

static int call_tostring(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Pushes the error value at index 1 as text. True if a traceback belongs to it:
 * an object that tells about itself in words needs none. */
static bool push_message(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER) {
    lua_pushvalue(L, 1);
    lua_tostring(L, -1);
    return true;
  }
  if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushcfunction(L, call_tostring);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
      return false;
    lua_pop(L, 1);
  }
  lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return true;
}

int lfb_with_traceback(lua_State *L) {
  bool traced = push_message(L);
  int message = lua_gettop(L);
  bool from_worker = lfb_last_trace(L, 1);
  if (traced || from_worker)
    luaL_traceback(L, L, lua_tostring(L, message), 1);
  else
    lua_pushvalue(L, message);
  if (from_worker) {
    const char *trace = lua_tostring(L, message + 1);
    const char *title = "stack traceback:\n";
    if (strncmp(trace, title, strlen(title)) == 0)
      trace += strlen(title);
    lua_pushfstring(L, "\nworker's %s%s", title, trace);
    lua_concat(L, 2);
  }
  return 1;
}
