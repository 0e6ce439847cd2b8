/* SPDX-License-Identifier: MIT
 *
 * Standard output of the workers: whole lines at a time, however they are
 * written. */
#ifndef LFB_OUTPUT_H
#define LFB_OUTPUT_H

#include "state.h"

typedef struct lfb_output lfb_output;

/* Gives the interpreter an io.stdout and print of its own. Raises. */
void lfb_output_open(lua_State *L, lfb_state *S);

/* Makes print write its line in one piece, so that a worker's lines do not come
 * in between. Part of the above; for the program that lfut has made, too. */
void lfb_print_open(lua_State *L, lfb_state *S);

/* At the end of a task: what is left of a line. NULL is allowed. */
void lfb_output_flush(lfb_output *output);

/* Writes out what waits in the process's stdout. */
void lfb_output_sync(void);

void lfb_output_close(lfb_output *output);

/* 0 stdin, 1 stdout, 2 stderr (the interpreter's own), else -1. */
int lfb_stdio_index(lua_State *L, int idx);

#endif
