/* SPDX-License-Identifier: MIT
 *
 * Long strings on their way to a worker are not copied: the sender keeps the
 * string, the buffer has a borrow, and the worker copies from the sender's
 * memory. When the sender's interpreter closes first, the borrow gets a copy.
 *
 * Which threads: lend and collect, the sender's; push, the receiver's; drop,
 * any. One lock for all borrowed strings, held for moments only. */
#ifndef LFB_PACK_BORROW_H
#define LFB_PACK_BORROW_H

#include "bindings/core/state.h"

typedef struct lfb_borrow lfb_borrow;

enum { LFB_BORROW_MIN = LF_LIMIT(16384, 300) }; /* bytes of a string worth it */

/* A borrow of the string at 'idx', with a reference for the caller, who gives
 * it back by lfb_borrow_drop. Raises on lack of memory. */
lfb_borrow *lfb_borrow_new(lua_State *L, lfb_state *S, int idx);
void lfb_borrow_drop(void *borrow);

/* Pushes a copy of the lent string. */
void lfb_push_borrow(lua_State *L, lfb_borrow *borrow);

/* Lets go of the strings that have been borrowed and given back. */
void lfb_borrowed_collect(lua_State *L, lfb_state *S);

/* In a forked process: nobody in it will read what the other one has lent. */
void lfb_borrowed_forget(lfb_state *S);

#endif
