/* SPDX-License-Identifier: MIT
 *
 * Temporary. */
#include "forked.h"
#include "../runtime/fork.h"
#include "../runtime/mem.h"
void lfb_forked(lua_State *L, lfb_state *S) {
  (void)L;
  S->vm = NULL;
  S->id = lf_unique();
  lf_list_init(&S->callbacks);
  lf_list_init(&S->lent);
  lf_list_init(&S->returned);
  S->in_callback = S->interrupted = false;
  lfb_home *old = S->home, *home = lf_zalloc(sizeof *home);
  atomic_init(&home->refs, 1);
  lf_parker_init(&home->parker);
  lf_host_init(&home->host, &home->parker);
  lf_count_awake(-1);
  pthread_mutex_init(&home->lock, NULL);
  home->workers = old->workers;
  home->warns = old->warns;
  home->is_lfut = old->is_lfut;
  S->home = home;
}
