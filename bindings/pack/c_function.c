/* SPDX-License-Identifier: MIT
 *
 * See c_function.h. Makers are known by what they make: samples of it. */
#include "bindings/pack/c_function.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#include "bindings/pack/names.h"

/* (maker) -> what it makes. */
typedef struct {
  const char *library, *name;
  int (*make)(lua_State *L);
} maker;

static int of_function(lua_State *L) {
  lfb_push_standard(L, "print");
  lua_call(L, 1, 1);
  return 1;
}

static int of_string(lua_State *L) {
  lua_pushliteral(L, "");
  lua_pushliteral(L, "");
  lua_call(L, 2, 1);
  return 1;
}

static int of_table(lua_State *L) {
  lua_newtable(L);
  lua_call(L, 1, 1);
  return 1;
}

static int of_input(lua_State *L) {
  lfb_push_stdio(L, 0);
  lua_getfield(L, -1, "lines");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  return 1;
}

/* Pushes the name of the library's function that makes such functions; false:
 * none does. */
static bool push_maker(lua_State *L, lua_CFunction f) {
  static const maker makers[] = {{"coroutine", "wrap", of_function},
                                 {"string", "gmatch", of_string},
                                 {NULL, "ipairs", of_table},
                                 {"io", "lines", of_input}};
  int top = lua_gettop(L);
  for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
    const maker *m = &makers[i];
    lua_pushcfunction(L, m->make);
    lfb_push_standard(L, m->library ? m->library : m->name);
    if (m->library && lua_istable(L, -1))
      lua_getfield(L, -1, m->name), lua_remove(L, -2);
    bool made = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_tocfunction(L, -1) == f;
    lua_settop(L, top);
    if (!made)
      continue;
    lua_pushfstring(L, "%s%s%s", m->library ? m->library : "",
                    m->library ? "." : "", m->name);
    return true;
  }
  return false;
}

void lfb_push_c_function(lua_State *L, int idx) {
  Dl_info info;
  lua_CFunction f = lua_tocfunction(L, idx);
  if (push_maker(L, f)) {
    lua_pushfstring(L, "C function made by %s", lua_tostring(L, -1));
    lua_remove(L, -2);
    return;
  }
  lua_pushliteral(L, "C function");
  if (!dladdr((void *)(uintptr_t)f, &info) || !info.dli_fname ||
      !strstr(info.dli_fname, ".so"))
    return;
  const char *slash = strrchr(info.dli_fname, '/');
  lua_pushfstring(L, " of %s", slash ? slash + 1 : info.dli_fname);
  lua_concat(L, 2);
}
