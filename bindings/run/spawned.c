/* SPDX-License-Identifier: MIT
 *
 * See spawned.h. */
#include "bindings/run/spawned.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/run/output.h"
#include "runtime/os/fork.h"

void lfb_spawned_init(lfb_spawned *s) {
  *s = (lfb_spawned){0};
  for (int i = 0; i < LFB_STREAMS; i++)
    s->own[i] = s->theirs[i] = -1;
}

void lfb_close_fd(int *fd) {
  lf_fd_close(*fd);
  *fd = -1;
}

void lfb_spawned_close(lfb_spawned *s) {
  for (int i = 0; i < LFB_STREAMS; i++) {
    lfb_close_fd(&s->own[i]);
    lfb_close_fd(&s->theirs[i]);
  }
}

/* --- Arguments: the table is at 1 --- */

void lfb_check_command_keys(lua_State *L, const char *const names[]) {
  lua_Integer n = luaL_len(L, 1);
  lua_newtable(L); /* those that are no arguments */
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 &&
        lua_tointeger(L, -2) <= n)
      continue;
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, 2);
  }
  lfb_check_option_names(L, 2, names);
  lua_settop(L, 1);
}

const char *lfb_check_command_text(lua_State *L, const char *what) {
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "bad %s (string expected, got %s)", what,
               luaL_typename(L, -1));
  const char *s = lua_tolstring(L, -1, &len);
  if (strlen(s) != len)
    luaL_error(L, "bad %s (it has a zero byte)", what);
  return s;
}

/* Pushes a table that keeps the texts, and the array of them. */
static char **push_arguments(lua_State *L) {
  lua_Integer n = luaL_len(L, 1);
  lfb_arg_check(L, n >= 1, 1, "name of a command expected");
  lua_newtable(L);
  char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, 1, i);
    lua_pushfstring(L, "argument #%I of the command", (LUAI_UACINT)i);
    lua_insert(L, -2);
    argv[i - 1] =
        (char *)(uintptr_t)lfb_check_command_text(L, lua_tostring(L, -2));
    lua_rawseti(L, -4, i);
    lua_pop(L, 1);
  }
  argv[n] = NULL;
  return argv;
}

/* How long the name of the variable is. */
static size_t name_length(const char *variable) {
  return strcspn(variable, "=");
}

/* Is the program's variable among those that are changed, in the table? */
static bool is_changed(lua_State *L, int changes, const char *variable) {
  lua_pushlstring(L, variable, name_length(variable));
  bool is = lua_rawget(L, changes) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}

/* Checks a pair of env at the top, and pushes "name=value", or nil. */
static void push_variable(lua_State *L) {
  if (lua_type(L, -2) != LUA_TSTRING)
    luaL_error(L, "bad option 'env' (its keys are names)");
  const char *name = lua_tostring(L, -2);
  if (!name[0] || strlen(name) != lua_rawlen(L, -2) || strchr(name, '='))
    luaL_error(L, "bad option 'env' ('%s' is no name)", name);
  if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
    lua_pushnil(L);
    return;
  }
  lua_pushfstring(L, "%s=%s", name,
                  lfb_check_command_text(L, "value in option 'env'"));
}

/* Pushes what keeps the environment, if the option is given. NULL: it is not.
 */
static char **push_environment(lua_State *L) {
  int type = lua_getfield(L, 1, "env");
  if (type == LUA_TNIL)
    return NULL;
  if (type != LUA_TTABLE)
    lfb_option_error(L, "env", "table");
  int changes = lua_gettop(L);
  size_t n = 0, more = 0;
  while (environ[n])
    n++;
  for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1))
    more++;
  lua_newtable(L);
  char **envp = lua_newuserdatauv(L, (n + more + 1) * sizeof *envp, 0);
  size_t at = 0;
  for (size_t i = 0; i < n; i++)
    if (!is_changed(L, changes, environ[i]))
      envp[at++] = environ[i];
  for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1)) {
    push_variable(L);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    envp[at++] = (char *)(uintptr_t)lua_tostring(L, -1);
    lua_rawseti(L, changes + 1, (lua_Integer)at); /* which keeps it */
  }
  envp[at] = NULL;
  return envp;
}

const char *lfb_push_stream(lua_State *L, const char *option,
                            const char *otherwise) {
  int type = lua_getfield(L, 1, option);
  if (type == LUA_TNIL)
    return otherwise;
  if (type != LUA_TSTRING)
    lfb_option_error(L, option, "string");
  return lfb_check_command_text(L, option);
}

static int raise_errno(lua_State *L, const char *what) {
  return luaL_error(L, "cannot open %s: %s", what, strerror(errno));
}

void lfb_spawned_pipe(lua_State *L, lfb_spawned *s, int stream) {
  int ends[2];
  errno = lf_pipe_open(ends);
  if (errno)
    raise_errno(L, "a pipe");
  s->own[stream] = ends[stream == LFB_INPUT];
  s->theirs[stream] = ends[stream != LFB_INPUT];
  if (fcntl(s->own[stream], F_SETFL, O_NONBLOCK) != 0)
    raise_errno(L, "a pipe");
}

void lfb_spawned_open(lua_State *L, lfb_spawned *s, int stream,
                      const char *how) {
  if (strcmp(how, "inherit") == 0)
    return;
  const char *name = strcmp(how, "null") == 0 ? "/dev/null" : how;
  int flags = stream == LFB_INPUT ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
  s->theirs[stream] = lf_fd_move_up(open(name, flags | O_CLOEXEC, 0666));
  if (s->theirs[stream] < 0)
    raise_errno(L, lua_pushfstring(L, "'%s'", name));
}

void lfb_push_command_line(lua_State *L, lf_command_line *line) {
  *line = (lf_command_line){.argv = push_arguments(L)};
  line->file = line->argv[0];
  line->envp = push_environment(L);
  if (lua_getfield(L, 1, "cwd") != LUA_TNIL)
    line->folder = lfb_check_command_text(L, "cwd");
}

/* --- Running --- */

void lfb_spawned_start(lua_State *L, lfb_state *S, lfb_spawned *s,
                       lf_command_line *line) {
  for (int i = 0; i < LFB_STREAMS; i++)
    line->fds[i] = s->theirs[i];
  lfb_output_write(S);
  int err = lf_command_run(&s->command, line, S->vm != NULL);
  if (err && line->folder && access(line->folder, X_OK) != 0)
    luaL_error(L, "cannot run '%s' in '%s': %s", line->file, line->folder,
               strerror(errno));
  if (err)
    luaL_error(L, "cannot run '%s': %s", line->file, strerror(err));
  s->runs = true;
  for (int i = 0; i < LFB_STREAMS; i++)
    lfb_close_fd(&s->theirs[i]);
}

/* write(2) without the signal of a pipe that nobody reads. */
ssize_t lfb_write_quietly(int fd, const char *bytes, size_t n) {
  sigset_t pipe_signal, before;
  const struct timespec at_once = {0, 0};
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  ssize_t r = write(fd, bytes, n);
  int err = errno;
  if (r < 0 && err == EPIPE)
    sigtimedwait(&pipe_signal, NULL, &at_once);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = err;
  return r;
}

void lfb_push_status(lua_State *L, int status) {
  lua_createtable(L, 0, 4);
  if (WIFEXITED(status)) {
    lua_pushinteger(L, WEXITSTATUS(status));
    lua_setfield(L, -2, "code");
    return;
  }
  lua_pushstring(L, lf_signal_name(WTERMSIG(status)));
  lua_setfield(L, -2, "signal");
}
