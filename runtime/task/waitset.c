/* SPDX-License-Identifier: MIT
 *
 * See waitset.h. */
#include "runtime/task/waitset.h"

#include "runtime/os/spin.h"
#include "runtime/os/thread.h"

static void member_fire(lf_waiter *waiter) {
  lf_member *m = lf_container_of(waiter, lf_member, waiter);
  lf_waitset *set = m->set;
  atomic_fetch_add(&set->firing, 1);
  lf_stack_push(&set->ready, &m->node);
  lf_waker *waker = atomic_load(&set->first);
  if (waker)
    waker->wake(waker);
  atomic_fetch_sub(&set->firing, 1);
}

void lf_waitset_init(lf_waitset *set) {
  lf_stack_init(&set->ready);
  atomic_init(&set->first, NULL);
  atomic_init(&set->firing, 0);
  lf_list_init(&set->watchers);
}

void lf_waitset_add(lf_waitset *set, lf_member *member, lf_task *task) {
  member->set = set;
  member->waiter.fire = member_fire;
  lf_task_ref(task);
  if (lf_waiter_add(&member->waiter, task))
    return;
  lf_stack_push(&set->ready, &member->node);
  lf_waitset_tell(set);
}

lf_member *lf_waitset_take(lf_waitset *set) {
  lf_node *node = lf_stack_take(&set->ready);
  return node ? lf_container_of(node, lf_member, node) : NULL;
}

void lf_waitset_forget(lf_member *member) {
  lf_waiter_remove(&member->waiter);
  lf_task_unref(member->waiter.task);
}

void lf_waitset_tell(lf_waitset *set) {
  for (lf_link *l = set->watchers.next; l != &set->watchers; l = l->next) {
    lf_waker *waker = lf_container_of(l, lf_waker, link);
    waker->wake(waker);
  }
}

bool lf_waitset_watch(lf_waitset *set, lf_waker *waker) {
  lf_waker *nobody = NULL;
  lf_list_add(&set->watchers, &waker->link);
  atomic_compare_exchange_strong(&set->first, &nobody, waker);
  return lf_stack_is_empty(&set->ready);
}

void lf_waitset_unwatch(lf_waitset *set, lf_waker *waker) {
  lf_link *next = set->watchers.next;
  lf_list_del(&waker->link);
  if (next == &waker->link) { /* it was the first */
    next = set->watchers.next;
    atomic_store(&set->first, next == &set->watchers
                                  ? NULL
                                  : lf_container_of(next, lf_waker, link));
    for (int looks = 0; atomic_load(&set->firing) > 0;)
      lf_relax_for_other(&looks);
  }
  if (!lf_stack_is_empty(&set->ready))
    lf_waitset_tell(set);
}
