/* SPDX-License-Identifier: MIT
 *
 * What the program (main.c) asks of the bindings beyond the module itself.
 * Only the main thread calls these, with the main state; only a signal handler
 * calls lfb_program_signal. */
#ifndef LFB_PROGRAM_PROGRAM_H
#define LFB_PROGRAM_PROGRAM_H

#include <lua.h>
#include <stdbool.h>

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

/* After Ctrl-C: tasks that have been interrupted have a moment for their end,
 * and for that of the commands which they run. Never raises. */
void lfb_program_linger(lua_State *L);

/* Async-signal-safe: Ctrl-C for the main state's Lua code, and for a blocked
 * lfut call. */
void lfb_program_signal(void);

/* Are there threads that the program has not waited for at its end? */
bool lfb_program_busy(lua_State *L);

/* What the arguments of os.exit say: an exit status. */
int lfb_program_status(lua_State *L);

/* os.exit, with what was there before it as the second upvalue. */
int lfb_os_exit(lua_State *L);

/* A worker's interpreter, or the program's, is the program of a forked process
 * now; for forked.c. */
struct lfb_state;
void lfb_program_adopt(struct lfb_state *S);

#endif
