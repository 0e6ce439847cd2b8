/* SPDX-License-Identifier: MIT
 *
 * os.exit: ends a task, or a forked process at once; else the program. */
#ifndef LFB_RUN_EXIT_H
#define LFB_RUN_EXIT_H

#include "bindings/core/state.h"

/* What the arguments of os.exit say: an exit status. */
int lfb_exit_status(lua_State *L);

/* os.exit([code [, close]]), with what was there before it as the second
 * upvalue. */
int lfb_os_exit(lua_State *L);

#endif
