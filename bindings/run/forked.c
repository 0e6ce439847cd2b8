/* SPDX-License-Identifier: MIT
 *
 * See forked.h. */
#include "bindings/run/forked.h"

#include <stdio.h>
#include <stdlib.h>

#include "bindings/core/error.h"
#include "bindings/pack/borrow.h"
#include "bindings/run/callback.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/run.h"
#include "runtime/os/fork.h"
#include "runtime/pool/current.h"
#include "runtime/sync/terminal.h"
#include "runtime/trace/trace.h"

static const char main_thread, inherited; /* in the registry */

/* The parent's executors are never collected here: some would close what they
 * have, others leave behind what nobody can free. */
static void keep_executors(lua_State *L) {
  lua_newtable(L);
  lfb_push_ref(L, LFB_REF_HANDLES);
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, -2);)
    lua_rawseti(L, -4, ++n);
  lua_pushliteral(L, "before"); /* of a process further up */
  lua_rawgetp(L, LUA_REGISTRYINDEX, &inherited);
  lua_rawset(L, -4);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &inherited);
  lfb_new_ref(L, LFB_REF_HANDLES, "v");
}

/* Else all children of one program would draw the same random numbers. */
static void reseed(lua_State *L) {
  int top = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushliteral(L, "math");
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushliteral(L, "randomseed");
    lua_rawget(L, -2);
    lua_pushinteger(L, (lua_Integer)lf_unique());
    lua_pushinteger(L, (lua_Integer)lf_unique());
    lua_pcall(L, 2, 0, 0); /* a script may have put anything there */
  }
  lua_settop(L, top);
}

void lfb_forked(lua_State *L, lfb_state *S) {
  luaL_checkstack(L, 10, "forking");
  if (S->vm) {
    S->output = S->vm->output;
    lfb_memory_forget(S->vm);
  }
  S->vm = NULL;
  S->reach = NULL;
  S->in_callback = false;
  S->interrupted = false;
  S->blocked = NULL;
  lfb_callbacks_forget(S);
  lfb_borrowed_forget(S);
  lua_pushthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &main_thread);
  S->L = S->running = L;
  S->yields = false;
  if (!lfb_state_renew(S))
    lfb_raise_memory(L);
  lfb_program_adopt(S);
  lfb_new_ref(L, LFB_REF_CALLBACKS, NULL);
  lfb_new_ref(L, LFB_REF_BORROWED, NULL);
  lfb_new_ref(L, LFB_REF_LAST_ERROR, NULL);
  keep_executors(L);
  reseed(L);
}

void lfb_forked_elsewhere(lfb_state *S) {
  struct lf_vm *vm = S->vm;
  lfb_forked(vm && vm->current ? vm->current->co : S->L, S);
}

/* A trace that the process has begun is its own. */
static _Noreturn void leave(int status) {
  uint64_t lost;
  (void)lf_trace_stop(&lost);
  lf_fork_exit(status);
}

void lfb_forked_leave(struct lf_vm *vm, bool ok, const char *message) {
  if (!lf_is_foreign(vm->generation) ||
      lf_pool_in_caller(lf_worker_pool(vm->worker)))
    return;
  if (!ok)
    lf_terminal_complain("lfut: %s\n",
                         message ? message : "(error object is not a string)");
  lfb_output_flush(vm->output);
  leave(ok ? EXIT_SUCCESS : EXIT_FAILURE);
}

void lfb_forked_exit(lfb_state *S, int status) {
  lfb_output_flush(S->output);
  leave(status);
}
