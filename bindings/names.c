/* SPDX-License-Identifier: MIT
 *
 * See names.h. The map from objects to names is built from package.loaded. A
 * module's own functions and tables have names; deeper inside only C functions
 * do, which cannot travel otherwise. */
#include "names.h"

#include <string.h>

#include "setup.h"

enum { DEPTH = 4 };

static const char *const standard[] = {
    "assert",   "collectgarbage", "dofile",   "error",        "getmetatable",
    "ipairs",   "load",           "loadfile", "next",         "pairs",
    "pcall",    "print",          "rawequal", "rawget",       "rawlen",
    "rawset",   "require",        "select",   "setmetatable", "tonumber",
    "tostring", "type",           "warn",     "xpcall",       "_G",
    "_VERSION", "coroutine",      "debug",    "io",           "math",
    "os",       "package",        "string",   "table",        "utf8"};

enum { NSTANDARD = sizeof standard / sizeof standard[0] };

/* Is the value at the top (of global 'name') the library's own? A script that
 * came first may have put something else there. */
static bool is_library(lua_State *L, const char *name) {
  if (lua_iscfunction(L, -1) || lua_type(L, -1) == LUA_TSTRING)
    return true;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  bool same = lua_istable(L, -1) && lua_rawequal(L, -1, -3);
  lua_pop(L, 2);
  return same;
}

bool lfb_is_standard(lua_State *L, const char *name) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  bool same = !lua_isnil(L, -1) && lua_rawequal(L, -1, -3);
  lua_pop(L, 2);
  return same;
}

/* Has the object at the top a name? Stack: names table at 'names'. */
static bool has_name(lua_State *L, int names) {
  lua_pushvalue(L, -1);
  bool has = lua_rawget(L, names) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* Gives the object at the top the name (its first 'len' bytes) unless it has
 * one; stack: names table at 'names'. True if it had none. */
static bool give_name(lua_State *L, int names, const char *name, size_t len) {
  if (has_name(L, names))
    return false;
  lua_pushvalue(L, -1);
  lua_pushlstring(L, name, len);
  lua_rawset(L, names);
  return true;
}

/* The list of modules itself leads everywhere. */
static bool is_module_list(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  bool is = lua_rawequal(L, -1, -3) || lua_rawequal(L, -2, -3);
  lua_pop(L, 2);
  return is;
}

static bool can_have_name(lua_State *L, int depth) {
  if (lua_iscfunction(L, -1) || lua_islightuserdata(L, -1))
    return true;
  return depth == 1 && (lua_isfunction(L, -1) || lua_istable(L, -1));
}

/* Names what is in the table at the top, whose own name is at 'path'. */
static void name_fields(lua_State *L, int names, int path, int depth) {
  luaL_checkstack(L, 8, "too many nested modules");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      continue;
    if (depth == 1 && (!can_have_name(L, depth) || has_name(L, names)))
      continue; /* before a name is made: most have one already */
    lua_pushvalue(L, path);
    lua_pushlstring(L, "\0", 1);
    lua_pushvalue(L, -4);
    lua_concat(L, 3);
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    lua_insert(L, -2); /* ... key, path, value */
    bool fresh = can_have_name(L, depth) && give_name(L, names, name, len);
    if (lua_istable(L, -1) && depth < DEPTH && (fresh || depth > 1) &&
        !is_module_list(L))
      name_fields(L, names, lua_gettop(L) - 1, depth + 1);
    lua_remove(L, -2);
  }
}

/* Names the module at the top. */
static void name_module(lua_State *L, int names, const char *name) {
  if (strcmp(name, "_G") == 0) {
    give_name(L, names, name, 2);
    lfb_push_ref(L, LFB_REF_STANDARD);
  } else if (lua_istable(L, -1) || lua_isfunction(L, -1)) {
    give_name(L, names, name, strlen(name));
    lua_pushvalue(L, -1);
  } else {
    return;
  }
  lua_pushstring(L, name);
  lua_insert(L, -2);
  if (lua_istable(L, -1))
    name_fields(L, names, lua_gettop(L) - 1, 1);
  lua_pop(L, 2);
}

/* The standard libraries, as they are before a script can change them: what a
 * script puts there later is its own and travels by value. */
static void name_standard(lua_State *L) {
  lfb_push_ref(L, LFB_REF_NAMES);
  int names = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (int i = 0; i < NSTANDARD; i++) { /* _G before package.loaded._G */
    if (lua_getfield(L, -1, standard[i]) == LUA_TTABLE)
      name_module(L, names, standard[i]);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

static bool is_standard_name(const char *name) {
  for (int i = 0; i < NSTANDARD; i++)
    if (strcmp(standard[i], name) == 0)
      return true;
  return false;
}

static void name_others(lua_State *L) {
  lfb_push_ref(L, LFB_REF_NAMES);
  int names = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING &&
        !is_standard_name(lua_tostring(L, -2)))
      name_module(L, names, lua_tostring(L, -2));
  lua_pop(L, 2);
}

void lfb_names_open(lua_State *L) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_pushglobaltable(L);
  for (int i = 0; i < NSTANDARD; i++) {
    lua_pushstring(L, standard[i]);
    lua_rawget(L, -2);
    if (is_library(L, standard[i]))
      lua_setfield(L, -3, standard[i]);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 2);
  name_standard(L);
}

void lfb_names_refresh(lua_State *L, lfb_state *S) {
  size_t now = 1;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    now = now * 31 + (size_t)lua_topointer(L, -1);
  lua_pop(L, 1);
  if (now == S->modules)
    return;
  name_others(L);
  S->modules = now;
  if (!S->vm)
    lfb_start_note(L, S); /* it may be in a place that is new, too */
}

bool lfb_push_name(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lfb_push_ref(L, LFB_REF_NAMES);
  lua_pushvalue(L, idx);
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    lua_remove(L, -2);
    return true;
  }
  lua_pop(L, 2);
  return false;
}

/* Follows one key from the value at the top, which it replaces. */
static void follow(lua_State *L, const char *key, const char *module) {
  if (!lua_istable(L, -1))
    luaL_error(L, "module '%s' has no '%s' in this worker", module, key);
  lua_getfield(L, -1, key);
  lua_remove(L, -2);
  if (lua_isnil(L, -1))
    luaL_error(L, "module '%s' has no '%s' in this worker", module, key);
}

static bool is_loaded(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool loaded = lua_getfield(L, -1, name) != LUA_TNIL;
  lua_pop(L, 2);
  return loaded;
}

/* What the library itself has under the name, whatever a script has put there
 * since. */
static void push_standard(lua_State *L, const char *name) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void lfb_names_renew(lua_State *L, lfb_state *S) {
  lua_newtable(L);
  lfb_set_ref(L, LFB_REF_NAMED);
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_pushglobaltable(L);
  lua_getfield(L, -1, "print");
  lua_setfield(L, -3, "print");
  lua_pop(L, 2);
  name_standard(L);
  S->modules = 0;
}

/* Pushes the module; '*key' is where the keys that lead on from there begin. */
static void push_module(lua_State *L, lfb_state *S, const char *name,
                        const char **key, const char *end) {
  *key = name + strlen(name) + 1;
  if (strcmp(name, "_G") == 0 && *key < end) {
    push_standard(L, *key);
    *key += strlen(*key) + 1;
    return;
  }
  if (S->vm && !is_loaded(L, name))
    lfb_start_apply(L, S);
  push_standard(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

static void resolve(lua_State *L, lfb_state *S, const char *name, size_t len) {
  const char *key, *end = name + len;
  push_module(L, S, name, &key, end);
  for (; key < end; key += strlen(key) + 1)
    follow(L, key, name);
}

void lfb_push_named(lua_State *L, lfb_state *S, const char *name, size_t len) {
  lfb_push_ref(L, LFB_REF_NAMED);
  lua_pushlstring(L, name, len);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) != LUA_TNIL) {
    lua_replace(L, -3);
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  resolve(L, S, lua_tostring(L, -1), len);
  lua_pushvalue(L, -1);
  lua_insert(L, -3); /* named, object, name, object */
  lua_rawset(L, -4);
  lua_remove(L, -2);
}
