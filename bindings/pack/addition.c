/* SPDX-License-Identifier: MIT
 *
 * See addition.h. A library's table has a metatable whose __newindex notes what
 * comes. */
#include "bindings/pack/addition.h"

#include <string.h>

#include "bindings/pack/names.h"

/* Notes that the name, at the top, is in the library; it stays. */
static void note(lua_State *L, lfb_state *S, const char *library) {
  int name = lua_gettop(L);
  luaL_checkstack(L, 6, "additions");
  S->additions = true;
  lfb_push_ref(L, LFB_REF_ADDITIONS);
  lua_pushvalue(L, name);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, name);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushstring(L, library);
  lua_pushlstring(L, "\0", 1);
  lua_pushvalue(L, name);
  lua_concat(L, 3);
  lua_pushstring(L, library);
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_settop(L, name);
}

/* The name of the library whose table is at 'idx', or NULL. */
static const char *library_at(lua_State *L, int idx) {
  for (const char *const *name = lfb_libraries; *name; name++) {
    lua_pushvalue(L, idx);
    bool is = lfb_is_standard(L, *name);
    lua_pop(L, 1);
    if (is)
      return *name;
  }
  return NULL;
}

/* __newindex of a library. */
static int added(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  lua_insert(L, 3);
  lua_rawset(L, 1);
  const char *library =
      lua_type(L, 2) == LUA_TSTRING && S->global ? library_at(L, 1) : NULL;
  if (library && strlen(lua_tostring(L, 2)) == lua_rawlen(L, 2))
    note(L, S, library);
  return 0;
}

/* What a script has put into the library at the top before it was watched:
 * functions in Lua, as the library has none. */
static void note_present(lua_State *L, lfb_state *S, const char *library) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && lua_isfunction(L, -1) &&
        !lua_iscfunction(L, -1)) {
      lua_pushvalue(L, -2);
      note(L, S, library);
      lua_pop(L, 1);
    }
}

void lfb_additions_open(lua_State *L, lfb_state *S) {
  lua_createtable(L, 0, 1);
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, added, 1);
  lua_setfield(L, -2, "__newindex");
  for (const char *const *name = lfb_libraries; *name; name++) {
    lfb_push_standard(L, *name);
    if (lua_istable(L, -1)) {
      note_present(L, S, *name);
      if (!lua_getmetatable(L, -1)) {
        lua_pushvalue(L, -2);
        lua_setmetatable(L, -2);
      } else {
        lua_pop(L, 1);
      }
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Pushes the paths of the name, by library; false: there are none. */
static bool push_paths(lua_State *L, lfb_state *S, const char *name) {
  if (!S->additions)
    return false;
  lfb_push_ref(L, LFB_REF_ADDITIONS);
  lua_pushstring(L, name);
  bool found = lua_rawget(L, -2) == LUA_TTABLE;
  lua_remove(L, -2);
  if (!found)
    lua_pop(L, 1);
  return found;
}

void lfb_each_addition(lua_State *L, lfb_state *S, const char *name,
                       lfb_visit_addition *visit, void *arg) {
  if (!push_paths(L, S, name))
    return;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    visit(arg, lua_tostring(L, -1));
  lua_pop(L, 1);
}

static bool is_capturable(int type) {
  return type == LUA_TFUNCTION || type == LUA_TNUMBER || type == LUA_TSTRING ||
         type == LUA_TBOOLEAN;
}

bool lfb_push_addition(lua_State *L, const char *path) {
  lfb_push_standard(L, path);
  if (lua_istable(L, -1)) {
    lua_pushstring(L, path + strlen(path) + 1);
    int type = lua_rawget(L, -2);
    lua_remove(L, -2);
    if (is_capturable(type))
      return true;
  }
  lua_pop(L, 1);
  return false;
}

typedef struct {
  lua_State *L;
  bool found;
} search;

static void look(void *arg, const char *path) {
  search *s = arg;
  if (!lfb_push_addition(s->L, path))
    return;
  s->found = true;
  lua_pop(s->L, 1);
}

bool lfb_is_added(lua_State *L, lfb_state *S, const char *name) {
  search s = {L, false};
  lfb_each_addition(L, S, name, look, &s);
  return s.found;
}

void lfb_push_place(lua_State *L, lfb_state *S) {
  size_t len;
  const char *name = lua_tolstring(L, -1, &len);
  size_t library = strlen(name);
  if (library == len) {
    lua_pushglobaltable(L);
    lua_insert(L, -2);
    return;
  }
  lfb_push_standard(L, name);
  if (!lua_istable(L, -1)) { /* such as no library has here: for nobody */
    lua_pop(L, 1);
    lua_newtable(L);
  }
  lua_pushstring(L, name + library + 1);
  note(L, S, name);
  lua_remove(L, -3);
}
