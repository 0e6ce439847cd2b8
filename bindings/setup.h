/* SPDX-License-Identifier: MIT
 *
 * How a pool's workers start: what they take over from the program, and the
 * initializer. */
#ifndef LFB_SETUP_H
#define LFB_SETUP_H

#include "state.h"

/* The same for all workers of a pool: read-only, owned by the pool. */
typedef struct {
  lfb_home *home;     /* a reference */
  lf_buf initializer; /* packed: function or source text, arguments */
  bool has_initializer;
  const char *kind; /* "thread", "inline" */
} lfb_setup;

/* The initializer is at 'idx', with its list of arguments behind it; nil for
 * none. Raises on error. */
lfb_setup *lfb_setup_new(lua_State *L, lfb_state *S, int idx, const char *kind);
void lfb_setup_free(void *setup);

/* In the program: notes how interpreters are to start from now on. Raises. */
void lfb_start_note(lua_State *L, lfb_state *S);

/* In a worker: starts as the program says, if it says something new; true
 * then. Raises. */
bool lfb_start_apply(lua_State *L, lfb_state *S);

void lfb_start_unref(lfb_start *start); /* NULL is allowed */

#endif
