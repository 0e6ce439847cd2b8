/* SPDX-License-Identifier: MIT
 *
 * See poll.h. */
#include "bindings/run/poll.h"

#include "bindings/pack/borrow.h"
#include "bindings/pack/reach.h"
#include "bindings/run/callback.h"
#include "bindings/run/forked.h"

/* Is there something left to do? A worker process looks for messages each time,
 * as who sends them is elsewhere. */
static bool is_news(lfb_state *S) {
  return S->reach || !lf_stack_is_empty(&S->due) ||
         atomic_load(&S->any_returned);
}

/* Until all is done there are news; what comes between being seen here and the
 * word's being set sets it again. */
void lfb_take_news(lua_State *L, lfb_state *S) {
  if (lf_is_foreign(S->global->generation))
    lfb_forked_elsewhere(S);
  if (S->reach)
    lf_pool_listen(S->reach->pool);
  if (lfb_callbacks_due(S))
    lfb_callbacks_run(L, S);
  lfb_borrowed_collect(L, S);
  atomic_store(&S->news, lf_generation);
  if (is_news(S))
    lfb_note_news(S);
}
