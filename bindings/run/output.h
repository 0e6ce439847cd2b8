/* SPDX-License-Identifier: MIT
 *
 * Standard output of the workers: whole lines at a time, however they are
 * written. */
#ifndef LFB_RUN_OUTPUT_H
#define LFB_RUN_OUTPUT_H

#include "bindings/core/state.h"

typedef struct lfb_output lfb_output;

/* Notes which files are io.stdout and io.stderr, before a script can put
 * something else there. Raises. */
void lfb_output_note(lua_State *L);

/* Makes that file the worker's own. Raises. */
void lfb_output_open(lua_State *L, lfb_state *S);

/* While a bar is drawn for the program: what it writes to a terminal does not
 * tear that; and back. Of a worker, that is so always. */
void lfb_output_share(lua_State *L, lfb_state *S);
void lfb_output_unshare(lua_State *L, lfb_state *S);

/* print(...), whose line is written in one piece, so that other workers' do not
 * come in between. It has no upvalues. */
int lfb_print(lua_State *L);

/* io.flush and file:flush, which the second upvalue is: what a worker has
 * written lies in the program's stream by then. */
int lfb_flush(lua_State *L);

/* Writes out what the interpreter has written so far, before a command may
 * write, too. */
void lfb_output_write(lfb_state *S);

/* At the end of a task: what is left of a line. NULL is allowed. */
void lfb_output_flush(lfb_output *output);

/* Writes out what waits in the process's stdout. */
void lfb_output_sync(void);

void lfb_output_close(lfb_output *output);

#endif
