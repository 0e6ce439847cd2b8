/* SPDX-License-Identifier: MIT
 *
 * What the program (main.c) asks of the bindings beyond the module itself.
 * Only the main thread calls these, with the main state. */
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

/* From now on SIGUSR1 has the program say what runs and waits, until there is
 * no interpreter to look at any more. */
void lfb_program_report(void);
void lfb_program_report_no_more(void);

/* The end by an error or os.exit: cancels what is queued, asks what runs to
 * stop. Never raises, never waits. */
void lfb_program_abandon(lua_State *L);

/* After Ctrl-C: tasks that have been interrupted have a moment for their end,
 * and for that of the commands which they run. Never raises. */
void lfb_program_linger(lua_State *L);

#endif
