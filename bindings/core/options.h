/* SPDX-License-Identifier: MIT
 *
 * Tables of options: a wrong name would be a setting without effect, so it is
 * an error. */
#ifndef LFB_CORE_OPTIONS_H
#define LFB_CORE_OPTIONS_H

#include "bindings/core/state.h"

/* Raises unless all keys of the table at 'idx' are among the names, which end
 * with NULL. */
void lfb_check_option_names(lua_State *L, int idx, const char *const names[]);

/* Raises: the option's value, at the top, is not what is expected. */
int lfb_option_error(lua_State *L, const char *name, const char *expected);

/* Is it a function, or has it a metamethod __call? */
bool lfb_is_callable(lua_State *L, int idx);

/* Or an argument error. */
void lfb_check_callable(lua_State *L, int idx);

/* How many values the list at 'idx' has: its field n, if that is an integer
 * >= 0, else its length. They fit on the stack then; raises if they cannot. */
int lfb_list_length(lua_State *L, int idx);

/* The optional number of seconds at 'idx' as a point in time from now. */
int64_t lfb_check_deadline(lua_State *L, int idx);

/* The same of the option 'name' in the table at 'idx', which has to be a
 * number. */
int64_t lfb_option_deadline(lua_State *L, int idx, const char *name);

/* The option 'name' in the table at 'idx', which has to be an integer (no
 * string that looks like one); false: it is not set. */
bool lfb_option_integer(lua_State *L, int idx, const char *name,
                        lua_Integer *value);

#endif
