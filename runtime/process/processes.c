/* SPDX-License-Identifier: MIT
 *
 * A pool whose workers are processes: how it is made. See pool.h. */
#include "runtime/process/internal.h"

#include "runtime/base/mem.h"

#include <stdio.h>

int lf_pool_processes(lf_pool *p, char *why, size_t size) {
  char name[32];
  lf_parker here;
  lf_parker_init(&here);
  lf_fleet *f = lf_zalloc(sizeof *f);
  if (f) {
    f->epoll = f->control = -1;
    atomic_init(&f->bell, -1);
    f->opening = &here;
    lf_list_init(&f->hold.link);
    lf_outcome_init(&f->after);
    lf_list_init(&f->lively);
    lf_list_init(&f->idle);
    p->fleet = f;
    snprintf(name, sizeof name, "%.10s_keeper", p->o.name);
    lf_pool_ref(p);
    if (lf_thread_start(name, lf_supervisor_main, p) == 0) {
      while (lf_doze(&here, LF_FOREVER) != 0)
        continue;
      if (f->failures == 0)
        return 0;
      snprintf(why, size, "cannot start worker processes: %s", f->trouble);
      return LF_EBROKEN;
    }
    lf_pool_unref(p); /* not the last */
    p->fleet = NULL;
    lf_free(f);
  }
  snprintf(why, size, "cannot start worker processes: no thread for them");
  return LF_EBROKEN;
}
