/* SPDX-License-Identifier: MIT
 *
 * See standard.h. */
#include "bindings/run/standard.h"

#include <stdio.h>

#include "bindings/pack/names.h"
#include "bindings/run/command.h"
#include "bindings/run/coro.h"
#include "bindings/run/debugging.h"
#include "bindings/run/exit.h"
#include "bindings/run/output.h"
#include "bindings/run/protect.h"
#include "runtime/base/atfork.h"

/* --- Replacing --- */

/* The former function at the top travels by the name of the new one. */
static void name_former(lua_State *L, const char *module, const char *name) {
  size_t len;
  lua_pushstring(L, module);
  lua_pushlstring(L, "\0", 1);
  lua_pushstring(L, name);
  lua_concat(L, 3);
  const char *path = lua_tolstring(L, -1, &len);
  lua_pushvalue(L, -2);
  lfb_names_keep(L, path, len);
  lua_pop(L, 2);
}

static void push_new(lua_State *L, lfb_state *S, const char *module,
                     const char *name, lua_CFunction f, bool step) {
  lua_pushlightuserdata(L, S);
  lua_insert(L, -2);
  lua_pushfstring(L, "%s.%s", module, name);
  lua_pushcclosure(L, f, 3);
  if (step)
    lfb_push_step(L);
}

/* print, of which a script may expect that it is a plain function. */
static void push_plain(lua_State *L, lua_CFunction f) {
  lua_pop(L, 1);
  lua_pushcfunction(L, f);
}

void lfb_replace(lua_State *L, lfb_state *S, const char *module,
                 const char *name, lua_CFunction f) {
  bool step = *name == *LFB_STEP;
  name += step;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, module) == LUA_TTABLE) {
    lua_pushstring(L, name);
    if (lua_rawget(L, -2), lua_iscfunction(L, -1)) {
      name_former(L, module, name);
      if (f == lfb_print)
        push_plain(L, f);
      else
        push_new(L, S, module, name, f, step);
      lua_setfield(L, -2, name);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 2);
}

/* --- Calls that no fork may interrupt --- */

/* A message that speaks of '?' speaks of this function, which the library does
 * not find under its name. */
static int raise_as(lua_State *L) {
  lua_Debug ar;
  if (lua_type(L, -1) == LUA_TSTRING && lua_getstack(L, 0, &ar) &&
      lua_getinfo(L, "n", &ar)) {
    char quoted[80];
    const char *own = lua_tostring(L, lua_upvalueindex(3));
    snprintf(quoted, sizeof quoted, "'%s'", ar.name ? ar.name : own);
    luaL_where(L, 1);
    luaL_gsub(L, lua_tostring(L, -2), "'?'", quoted);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* The former function, at a time when there is no fork. */
static int call_guarded(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lf_call_begin();
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  lf_call_end();
  return status == LUA_OK ? lua_gettop(L) : raise_as(L);
}

/* The searchers that load C libraries. */
static void guard_searchers(lua_State *L, lfb_state *S) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "package") == LUA_TTABLE &&
      lua_getfield(L, -1, LFB_SEARCHERS) == LUA_TTABLE)
    for (int i = 3; i <= 4; i++) {
      lua_pushlightuserdata(L, S);
      if (lua_rawgeti(L, -2, i), lua_iscfunction(L, -1)) {
        lua_pushliteral(L, "searcher");
        lua_pushcclosure(L, call_guarded, 3);
        lua_rawseti(L, -2, i);
      } else {
        lua_pop(L, 2);
      }
    }
  lua_settop(L, 0);
}

#if LFB_HAS_OWN_FILES
static void replace_method(lua_State *L, lfb_state *S, const char *name,
                           lua_CFunction f) {
  if (luaL_getmetatable(L, LUA_FILEHANDLE) == LUA_TTABLE &&
      lua_getfield(L, -1, "__index") == LUA_TTABLE &&
      lua_getfield(L, -1, name) == LUA_TFUNCTION && lua_iscfunction(L, -1)) {
    push_new(L, S, "file", name, f, false);
    lua_setfield(L, -2, name);
  }
  lua_settop(L, 0);
}
#endif

static int guard_body(lua_State *L) {
  lfb_state *S = lua_touserdata(L, 1);
  guard_searchers(L, S);
#if LFB_HAS_OWN_FILES
  replace_method(L, S, "flush", lfb_flush);
#endif
  return 0;
}

void lfb_standard_open(lua_State *L, lfb_state *S) {
  static const struct {
    const char *module, *name;
    lua_CFunction f;
  } replaced[] = {
    {"_G", "print", lfb_print},
    {"os", "exit", lfb_os_exit},
    {"os", "execute", lfb_os_execute},
#if LFB_HAS_OWN_FILES
    {"io", "popen", lfb_io_popen},
    {"io", "flush", lfb_flush},
#endif
    {"os", "date", call_guarded},
    {"os", "time", call_guarded},
    {"os", "setlocale", call_guarded},
#if LFB_HAS_HOOKS
    {"debug", "getinfo", lfb_debug_getinfo},
    {"debug", "getlocal", lfb_debug_getlocal},
#endif
#if !LFB_TELLS_MODULES
    {"_G", "require", lfb_require},
#endif
    {"package", "loadlib", call_guarded}
  };
  for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
    lfb_replace(L, S, replaced[i].module, replaced[i].name, replaced[i].f);
  lua_pushcfunction(L, guard_body);
  lua_pushlightuserdata(L, S);
  lua_call(L, 1, 0);
  lfb_protect_open(L, S);
  lfb_coro_open(L, S);
}

void lfb_standard_adopt(lua_State *L, lfb_state *S) {
  lfb_push_standard(L, LUA_OSLIBNAME);
  lua_pushliteral(L, "exit");
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, lfb_os_exit, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}
