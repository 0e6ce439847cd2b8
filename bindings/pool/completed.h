/* SPDX-License-Identifier: MIT
 *
 * Many futures at once: lfut.wait, lfut.as_completed. */
#ifndef LFB_POOL_COMPLETED_H
#define LFB_POOL_COMPLETED_H

#include "bindings/core/state.h"

void lfb_completed_open(lua_State *L, lfb_state *S);

/* lfut.wait(futures [, timeout [, return_when]]) and
 * lfut.wait(futures, { timeout =, return_when = }) */
int lfb_wait_futures(lua_State *L);

/* lfut.as_completed(futures [, timeout]) */
int lfb_as_completed(lua_State *L);

#endif
