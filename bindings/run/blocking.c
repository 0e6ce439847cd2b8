/* SPDX-License-Identifier: MIT
 *
 * See blocking.h. */
#include "bindings/run/blocking.h"

#include "bindings/core/options.h"
#include "bindings/core/state.h"
#include "bindings/run/poll.h"
#include "runtime/pool/current.h"

/* No task is parked inside of the call, as its worker counts as blocked. */
int lfb_blocking(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lfb_check_callable(L, 1);
  lfb_poll(L, S);
  lf_worker *w = S->vm ? lf_worker_self() : NULL;
  if (w)
    lf_worker_block(w);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (w)
    lf_worker_unblock(w);
  lfb_poll(L, S);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}
