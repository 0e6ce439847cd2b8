/* SPDX-License-Identifier: MIT
 *
 * lfut.Dict: a dictionary of copies that threads and processes share. */
#ifndef LFB_SYNC_DICT_H
#define LFB_SYNC_DICT_H

#include "bindings/core/state.h"

void lfb_dict_open(lua_State *L, lfb_state *S);

/* lfut.Dict() */
int lfb_dict(lua_State *L);

#endif
