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

/* Protected: opens the library with a new table in the place of the globals;
 * returns what that returns. */
static int open_apart(lua_State *L) {
  lua_CFunction open = lua_tocfunction(L, 1);
  lua_newtable(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushcfunction(L, open);
  lua_call(L, 0, 1);
  return 1;
}

/* Pushes a library as it is when it is opened, and leaves the interpreter as it
 * is: its globals and the metatable of strings. The collector stands still, so
 * that no finalizer sees other globals. */
static void push_fresh(lua_State *L, lua_CFunction open) {
  int collects = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  lua_pushglobaltable(L);
  lua_pushliteral(L, "");
  if (!lua_getmetatable(L, -1))
    lua_pushnil(L);
  lua_pushcfunction(L, open_apart);
  lua_pushcfunction(L, open);
  int status = lua_pcall(L, 1, 1, 0);
  lua_insert(L, -4);
  lua_setmetatable(L, -2); /* of all strings */
  lua_pop(L, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  if (collects)
    lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK)
    lua_error(L);
}

/* Pushes what belongs under the name, whatever a script that came first has
 * put there: a library as it was loaded, or a function of the base library, for
 * which the table at 'base' is filled if need be. */
static void push_original(lua_State *L, const char *name, int base) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_replace(L, -2);
  if (lua_istable(L, -1))
    return;
  lua_pop(L, 1);
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_replace(L, -2);
  if (lua_iscfunction(L, -1) || lua_istable(L, -1))
    return;
  lua_pop(L, 1);
  if (lua_isnil(L, base)) {
    push_fresh(L, luaopen_base);
    lua_replace(L, base);
  }
  lua_getfield(L, base, name);
}

void lfb_names_open(lua_State *L) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_pushnil(L);
  int base = lua_gettop(L);
  for (int i = 0; i < NSTANDARD; i++) {
    push_original(L, standard[i], base);
    lua_setfield(L, base - 1, standard[i]);
  }
  lua_pop(L, 2);
  name_standard(L);
}

void lfb_push_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {{LUA_TABLIBNAME, luaopen_table},
                                       {LUA_STRLIBNAME, luaopen_string},
                                       {LUA_MATHLIBNAME, luaopen_math}};
  lua_newtable(L);
  lfb_push_ref(L, LFB_REF_STANDARD);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -6);
  }
  lua_pop(L, 1);
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    push_fresh(L, libraries[i].func);
    lua_setfield(L, -2, libraries[i].name);
  }
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

void lfb_push_standard(lua_State *L, const char *name) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void lfb_names_renew(lua_State *L, lfb_state *S) {
  lua_newtable(L);
  lfb_set_ref(L, LFB_REF_NAMED);
  S->modules = 0;
}

/* Pushes the module; '*key' is where the keys that lead on from there begin. */
static void push_module(lua_State *L, lfb_state *S, const char *name,
                        const char **key, const char *end) {
  *key = name + strlen(name) + 1;
  if (strcmp(name, "_G") == 0 && *key < end) {
    lfb_push_standard(L, *key);
    *key += strlen(*key) + 1;
    return;
  }
  if (S->vm && !is_loaded(L, name))
    lfb_start_apply(L, S);
  lfb_push_standard(L, "require");
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
