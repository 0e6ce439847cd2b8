/* SPDX-License-Identifier: MIT
 *
 * See program.h: the interpreter that scripts run in, from its first moment to
 * its end, whether lfut or another program has made it. */
#include "bindings/program/program.h"

#include <signal.h>
#include <stdlib.h>

#include "bindings/core/state.h"
#include "bindings/pack/names.h"
#include "bindings/pool/future.h"
#include "bindings/program/lib.h"
#include "bindings/run/forked.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/standard.h"
#include "bindings/run/wait.h"
#include "bindings/run/run.h"
#include "runtime/os/fork.h"
#include "runtime/process/child.h"

enum { PATIENCE = 2 }; /* seconds: what daemons have for their end */
#define LINGER 0.3     /* and what interrupted tasks have */

/* For its signal handler, if the program is lfut; else NULL. */
static lfb_state *volatile program;

static void wake_program(lf_waker *waker) {
  lfb_state *S = lf_container_of(waker, lfb_state, home_waker);
  lf_unpark(&S->home->parker);
}

void lfb_program_adopt(lfb_state *S) {
  S->home_waker.wake = wake_program;
  S->waker = &S->home_waker;
  if (program)
    program = S;
}

static lfb_state *open_state(lua_State *L) {
  lfb_state *S = lfb_state_new(L, NULL, NULL);
  lfb_interrupt_open(L, S);
  lfb_output_note(L);
  lfb_standard_open(L, S);
  lfb_program_adopt(S);
  lfb_names_open(L, S);
  lfb_lib_open(L, S);
  return S;
}

void lfb_program_init(lua_State *L, int workers) {
  lfb_state *S = open_state(L);
  S->home->workers = workers;
  S->home->is_lfut = true;
  program = S;
  /* The module is there, but a script has to ask for it. */
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  lua_setfield(L, -2, "lfut");
  lua_pop(L, 1);
}

void lfb_program_warn(lua_State *L) {
  lfb_state_find(L)->home->warns = true;
  lua_warning(L, "@on", 0);
}

/* LFUT_WORKERS, which lfut itself has read already. */
static int workers_from_environment(lua_State *L) {
  const char *text = getenv("LFUT_WORKERS");
  if (!text)
    return 0;
  char *end;
  long n = strtol(text, &end, 10);
  if (end == text || *end || n < 1)
    luaL_error(L, "bad LFUT_WORKERS '%s' (an integer greater than 0 expected)",
               text);
  if (n > LF_MAX_WORKERS)
    luaL_error(L, "bad LFUT_WORKERS '%s' (at most %d)", text, LF_MAX_WORKERS);
  return (int)n;
}

/* Waits, with nothing of Lua left. */
static void await_end(lfb_home *home, lf_task *over) {
  while (!lf_task_done(over))
    lf_park(&home->parker, lf_after(0.001));
}

/* Pools and processes that outlive the interpreter of another program than lfut
 * finish their work at the end of a successful process; after an error they do
 * not. Daemons die with it. */
static void finish_at_exit(int status, void *home) {
  lf_pool *p;
  lf_child *c;
  lfb_home *h = home;
  if (status != EXIT_SUCCESS || lf_is_foreign(h->generation))
    return;
  while (!h->abandoned && (p = lf_host_unfinished(&h->host))) {
    lf_pool_finish(p);
    await_end(h, lf_pool_over(p));
    lf_pool_unref(p);
  }
  while (!h->abandoned && (c = lf_child_running(h, false, 0))) {
    await_end(h, lf_child_over(c));
    lf_child_unref(c);
  }
}

int luaopen_lfut(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  if (!S) {
    int workers = workers_from_environment(L);
    S = open_state(L);
    S->home->workers = workers;
    on_exit(finish_at_exit, lfb_home_ref(S->home));
  }
  lfb_push_ref(L, LFB_REF_MODULE);
  return 1;
}

/* Waits for the task, of which 'drop' gives back what holds it; callbacks run
 * meanwhile. False if the deadline has come first. */
static bool finish_task(lua_State *L, lfb_state *S, lf_task *task, void *holder,
                        void (*drop)(void *holder), int64_t deadline) {
  lfb_push_future(L, S, task); /* outlives the holder */
  drop(holder);
  lfb_wait_for what = {.task = task, .deadline = deadline};
  while (!lf_task_done(task) && lf_now() < deadline)
    lfb_wait(L, S, &what);
  bool done = lf_task_done(task);
  lua_pop(L, 1);
  return done;
}

/* Finishes a pool or waits for a process that is no daemon; false: there are
 * none. */
static bool finish_one(lua_State *L, lfb_state *S) {
  lf_pool *p = lf_host_unfinished(&S->home->host);
  if (p) {
    lf_pool_finish(p);
    return finish_task(L, S, lf_pool_over(p), p, lf_pool_unref, LF_FOREVER);
  }
  lf_child *c = lf_child_running(S->home, false, 0);
  if (c)
    return finish_task(L, S, lf_child_over(c), c, lf_child_unref, LF_FOREVER);
  return false;
}

static void signal_daemons(lfb_state *S, int sig) {
  lf_child *c;
  for (size_t i = 0; (c = lf_child_running(S->home, true, i)); i++) {
    lf_child_signal(c, sig);
    lf_child_unref(c);
  }
}

/* Processes that are daemons are asked to end, then made to. */
static void end_daemons(lua_State *L, lfb_state *S) {
  lf_child *c;
  int64_t deadline = lf_after(PATIENCE);
  signal_daemons(S, SIGTERM);
  while ((c = lf_child_running(S->home, true, 0)))
    if (!finish_task(L, S, lf_child_over(c), c, lf_child_unref, deadline)) {
      signal_daemons(S, SIGKILL);
      deadline = LF_FOREVER;
    }
}

int lfb_program_finish(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  if (!S)
    return 0;
  lfb_poll(L, S);
  lfb_wait_callbacks(L, S);
  while (finish_one(L, S))
    continue;
  lfb_wait_callbacks(L, S);
  end_daemons(L, S);
  if (!lfb_program_busy(L))
    lf_threads_settle();
  return 0;
}

/* The record, unless there was no memory for it, or it is another process's. */
static lfb_state *find_own(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  return S && !lf_is_foreign(S->home->generation) ? S : NULL;
}

bool lfb_program_busy(lua_State *L) {
  lfb_state *S = find_own(L);
  return S && lf_host_count(&S->home->host) > 0;
}

void lfb_program_abandon(lua_State *L) {
  lfb_state *S = find_own(L);
  if (S)
    lfb_interrupt(S);
}

void lfb_program_signal(void) {
  lfb_interrupt_here(); /* tasks of an InlineExecutor */
  lfb_interrupt_program(program);
  lf_unpark(&program->home->parker);
}

static bool is_running(lfb_state *S) {
  lf_pool *p;
  bool running = false;
  for (size_t i = 0; !running && (p = lf_host_pool(&S->home->host, i)); i++) {
    lf_pool_stats stats;
    lf_pool_stat(p, &stats);
    running = stats.running > 0;
    lf_pool_unref(p);
  }
  return running;
}

void lfb_program_linger(lua_State *L) {
  lfb_state *S = find_own(L);
  int64_t end = lf_after(LINGER);
  unsigned rounds = 0;
  while (S && is_running(S) && lf_now() < end) {
    lf_host_park(&S->home->host, lf_after(0.005));
    if (++rounds % 4 == 0) /* a signal just before a system call is lost */
      lfb_interrupt(S);
  }
}

int lfb_program_status(lua_State *L) {
  if (lua_isboolean(L, 1))
    return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

/* os.exit([code [, close]]): ends a task, or a forked process at once; else the
 * program. (Of another program than lfut, work is not waited for.) */
int lfb_os_exit(lua_State *L) {
  lfb_state *S = lfb_record(L);
  int status = lfb_program_status(L);
  if (S->home && lf_is_foreign(S->home->generation))
    lfb_forked_elsewhere(S);
  if (S->vm)
    return lfb_task_exit(L, S, status);
  if (lf_generation)
    lfb_forked_exit(S, status);
  if (S->home && !S->home->is_lfut) {
    S->home->abandoned = true;
    lfb_interrupt(S);
  }
  lua_CFunction leave = lua_tocfunction(L, lua_upvalueindex(2));
  return leave(L);
}
