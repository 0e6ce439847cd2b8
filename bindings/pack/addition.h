/* SPDX-License-Identifier: MIT
 *
 * What a script adds to the standard libraries, as in function string:trim():
 * it is captured as globals are. Which names there are is noted when they come,
 * so that looking for them costs nothing where there are none. */
#ifndef LFB_PACK_ADDITION_H
#define LFB_PACK_ADDITION_H

#include "bindings/core/state.h"

/* Watches the libraries, in an interpreter whose standard names are known. */
void lfb_additions_open(lua_State *L, lfb_state *S);

/* Calls visit(arg, path) for what has been added under the name; a path is the
 * library's name and that, separated by a zero byte, and is kept for good. */
typedef void lfb_visit_addition(void *arg, const char *path);
void lfb_each_addition(lua_State *L, lfb_state *S, const char *name,
                       lfb_visit_addition *visit, void *arg);

/* Has something been added under the name that would be captured? */
bool lfb_is_added(lua_State *L, lfb_state *S, const char *name);

/* Pushes what there is at the path, if it is to be captured. */
bool lfb_push_addition(lua_State *L, const char *path);

/* Pushes the table in which a captured name at the top is set, and the key
 * there, in its place: in the globals, or, if it is a path, in a library. */
void lfb_push_place(lua_State *L, lfb_state *S);

#endif
