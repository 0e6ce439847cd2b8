/* SPDX-License-Identifier: MIT
 *
 * The option 'progress' of loops and of as_completed: what tells how far they
 * are, a function of the script's or a bar (runtime/sync/progress_bar.h). A
 * meter is a part of a userdata, one interpreter's. */
#ifndef LFB_POOL_PROGRESS_H
#define LFB_POOL_PROGRESS_H

#include "bindings/core/state.h"
#include "runtime/sync/progress_bar.h"

typedef struct {
  bool on;
  bool calls;       /* the function that is a user value of the userdata */
  bool fixed;       /* the total was known at first */
  bool all;         /* done == total has been told */
  bool in;          /* the function is being called */
  int slot;         /* of the user value */
  const char *name; /* of the options, or NULL; theirs */
  lf_bar *bar;      /* or NULL */
  uint64_t done;    /* told last */
} lfb_meter;

enum { LFB_METER_NS = 100000000 }; /* between two looks at what is done */

/* Pushes the option of the table at 'opts' (maybe there is none), which is
 * checked. */
void lfb_meter_option(lua_State *L, int opts);

/* What has been pushed, and is popped, tells from now on; it is the user value
 * 'slot' of the userdata at 'self'. 'name' lives as long as that. 'fixed': the
 * total is known. */
void lfb_meter_begin(lua_State *L, lfb_meter *m, int self, int slot,
                     const char *name, bool fixed, uint64_t total);

/* So much is done, of 'total' if it is known; more than before. False: the
 * function has raised the error at the top. Only if the meter is on. */
bool lfb_meter_tell(lua_State *L, lfb_meter *m, int self, uint64_t done,
                    bool known, uint64_t total);

/* All is done, which has been told then; it is the end. False as above. */
bool lfb_meter_finish(lua_State *L, lfb_meter *m, int self, uint64_t total);

/* Nothing more is told. Twice is harmless. */
void lfb_meter_end(lua_State *L, lfb_meter *m);

#endif
