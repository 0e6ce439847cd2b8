/* SPDX-License-Identifier: MIT
 *
 * See names.h. The map from objects to names is built from package.loaded: when
 * require puts a module there, else when somebody asks for a name. A module's
 * own functions and tables have names; deeper inside only C functions do, which
 * cannot travel otherwise. Whether what has a name is still found under it is
 * looked up each time. */
#include "bindings/pack/names.h"

#include "bindings/pack/addition.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH = 4 };

static const char *const standard[] = {"assert",
                                       "collectgarbage",
                                       "dofile",
                                       "error",
                                       "getmetatable",
                                       "ipairs",
                                       "load",
                                       "loadfile",
                                       "next",
                                       "pairs",
                                       "pcall",
                                       "print",
                                       "rawequal",
                                       "rawget",
                                       "rawset",
                                       "require",
                                       "select",
                                       "setmetatable",
                                       "tonumber",
                                       "tostring",
                                       "type",
                                       "xpcall",
                                       "_G",
                                       "_VERSION",
                                       "coroutine",
                                       "debug",
                                       "io",
                                       "math",
                                       "os",
                                       "package",
                                       "string",
                                       "table",
                                       LFB_OTHER_GLOBALS};

enum { NSTANDARD = sizeof standard / sizeof standard[0] };

const char *const lfb_libraries[] = {"coroutine", "debug", "io",
                                     "math",      "os",    "package",
                                     "string",    "table", LFB_OTHER_LIBRARIES,
                                     NULL};

void lfb_push_standard(lua_State *L, const char *name) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

bool lfb_is_standard(lua_State *L, const char *name) {
  lfb_push_standard(L, name);
  bool same = !lua_isnil(L, -1) && lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

bool lfb_push_captured(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1) && !lfb_is_standard(L, name))
    return true;
  lua_pop(L, 1);
  return false;
}

/* Pushes package.loaded; whatever the script has made of 'package'. */
static void push_loaded(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

/* Is the object at the top what the name leads to now? */
static bool is_found(lua_State *L, const char *name, size_t len) {
  const char *end = name + len;
  int object = lua_gettop(L);
  luaL_checkstack(L, 5, "names");
  push_loaded(L);
  while (name < end && lua_istable(L, -1)) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_replace(L, -2);
    name += strlen(name) + 1;
  }
  bool found = name >= end && lua_rawequal(L, -1, object);
  lua_settop(L, object);
  return found;
}

/* Is the object at the top one of the standard libraries', before a script or
 * lfut has changed them? */
static bool is_original(lua_State *L) {
  lfb_push_ref(L, LFB_REF_ORIGINALS);
  lua_pushvalue(L, -2);
  bool is = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return is;
}

/* Is 'name' better for the object at the top than 'old'? A module's own name is
 * the best; a name in a submodule is better than one in its parent, which has
 * it only once the other is loaded. */
static bool is_better(lua_State *L, const char *name, size_t len,
                      const char *old, size_t old_len) {
  size_t module = strlen(old);
  if (is_original(L))
    return false;
  if (!is_found(L, old, old_len))
    return true;
  if (strlen(name) == len || module == old_len)
    return strlen(name) == len && module < old_len;
  return strncmp(name, old, module) == 0 && name[module] == '.';
}

/* Gives the object at the top the name, unless it has a better one; stack:
 * names table at 'names'. True if it had none. */
static bool give_name(lua_State *L, int names, const char *name, size_t len) {
  size_t old_len;
  lua_pushvalue(L, -1);
  lua_rawget(L, names);
  const char *old = lua_tolstring(L, -1, &old_len);
  lua_insert(L, -2);
  bool better = !old || is_better(L, name, len, old, old_len);
  lua_remove(L, -2);
  if (!better)
    return false;
  lua_pushvalue(L, -1);
  lua_pushlstring(L, name, len);
  lua_rawset(L, names);
  return !old;
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
  if (lfb_is_opaque(L, -1) || lua_islightuserdata(L, -1))
    return true;
  return depth == 1 && (lua_isfunction(L, -1) || lua_istable(L, -1));
}

/* Names what is in the table at the top, whose own name is at 'path'. */
static void name_fields(lua_State *L, int names, int path, int depth) {
  luaL_checkstack(L, 12, "too many nested modules");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    bool deeper = lua_istable(L, -1) && depth < DEPTH;
    if (lua_type(L, -2) != LUA_TSTRING || !(can_have_name(L, depth) || deeper))
      continue;
    lua_pushvalue(L, path);
    lua_pushlstring(L, "\0", 1);
    lua_pushvalue(L, -4);
    lua_concat(L, 3);
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    lua_insert(L, -2); /* ... key, path, value */
    bool fresh = can_have_name(L, depth) && give_name(L, names, name, len);
    if (deeper && (fresh || depth > 1) && !is_module_list(L))
      name_fields(L, names, lua_gettop(L) - 1, depth + 1);
    lua_remove(L, -2);
  }
}

/* Names the module at the top, which is popped. */
static void name_module(lua_State *L, int names, const char *name) {
  if (lua_istable(L, -1) || lua_isfunction(L, -1)) {
    give_name(L, names, name, strlen(name));
    lua_pushstring(L, name);
    lua_insert(L, -2);
    if (lua_istable(L, -1))
      name_fields(L, names, lua_gettop(L) - 1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
}

void lfb_names_keep(lua_State *L, const char *name, size_t len) {
  lfb_push_ref(L, LFB_REF_NAMES);
  lua_pushvalue(L, -2);
  lua_pushlstring(L, name, len);
  lua_rawset(L, -3);
  lfb_push_ref(L, LFB_REF_ORIGINALS);
  lua_pushvalue(L, -3);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* Notes that the module is known as what it is now; stack: the module. */
static void keep_module(lua_State *L, const char *name) {
  lfb_push_ref(L, LFB_REF_MODULES);
  lua_pushstring(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Names what the standard global 'name' is, which is popped. */
static void name_global(lua_State *L, int names, const char *name) {
  if (lua_istable(L, -1) && strcmp(name, "_G") != 0) {
    keep_module(L, name);
    name_module(L, names, name);
    return;
  }
  if (lua_istable(L, -1)) {
    keep_module(L, name);
    give_name(L, names, name, strlen(name));
  } else if (lfb_is_opaque(L, -1)) {
    char path[64];
    size_t len = (size_t)snprintf(path, sizeof path, "_G.%s", name);
    path[2] = '\0';
    give_name(L, names, path, len);
  }
  lua_pop(L, 1);
}

/* The standard libraries: what is in them now keeps its names, whatever a
 * script does to them, and what a script puts there is its own. */
static void name_standard(lua_State *L) {
  lua_newtable(L);
  int names = lua_gettop(L);
  for (int i = 0; i < NSTANDARD; i++) {
    lfb_push_standard(L, standard[i]);
    name_global(L, names, standard[i]);
  }
  lfb_push_ref(L, LFB_REF_NAMES);
  lfb_push_ref(L, LFB_REF_ORIGINALS);
  lfb_push_ref(L, LFB_REF_BY_NAME);
  for (lua_pushnil(L); lua_next(L, names); lua_pop(L, 1)) {
    if (lua_isfunction(L, -2) && !lfb_is_opaque(L, -2))
      continue; /* a script's, which came first */
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, names + 1); /* object -> name */
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, names + 2); /* object -> true */
    lua_pushvalue(L, -1);
    lua_pushvalue(L, -3);
    lua_rawset(L, names + 3); /* name -> object */
  }
  lua_settop(L, names - 1);
}

/* The module at the top has come, or is another than before. */
static void note_module(lua_State *L, lfb_state *S, const char *name) {
  lfb_push_ref(L, LFB_REF_NAMES);
  lua_pushvalue(L, -2);
  name_module(L, lua_gettop(L) - 1, name);
  lua_pop(L, 1);
  keep_module(L, name);
  S->names++;
  S->untold = true;
}

/* Is the function that has called this one require? Then a module is complete.
 */
static bool is_from_require(lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "f", &ar))
    return false;
  lfb_push_standard(L, "require");
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

/* __newindex of package.loaded: what is in a module when it has been loaded is
 * the module's own. What a script puts there later is not, so it has to be
 * looked at now. */
static int module_loaded(lua_State *L) {
  lfb_state *S = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, 1);
  if (S->global && lua_type(L, 2) == LUA_TSTRING && LFB_TELLS_MODULES &&
      is_from_require(L))
    note_module(L, S, lua_tostring(L, 2));
  return 0;
}

#if !LFB_TELLS_MODULES
/* An error of require's own is at the top: it gets the script's position. */
static int raise_from_require(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  lfb_tidy_message(L);
  if (lua_type(L, -1) == LUA_TSTRING &&
      (strncmp(text, "module '", 8) == 0 ||
       strncmp(text, "error loading", 13) == 0 ||
       strncmp(text, "loop or", 7) == 0)) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* Lua's own puts a mark into package.loaded before it loads a module, and the
 * module later, of which nobody is told. */
int lfb_require(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK)
    return raise_from_require(L);
  push_loaded(L);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  lfb_push_ref(L, LFB_REF_MODULES);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  bool known = lua_rawequal(L, -1, 4);
  lua_settop(L, 4);
  if (S->global && !known && lua_type(L, 1) == LUA_TSTRING)
    note_module(L, S, lua_tostring(L, 1));
  lua_settop(L, 2);
  return 1;
}
#endif

static void watch_modules(lua_State *L, lfb_state *S) {
  push_loaded(L);
  if (!lua_getmetatable(L, -1)) {
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, S);
    lua_pushcclosure(L, module_loaded, 1);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
  } else {
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Protected: opens the library with new tables in the place of the globals and
 * of the modules; returns what that returns. */
static int open_apart(lua_State *L) {
  lua_CFunction open = lua_tocfunction(L, 1);
  lua_newtable(L);
  lfb_set_globals(L);
  lua_newtable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushcfunction(L, open);
  lua_call(L, 0, 1);
  return 1;
}

/* Pushes a library as it is when it is opened, and leaves the interpreter as it
 * is: its globals, its modules and the metatable of strings. The collector
 * stands still, so that no finalizer sees other globals. */
static void push_fresh(lua_State *L, lua_CFunction open) {
  int collects = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  push_loaded(L);
  lua_pushglobaltable(L);
  lua_pushliteral(L, "");
  if (!lua_getmetatable(L, -1))
    lua_pushnil(L);
  lua_pushcfunction(L, open_apart);
  lua_pushcfunction(L, open);
  int status = lua_pcall(L, 1, 1, 0);
  lua_insert(L, -5);
  lua_setmetatable(L, -2); /* of all strings */
  lua_pop(L, 1);
  lfb_set_globals(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (collects)
    lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK)
    lua_error(L);
}

/* Pushes what belongs under the name, whatever a script that came first has
 * put there: a library as it was loaded, or a function of the base library, for
 * which the table at 'base' is filled if need be. */
static void push_original(lua_State *L, const char *name, int base) {
  push_loaded(L);
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
  if (lfb_is_opaque(L, -1) || lua_istable(L, -1))
    return;
  lua_pop(L, 1);
  if (lua_isnil(L, base)) {
    push_fresh(L, luaopen_base);
    lua_replace(L, base);
  }
  lua_getfield(L, base, name);
}

void lfb_names_open(lua_State *L, lfb_state *S) {
  lfb_push_ref(L, LFB_REF_STANDARD);
  lua_pushnil(L);
  int base = lua_gettop(L);
  for (int i = 0; i < NSTANDARD; i++) {
    push_original(L, standard[i], base);
    lua_setfield(L, base - 1, standard[i]);
  }
  lua_pop(L, 2);
  watch_modules(L, S);
  lfb_names_renew(L, S);
  lfb_additions_open(L, S);
}

void lfb_push_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {{LUA_TABLIBNAME, luaopen_table},
                                       {LUA_STRLIBNAME, luaopen_string},
                                       {LUA_MATHLIBNAME, luaopen_math}};
  lua_newtable(L);
  lfb_push_ref(L, LFB_REF_STANDARD);
  lfb_copy_pairs(L, lua_gettop(L), lua_gettop(L) - 1);
  lua_pop(L, 1);
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    push_fresh(L, libraries[i].func);
    lua_setfield(L, -2, libraries[i].name);
  }
  lfb_complete_libraries(L);
}

/* Where the modules in the table at the top and their names lie. What is known
 * is kept, so it is all there as long as the number is the same. */
static uint64_t sum_modules(lua_State *L) {
  const uint64_t factor = 0x9e3779b97f4a7c15u;
  uint64_t sum = 1;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) {
      sum = (sum ^ (size_t)lua_topointer(L, -2)) * factor;
      sum = (sum ^ sum >> 32 ^ (size_t)lua_topointer(L, -1)) * factor;
    }
  return sum;
}

/* Is the value at the top what the table at 'idx' has under the key below? */
static bool has_pair(lua_State *L, int idx) {
  lua_pushvalue(L, -2);
  lua_rawget(L, idx);
  bool has = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return has;
}

/* Looks at the modules that have come (package.loaded at 'loaded'), and forgets
 * those that have gone. */
static void look_at_modules(lua_State *L, lfb_state *S, int loaded) {
  lfb_push_ref(L, LFB_REF_MODULES);
  int known = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, loaded); lua_settop(L, known + 1))
    if (lua_type(L, -2) == LUA_TSTRING && !has_pair(L, known))
      note_module(L, S, lua_tostring(L, -2));
  for (lua_pushnil(L); lua_next(L, known); lua_settop(L, known + 1))
    if (!has_pair(L, loaded)) {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, known);
    }
  lua_settop(L, loaded);
}

void lfb_names_refresh(lua_State *L, lfb_state *S) {
  luaL_checkstack(L, 20, "modules");
  push_loaded(L);
  uint64_t sum = sum_modules(L);
  if (sum != S->modules) {
    look_at_modules(L, S, lua_gettop(L));
    S->modules = sum;
  }
  lua_pop(L, 1);
  bool untold = S->untold;
  S->untold = false;
  if (untold && !S->vm && S->global->start.refresh)
    S->global->start.refresh(L,
                             S); /* they may be in a place that is new, too */
}

bool lfb_was_named(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lfb_push_ref(L, LFB_REF_NAMES);
  lua_pushvalue(L, idx);
  bool was = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return was;
}

bool lfb_push_name(lua_State *L, int idx) {
  size_t len;
  idx = lua_absindex(L, idx);
  lfb_push_ref(L, LFB_REF_NAMES);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_replace(L, -2);
  const char *name = lua_tolstring(L, -1, &len);
  if (name) {
    lua_pushvalue(L, idx);
    bool valid = is_original(L) || is_found(L, name, len);
    lua_pop(L, 1);
    if (valid)
      return true;
  }
  lua_pop(L, 1);
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
  push_loaded(L);
  lua_pushstring(L, name);
  bool loaded = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return loaded;
}

void lfb_names_renew(lua_State *L, lfb_state *S) {
  lfb_new_ref(L, LFB_REF_NAMED, "v");
  name_standard(L);
  S->names++;
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
  if (S->vm && S->global->start.refresh && !is_loaded(L, name))
    S->global->start.refresh(L, S);
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

/* Pushes what the table has under the name at the top. */
static void push_by_name(lua_State *L, lfb_ref table) {
  lfb_push_ref(L, table);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  lua_replace(L, -2);
}

/* The same for the name at the top, which stays. */
static bool push_if_known(lua_State *L) {
  size_t len;
  const char *name = lua_tolstring(L, -1, &len); /* with a zero behind it */
  push_by_name(L, LFB_REF_BY_NAME);
  if (!lua_isnil(L, -1))
    return true;
  lua_pop(L, 1);
  push_by_name(L, LFB_REF_NAMED);
  if (!lua_isnil(L, -1) && is_found(L, name, len))
    return true;
  lua_pop(L, 1);
  return false;
}

bool lfb_push_if_known(lua_State *L, const char *bytes, size_t len) {
  lua_pushlstring(L, bytes, len);
  bool known = push_if_known(L);
  lua_remove(L, known ? -2 : -1);
  return known;
}

void lfb_push_named(lua_State *L, lfb_state *S, const char *bytes, size_t len) {
  lua_pushlstring(L, bytes, len);
  if (!push_if_known(L)) {
    resolve(L, S, lua_tostring(L, -1), len);
    lfb_push_ref(L, LFB_REF_NAMED);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
}

int lfb_stdio_index(lua_State *L, lfb_state *S, int idx) {
  luaL_Stream *p = luaL_testudata(L, idx, LUA_FILEHANDLE);
  if (!p || !lfb_file_is_open(p))
    return -1;
  return p->f == stdin ? 0 : p->f == S->out ? 1 : p->f == S->err ? 2 : -1;
}

void lfb_push_stdio(lua_State *L, int which) {
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  lfb_push_standard(L, "io");
  lua_pushstring(L, names[which]);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}
