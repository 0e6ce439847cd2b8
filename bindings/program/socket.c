/* SPDX-License-Identifier: MIT
 *
 * See socket.h. */
#include "bindings/program/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bindings/program/scripts.h"
#include "bindings/run/descriptor.h"
#include "socket.lua.h"

#define MODULE "lfut.socket"

static int check_errno(lua_State *L, int r) {
  if (r < 0)
    return luaL_error(L, "%s", strerror(errno));
  return r;
}

/* duplicate(fd) -> another one for the same */
static int duplicate(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  lua_pushinteger(L, check_errno(L, fcntl(fd, F_DUPFD_CLOEXEC, 3)));
  return 1;
}

/* replace(fd, by): 'fd' is what 'by' was, which is closed. */
static int replace(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1), by = (int)luaL_checkinteger(L, 2);
  check_errno(L, dup3(by, fd, O_CLOEXEC));
  close(by);
  return 0;
}

static const luaL_Reg functions[] = {{"closing", lfb_closing},
                                     {"duplicate", duplicate},
                                     {"replace", replace},
                                     {"wait_after", lfb_wait_after},
                                     {NULL, NULL}};

static int open_module(lua_State *L) {
  return lfb_script_run(L, lf_script_socket, sizeof lf_script_socket - 1,
                        functions);
}

void lfb_socket_open(lua_State *L) {
  lfb_script_preload(L, MODULE, open_module);
}
