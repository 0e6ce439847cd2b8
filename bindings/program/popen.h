/* SPDX-License-Identifier: MIT
 *
 * lfut.Popen: commands that run beside the script (scripts/popen.lua). */
#ifndef LFB_PROGRAM_POPEN_H
#define LFB_PROGRAM_POPEN_H

#include "bindings/engine/compat.h"

/* Puts the module where require finds it. */
void lfb_popen_open(lua_State *L);

/* lfut.Popen{ name, arguments, stdin =, stdout =, stderr =, cwd =, env = } */
int lfb_popen(lua_State *L);

#endif
