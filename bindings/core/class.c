/* SPDX-License-Identifier: MIT
 *
 * See class.h. A metatable is in the registry at the address of its class's
 * byte, and the state of the interpreter knows its address. */
#include "bindings/core/class.h"
#include "bindings/core/argument.h"

#include <string.h>

#include "bindings/core/state.h"

static const char class_keys[LFB_CLASSES];

void lfb_push_class(lua_State *L, lfb_class class) {
  lfb_registry_push(L, &class_keys[class]);
}

void lfb_set_class(lua_State *L, lfb_class class) {
  lfb_push_class(L, class);
  lua_setmetatable(L, -2);
}

/* Sets __index of the metatable at the top. */
static void set_index(lua_State *L, lfb_state *S, const lfb_descriptor *d) {
  if (!d->methods)
    return;
  if (d->index)
    lua_pushlightuserdata(L, S);
  lua_newtable(L);
  lfb_setfuncs(L, S, d->methods);
  if (d->index)
    lua_pushcclosure(L, d->index, 2);
  lua_setfield(L, -2, "__index");
}

void lfb_newclass(lua_State *L, lfb_state *S, const lfb_descriptor *d) {
  lua_newtable(L);
  if (d->base)
    lfb_setfuncs(L, S, d->base);
  if (d->metamethods)
    lfb_setfuncs(L, S, d->metamethods);
  set_index(L, S, d);
  lua_pushstring(L, d->name);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "lfut");
  lua_setfield(L, -2, "__metatable");
  S->classes[d->class] = lua_topointer(L, -1);
  S->descriptors[d->class] = d;
  lfb_registry_set(L, &class_keys[d->class]);
}

void lfb_push_methods(lua_State *L, lfb_class class) {
  lfb_push_class(L, class);
  lua_getfield(L, -1, "__index");
  if (lua_iscfunction(L, -1) && lua_getupvalue(L, -1, 2))
    lua_remove(L, -2);
  lua_remove(L, -2);
}

void lfb_add_methods(lua_State *L, lfb_state *S, lfb_class class,
                     const luaL_Reg *methods) {
  lfb_push_methods(L, class);
  lfb_setfuncs(L, S, methods);
  lua_pop(L, 1);
}

const char *lfb_push_method(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
    return NULL;
  return lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
}

bool lfb_has_metatable(lua_State *L, int idx, const char *name) {
  if (!lua_getmetatable(L, idx))
    return false;
  luaL_getmetatable(L, name);
  bool has = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return has;
}

void lfb_push_metatable(lua_State *L, const char *name, const char *event,
                        lua_CFunction f) {
  if (luaL_getmetatable(L, name) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, event);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, name);
}

static const char marks[LFB_EXECUTOR + 1];

void lfb_mark(void *userdata, size_t size, lfb_class class) {
  const void *mark = &marks[class];
  memcpy((char *)userdata + size - sizeof mark, &mark, sizeof mark);
}

/* Has the userdata the class's mark? */
static bool is_marked(const void *u, size_t size, lfb_class class) {
  const void *mark;
  if (size < 2 * sizeof mark || size > LFB_MARKED)
    return false;
  memcpy(&mark, (const char *)u + size - sizeof mark, sizeof mark);
  return mark == &marks[class];
}

static void *test_marked(lua_State *L, int idx, lfb_class class) {
  void *u = lua_touserdata(L, idx);
  return u && is_marked(u, lua_rawlen(L, idx), class) ? u : NULL;
}

void *lfb_test(lua_State *L, lfb_state *S, int idx, lfb_class class) {
  if (class <= LFB_EXECUTOR)
    return test_marked(L, idx, class);
  void *u = lua_touserdata(L, idx);
  if (!u || !lua_getmetatable(L, idx))
    return NULL;
  bool same = lua_topointer(L, -1) == S->classes[class];
  lua_pop(L, 1);
  return same ? u : NULL;
}

const lfb_descriptor *lfb_class_at(lua_State *L, lfb_state *S, int idx) {
  if (!lua_getmetatable(L, idx))
    return NULL;
  const void *metatable = lua_topointer(L, -1);
  lua_pop(L, 1);
  for (int i = 0; i < LFB_CLASSES; i++)
    if (S->classes[i] == metatable)
      return S->descriptors[i];
  return NULL;
}

void *lfb_check(lua_State *L, int idx, lfb_class class) {
  void *u = class <= LFB_EXECUTOR ? test_marked(L, idx, class)
                                  : lfb_test(L, lfb_self(L), idx, class);
  if (!u)
    lfb_type_error(L, idx, lfb_self(L)->descriptors[class]->name);
  return u;
}
