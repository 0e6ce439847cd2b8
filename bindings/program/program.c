/* SPDX-License-Identifier: MIT
 *
 * See program.h: the interpreter that scripts run in, from its first moment to
 * its end, whether lfut or another program has made it. */
#include "bindings/program/program.h"

#include <stdlib.h>

#include "bindings/core/state.h"
#include "bindings/engine/trial.h"
#include "bindings/pack/names.h"
#include "bindings/process/finish.h"
#include "bindings/program/lib.h"
#include "bindings/program/statistics.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/position.h"
#include "bindings/run/standard.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/pool/registry.h"

#define LINGER 0.3 /* seconds that interrupted tasks have for their end */

static lfb_state *open_state(lua_State *L) {
  luaL_checkversion(L);
  lfb_trial(L);
  lfb_state *S = lfb_state_new(L, NULL, NULL);
  S->global->open = lfb_lib_open;
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
  S->global->workers = workers;
  S->global->is_lfut = true;
  lfb_program_watch(S);
  /* The module is there, but a script has to ask for it. */
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  lua_setfield(L, -2, "lfut");
  lua_pop(L, 1);
}

void lfb_program_report(void) {
  if (lf_usr1_catch(lfb_see_here))
    lf_usr1_open(&lfb_program()->global->registry);
}

void lfb_program_report_no_more(void) {
  lf_usr1_close();
  lfb_program_watch(NULL);
}

void lfb_program_warn(lua_State *L) {
  lfb_state_find(L)->global->warns = true;
  lfb_warn_control(L, true);
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

int luaopen_lfut(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  if (!S) {
    int workers = workers_from_environment(L);
    S = open_state(L);
    S->global->workers = workers;
    lfb_finish_at_exit(S->global);
  }
  lfb_push_ref(L, LFB_REF_MODULE);
  return 1;
}

/* The state, unless there was no memory for it, or it is another process's. */
static lfb_state *find_own(lua_State *L) {
  lfb_state *S = lfb_state_find(L);
  return S && !lf_is_foreign(S->global->generation) ? S : NULL;
}

void lfb_program_abandon(lua_State *L) {
  lfb_state *S = find_own(L);
  lfb_trace_end(); /* with what is about to be interrupted */
  if (!S)
    return;
  if (S->global)
    S->global->abandoned = true;
  lfb_interrupt(S);
}

static bool is_running(lfb_state *S) {
  lf_pool *p;
  bool running = false;
  for (size_t i = 0;
       !running && (p = lf_registry_pool(&S->global->registry, i)); i++) {
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
    lf_registry_park(&S->global->registry, lf_after(0.005));
    if (++rounds % 4 == 0) /* a signal just before a system call is lost */
      lfb_interrupt(S);
  }
}
