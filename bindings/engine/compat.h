/* SPDX-License-Identifier: MIT
 *
 * Lua's headers, and everything that differs between its versions. */
#ifndef LFB_ENGINE_COMPAT_H
#define LFB_ENGINE_COMPAT_H

#include <lua.h>
#include <lualib.h>

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef LUA_JITLIBNAME
#include "bindings/engine/luajit.h"

#define LFB_LUA LUAJIT_VERSION
#define LFB_LUA_FOLDER "lua/5.1"
#define LFB_ENGINE "LuaJIT 2.1"

/* What it has of what others have. */
#define LFB_HAS_CONTINUATIONS 0 /* of C functions (steps.h) */
#define LFB_HAS_CLOSE 0         /* to-be-closed variables */
#define LFB_HAS_WARNINGS 0
#define LFB_HAS_INTEGERS 0  /* besides floats */
#define LFB_HAS_OWN_FILES 0 /* files may be closed in ways of their own */
#define LFB_HAS_HOOKS 0     /* each coroutine has a hook of its own */
#define LFB_TELLS_MODULES                                                      \
  0 /* package.loaded gets a module when it is loaded                          \
     */
#define LFB_SEARCHERS "loaders"

/* Standard globals besides those that all have, and libraries among them. */
#define LFB_OTHER_LIBRARIES "bit", "jit"
#define LFB_OTHER_GLOBALS                                                      \
  LFB_OTHER_LIBRARIES, "gcinfo", "getfenv", "loadstring", "module",            \
      "newproxy", "setfenv", "unpack"

#elif LUA_VERSION_NUM == 504 || LUA_VERSION_NUM == 505

/* Which it is, for people; how its version is called in paths; and for those
 * whose functions travel to each other: the same bytecode. */
#define LFB_LUA LUA_RELEASE
#define LFB_LUA_FOLDER "lua/" LUA_VERSION_MAJOR "." LUA_VERSION_MINOR
#define LFB_ENGINE LUA_VERSION

#define LFB_HAS_CONTINUATIONS 1
#define LFB_HAS_CLOSE 1
#define LFB_HAS_WARNINGS 1
#define LFB_HAS_INTEGERS 1
#define LFB_HAS_OWN_FILES 1
#define LFB_HAS_HOOKS 1
#define LFB_TELLS_MODULES 1
#define LFB_SEARCHERS "searchers"
#define LFB_OTHER_LIBRARIES "utf8"
#define LFB_OTHER_GLOBALS LFB_OTHER_LIBRARIES, "rawlen", "warn"

#else
#error "lfut needs Lua 5.4, Lua 5.5 or LuaJIT 2.1"
#endif

/* --- The registry --- */

/* What an address of lfut's, of something that is there from the start, stands
 * for there: a negative integer, which luaL_ref does not use, and which is
 * found faster than a pointer. */
static inline lua_Integer lfb_registry_key(const char *address) {
#ifdef LUA_JITLIBNAME
  return -(lua_Integer)((intptr_t)address & INT_MAX); /* of one library */
#else
  return -(lua_Integer)(intptr_t)address;
#endif
}

static inline void lfb_registry_push(lua_State *L, const char *address) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, lfb_registry_key(address));
}

/* Pops the value. */
static inline void lfb_registry_set(lua_State *L, const char *address) {
  lua_rawseti(L, LUA_REGISTRYINDEX, lfb_registry_key(address));
}

/* Pushes the main thread of an interpreter that begins. */
static inline lua_State *lfb_main_thread(lua_State *L) {
#ifdef LUA_JITLIBNAME
  return L;
#else
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
#endif
}

/* Pops a table, which takes the place of the globals. */
static inline void lfb_set_globals(lua_State *L) {
#ifdef LUA_JITLIBNAME
  lua_replace(L, LUA_GLOBALSINDEX);
#else
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#endif
}

#ifndef LUA_JITLIBNAME
static inline void lfb_complete_libraries(lua_State *L) {
  (void)L;
}
#endif

/* --- The collector --- */

#ifdef LUA_JITLIBNAME
static inline void lfb_gc_step(lua_State *L, int kilobytes) {
  lua_gc(L, LUA_GCSTEP, kilobytes);
}

static inline void lfb_gc_eager(lua_State *L) {
  lua_gc(L, LUA_GCSETPAUSE, 20);
  lua_gc(L, LUA_GCSETSTEPMUL, 1000);
}

/* Has it do as the stock interpreter does. */
static inline void lfb_gc_young(lua_State *L) {
  (void)L;
}

static inline lua_State *lfb_bare_state(lua_Alloc alloc, void *ud) {
  return lua_newstate(alloc, ud);
}

#elif LUA_VERSION_NUM >= 505

/* Has it work as if so many kilobytes had been allocated. */
static inline void lfb_gc_step(lua_State *L, int kilobytes) {
  lua_gc(L, LUA_GCSTEP, (size_t)kilobytes << 10);
}

/* Has it begin again as soon as it has ended. */
static inline void lfb_gc_eager(lua_State *L) {
  lua_gc(L, LUA_GCINC);
  lua_gc(L, LUA_GCPARAM, LUA_GCPPAUSE, 20);
  lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPMUL, 1000);
  lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPSIZE, 1 << 10);
}

/* The seed is of Lua's own making. */
static inline lua_State *lfb_bare_state(lua_Alloc alloc, void *ud) {
  return lua_newstate(alloc, ud, luaL_makeseed(NULL));
}

static inline void lfb_gc_young(lua_State *L) {
  lua_gc(L, LUA_GCGEN);
}
#else
static inline void lfb_gc_step(lua_State *L, int kilobytes) {
  lua_gc(L, LUA_GCSTEP, kilobytes);
}

static inline void lfb_gc_eager(lua_State *L) {
  lua_gc(L, LUA_GCINC, 20, 1000, 10);
}

static inline void lfb_gc_young(lua_State *L) {
  lua_gc(L, LUA_GCGEN, 0, 0);
}

static inline lua_State *lfb_bare_state(lua_Alloc alloc, void *ud) {
  return lua_newstate(alloc, ud);
}
#endif

/* --- Numbers --- */

/* Has the number, which has no fraction, a place among Lua's integers? Then
 * '*i' is that one. */
static inline bool lfb_is_integral(lua_Number x, lua_Integer *i) {
  bool fits =
      x >= (lua_Number)LUA_MININTEGER && x < -(lua_Number)LUA_MININTEGER;
  if (fits)
    *i = (lua_Integer)x;
  return fits;
}

enum { LFB_BOXED = 24 }; /* bytes of a boxed integer's text, at most */

#ifdef LUA_JITLIBNAME
/* Pushes the number. Raises where it would not be exact. */
static inline void lfb_push_exact(lua_State *L, int64_t i) {
  if (i > (int64_t)1 << 53 || i < -((int64_t)1 << 53))
    luaL_error(L, "integer %I is beyond 2^53: a number would not be exact",
               (LUAI_UACINT)i);
  lua_pushnumber(L, (lua_Number)i);
}

/* Is the value at 'idx' an integer of 64 bits that is no number? Then what it
 * is in a script goes to 'text'. And pushes such a one. */
bool lfb_boxed_integer(lua_State *L, int idx, char *text);
void lfb_push_boxed(lua_State *L, const char *text, size_t len);
#else
static inline void lfb_push_exact(lua_State *L, lua_Integer i) {
  lua_pushinteger(L, i);
}

static inline bool lfb_boxed_integer(lua_State *L, int idx, char *text) {
  (void)L;
  (void)idx;
  (void)text;
  return false;
}

static inline void lfb_push_boxed(lua_State *L, const char *text, size_t len) {
  luaL_error(L, "'%s' is no number of this Lua", len > 0 ? text : "");
}
#endif

/* --- Text --- */

#ifdef LUA_JITLIBNAME
/* A metamethod __tostring ends so. LuaJIT's string.format calls it while it has
 * text in a buffer, which a collection halves without regard to what is in it
 * (before July 2024): what comes next would be written behind its end. This
 * begins it anew, as string.format does afterwards, too. */
void lfb_settle_text(lua_State *L);

/* Pops a value, and pushes a closure of the function with it that does so. */
void lfb_push_tostring(lua_State *L, lua_CFunction f);
#else
static inline void lfb_settle_text(lua_State *L) {
  (void)L;
}

static inline void lfb_push_tostring(lua_State *L, lua_CFunction f) {
  lua_pushcclosure(L, f, 1);
}
#endif

/* --- Files --- */

#ifdef LUA_JITLIBNAME
static inline bool lfb_file_is_open(const luaL_Stream *p) {
  return p->f != NULL;
}
#else
static inline bool lfb_file_is_open(const luaL_Stream *p) {
  return p->closef != NULL;
}
#endif

/* --- Values that are closed --- */

/* The value at 'idx' is closed when the function is left, if there is such a
 * thing; else that is up to who calls this. */
static inline void lfb_toclose(lua_State *L, int idx) {
#if LFB_HAS_CLOSE
  lua_toclose(L, idx);
#else
  (void)L;
  (void)idx;
#endif
}

/* --- Warnings --- */

/* Whether they are shown. */
static inline void lfb_warn_control(lua_State *L, bool on) {
#if LFB_HAS_WARNINGS
  lua_warning(L, on ? "@on" : "@off", 0);
#else
  (void)L;
  (void)on;
#endif
}

/* --- Coroutines --- */

#ifdef LUA_JITLIBNAME
/* It cannot be used any more: a dead one keeps its error. */
static inline int lfb_closethread(lua_State *co, lua_State *from) {
  (void)from;
  int status = lua_status(co);
  return status == LUA_YIELD ? LUA_OK : status;
}
#elif LUA_VERSION_RELEASE_NUM >= 50406
#define lfb_closethread(co, from) lua_closethread(co, from)
#elif LUA_VERSION_RELEASE_NUM >= 50403
#define lfb_closethread(co, from) ((void)(from), lua_resetthread(co))
#else
/* These forget the error of a coroutine that has died of one, unless closing it
 * raises another. 'from' keeps it meanwhile (NULL: it is not wanted). */
static inline int lfb_closethread(lua_State *co, lua_State *from) {
  bool died = lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD;
  if (!died || !from || !lua_checkstack(from, 1))
    return lua_resetthread(co);
  lua_xmove(co, from, 1);
  int status = lua_resetthread(co);
  if (status == LUA_OK)
    lua_xmove(from, co, 1);
  else
    lua_pop(from, 1);
  return status == LUA_OK ? LUA_ERRRUN : status;
}
#endif

#endif
