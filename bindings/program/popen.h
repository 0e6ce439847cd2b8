/* SPDX-License-Identifier: MIT
 *
 * lfut.Popen: commands that run beside the script (scripts/popen.lua). */
#ifndef LFB_PROGRAM_POPEN_H
#define LFB_PROGRAM_POPEN_H

#include "bindings/engine/compat.h"

/* lfut.Popen{ name, arguments, stdin =, stdout =, stderr =, cwd =, env = } */
int lfb_popen(lua_State *L);

#endif
