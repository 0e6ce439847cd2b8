/* SPDX-License-Identifier: MIT
 *
 * See report.h. */
#include "bindings/core/report.h"

#include <string.h>

#include "bindings/core/error.h"

static int call_tostring(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

bool lfb_find_line(lua_State *L, int level, lua_Debug *ar) {
  for (; lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "Sl", ar);
    if (ar->currentline > 0 && strcmp(ar->source, "=lfut") != 0)
      return true;
  }
  return false;
}

/* One of lfut's errors, at index 1, as text: with the position of the line that
 * has raised it, which a string would have. */
static bool push_own(lua_State *L) {
  lua_Debug ar;
  if (!lfb_is_own_error(L, 1))
    return false;
  luaL_tolstring(L, 1, NULL);
  if (lfb_find_line(L, 1, &ar)) {
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return true;
}

/* Pushes the error value at index 1 as text. True if a traceback belongs to it:
 * an object that tells about itself in words needs none. */
static bool push_message(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER) {
    lua_pushvalue(L, 1);
    lua_tostring(L, -1);
    return true;
  }
  if (push_own(L))
    return true;
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
    const char *title = "stack traceback:";
    if (strncmp(trace, title, strlen(title)) == 0)
      trace += strlen(title);
    lua_pushfstring(L, trace[0] ? "\nworker's %s%s" : "", title, trace);
    lua_concat(L, 2);
  }
  return 1;
}
