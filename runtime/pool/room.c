/* SPDX-License-Identifier: MIT
 *
 * See room.h. Who finds no place puts up a task, and looks once more; who gives
 * one back looks then whether there is such a task. */
#include "runtime/pool/room.h"

#include "runtime/pool/internal.h"

bool lf_room_is_limited(const lf_pool *p) {
  return p->o.max_queue > 0;
}

bool lf_room_is_full(const lf_pool *p) {
  return p->waiting >= p->o.max_queue;
}

bool lf_room_take(lf_pool *p, bool anyway) {
  size_t n = atomic_load(&p->waiting);
  do
    if (n >= p->o.max_queue && !anyway)
      return false;
  while (!atomic_compare_exchange_weak(&p->waiting, &n, n + 1));
  return true;
}

void lf_room_give(lf_pool *p) {
  if (atomic_fetch_sub(&p->waiting, 1) <= p->o.max_queue)
    lf_room_tell(p);
}

void lf_room_tell(lf_pool *p) {
  if (!atomic_load(&p->room))
    return;
  pthread_mutex_lock(&p->room_lock);
  lf_task *t = atomic_exchange(&p->room, NULL);
  pthread_mutex_unlock(&p->room_lock);
  if (!t)
    return;
  lf_task_end(t, LF_FINISHED);
  lf_task_unref(t);
}

int lf_room_await(lf_pool *p, lf_task **task) {
  pthread_mutex_lock(&p->room_lock);
  lf_task *t = atomic_load(&p->room);
  if (!t &&
      (t = lf_task_new_event("a place in an executor's queue (max_queue)")))
    atomic_store(&p->room, t);
  *task = t ? lf_task_ref(t) : NULL;
  pthread_mutex_unlock(&p->room_lock);
  if (!t)
    return LF_ENOMEM;
  if (lf_room_is_full(p) && !p->shutdown && !p->broken)
    return 0;
  lf_task_unref(t);
  *task = NULL;
  return 0;
}
