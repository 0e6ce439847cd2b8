/* SPDX-License-Identifier: MIT
 *
 * Long strings on their way to a worker are not copied: the sender keeps the
 * string, the buffer has a loan, and the worker copies from the sender's
 * memory. When the sender's interpreter closes first, the loan gets a copy.
 *
 * Which threads: lend and collect, the sender's; push, the receiver's; drop,
 * any. One lock for all loans, held for moments only. */
#ifndef LFB_PACK_BORROW_H
#define LFB_PACK_BORROW_H

#include "bindings/core/state.h"

typedef struct lfb_loan lfb_loan;

enum { LFB_LOAN_MIN = LF_LIMIT(16384, 300) }; /* bytes of a string worth it */

/* A loan of the string at 'idx', with a reference for the caller, who gives it
 * back by lfb_loan_drop. Raises on lack of memory. */
lfb_loan *lfb_lend(lua_State *L, lfb_state *S, int idx);
void lfb_loan_drop(void *loan);

/* Pushes a copy of the lent string. */
void lfb_push_loan(lua_State *L, lfb_loan *loan);

/* Lets go of the strings whose loans have been given back. */
void lfb_loans_collect(lua_State *L, lfb_state *S);

/* In a forked process: nobody in it will read what the other one has lent. */
void lfb_loans_forget(lfb_state *S);

#endif
