/* SPDX-License-Identifier: MIT
 *
 * lfut.Value: one number that threads and processes share. */
#ifndef LFB_SYNC_VALUE_H
#define LFB_SYNC_VALUE_H

#include "bindings/core/state.h"

void lfb_value_open(lua_State *L, lfb_state *S);

/* lfut.Value(type [, number]) */
int lfb_value(lua_State *L);

#endif
