/* SPDX-License-Identifier: MIT
 *
 * See subprocess.h. The calling thread feeds the command and reads what it
 * writes until it has ended; a command that is to end earlier is asked to, and
 * killed if it does not. */
#include "bindings/run/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/position.h"
#include "runtime/base/mem.h"
#include "runtime/os/command.h"
#include "runtime/os/fork.h"

#define PATIENCE 2.0 /* seconds from SIGTERM to SIGKILL */

enum { INPUT, OUTPUT, ERRORS, STREAMS };

/* Why it is ended before its time. */
typedef enum { NOTHING, LATE, INTERRUPTED } reason;

typedef struct {
  lf_command command;
  bool runs, ended;
  int own[STREAMS];    /* our ends of pipes, or -1 */
  int theirs[STREAMS]; /* until it has been started */
  const char *input;   /* the rest; the argument's */
  size_t left;
  lf_buf captured[STREAMS];
  reason why;
  int64_t deadline, kill_at;
} command;

static void close_fd(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

static void free_command(void *p) {
  command *c = p;
  if (c->runs) {
    lf_command_signal(&c->command, SIGKILL);
    lf_command_end(&c->command);
  }
  for (int i = 0; i < STREAMS; i++) {
    close_fd(&c->own[i]);
    close_fd(&c->theirs[i]);
    lf_buf_fini(&c->captured[i]);
  }
  lf_free(c);
}

static command *push_command(lua_State *L) {
  lfb_box *box = lfb_push_box(L, free_command);
  command *c = box->content = lf_zalloc(sizeof *c);
  if (!c)
    lfb_raise_memory(L);
  for (int i = 0; i < STREAMS; i++)
    c->own[i] = c->theirs[i] = -1;
  c->kill_at = LF_FOREVER;
  return c;
}

/* --- Arguments: the table is at 1 --- */

static void check_keys(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout",  "stderr", "cwd",
                                      "env",   "timeout", NULL};
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

/* The text at the top, which has to be one for the system. */
static const char *check_text(lua_State *L, const char *what) {
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
    argv[i - 1] = (char *)(uintptr_t)check_text(L, lua_tostring(L, -2));
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
  lua_pushfstring(L, "%s=%s", name, check_text(L, "value in option 'env'"));
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

/* Not among the first three descriptors, which are the command's. */
static int move_up(int fd) {
  if (fd < 0 || fd >= STREAMS)
    return fd;
  int above = fcntl(fd, F_DUPFD_CLOEXEC, STREAMS);
  close(fd);
  return above;
}

static int raise_errno(lua_State *L, const char *what) {
  return luaL_error(L, "cannot open %s: %s", what, strerror(errno));
}

static void open_pipe(lua_State *L, command *c, int stream) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    raise_errno(L, "a pipe");
  c->own[stream] = move_up(ends[stream == INPUT]);
  c->theirs[stream] = move_up(ends[stream != INPUT]);
  if (c->own[stream] < 0 || c->theirs[stream] < 0 ||
      fcntl(c->own[stream], F_SETFL, O_NONBLOCK) != 0)
    raise_errno(L, "a pipe");
}

static void open_file(lua_State *L, command *c, int stream, const char *name) {
  int flags = stream == INPUT ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
  c->theirs[stream] = move_up(open(name, flags | O_CLOEXEC, 0666));
  if (c->theirs[stream] < 0)
    raise_errno(L, lua_pushfstring(L, "'%s'", name));
}

/* stdout or stderr */
static void open_output(lua_State *L, command *c, int stream,
                        const char *option) {
  const char *how = "capture";
  if (lua_getfield(L, 1, option) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING)
      lfb_option_error(L, option, "string");
    how = check_text(L, option);
  }
  if (strcmp(how, "capture") == 0)
    open_pipe(L, c, stream);
  else if (strcmp(how, "inherit") != 0)
    open_file(L, c, stream, strcmp(how, "null") == 0 ? "/dev/null" : how);
}

/* The text stays where it is, in the table at 1 and on the stack. */
static void open_input(lua_State *L, command *c) {
  int type = lua_getfield(L, 1, "stdin");
  if (type == LUA_TNIL) {
    open_file(L, c, INPUT, "/dev/null");
    return;
  }
  if (type != LUA_TSTRING)
    lfb_option_error(L, "stdin", "string");
  c->input = lua_tolstring(L, -1, &c->left);
  open_pipe(L, c, INPUT);
}

/* --- Running --- */

static void start(lua_State *L, lfb_state *S, command *c,
                  lf_command_line *line) {
  for (int i = 0; i < STREAMS; i++)
    line->fds[i] = c->theirs[i];
  lfb_output_write(S);
  int err = lf_command_run(&c->command, line, S->vm != NULL);
  if (err && line->folder && access(line->folder, X_OK) != 0)
    luaL_error(L, "cannot run '%s' in '%s': %s", line->file, line->folder,
               strerror(errno));
  if (err)
    luaL_error(L, "cannot run '%s': %s", line->file, strerror(err));
  c->runs = true;
  for (int i = 0; i < STREAMS; i++)
    close_fd(&c->theirs[i]);
}

/* write(2) without the signal of a pipe that nobody reads. */
static ssize_t write_quietly(int fd, const char *bytes, size_t n) {
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

static bool is_later(ssize_t r) {
  return r < 0 && (errno == EAGAIN || errno == EINTR);
}

static void feed(command *c) {
  ssize_t n = c->left ? write_quietly(c->own[INPUT], c->input, c->left) : 0;
  if (n > 0) {
    c->input += n;
    c->left -= (size_t)n;
  }
  if (c->left == 0 || (n < 0 && !is_later(n)))
    close_fd(&c->own[INPUT]);
}

/* False: no memory. */
static bool drain(command *c, int stream) {
  enum { PIECE = 64 << 10 };
  lf_buf *out = &c->captured[stream];
  size_t before = out->len;
  unsigned char *at = lf_buf_room(out, PIECE);
  if (!at)
    return false;
  ssize_t n = read(c->own[stream], at, PIECE);
  lf_buf_cut(out, before + (n > 0 ? (size_t)n : 0));
  if (n == 0 || (n < 0 && !is_later(n)))
    close_fd(&c->own[stream]);
  return true;
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Waits for something to happen. */
static void await(command *c, struct pollfd *fds) {
  int64_t until =
      earlier(lf_after(LFB_LOOK_AGAIN),
              earlier(c->why ? c->kill_at : c->deadline, c->kill_at));
  for (int i = 0; i < STREAMS; i++)
    fds[i] = (struct pollfd){.fd = c->own[i],
                             .events = i == INPUT ? POLLOUT : POLLIN};
  if (!c->ended) {
    c->ended = lf_command_poll(&c->command, fds, STREAMS, until);
    return;
  }
  int64_t left = until - lf_now();
  poll(fds, STREAMS, left > 0 ? (int)(left / 1000000) + 1 : 0);
}

static void end_it(command *c, reason why) {
  c->why = why;
  c->kill_at = lf_after(PATIENCE);
  lf_command_signal(&c->command, SIGTERM);
}

/* Is it to end before its time? */
static void look_for_reason(lua_State *L, lfb_state *S, command *c) {
  if (c->why != INTERRUPTED && lfb_is_signalled(L, S))
    end_it(c, INTERRUPTED);
  else if (!c->why && lf_is_past(c->deadline))
    end_it(c, LATE);
  else if (c->kill_at == LF_FOREVER && lf_command_is_interrupted(&c->command))
    c->kill_at = lf_after(PATIENCE);
  if (lf_now() >= c->kill_at && !c->ended)
    lf_command_signal(&c->command, SIGKILL);
}

static bool is_over(const command *c) {
  bool reads = c->own[OUTPUT] >= 0 || c->own[ERRORS] >= 0;
  return c->ended && (!reads || c->why);
}

/* Returns its status. */
static int finish(lua_State *L, lfb_state *S, command *c) {
  lfb_blocked blocked = {
      .words = "a command", .number = c->command.pid, .until = c->deadline};
  while (!is_over(c)) {
    struct pollfd fds[STREAMS + 1];
    lfb_blocked_begin(S, &blocked);
    await(c, fds);
    lfb_blocked_end(S, &blocked);
    if (fds[INPUT].revents)
      feed(c);
    for (int i = OUTPUT; i <= ERRORS; i++)
      if (fds[i].revents && !drain(c, i))
        lfb_raise_memory(L);
    look_for_reason(L, S, c);
  }
  c->runs = false;
  return lf_command_end(&c->command);
}

static void set_captured(lua_State *L, const command *c, int stream,
                         const char *field, bool captured) {
  const lf_buf *out = &c->captured[stream];
  if (!captured)
    return;
  lua_pushlstring(L, (const char *)out->data, out->len);
  lua_setfield(L, -2, field);
}

static void push_status(lua_State *L, int status) {
  lua_createtable(L, 0, 4);
  if (WIFEXITED(status)) {
    lua_pushinteger(L, WEXITSTATUS(status));
    lua_setfield(L, -2, "code");
    return;
  }
  lua_pushstring(L, lf_signal_name(WTERMSIG(status)));
  lua_setfield(L, -2, "signal");
}

int lfb_run_command(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  check_keys(L);
  int64_t deadline = lfb_option_deadline(L, 1, "timeout");
  lf_command_line line = {.argv = push_arguments(L)};
  line.file = line.argv[0];
  line.envp = push_environment(L);
  if (lua_getfield(L, 1, "cwd") != LUA_TNIL)
    line.folder = check_text(L, "cwd");
  command *c = push_command(L);
  lfb_box *box = lua_touserdata(L, -1);
  c->deadline = deadline;
  open_input(L, c);
  open_output(L, c, OUTPUT, "stdout");
  open_output(L, c, ERRORS, "stderr");
  bool captured[] = {false, c->own[OUTPUT] >= 0, c->own[ERRORS] >= 0};
  start(L, S, c, &line);
  int status = finish(L, S, c);
  if (c->why == INTERRUPTED)
    return lfb_raise_interrupted(L, S);
  if (c->why == LATE) {
    lfb_push_error(L, "TimeoutError", "command '%s' has not ended in time",
                   line.file);
    return lua_error(L);
  }
  push_status(L, status);
  set_captured(L, c, OUTPUT, "stdout", captured[OUTPUT]);
  set_captured(L, c, ERRORS, "stderr", captured[ERRORS]);
  box->content = NULL;
  free_command(c);
  return 1;
}
