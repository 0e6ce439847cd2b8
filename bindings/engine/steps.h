/* SPDX-License-Identifier: MIT
 *
 * C functions that are left in the middle, and go on: by a yield, or while they
 * call Lua code that may yield. What they do then is a continuation, which
 * finds the stack as it was left, and behind it the results of the call.
 *
 * Where Lua itself has no continuations, such a function is called by one in
 * Lua: what it returns says what is to be done, and that it is to go on. So it
 * has to be known as one (lfb_push_step; LFB_STEP in a list of functions), and
 * 'return's what these return. Upvalues beyond the first, the state, are not
 * there in a continuation. */
#ifndef LFB_ENGINE_STEPS_H
#define LFB_ENGINE_STEPS_H

#include "bindings/engine/compat.h"

/* Begins the name of such a function in a list (luaL_Reg). */
#define LFB_STEP "~"

#if LFB_HAS_CONTINUATIONS

/* Yields; goes on with k(L, LUA_YIELD, context). */
static inline int lfb_yield_then(lua_State *L, lua_KContext context,
                                 lua_KFunction k) {
  return lua_yieldk(L, 0, context, k);
}

/* Calls the function below its arguments, for all results, and goes on. */
static inline int lfb_call_then(lua_State *L, int nargs, lua_KContext context,
                                lua_KFunction k) {
  lua_callk(L, nargs, LUA_MULTRET, context, k);
  return k(L, LUA_OK, context);
}

/* The same, protected: the status may be that of an error. */
static inline int lfb_pcall_then(lua_State *L, int nargs, lua_KContext context,
                                 lua_KFunction k) {
  int status = lua_pcallk(L, nargs, LUA_MULTRET, 0, context, k);
  return k(L, status, context);
}

/* How many values a coroutine that yielded so is resumed with: they are on its
 * stack. */
static inline int lfb_kept_values(lua_State *co) {
  (void)co;
  return 0;
}

/* Makes the C function at the top, whose first upvalue is the state, one that
 * may do so. */
static inline void lfb_push_step(lua_State *L) {
  (void)L;
}

/* Pushes that function as such a one, which gets a pointer. */
static inline void lfb_push_body(lua_State *L, void *state, lua_CFunction f) {
  (void)state;
  lua_pushcfunction(L, f);
}

static inline void lfb_steps_open(lua_State *L, void *state) {
  (void)L;
  (void)state;
}

/* Is the function one whose code cannot travel: of C, or such a one? */
static inline bool lfb_is_opaque(lua_State *L, int idx) {
  return lua_iscfunction(L, idx);
}

/* Is that, with "S", an activation of such a one that is Lua? */
static inline bool lfb_is_step(const lua_Debug *ar) {
  (void)ar;
  return false;
}

/* The error message at the top may have the position of such code. */
static inline void lfb_tidy_message(lua_State *L) {
  (void)L;
}

/* The activation of the C function that runs, as a script has called it. */
static inline int lfb_own_frame(lua_State *L, lua_Debug *ar) {
  return lua_getstack(L, 0, ar);
}

#else

/* Of the Lua code that calls them, which is in no message. */
#define LFB_STEP_SOURCE "=[step]"

int lfb_yield_then(lua_State *L, lua_KContext context, lua_KFunction k);
int lfb_call_then(lua_State *L, int nargs, lua_KContext context,
                  lua_KFunction k);
int lfb_pcall_then(lua_State *L, int nargs, lua_KContext context,
                   lua_KFunction k);

static inline int lfb_kept_values(lua_State *co) {
  return lua_gettop(co);
}

void lfb_push_step(lua_State *L);
void lfb_push_body(lua_State *L, void *state, lua_CFunction f);

/* Replaces pcall or xpcall, below 'failed' at the top, by a function that does
 * as it does, but returns what failed(false, error) returns if there has been
 * an error. */
void lfb_push_checked(lua_State *L);

bool lfb_is_opaque(lua_State *L, int idx);
bool lfb_is_step(const lua_Debug *ar);
void lfb_tidy_message(lua_State *L);
int lfb_own_frame(lua_State *L, lua_Debug *ar);

/* Before any of these, once for an interpreter. */
void lfb_steps_open(lua_State *L, void *state);

#endif

#endif
