/* SPDX-License-Identifier: MIT
 *
 * Many futures at once: lfut.wait, lfut.as_completed. */
#ifndef LFB_POOL_COMPLETED_H
#define LFB_POOL_COMPLETED_H

#include "bindings/core/state.h"

void lfb_completed_open(lua_State *L, lfb_state *S);

/* Pushes a list for the table of futures, an argument: itself, or its keys in
 * the order in which they were made; returns how many there are. Raises. */
lua_Integer lfb_push_futures(lua_State *L, int arg);

/* Pushes the i-th of the list that was made of the argument, or raises: it is
 * no future. */
lf_task *lfb_push_listed(lua_State *L, int list, lua_Integer i, int arg);

/* lfut.wait(futures [, timeout [, return_when]]) and
 * lfut.wait(futures, { timeout =, return_when = }) */
int lfb_wait_futures(lua_State *L);

/* lfut.as_completed(futures [, timeout]) */
int lfb_as_completed(lua_State *L);

#endif
