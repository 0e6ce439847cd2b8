/* SPDX-License-Identifier: MIT
 *
 * os.execute and io.popen: as the standard libraries', but they stop nobody
 * else meanwhile, and Ctrl-C and the end of a task reach who waits for a
 * command, and the command. */
#ifndef LFB_RUN_COMMAND_H
#define LFB_RUN_COMMAND_H

#include "bindings/core/state.h"

/* os.execute([command]) */
int lfb_os_execute(lua_State *L);

/* io.popen(command [, mode]) */
int lfb_io_popen(lua_State *L);

#endif
