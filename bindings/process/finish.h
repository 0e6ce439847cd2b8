/* SPDX-License-Identifier: MIT
 *
 * The normal end of a program, the first one or a forked one: all work is
 * finished, processes are waited for. */
#ifndef LFB_PROCESS_FINISH_H
#define LFB_PROCESS_FINISH_H

#include "bindings/core/state.h"

/* A C function: finishes pending work and due callbacks, ends daemons. Blocks;
 * may raise ("interrupted!"). */
int lfb_finish(lua_State *L);

/* For a program that is not lfut: what outlives its interpreter is finished
 * when the process exits successfully. */
void lfb_finish_at_exit(lfb_global *global);

/* Are there threads that the program has not waited for at its end? */
bool lfb_is_busy(lua_State *L);

#endif
