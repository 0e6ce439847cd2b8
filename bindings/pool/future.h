/* SPDX-License-Identifier: MIT
 *
 * Futures, as scripts see them: userdata with a reference to a task. */
#ifndef LFB_POOL_FUTURE_H
#define LFB_POOL_FUTURE_H

#include "bindings/core/state.h"

struct lfb_wait_for;

/* Registers the class. */
void lfb_future_open(lua_State *L, lfb_state *S);

/* Pushes a future without a task yet; '*slot' is to get a reference. */
lf_task **lfb_new_future(lua_State *L, lfb_state *S);

/* The interpreter's futures are numbered in the order in which they are made.
 */
uint64_t lfb_future_number(lf_task **future);

/* Pushes a future for the task, with a reference of its own. */
void lfb_push_future(lua_State *L, lfb_state *S, void *task);

lf_task *lfb_check_future(lua_State *L, int idx);

/* f:result([timeout]), with the future at 1. */
int lfb_future_result(lua_State *L);

/* Pushes the error value of a failed task. */
void lfb_push_failure(lua_State *L, lfb_state *S, lf_task *task);

/* For steps (run/wait.h): is the task not done yet? Then '*what' is to be
 * waited for. Raises TimeoutError. */
bool lfb_await(lua_State *L, lfb_state *S, lf_task *task, int64_t deadline,
               struct lfb_wait_for *what);

#endif
