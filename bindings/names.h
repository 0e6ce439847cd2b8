/* SPDX-License-Identifier: MIT
 *
 * What travels by name: modules, what is in them, the standard library. A name
 * is a module's name and the keys that lead on from there, separated by zero
 * bytes: "string\0format". */
#ifndef LFB_NAMES_H
#define LFB_NAMES_H

#include "state.h"

/* Notes which globals are the standard ones: those that a script has not set.
 */
void lfb_names_open(lua_State *L);

/* In an interpreter whose library functions have just been replaced: names mean
 * the new ones from now on. */
void lfb_names_renew(lua_State *L, lfb_state *S);

/* Looks whether modules have come since the last time; once before a series of
 * lfb_push_name. */
void lfb_names_refresh(lua_State *L, lfb_state *S);

/* If the object at 'idx' has a name, pushes it and returns true. */
bool lfb_push_name(lua_State *L, int idx);

/* Pushes the object with that name, requiring its module; raises if there is
 * none. */
void lfb_push_named(lua_State *L, lfb_state *S, const char *name, size_t len);

/* Is the value at the top what the standard global 'name' is? */
bool lfb_is_standard(lua_State *L, const char *name);

#endif
