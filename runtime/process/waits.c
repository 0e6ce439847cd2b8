/* SPDX-License-Identifier: MIT
 *
 * See waits.h. */
#include "runtime/process/waits.h"

#include "runtime/base/mem.h"

static void each(lf_waits *waits, lf_visit *visit, void *arg) {
  lf_far_wait *w = lf_container_of(waits, lf_far_wait, waits);
  for (size_t i = 0; i < w->n && visit(w->awaited[i], arg); i++)
    continue;
}

static void count(lf_waits *waits, int by) {
  lf_far_wait *w = lf_container_of(waits, lf_far_wait, waits);
  for (size_t i = 0; i < w->n; i++)
    lf_task_await(w->awaited[i], by);
}

lf_far_wait *lf_far_wait_new(lf_task *task, bool any, size_t most) {
  lf_far_wait *w = lf_zalloc(sizeof *w + most * sizeof w->awaited[0]);
  if (!w)
    return NULL;
  w->waits = (lf_waits){each, count, .any = any};
  w->task = lf_task_ref(task);
  return w;
}

void lf_far_wait_add(lf_far_wait *w, lf_task *awaited) {
  w->awaited[w->n++] = lf_task_ref(awaited);
}

void lf_far_wait_end(lf_far_wait *w) {
  lf_deadlock_end(w->task);
  for (size_t i = 0; i < w->n; i++)
    lf_task_unref(w->awaited[i]);
  lf_task_unref(w->task);
  lf_free(w);
}
