/* SPDX-License-Identifier: MIT
 *
 * Errors that nobody has caught, as the program tells them. */
#ifndef LFB_CORE_REPORT_H
#define LFB_CORE_REPORT_H

#include "bindings/engine/compat.h"

/* The innermost line that runs, from the level on, and is no line of lfut's own
 * Lua code: fills in where it is. False: there is none. */
bool lfb_find_line(lua_State *L, int level, lua_Debug *ar);

/* Message handler: the error as text, with the tracebacks of the caller and, if
 * it came from there, of the worker. Leaves the text without them at stack
 * index 2. */
int lfb_with_traceback(lua_State *L);

#endif
