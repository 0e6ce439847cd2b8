/* SPDX-License-Identifier: MIT
 *
 * The prompt of the program: reads chunks of Lua from standard input, line by
 * line. Main thread only. */
#ifndef LFB_PROGRAM_REPL_H
#define LFB_PROGRAM_REPL_H

#include <lua.h>

/* Gets ready to read: history and completion of names where a line editor is
 * compiled in and standard input is a terminal. */
void lfb_repl_open(lua_State *L);

/* Saves the history. Harmless when nothing is open. */
void lfb_repl_close(void);

/* Reads one chunk, of several lines if it takes so many, and pushes it as a
 * function, an expression as one that returns its values. Returns LUA_OK; the
 * status of a syntax error, with the message pushed; or -1 at the end of input,
 * with nothing pushed. Ctrl-C abandons what was typed. May raise (memory, an
 * error in the __tostring of a prompt). */
int lfb_repl_read(lua_State *L);

#endif
