/* SPDX-License-Identifier: MIT
 *
 * See process.h. The new process runs on a thread of its own (child.h), but
 * with the interpreter of the one that has called start, which stands still
 * there and does so for ever in the copy: so the function is called in a new
 * coroutine, which has nothing of the former stack below it. */
#include "bindings/process/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/core/report.h"
#include "bindings/process/finish.h"
#include "bindings/process/target.h"
#include "bindings/run/forked.h"
#include "bindings/run/output.h"
#include "bindings/run/run.h"
#include "bindings/run/wait.h"
#include "runtime/os/fork.h"
#include "runtime/pool/usr1.h"
#include "runtime/process/child.h"
#include "runtime/sync/terminal.h"

/* The userdata. */
typedef struct {
  lf_child *child; /* a reference; NULL: not started, or closed */
  bool daemon, closed;
} process;

enum { NAME = LFB_TARGET_VALUES + 1, VALUES = NAME }; /* user values */

static _Atomic int unnamed; /* those that were called Process-1, -2, ... */

int lfb_process(lua_State *L) {
  bool daemon = lfb_check_target(L);
  process *p = lua_newuserdatauv(L, sizeof *p, VALUES);
  *p = (process){.daemon = daemon};
  lfb_set_class(L, LFB_PROCESS);
  lfb_keep_target(L);
  if (lua_isnil(L, LFB_TARGET_NAME))
    lua_pushfstring(L, "Process-%d", ++unnamed);
  else
    lua_pushvalue(L, LFB_TARGET_NAME);
  lua_setiuservalue(L, -2, NAME);
  return 1;
}

static process *check_open(lua_State *L) {
  process *p = lfb_check(L, 1, LFB_PROCESS);
  if (p->closed)
    luaL_error(L, "process is closed");
  return p;
}

/* One that this program has started; else tells what cannot be done. */
static lf_child *check_child(lua_State *L, const char *verb) {
  lf_child *c = check_open(L)->child;
  if (!c)
    luaL_error(L, "can only %s a started process", verb);
  if (lf_child_is_foreign(c) && lf_child_is_here(c))
    luaL_error(L, "a process cannot %s itself", verb);
  if (lf_child_is_foreign(c))
    luaL_error(L, "can only %s a child process", verb);
  return c;
}

static bool is_running(lf_child *c) {
  return !lf_task_done(lf_child_over(c));
}

/* --- In the new process --- */

/* fn, ... -> nothing; as a whole program. */
static int run(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lfb_forked(L, S);
  lf_usr1_open(&S->global->registry);
  lua_call(L, lua_gettop(L) - 1, 0);
  lfb_finish(L);
  if (!lf_fork_was_clean()) /* open files that are garbage are still written */
    lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

typedef struct {
  lua_State *L; /* has the message handler, run, and its arguments */
  lfb_state *S;
} start;

static void child_body(void *arg) {
  const start s = *(start *)arg;
  if (lua_pcall(s.L, lua_gettop(s.L) - 2, 0, 1) == LUA_OK)
    lfb_forked_exit(s.S, EXIT_SUCCESS);
  const char *message = lua_tostring(s.L, -1);
  lf_terminal_complain("lfut: %s\n",
                       message ? message : "(error object is not a string)");
  lfb_forked_exit(s.S, EXIT_FAILURE);
}

/* --- In its parent --- */

/* Pushes the coroutine that the process is to go on with. */
static lua_State *push_coroutine(lua_State *L, lfb_state *S) {
  lua_State *co = lua_newthread(L);
  int self = lua_gettop(L);
  int n = lfb_push_target(L);
  luaL_checkstack(L, 3, NULL);
  if (!lua_checkstack(co, n + LUA_MINSTACK))
    luaL_error(L, "too many values in a list of arguments");
  lua_sethook(co, NULL, 0, 0); /* an interruption is the parent's */
  lua_pushcfunction(co, lfb_with_traceback);
  lua_pushlightuserdata(L, S);
  lua_pushcclosure(L, run, 1);
  lua_insert(L, self + 1);
  lua_xmove(L, co, n + 1);
  return co;
}

static int raise_refusal(lua_State *L, int err) {
  if (err == LF_EFORK)
    return luaL_error(L, "cannot start a process: %s", strerror(errno));
  if (err == LF_ETHREAD)
    return luaL_error(L, "cannot start a thread for a process");
  return lfb_raise_memory(L);
}

/* p:start() -> p */
static int process_start(lua_State *L) {
  lfb_state *S = lfb_self(L);
  check_open(L);
  lua_settop(L, 1);
  lfb_poll(L, S);
  process *p = check_open(L);
  if (p->child)
    return luaL_error(L, "cannot start a process twice");
  lua_getiuservalue(L, 1, NAME);
  start s = {.S = S, .L = push_coroutine(L, S)};
  if (S->vm)
    lfb_output_flush(S->vm->output);
  lf_child *c = p->child = lf_child_new(S->global, p->daemon);
  int err =
      c ? lf_child_start(c, lua_tostring(L, 2), child_body, &s) : LF_ENOMEM;
  if (err) {
    p->child = NULL;
    if (c)
      lf_child_unref(c);
    return raise_refusal(L, err);
  }
  lfb_drop_target(L);
  lua_settop(L, 1);
  return 1;
}

static int join_step(lua_State *L, lfb_state *S, int64_t deadline,
                     lfb_wait_for *what) {
  const process *p = lua_touserdata(L, 1);
  bool runs = p->child && is_running(p->child); /* not closed meanwhile */
  (void)S;
  return lfb_join_step(L, runs ? lf_child_over(p->child) : NULL, deadline,
                       what);
}

/* p:join([timeout]) */
static int process_join(lua_State *L) {
  check_child(L, "join");
  return lfb_join(L, join_step);
}

static int process_is_alive(lua_State *L) {
  process *p = check_open(L);
  bool alive = false;
  if (p->child && lf_child_is_foreign(p->child) && lf_child_is_here(p->child))
    alive = true;
  else if (p->child)
    alive = is_running(check_child(L, "test"));
  lua_pushboolean(L, alive);
  return 1;
}

static int process_terminate(lua_State *L) {
  lf_child_signal(check_child(L, "terminate"), SIGTERM);
  return 0;
}

static int process_kill(lua_State *L) {
  lf_child_signal(check_child(L, "kill"), SIGKILL);
  return 0;
}

/* p:close(): of one that runs, an error. */
static int process_close(lua_State *L) {
  process *p = lfb_check(L, 1, LFB_PROCESS);
  if (p->child && is_running(check_child(L, "close")))
    return luaL_error(L, "cannot close a process while it is running");
  if (p->child)
    lf_child_unref(p->child);
  p->child = NULL;
  p->closed = true;
  lfb_drop_target(L);
  return 0;
}

static int process_gc(lua_State *L) {
  process *p = lfb_check(L, 1, LFB_PROCESS);
  if (p->child)
    lf_child_unref(p->child);
  p->child = NULL;
  p->closed = true;
  return 0;
}

/* --- Looking --- */

static void push_pid(lua_State *L, const process *p) {
  if (p->child)
    lua_pushinteger(L, lf_child_pid(p->child));
  else
    lua_pushnil(L);
}

static void push_exitcode(lua_State *L, const process *p) {
  if (p->child && !is_running(p->child))
    lua_pushinteger(L, lf_child_exitcode(p->child));
  else
    lua_pushnil(L);
}

static int process_tostring(lua_State *L) {
  process *p = lfb_check(L, 1, LFB_PROCESS);
  lua_getiuservalue(L, 1, NAME);
  const char *name = lua_tostring(L, -1);
  const char *daemon = p->daemon ? ", daemon" : "";
  if (!p->child)
    lua_pushfstring(L, "Process(%s, %s%s)", name,
                    p->closed ? "closed" : "initial", daemon);
  else if (is_running(p->child))
    lua_pushfstring(L, "Process(%s, started, pid %d%s)", name,
                    (int)lf_child_pid(p->child), daemon);
  else
    lua_pushfstring(L, "Process(%s, stopped, exitcode %d%s)", name,
                    lf_child_exitcode(p->child), daemon);
  return 1;
}

static int process_index(lua_State *L) {
  process *p = lfb_check(L, 1, LFB_PROCESS);
  const char *key = lfb_push_method(L);
  if (!key)
    return 1;
  if (strcmp(key, "name") == 0)
    lua_getiuservalue(L, 1, NAME);
  else if (strcmp(key, "daemon") == 0)
    lua_pushboolean(L, p->daemon);
  else if (strcmp(key, "pid") == 0)
    push_pid(L, check_open(L));
  else if (strcmp(key, "exitcode") == 0)
    push_exitcode(L, check_open(L));
  return 1;
}

void lfb_process_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"start", process_start},
                                     {LFB_STEP "join", process_join},
                                     {"is_alive", process_is_alive},
                                     {"terminate", process_terminate},
                                     {"kill", process_kill},
                                     {"close", process_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", process_gc}, {"__tostring", process_tostring}, {NULL, NULL}};
  static const lfb_descriptor process_class = {.class = LFB_PROCESS,
                                               .name = "lfut.Process",
                                               .methods = methods,
                                               .metamethods = metamethods,
                                               .index = process_index};
  lfb_newclass(L, S, &process_class);
}
