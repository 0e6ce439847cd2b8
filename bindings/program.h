/* SPDX-License-Identifier: MIT
 *
 * What the program (main.c) asks of the bindings beyond the module itself.
 * Only the main thread calls these, with the main state; only a signal handler
 * calls lfb_program_signal. */
#ifndef LFB_PROGRAM_H
#define LFB_PROGRAM_H

#include <lua.h>

/* Opens the module; all that lfut.so shows to the outside. */
__attribute__((visibility("default"))) int luaopen_lfut(lua_State *L);

/* Before any code of the script. 'workers' is what -w or LFUT_WORKERS says, 0
 * if neither. Notes the standard globals. */
void lfb_program_init(lua_State *L, int workers);

/* Warnings are on from now on, in workers, too. */
void lfb_program_warn(lua_State *L);

/* The normal end: finishes pending work and due callbacks. Blocks; called in
 * protected mode, may raise (interrupted!). */
int lfb_program_finish(lua_State *L);

/* The end by an error or os.exit: cancels what is queued, asks what runs to
 * stop. Never raises, never waits. */
void lfb_program_abandon(lua_State *L);

/* Async-signal-safe: wakes a blocked lfut call of the main state, so that it
 * lets the hook run. */
void lfb_program_signal(void);

/* Called by the hook before it raises: cancels queued work, stops running
 * tasks. */
void lfb_program_interrupt(lua_State *L);

/* If the error value at 'idx' came from a worker: pushes the worker's
 * traceback, a string, and returns 1. Else 0, and pushes nothing. */
int lfb_program_traceback(lua_State *L, int idx);

#endif
