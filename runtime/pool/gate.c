/* SPDX-License-Identifier: MIT
 *
 * See gate.h. Who puts up a need, or gives back a place, has somebody look for
 * tasks (sched.c); who looks takes the need down before. */
#include "runtime/pool/gate.h"

#include "runtime/pool/internal.h"
#include "runtime/task/dependent.h"

#include <string.h>

void lf_gate_leave(lf_pool *p) {
  atomic_fetch_sub(&p->begun, 1);
  if (lf_pool_any_queued(p))
    lf_pool_rouse_more(p);
}

/* --- What a wait needs --- */

typedef struct {
  lf_buf further; /* of lf_waits *: of dependents that are needed, */
  lf_buf pools;   /* of lf_pool *, references: of tasks that are */
} needs;

static void note_pool(needs *n, lf_pool *p) {
  if (!p || lf_pool_is_foreign(p) || !lf_gate_is_limited(p))
    return;
  lf_pool_ref(p);
  if (lf_buf_put(&n->pools, &p, sizeof p) != 0)
    lf_pool_unref(p);
}

static bool need_one(lf_task *t, void *arg) {
  needs *n = arg;
  if (lf_task_done(t) || atomic_exchange(&t->needed, true))
    return true; /* one that runs may have to be run again */
  lf_waits *further = lf_dependent_of(t) ? atomic_load(&t->waits) : NULL;
  if (further)
    (void)lf_buf_put(&n->further, &further, sizeof further);
  note_pool(n, lf_task_pool(t));
  return true;
}

/* The last pointer that has been put there; false: there is none. */
static bool pop(lf_buf *buf, void *pointer) {
  if (buf->len < sizeof(void *))
    return false;
  buf->len -= sizeof(void *);
  memcpy(pointer, buf->data + buf->len, sizeof(void *));
  return true;
}

/* What it needs, and what that needs: not by recursion, as chains are long. */
static bool need_all(lf_task *t, void *arg) {
  needs *n = arg;
  lf_waits *waits;
  need_one(t, n);
  while (pop(&n->further, &waits))
    waits->each(waits, need_one, n);
  return true;
}

void lf_gate_need(lf_waits *waits, lf_pool *of_loop, bool counted) {
  needs n = {0};
  if (of_loop && !counted) /* it is not taken back: too many do no harm */
    waits->count(waits, 1);
  note_pool(&n, of_loop);
  lf_deadlock_visit(waits, need_all, &n);
  lf_pool *p;
  while (pop(&n.pools, &p)) {
    atomic_store(&p->needed, true);
    lf_pool_rouse_more(p);
    lf_pool_unref(p);
  }
  lf_buf_fini(&n.further);
  lf_buf_fini(&n.pools);
}
