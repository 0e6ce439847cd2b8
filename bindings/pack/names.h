/* SPDX-License-Identifier: MIT
 *
 * What travels by name: modules, what is in them, the standard library. A name
 * is a module's name and the keys that lead on from there, separated by zero
 * bytes: "string\0format". */
#ifndef LFB_PACK_NAMES_H
#define LFB_PACK_NAMES_H

#include "bindings/core/state.h"

/* Notes what the standard globals are, in an interpreter whose libraries are
 * open, and which modules come from now on. */
void lfb_names_open(lua_State *L, lfb_state *S);

/* Then, and when library functions have just been replaced: names mean those
 * that there are now. */
void lfb_names_renew(lua_State *L, lfb_state *S);

/* The function at the top, in whose place lfut has put another, has the name
 * for good. */
void lfb_names_keep(lua_State *L, const char *name, size_t len);

/* In the place of require, where that is needed to see modules come (the former
 * one is its second upvalue). */
int lfb_require(lua_State *L);

/* Looks whether modules have come since the last time; once before a series of
 * lfb_push_name. */
void lfb_names_refresh(lua_State *L, lfb_state *S);

/* If the object at 'idx' has a name, pushes it and returns true: a module is
 * package.loaded[name]; a table or function was in one when that was loaded,
 * and still is; of the standard libraries, it was there in the beginning. */
bool lfb_push_name(lua_State *L, int idx);

/* Has the object at 'idx' ever had a name? Then it may have it again. */
bool lfb_was_named(lua_State *L, int idx);

/* If the object with that name has been here before, and is still found, pushes
 * it and returns true. */
bool lfb_push_if_known(lua_State *L, const char *name, size_t len);

/* Pushes the object with that name, requiring its module; raises if there is
 * none. */
void lfb_push_named(lua_State *L, lfb_state *S, const char *name, size_t len);

/* Pushes what the standard global 'name' is, whatever a script has put there:
 * a function, a library. */
void lfb_push_standard(lua_State *L, const char *name);

/* Pushes a table of them, in which table, string and math are apart from what
 * the script can change: the globals of lfut's own Lua code. */
void lfb_push_libraries(lua_State *L);

/* Which standard file is the value at 'idx': 0 stdin, 1 stdout, 2 stderr (the
 * interpreter's own), else -1. */
int lfb_stdio_index(lua_State *L, lfb_state *S, int idx);

/* Pushes it (0 to 2), as the script finds it now. */
void lfb_push_stdio(lua_State *L, int which);

/* The names of the standard libraries, which end with NULL. */
extern const char *const lfb_libraries[];

/* Is the value at the top what the standard global 'name' is? */
bool lfb_is_standard(lua_State *L, const char *name);

/* Pushes the script's global 'name', if it is one to be captured: it is set,
 * and not what the standard one is. */
bool lfb_push_captured(lua_State *L, const char *name);

#endif
