/* SPDX-License-Identifier: MIT
 *
 * lfut.Event: a flag to wait for. */
#ifndef LFB_SYNC_EVENT_H
#define LFB_SYNC_EVENT_H

#include "bindings/core/state.h"

void lfb_event_open(lua_State *L, lfb_state *S);

/* lfut.Event() */
int lfb_event(lua_State *L);

#endif
