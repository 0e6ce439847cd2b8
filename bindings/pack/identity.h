/* SPDX-License-Identifier: MIT
 *
 * Tables that keep their identity between interpreters: metatables. An
 * identity is 16 bytes: the interpreter where the table was first seen, and a
 * number there. Copies carry the identity of their original. Tables that are
 * no classes may have one, too: a script may use them as metatables yet. */
#ifndef LFB_PACK_IDENTITY_H
#define LFB_PACK_IDENTITY_H

#include "bindings/pack/pack.h"

/* Pushes the identity of the table at 'idx' if it is known as a class: a
 * table that is used as a metatable, or meant to be. */
bool lfb_identity_class(lua_State *L, int idx);

/* Pushes the table's identity, giving it one if need be; 'class' makes it
 * known as one, too. */
void lfb_identity_make(lua_State *L, lfb_state *S, int idx, bool class);

/* Gives the table at the top this identity; 'known': lfb_identity_find finds
 * it from then on. */
void lfb_identity_set(lua_State *L, const void *identity, bool class,
                      bool known);

/* Pushes the table known by the identity; true if there is one. */
bool lfb_identity_find(lua_State *L, const void *identity);

#endif
