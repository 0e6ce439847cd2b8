/* SPDX-License-Identifier: MIT
 *
 * lfut.text: files as a source of items that the workers read themselves. */
#ifndef LFB_POOL_TEXT_H
#define LFB_POOL_TEXT_H

#include "bindings/core/state.h"

/* Registers what lfut.text returns; expects the module at the top. */
void lfb_text_open_types(lua_State *L, lfb_state *S);

/* lfut.text(path | list [, options]) */
int lfb_text(lua_State *L);

/* Is it such a source? */
bool lfb_is_text(lua_State *L, int idx);

/* Pushes an iterator function of the items of the one at 'idx'. */
void lfb_push_text_items(lua_State *L, int idx);

#endif
