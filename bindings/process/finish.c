/* SPDX-License-Identifier: MIT
 *
 * See finish.h. */
#include "bindings/process/finish.h"

#include <signal.h>
#include <stdlib.h>

#include "bindings/pool/future.h"
#include "bindings/run/wait.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/pool/registry.h"
#include "runtime/process/child.h"

enum { PATIENCE = 2 }; /* seconds: what daemons have for their end */

/* Waits for the task, of which 'drop' gives back what holds it; callbacks run
 * meanwhile. False if the deadline has come first. */
static bool finish_task(lua_State *L, lfb_state *S, lf_task *task, void *holder,
                        void (*drop)(void *holder), int64_t deadline) {
  lfb_push_future(L, S, task); /* outlives the holder */
  drop(holder);
  lfb_wait_for what = {.task = task, .deadline = deadline};
  while (!lf_task_done(task) && lf_now() < deadline)
    lfb_wait_here(L, S, &what);
  bool done = lf_task_done(task);
  lua_pop(L, 1);
  return done;
}

/* Finishes a pool or waits for a process that is no daemon; false: there are
 * none. */
static bool finish_one(lua_State *L, lfb_state *S) {
  lf_pool *p = lf_registry_unfinished(&S->global->registry);
  if (p) {
    lf_pool_finish(p);
    return finish_task(L, S, lf_pool_over(p), p, lf_pool_unref, LF_FOREVER);
  }
  lf_child *c = lf_child_running(S->global, false, 0);
  if (c)
    return finish_task(L, S, lf_child_over(c), c, lf_child_unref, LF_FOREVER);
  return false;
}

static void signal_daemons(lfb_state *S, int sig) {
  lf_child *c;
  for (size_t i = 0; (c = lf_child_running(S->global, true, i)); i++) {
    lf_child_signal(c, sig);
    lf_child_unref(c);
  }
}

/* Processes that are daemons are asked to end, then made to. */
static void end_daemons(lua_State *L, lfb_state *S) {
  lf_child *c;
  int64_t deadline = lf_after(PATIENCE);
  signal_daemons(S, SIGTERM);
  while ((c = lf_child_running(S->global, true, 0)))
    if (!finish_task(L, S, lf_child_over(c), c, lf_child_unref, deadline)) {
      signal_daemons(S, SIGKILL);
      deadline = LF_FOREVER;
    }
}

int lfb_finish(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  if (!S)
    return 0;
  lfb_poll(L, S);
  lfb_wait_callbacks(L, S);
  while (finish_one(L, S))
    continue;
  lfb_wait_callbacks(L, S);
  end_daemons(L, S);
  if (!lfb_is_busy(L))
    lf_threads_settle();
  return 0;
}

bool lfb_is_busy(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  return S && !lf_is_foreign(S->global->generation) &&
         lf_registry_count(&S->global->registry) > 0;
}

/* --- Without an interpreter --- */

/* Waits, with nothing of Lua left. */
static void await_end(lfb_global *global, lf_task *over) {
  while (!lf_task_done(over))
    lf_park(&global->parker, lf_after(0.001));
}

/* Pools and processes that outlive the interpreter of another program than lfut
 * finish their work at the end of a successful process; after an error they do
 * not. Daemons die with it. */
static void finish_at_exit(int status, void *global) {
  lf_pool *p;
  lf_child *c;
  lfb_global *h = global;
  if (status != EXIT_SUCCESS || lf_is_foreign(h->generation))
    return;
  while (!h->abandoned && (p = lf_registry_unfinished(&h->registry))) {
    lf_pool_finish(p);
    await_end(h, lf_pool_over(p));
    lf_pool_unref(p);
  }
  while (!h->abandoned && (c = lf_child_running(h, false, 0))) {
    await_end(h, lf_child_over(c));
    lf_child_unref(c);
  }
}

void lfb_finish_at_exit(lfb_global *global) {
  on_exit(finish_at_exit, lfb_global_ref(global));
}
