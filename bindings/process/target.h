/* SPDX-License-Identifier: MIT
 *
 * What Process and Thread have in common: { target =, args =, name =, daemon =
 * }. Until it is started, the object keeps the function and its arguments as
 * user values. */
#ifndef LFB_PROCESS_TARGET_H
#define LFB_PROCESS_TARGET_H

#include "bindings/run/wait.h"

/* User values of the object. */
enum { LFB_TARGET = 1, LFB_ARGS, LFB_TARGET_VALUES = LFB_ARGS };

/* Checks the table of options at 1 and leaves target, args, name (or nil) at 2,
 * 3, 4; returns whether it is a daemon. Raises. */
enum { LFB_TARGET_NAME = 4 };
bool lfb_check_target(lua_State *L);

/* The object at the top keeps what lfb_check_target has left. */
void lfb_keep_target(lua_State *L);

/* Pushes the function and its arguments that the object at 1 keeps, and returns
 * how many values; 0 if it keeps none. Raises on a bad list of arguments. */
int lfb_push_target(lua_State *L);

/* The object at 1 keeps them no longer. */
void lfb_drop_target(lua_State *L);

/* obj:join([timeout]) -> has it ended?, when the object has been checked.
 * 'step' is lfb_join_step with what has to be done yet (NULL: it has ended). */
int lfb_join(lua_State *L, lfb_step *step);
int lfb_join_step(lua_State *L, lf_task *awaited, int64_t deadline,
                  lfb_wait_for *what);

#endif
