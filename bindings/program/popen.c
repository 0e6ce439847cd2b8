/* SPDX-License-Identifier: MIT
 *
 * See popen.h. */
#include "bindings/program/popen.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/program/scripts.h"
#include "bindings/run/descriptor.h"
#include "bindings/run/poll.h"
#include "bindings/run/spawned.h"
#include "popen.lua.h"
#include "runtime/os/fork.h"
#include "runtime/os/poller.h"
#include "runtime/os/thread.h"

#define MODULE "lfut.popen"
#define COMMAND "lfut.Command" /* the name of its metatable */

/* One that nobody has any more goes on, and is waited for when it has ended. */
static int command_gc(lua_State *L) {
  lfb_spawned *s = lua_touserdata(L, 1);
  lfb_spawned_close(s);
  if (s->runs)
    lf_command_leave(&s->command, LF_FOREVER);
  s->runs = false;
  return 0;
}

static lfb_spawned *push_command(lua_State *L) {
  lfb_spawned *s = lua_newuserdatauv(L, sizeof *s, 0);
  lfb_spawned_init(s);
  lfb_push_metatable(L, COMMAND, "__gc", command_gc);
  lua_setmetatable(L, -2);
  return s;
}

/* The script has no others. */
static lfb_spawned *to_command(lua_State *L) {
  return lua_touserdata(L, 1);
}

static void join_errors(lua_State *L, lfb_spawned *s) {
  int out = s->theirs[LFB_OUTPUT] < 0 ? STDOUT_FILENO : s->theirs[LFB_OUTPUT];
  s->theirs[LFB_ERRORS] = lf_pipe_duplicate(out);
  if (s->theirs[LFB_ERRORS] < 0)
    luaL_error(L, "cannot open standard error: %s", strerror(errno));
}

/* Opens the stream as its option says: "pipe", "inherit", "null", a file, or of
 * errors "stdout": where that goes. */
static void open_stream(lua_State *L, lfb_spawned *s, int stream,
                        const char *option, const char *otherwise) {
  const char *how = lfb_push_stream(L, option, otherwise);
  bool errors = stream == LFB_ERRORS;
  if (strcmp(how, "pipe") == 0 && errors)
    luaL_error(L, "bad option 'stderr' (no pipe; 'stdout' joins the two)");
  if (strcmp(how, "pipe") == 0)
    lfb_spawned_pipe(L, s, stream);
  else if (strcmp(how, "stdout") == 0 && errors)
    join_errors(L, s);
  else
    lfb_spawned_open(L, s, stream, how);
}

/* start{ ... } -> command */
static int start(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout", "stderr",
                                      "cwd",   "env",    NULL};
  lfb_state *S = lfb_self(L);
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lfb_poll(L, S);
  lfb_check_command_keys(L, names);
  lf_command_line line;
  lfb_push_command_line(L, &line);
  lfb_spawned *s = push_command(L);
  int at = lua_gettop(L);
  open_stream(L, s, LFB_INPUT, "stdin", "pipe");
  open_stream(L, s, LFB_OUTPUT, "stdout", "pipe");
  open_stream(L, s, LFB_ERRORS, "stderr", "inherit");
  lfb_spawned_start(L, S, s, &line);
  lua_pushvalue(L, at);
  return 1;
}

/* is_here(command) -> is it one of this process, or was that forked since? */
static int is_here(lua_State *L) {
  lua_pushboolean(L, !lf_is_foreign(to_command(L)->command.generation));
  return 1;
}

static int check_stream(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout", "end", NULL};
  return luaL_checkoption(L, 2, NULL, names);
}

/* fd(command, "stdin" | "stdout" | "end") -> descriptor, or nil */
static int get_fd(lua_State *L) {
  lfb_spawned *s = to_command(L);
  int stream = check_stream(L);
  int fd = stream < LFB_ERRORS ? s->own[stream]
           : s->runs           ? lf_command_pidfd(&s->command)
                               : -1;
  if (fd >= 0)
    lua_pushinteger(L, fd);
  else
    lua_pushnil(L);
  return 1;
}

/* close(command, "stdin" | "stdout") */
static int close_stream(lua_State *L) {
  int *fd = &to_command(L)->own[check_stream(L)];
  lf_poller_close(*fd);
  lfb_close_fd(fd);
  return 0;
}

/* read(command) -> text; nil: there is none yet; false: no more */
static int read_some(lua_State *L) {
  enum { PIECE = 64 << 10 };
  lfb_spawned *s = to_command(L);
  luaL_Buffer b;
  char *at = luaL_buffinitsize(L, &b, PIECE);
  ssize_t n = s->own[LFB_OUTPUT] < 0 ? 0 : read(s->own[LFB_OUTPUT], at, PIECE);
  if (n > 0) {
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
  }
  if (lfb_is_later(n))
    lua_pushnil(L);
  else
    lua_pushboolean(L, false);
  return 1;
}

/* write(command, text, from) -> where to go on; nil: later; false, why */
static int write_some(lua_State *L) {
  size_t len;
  lfb_spawned *s = to_command(L);
  const char *text = luaL_checklstring(L, 2, &len);
  size_t from = (size_t)luaL_checkinteger(L, 3) - 1;
  ssize_t n = lfb_write_quietly(s->own[LFB_INPUT], text + from, len - from);
  if (n >= 0) {
    lua_pushinteger(L, (lua_Integer)(from + (size_t)n + 1));
    return 1;
  }
  if (lfb_is_later(n)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushboolean(L, false);
  lua_pushstring(L, strerror(errno));
  return 2;
}

/* status(command) -> { code =, signal = }, once; nil: it runs */
static int get_status(lua_State *L) {
  lfb_spawned *s = to_command(L);
  struct pollfd none[1];
  if (!s->runs || !lf_command_poll(&s->command, none, 0, 0)) {
    lua_pushnil(L);
    return 1;
  }
  s->runs = false;
  lf_poller_close(lf_command_pidfd(&s->command));
  lfb_push_status(L, lf_command_end(&s->command));
  return 1;
}

/* signal(command, "SIGTERM" | "SIGKILL") */
static int send_signal(lua_State *L) {
  lfb_spawned *s = to_command(L);
  bool kills = strcmp(luaL_checkstring(L, 2), "SIGKILL") == 0;
  if (s->runs)
    lf_command_signal(&s->command, kills ? SIGKILL : SIGTERM);
  return 0;
}

static int get_pid(lua_State *L) {
  lua_pushinteger(L, to_command(L)->command.pid);
  return 1;
}

static int raise_timeout(lua_State *L) {
  lfb_push_error(L, "TimeoutError", "%s", luaL_checkstring(L, 1));
  return lua_error(L);
}

static const luaL_Reg functions[] = {{"start", start},
                                     {"is_here", is_here},
                                     {"fd", get_fd},
                                     {"close", close_stream},
                                     {"read", read_some},
                                     {"write", write_some},
                                     {"status", get_status},
                                     {"signal", send_signal},
                                     {"pid", get_pid},
                                     {"raise_timeout", raise_timeout},
                                     {"wait_after", lfb_wait_after},
                                     {NULL, NULL}};

static int open_module(lua_State *L) {
  return lfb_script_run(L, lf_script_popen, sizeof lf_script_popen - 1,
                        functions);
}

void lfb_popen_open(lua_State *L) {
  lfb_script_preload(L, MODULE, open_module);
}

int lfb_popen(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_requiref(L, MODULE, open_module, 0);
  lua_getfield(L, -1, "new");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}
