/* SPDX-License-Identifier: MIT
 *
 * The module lfut.socket: LuaSocket's objects, whose calls park
 * (scripts/socket.lua). */
#ifndef LFB_PROGRAM_SOCKET_H
#define LFB_PROGRAM_SOCKET_H

#include "bindings/engine/compat.h"

/* Puts it where require finds it. */
void lfb_socket_open(lua_State *L);

#endif
