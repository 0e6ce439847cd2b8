/* SPDX-License-Identifier: MIT
 *
 * See exit.h. */
#include "bindings/run/exit.h"

#include <stdlib.h>

#include "bindings/run/forked.h"
#include "bindings/run/interrupt.h"

int lfb_exit_status(lua_State *L) {
  if (lua_isboolean(L, 1))
    return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

/* Of another program than lfut, work is not waited for. */
int lfb_os_exit(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  int status = lfb_exit_status(L);
  if (S->global && lf_is_foreign(S->global->generation))
    lfb_forked_elsewhere(S);
  if (S->vm)
    return lfb_task_exit(L, S, status);
  if (lf_generation)
    lfb_forked_exit(S, status);
  if (S->global && !S->global->is_lfut) {
    S->global->abandoned = true;
    lfb_interrupt(S);
  }
  lua_CFunction leave = lua_tocfunction(L, lua_upvalueindex(2));
  return leave(L);
}
