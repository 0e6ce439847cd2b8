/* SPDX-License-Identifier: MIT
 *
 * For LuaJIT: what the bindings use of the API of Lua 5.4, made of that of 5.1.
 * Where the same name means less in 5.1, it is defined anew here. What neither
 * can do (yields from which a C function goes on, to-be-closed values) is in
 * steps.h. */
#ifndef LFB_ENGINE_LUAJIT_H
#define LFB_ENGINE_LUAJIT_H

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* --- Names that 5.1 does not have --- */

typedef uint64_t lua_Unsigned;
typedef long long lfb_longest;
#define LUAI_UACINT lfb_longest
#define LUA_MAXINTEGER INT64_MAX
#define LUA_MININTEGER INT64_MIN
#define LUA_LOADED_TABLE "_LOADED"
#define LUA_PRELOAD_TABLE "_PRELOAD"
#define LUA_OPLT 1
#define LUA_VERSUFFIX "_5_1"

/* --- Access --- */

static inline int lua_absindex(lua_State *L, int idx) {
  return idx > 0 || idx <= LUA_REGISTRYINDEX ? idx : lua_gettop(L) + idx + 1;
}

void lua_rotate(lua_State *L, int idx, int n);

#define lua_rawlen(L, idx) lua_objlen(L, idx)
#define lua_isinteger(L, idx) lfb_jit_isinteger(L, idx)
#define lua_tointegerx(L, idx, exact) lfb_jit_tointegerx(L, idx, exact)
#undef lua_tointeger
#define lua_tointeger(L, idx) lfb_jit_tointegerx(L, idx, NULL)

/* A number without a fraction that stands for one integer only. */
bool lfb_jit_isinteger(lua_State *L, int idx);
lua_Integer lfb_jit_tointegerx(lua_State *L, int idx, int *exact);

static inline int lua_compare(lua_State *L, int a, int b, int op) {
  (void)op; /* LUA_OPLT */
  return lua_lessthan(L, a, b);
}

/* --- Those that return the type of what they push --- */

static inline int lfb_jit_rawget(lua_State *L, int idx) {
  lua_rawget(L, idx);
  return lua_type(L, -1);
}

static inline int lfb_jit_rawgeti(lua_State *L, int idx, lua_Integer n) {
  if (n == (int)n) {
    lua_rawgeti(L, idx, (int)n);
  } else {
    idx = lua_absindex(L, idx);
    lua_pushnumber(L, (lua_Number)n);
    lua_rawget(L, idx);
  }
  return lua_type(L, -1);
}

static inline void lfb_jit_rawseti(lua_State *L, int idx, lua_Integer n) {
  if (n == (int)n) {
    lua_rawseti(L, idx, (int)n);
  } else {
    idx = lua_absindex(L, idx);
    lua_pushnumber(L, (lua_Number)n);
    lua_insert(L, -2);
    lua_rawset(L, idx);
  }
}

static inline int lfb_jit_getfield(lua_State *L, int idx, const char *key) {
  lua_getfield(L, idx, key);
  return lua_type(L, -1);
}

static inline int lua_geti(lua_State *L, int idx, lua_Integer n) {
  idx = lua_absindex(L, idx);
  lua_pushnumber(L, (lua_Number)n);
  lua_gettable(L, idx);
  return lua_type(L, -1);
}

static inline int lua_rawgetp(lua_State *L, int idx, const void *p) {
  idx = lua_absindex(L, idx);
  lua_pushlightuserdata(L, (void *)p);
  return lfb_jit_rawget(L, idx);
}

static inline void lua_rawsetp(lua_State *L, int idx, const void *p) {
  idx = lua_absindex(L, idx);
  lua_pushlightuserdata(L, (void *)p);
  lua_insert(L, -2);
  lua_rawset(L, idx);
}

static inline int lfb_jit_getmetafield(lua_State *L, int idx,
                                       const char *event) {
  return luaL_getmetafield(L, idx, event) ? lua_type(L, -1) : LUA_TNIL;
}

static inline const char *lfb_jit_pushstring(lua_State *L, const char *s) {
  lua_pushstring(L, s);
  return s ? lua_tostring(L, -1) : NULL;
}

static inline const char *lfb_jit_pushlstring(lua_State *L, const char *s,
                                              size_t len) {
  lua_pushlstring(L, s, len);
  return lua_tostring(L, -1);
}

#define lua_rawget lfb_jit_rawget
#define lua_rawgeti lfb_jit_rawgeti
#define lua_rawseti lfb_jit_rawseti
#define lua_getfield lfb_jit_getfield
#undef lua_getglobal
#define lua_getglobal(L, name) lfb_jit_getfield(L, LUA_GLOBALSINDEX, name)
#undef luaL_getmetatable
#define luaL_getmetatable(L, name) lfb_jit_getfield(L, LUA_REGISTRYINDEX, name)
#define luaL_getmetafield lfb_jit_getmetafield
#define lua_pushstring lfb_jit_pushstring
#define lua_pushlstring lfb_jit_pushlstring

#define lua_pushglobaltable(L) lua_pushvalue(L, LUA_GLOBALSINDEX)

/* --- Userdata with values: these are in its environment --- */

void *lua_newuserdatauv(lua_State *L, size_t size, int values);
int lua_getiuservalue(lua_State *L, int idx, int n);
int lua_setiuservalue(lua_State *L, int idx, int n);

/* --- Upvalues: behind those of a Lua function stands its environment --- */

const char *lfb_jit_getupvalue(lua_State *L, int idx, int n);
const char *lfb_jit_setupvalue(lua_State *L, int idx, int n);
void *lfb_jit_upvalueid(lua_State *L, int idx, int n);
void lfb_jit_upvaluejoin(lua_State *L, int to, int n, int from, int m);
#define lua_getupvalue lfb_jit_getupvalue
#define lua_setupvalue lfb_jit_setupvalue
#define lua_upvalueid lfb_jit_upvalueid
#define lua_upvaluejoin lfb_jit_upvaluejoin

/* --- Calls --- */

typedef intptr_t lua_KContext;
typedef int (*lua_KFunction)(lua_State *L, int status, lua_KContext context);

int lfb_jit_resume(lua_State *co, lua_State *from, int nargs, int *nresults);
#define lua_resume lfb_jit_resume

#define lua_gc(...) LFB_JIT_GC(__VA_ARGS__, 0, 0)
#define LFB_JIT_GC(L, what, data, ...) (lua_gc)(L, what, data)

/* --- The auxiliary library --- */

int luaL_getsubtable(lua_State *L, int idx, const char *name);
void luaL_requiref(lua_State *L, const char *name, lua_CFunction open,
                   int global);
lua_Integer luaL_len(lua_State *L, int idx);
const char *luaL_tolstring(lua_State *L, int idx, size_t *len);
char *lfb_jit_buffinitsize(lua_State *L, luaL_Buffer *b, size_t size);
void lfb_jit_pushresultsize(luaL_Buffer *b, size_t size);
const char *lfb_jit_pushvfstring(lua_State *L, const char *format,
                                 va_list args);
const char *lfb_jit_pushfstring(lua_State *L, const char *format, ...);
lua_Integer lfb_jit_checkinteger(lua_State *L, int arg);

#define luaL_buffinitsize lfb_jit_buffinitsize
#define luaL_pushresultsize lfb_jit_pushresultsize
#define lua_pushvfstring lfb_jit_pushvfstring
#define lua_pushfstring lfb_jit_pushfstring
#define luaL_checkinteger lfb_jit_checkinteger
#define luaL_pushfail lua_pushnil
#define luaL_checkversion(L) ((void)(L))

/* Positions are those of a script's code: the functions of lfut's that are Lua
 * are left out. */
void lfb_jit_where(lua_State *L, int level);
int lfb_jit_error(lua_State *L, const char *format, ...);
void lfb_jit_traceback(lua_State *L, lua_State *of, const char *message,
                       int level);
int lfb_jit_argerror(lua_State *L, int arg, const char *message);

#define luaL_where lfb_jit_where
#define luaL_traceback lfb_jit_traceback
#define luaL_error lfb_jit_error
#define luaL_argerror lfb_jit_argerror
#define luaL_argexpected(L, ok, arg, type)                                     \
  ((void)((ok) || lfb_jit_typeerror(L, arg, type)))
int lfb_jit_typeerror(lua_State *L, int arg, const char *type);

/* Adds to the table of libraries at the top what lfut's own scripts need. */
void lfb_complete_libraries(lua_State *L);

/* --- Files --- */

/* As lj_lib_io has them: 'type' says how it is closed. */
typedef struct {
  FILE *f;
  uint32_t type;
} luaL_Stream;

#endif
