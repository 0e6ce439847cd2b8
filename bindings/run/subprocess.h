/* SPDX-License-Identifier: MIT
 *
 * lfut.run: a command by its arguments, with what it reads and writes. */
#ifndef LFB_RUN_SUBPROCESS_H
#define LFB_RUN_SUBPROCESS_H

#include "bindings/engine/compat.h"

/* lfut.run{ ... } -> { code =, signal =, stdout =, stderr = } */
int lfb_run_command(lua_State *L);

#endif
