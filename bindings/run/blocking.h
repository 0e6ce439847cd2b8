/* SPDX-License-Identifier: MIT
 *
 * lfut.blocking: calls that block the thread, while another worker takes this
 * one's place. */
#ifndef LFB_RUN_BLOCKING_H
#define LFB_RUN_BLOCKING_H

#include "bindings/engine/compat.h"

/* lfut.blocking(fn, ...) -> what that returns */
int lfb_blocking(lua_State *L);

#endif
