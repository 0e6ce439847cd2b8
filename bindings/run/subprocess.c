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
#include "bindings/run/position.h"
#include "bindings/run/spawned.h"
#include "bindings/run/wait.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/command.h"
#include "runtime/os/fork.h"

#define PATIENCE 2.0 /* seconds from SIGTERM to SIGKILL */
#define BLIND 0.01   /* seconds between looks, where nobody tells */

/* Why it is ended before its time. */
typedef enum { NOTHING, LATE, INTERRUPTED } reason;

typedef struct {
  lfb_spawned s;
  const char *input; /* the rest; the argument's */
  size_t left;
  bool captures[LFB_STREAMS];
  lf_buf captured[LFB_STREAMS];
  const char *name;                  /* the argument's */
  lf_polled polled[LFB_STREAMS + 1]; /* while it is waited for; its end last */
  reason why;
  int64_t deadline, kill_at;
} command;

static void free_command(void *p) {
  command *c = p;
  if (c->s.runs) {
    lf_command_signal(&c->s.command, SIGKILL);
    lf_command_end(&c->s.command);
  }
  lfb_spawned_close(&c->s);
  for (int i = 0; i < LFB_STREAMS; i++)
    lf_buf_fini(&c->captured[i]);
  lf_free(c);
}

static command *push_command(lua_State *L) {
  lfb_box *box = lfb_push_box(L, free_command);
  command *c = box->content = lf_zalloc(sizeof *c);
  if (!c)
    lfb_raise_memory(L);
  lfb_spawned_init(&c->s);
  c->kill_at = LF_FOREVER;
  return c;
}

/* stdout or stderr */
static void open_output(lua_State *L, command *c, int stream,
                        const char *option) {
  const char *how = lfb_push_stream(L, option, "capture");
  c->captures[stream] = strcmp(how, "capture") == 0;
  if (c->captures[stream])
    lfb_spawned_pipe(L, &c->s, stream);
  else
    lfb_spawned_open(L, &c->s, stream, how);
}

/* The text stays where it is, in the table at 1 and on the stack. */
static void open_input(lua_State *L, command *c) {
  int type = lua_getfield(L, 1, "stdin");
  if (type == LUA_TNIL) {
    lfb_spawned_open(L, &c->s, LFB_INPUT, "null");
    return;
  }
  if (type != LUA_TSTRING)
    lfb_option_error(L, "stdin", "string");
  c->input = lua_tolstring(L, -1, &c->left);
  lfb_spawned_pipe(L, &c->s, LFB_INPUT);
}

/* --- Running --- */

static void feed(command *c) {
  ssize_t n =
      c->left ? lfb_write_quietly(c->s.own[LFB_INPUT], c->input, c->left) : 0;
  if (n > 0) {
    c->input += n;
    c->left -= (size_t)n;
  }
  if (c->left == 0 || (n < 0 && !lfb_is_later(n)))
    lfb_close_fd(&c->s.own[LFB_INPUT]);
}

/* False: no memory. */
static bool drain(command *c, int stream) {
  enum { PIECE = 64 << 10 };
  lf_buf *out = &c->captured[stream];
  size_t before = out->len;
  unsigned char *at = lf_buf_room(out, PIECE);
  if (!at)
    return false;
  ssize_t n = read(c->s.own[stream], at, PIECE);
  lf_buf_cut(out, before + (n > 0 ? (size_t)n : 0));
  if (n == 0 || (n < 0 && !lfb_is_later(n)))
    lfb_close_fd(&c->s.own[stream]);
  return true;
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* When it is to be asked to end, or killed. */
static int64_t next_look(const command *c) {
  return earlier(c->why ? c->kill_at : c->deadline, c->kill_at);
}

static void set_streams(const command *c, struct pollfd *fds) {
  for (int i = 0; i < LFB_STREAMS; i++)
    fds[i] = (struct pollfd){.fd = c->s.own[i],
                             .events = i == LFB_INPUT ? POLLOUT : POLLIN};
}

static void move_bytes(lua_State *L, command *c, const struct pollfd *fds) {
  if (fds[LFB_INPUT].revents)
    feed(c);
  for (int i = LFB_OUTPUT; i <= LFB_ERRORS; i++)
    if (fds[i].revents && !drain(c, i))
      lfb_raise_memory(L);
}

/* Waits for something to happen; until 0: looks whether it has. */
static void await(command *c, struct pollfd *fds, int64_t until) {
  set_streams(c, fds);
  if (!c->s.ended) {
    c->s.ended = lf_command_poll(&c->s.command, fds, LFB_STREAMS, until);
    return;
  }
  int64_t left = until - lf_now();
  poll(fds, LFB_STREAMS, left > 0 ? (int)(left / 1000000) + 1 : 0);
}

static void end_it(command *c, reason why) {
  c->why = why;
  c->kill_at = lf_after(PATIENCE);
  lf_command_signal(&c->s.command, SIGTERM);
}

/* Is it to end before its time? */
static void look_for_reason(lua_State *L, lfb_state *S, command *c) {
  if (c->why != INTERRUPTED && lfb_is_signalled(L, S))
    end_it(c, INTERRUPTED);
  else if (!c->why && lf_is_past(c->deadline))
    end_it(c, LATE);
  else if (c->kill_at == LF_FOREVER && lf_command_is_interrupted(&c->s.command))
    c->kill_at = lf_after(PATIENCE);
  if (lf_now() >= c->kill_at && !c->s.ended)
    lf_command_signal(&c->s.command, SIGKILL);
}

static bool is_over(const command *c) {
  bool reads = c->s.own[LFB_OUTPUT] >= 0 || c->s.own[LFB_ERRORS] >= 0;
  return c->s.ended && (!reads || c->why);
}

/* Returns its status. */
static int finish(lua_State *L, lfb_state *S, command *c) {
  lfb_blocked blocked = {
      .words = "a command", .number = c->s.command.pid, .until = c->deadline};
  while (!is_over(c)) {
    struct pollfd fds[LFB_STREAMS + 1];
    lfb_blocked_begin(S, &blocked);
    await(c, fds, earlier(lf_after(LFB_LOOK_AGAIN), next_look(c)));
    lfb_blocked_end(S, &blocked);
    move_bytes(L, c, fds);
    look_for_reason(L, S, c);
  }
  c->s.runs = false;
  return lf_command_end(&c->s.command);
}

static void set_captured(lua_State *L, const command *c, int stream,
                         const char *field) {
  const lf_buf *out = &c->captured[stream];
  if (!c->captures[stream])
    return;
  lua_pushlstring(L, (const char *)out->data, out->len);
  lua_setfield(L, -2, field);
}

static int push_outcome(lua_State *L, lfb_state *S, const command *c,
                        int status) {
  if (c->why == INTERRUPTED)
    return lfb_raise_interrupted(L, S);
  if (c->why == LATE) {
    lfb_push_error(L, "TimeoutError", "command '%s' has not ended in time",
                   c->name);
    return lua_error(L);
  }
  lfb_push_status(L, status);
  set_captured(L, c, LFB_OUTPUT, "stdout");
  set_captured(L, c, LFB_ERRORS, "stderr");
  return 1;
}

/* --- Where waits are parked --- */

/* What the pipes have, or take, now. */
static void look(lua_State *L, lfb_state *S, command *c) {
  struct pollfd fds[LFB_STREAMS + 1];
  await(c, fds, 0);
  move_bytes(L, c, fds);
  look_for_reason(L, S, c);
}

/* 'context' is the command. */
static int step(lua_State *L, lfb_state *S, int64_t context,
                lfb_wait_for *what) {
  command *c = (command *)(intptr_t)context;
  look(L, S, c);
  if (is_over(c)) {
    c->s.runs = false;
    return push_outcome(L, S, c, lf_command_end(&c->s.command));
  }
  bool failed = false; /* the last time */
  for (int i = 0; i <= LFB_STREAMS; i++)
    failed = failed || c->polled[i].err;
  for (int i = 0; i < LFB_STREAMS; i++)
    c->polled[i] =
        (lf_polled){.fd = c->s.own[i],
                    .wanted = i == LFB_INPUT ? LF_WRITABLE : LF_READABLE};
  int pidfd = c->s.ended ? -1 : lf_command_pidfd(&c->s.command);
  c->polled[LFB_STREAMS] = (lf_polled){.fd = pidfd, .wanted = LF_READABLE};
  *what = (lfb_wait_for){.polled = c->polled,
                         .npolled = LFB_STREAMS + 1,
                         .deadline = next_look(c),
                         .occupies = true};
  if (failed || (pidfd < 0 && !c->s.ended)) /* nobody tells */
    *what = (lfb_wait_for){.deadline = lf_after(BLIND), .occupies = true};
  return LFB_NOT_YET;
}

/* The task ends in the middle. */
static int guard_close(lua_State *L) {
  command *c = *(command **)lua_touserdata(L, 1);
  if (c->s.runs) {
    lf_command_signal(&c->s.command, SIGTERM);
    lf_command_leave(&c->s.command, (int64_t)(PATIENCE * 1e9));
  }
  c->s.runs = false;
  return 0;
}

static void push_guard(lua_State *L, command *c) {
  command **guard = lua_newuserdatauv(L, sizeof *guard, 0);
  *guard = c;
  lfb_push_metatable(L, "lfut.run", "__close", guard_close);
  lua_setmetatable(L, -2);
  lfb_toclose(L, -1);
}

/* --- */

int lfb_run_command(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout",  "stderr", "cwd",
                                      "env",   "timeout", NULL};
  lfb_state *S = lfb_self(L);
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lfb_check_command_keys(L, names);
  int64_t deadline = lfb_option_deadline(L, 1, "timeout");
  lf_command_line line;
  lfb_push_command_line(L, &line);
  command *c = push_command(L);
  lfb_box *box = lua_touserdata(L, -1);
  c->deadline = deadline;
  c->name = line.file;
  open_input(L, c);
  open_output(L, c, LFB_OUTPUT, "stdout");
  open_output(L, c, LFB_ERRORS, "stderr");
  lfb_spawned_start(L, S, &c->s, &line);
  if (lfb_parks_all(L, S)) {
    push_guard(L, c);
    return lfb_waiting(L, S, step, (intptr_t)c);
  }
  int n = push_outcome(L, S, c, finish(L, S, c));
  box->content = NULL;
  free_command(c);
  return n;
}
