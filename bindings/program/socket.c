/* SPDX-License-Identifier: MIT
 *
 * See socket.h. */
#include "bindings/program/socket.h"

#include "bindings/program/scripts.h"
#include "bindings/run/descriptor.h"
#include "socket.lua.h"

#define MODULE "lfut.socket"

static const luaL_Reg functions[] = {
    {"closing", lfb_closing},       {"hold", lfb_hold_descriptor},
    {"take", lfb_take_descriptor},  {"release", lfb_release_descriptor},
    {"wait_after", lfb_wait_after}, {NULL, NULL}};

static int open_module(lua_State *L) {
  return lfb_script_run(L, lf_script_socket, sizeof lf_script_socket - 1,
                        functions);
}

void lfb_socket_open(lua_State *L) {
  lfb_script_preload(L, MODULE, open_module);
}
