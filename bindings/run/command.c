/* SPDX-License-Identifier: MIT
 *
 * See command.h. The file of io.popen is the io library's, with the command
 * behind it. */
#include "bindings/run/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/position.h"
#include "bindings/run/run.h"
#include "runtime/os/clock.h"
#include "runtime/os/command.h"
#include "runtime/os/fork.h"
#include "runtime/sync/terminal.h"

#define PATIENCE 2.0 /* seconds from being interrupted to being killed */

/* Waits for the command's end, and pushes what becomes of it. If the caller is
 * interrupted, so is the command, and the error is raised when it has ended. */
static int finish(lua_State *L, lfb_state *S, lf_command *c) {
  int64_t limit = LF_FOREVER;
  bool raises = false;
  lfb_blocked blocked = {
      .words = "a command", .number = c->pid, .until = LF_FOREVER};
  for (;;) {
    int64_t until = lf_after(LFB_LOOK_AGAIN);
    lfb_blocked_begin(S, &blocked);
    int r = lf_command_wait(c, until < limit ? until : limit);
    lfb_blocked_end(S, &blocked);
    if (r == 0)
      break;
    if (!raises && lfb_is_signalled(L, S)) {
      raises = true;
      lf_command_interrupt(c);
    }
    if (limit == LF_FOREVER && lf_command_is_interrupted(c)) {
      limit = lf_after(PATIENCE);
    } else if (lf_now() >= limit) {
      lf_command_signal(c, SIGKILL);
    }
  }
  int status = lf_command_end(c);
  lf_terminal_return();
  if (raises)
    return lfb_raise_interrupted(L, S);
  if (status != -1)
    errno = 0; /* luaL_execresult looks at that first */
  return luaL_execresult(L, status);
}

static bool is_in_task(const lfb_state *S) {
  return S->vm != NULL;
}

int lfb_os_execute(lua_State *L) {
  const char *text = luaL_optstring(L, 1, NULL);
  lfb_state *S = lfb_state_of(L);
  if (!text) {
    lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
    return 1;
  }
  lf_command c;
  lf_terminal_lend();
  int err = lf_command_start(&c, text, -1, -1, is_in_task(S));
  if (err) {
    lf_terminal_return();
    errno = err;
    return luaL_execresult(L, -1);
  }
  return finish(L, S, &c);
}

/* --- io.popen --- */

#if LFB_HAS_OWN_FILES

typedef struct {
  luaL_Stream stream; /* first: what the io library sees */
  lf_command command;
  bool of_handler; /* opened by a task that was about to end */
} command_file;

static int close_command(lua_State *L) {
  command_file *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  lfb_state *S = lfb_state_find(L);
  lf_pipe_close_stream(p->stream.f);
  if (!p->of_handler && lfb_is_to_end(S))
    lf_command_interrupt(&p->command); /* it is of a task that is stopped */
  return finish(L, S, &p->command);
}

/* False with errno. */
static bool start(lfb_state *S, command_file *p, const char *text,
                  const char *mode) {
  bool reads = mode[0] == 'r';
  int ends[2];
  int err = lf_pipe_open(ends);
  if (err) {
    errno = err;
    return false;
  }
  int own = ends[reads ? 0 : 1], other = ends[reads ? 1 : 0];
  FILE *f = fdopen(own, mode);
  err = f ? lf_command_start(&p->command, text, other, reads ? 1 : 0,
                             is_in_task(S))
          : errno;
  lf_fd_close(other);
  if (err) {
    if (f)
      lf_pipe_close_stream(f);
    else
      lf_fd_close(own);
    errno = err;
    return false;
  }
  p->stream.f = f;
  p->of_handler = lfb_is_to_end(S);
  lfb_run *r = S->vm ? S->vm->current : NULL;
  if (r && !p->of_handler) {
    r->commands = r->commands ? r->commands : lf_command_owner();
    lf_command_own(&p->command, r->commands);
  }
  p->stream.closef = close_command;
  return true;
}

int lfb_io_popen(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  lfb_state *S = lfb_state_of(L);
  luaL_argcheck(L, strcmp(mode, "r") == 0 || strcmp(mode, "w") == 0, 2,
                "invalid mode");
  lua_settop(L, 2);
  command_file *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->stream.closef = NULL; /* closed, until all is done */
  p->stream.f = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  lfb_output_write(S);
  return start(S, p, text, mode) ? 1 : luaL_fileresult(L, 0, text);
}
#endif
