/* SPDX-License-Identifier: MIT
 *
 * See program.h: the interpreter that scripts run in, from its first moment to
 * its end, whether lfut or another program has made it. */
#include "program.h"

#include <stdlib.h>

#include "error.h"
#include "future.h"
#include "lib.h"
#include "luavm.h"
#include "names.h"
#include "output.h"
#include "state.h"
#include "wait.h"

/* The program's thread, for its signal handler. */
static lf_parker *volatile program_parker;

static void wake_program(lf_waker *waker) {
  lfb_state *S = lf_container_of(waker, lfb_state, home_waker);
  lf_unpark(&S->home->parker);
}

static lfb_state *open_state(lua_State *L, bool own) {
  lfb_state *S = lfb_state_new(L, NULL, NULL);
  if (own)
    lfb_print_open(L, S);
  S->home_waker.wake = wake_program;
  S->waker = &S->home_waker;
  lfb_names_open(L);
  lfb_lib_open(L, S);
  return S;
}

void lfb_program_init(lua_State *L, int workers) {
  lfb_state *S = open_state(L, true);
  S->home->workers = workers;
  S->home->is_lfut = true;
  program_parker = &S->home->parker;
  /* The module is there, but a script has to ask for it. */
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "lfut");
  lua_setfield(L, LUA_REGISTRYINDEX, "lfut.module");
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
  if (end == text || *end || n < 1 || n > 100000)
    luaL_error(L, "bad LFUT_WORKERS '%s' (an integer greater than 0 expected)",
               text);
  return (int)n;
}

/* Pools that outlive the interpreter of another program than lfut finish their
 * work at the end of a successful process; after an error they do not. */
static void finish_at_exit(int status, void *home) {
  lf_pool *p;
  lfb_home *h = home;
  while (status == EXIT_SUCCESS && !h->abandoned &&
         (p = lf_host_pool(&h->host, 0))) {
    lf_pool_finish(p);
    while (!lf_task_done(lf_pool_over(p)))
      lf_park(&h->parker, lf_after(0.001));
    lf_pool_unref(p);
  }
}

/* os.exit of another program: work is not waited for. */
static int foreign_exit(lua_State *L) {
  lfb_state *S = lfb_self(L);
  S->home->abandoned = true;
  lfb_interrupt(S);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void watch_exit(lua_State *L, lfb_state *S) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "os") == LUA_TTABLE) {
    lua_pushlightuserdata(L, S);
    lua_getfield(L, -2, "exit");
    lua_pushcclosure(L, foreign_exit, 2);
    lua_setfield(L, -2, "exit");
  }
  lua_pop(L, 2);
}

int luaopen_lfut(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  if (!S) {
    int workers = workers_from_environment(L);
    S = open_state(L, false);
    S->home->workers = workers;
    on_exit(finish_at_exit, lfb_home_ref(S->home));
    watch_exit(L, S);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "lfut");
    return 1;
  }
  if (lua_getfield(L, LUA_REGISTRYINDEX, "lfut.module") == LUA_TNIL)
    return luaL_error(L, "lfut is open already");
  return 1;
}

/* Waits for the task at the top, a future; callbacks run meanwhile. */
static void finish_future(lua_State *L, lfb_state *S) {
  lf_task *task = *(lf_task **)lua_touserdata(L, -1);
  lfb_wait_for what = {.task = task, .deadline = LF_FOREVER};
  while (!lf_task_done(task))
    lfb_wait(L, S, &what);
  lua_pop(L, 1);
}

int lfb_program_finish(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  lf_pool *p;
  if (!S)
    return 0;
  lfb_wait_callbacks(L, S);
  while ((p = lf_host_pool(&S->home->host, 0))) {
    lf_pool_finish(p);
    lfb_push_future(L, S, lf_pool_over(p)); /* outlives the pool */
    lf_pool_unref(p);
    finish_future(L, S);
  }
  lfb_wait_callbacks(L, S);
  lf_threads_settle();
  return 0;
}

void lfb_program_abandon(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  if (S) /* else there was no memory for it */
    lfb_interrupt(S);
}

void lfb_program_signal(void) {
  lfb_interrupt_here(); /* tasks of an InlineExecutor */
  if (program_parker)
    lf_unpark(program_parker);
}

void lfb_program_interrupt(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  S->interrupted = true;
  lfb_interrupt(S);
}

int lfb_program_traceback(lua_State *L, int idx) {
  return lfb_last_trace(L, idx);
}
