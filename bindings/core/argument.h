/* SPDX-License-Identifier: MIT
 *
 * Arguments of lfut's C functions: what the auxiliary library does under
 * similar names, with messages that name methods however they are called, also
 * by pcall, and that tell who has forgotten the ':'. All of them raise. */
#ifndef LFB_CORE_ARGUMENT_H
#define LFB_CORE_ARGUMENT_H

#include "bindings/core/state.h"

/* The argument is wrong. Methods do not count the object. */
int lfb_arg_error(lua_State *L, int arg, const char *message);

/* Another type was expected. */
int lfb_type_error(lua_State *L, int arg, const char *expected);

#define lfb_arg_check(L, condition, arg, message)                              \
  ((void)((condition) || lfb_arg_error(L, arg, message)))

void lfb_check_any(lua_State *L, int arg);
void lfb_check_type(lua_State *L, int arg, int type);
lua_Integer lfb_check_integer(lua_State *L, int arg);
lua_Number lfb_check_number(lua_State *L, int arg);
const char *lfb_check_string(lua_State *L, int arg, size_t *len);

/* The same, or 'otherwise' if there is none. */
lua_Integer lfb_optional_integer(lua_State *L, int arg, lua_Integer otherwise);
const char *lfb_optional_string(lua_State *L, int arg, const char *otherwise);

/* Which of the names, which end with NULL, it is. */
int lfb_check_choice(lua_State *L, int arg, const char *otherwise,
                     const char *const names[]);

#endif
