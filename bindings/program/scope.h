/* SPDX-License-Identifier: MIT
 *
 * lfut.scope: the module "lfut.scope", which is scripts/scope.lua, loaded when
 * it is first used. */
#ifndef LFB_PROGRAM_SCOPE_H
#define LFB_PROGRAM_SCOPE_H

#include "bindings/core/state.h"

void lfb_scope_open(lua_State *L);

/* lfut.scope(fn) */
int lfb_scope(lua_State *L);

#endif
