/* SPDX-License-Identifier: MIT
 *
 * The parts of the module that are written in Lua: modules of their own, loaded
 * when they are first used. */
#ifndef LFB_PROGRAM_SCRIPTS_H
#define LFB_PROGRAM_SCRIPTS_H

#include "bindings/core/state.h"

/* What require calls: runs the script with a table of the functions; its
 * globals are the standard ones. 'len' is without the zero. */
int lfb_script_run(lua_State *L, const char *script, size_t len,
                   const luaL_Reg *functions);

/* Puts the module where require finds it, by which its classes travel. */
void lfb_script_preload(lua_State *L, const char *module, lua_CFunction open);

/* is_callable(value) -> can it be called in a worker? */
int lfb_script_is_callable(lua_State *L);

/* metatable(value) -> the metatable itself, whatever its __metatable says */
int lfb_script_metatable(lua_State *L);

#endif
