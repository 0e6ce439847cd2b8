/* SPDX-License-Identifier: MIT
 *
 * See waitset.h. The ready list is a stack pushed by compare-and-swap (R. K.
 * Treiber, 1986) and taken whole, so that it has no ABA problem. */
#include "runtime/task/waitset.h"

#include "runtime/os/thread.h"

static void push_ready(lf_member *m) {
  lf_member *head = atomic_load_explicit(&m->set->ready, memory_order_relaxed);
  do
    m->next = head;
  while (!atomic_compare_exchange_weak(&m->set->ready, &head, m));
}

static void member_fire(lf_waiter *waiter) {
  lf_member *m = lf_container_of(waiter, lf_member, waiter);
  lf_waitset *set = m->set;
  atomic_fetch_add(&set->firing, 1);
  push_ready(m);
  lf_waker *waker = atomic_load(&set->first);
  if (waker)
    waker->wake(waker);
  atomic_fetch_sub(&set->firing, 1);
}

void lf_waitset_init(lf_waitset *set) {
  atomic_init(&set->ready, NULL);
  atomic_init(&set->first, NULL);
  atomic_init(&set->firing, 0);
  lf_list_init(&set->watchers);
  set->taken = NULL;
}

void lf_waitset_add(lf_waitset *set, lf_member *member, lf_task *task) {
  member->set = set;
  member->next = NULL;
  member->waiter.fire = member_fire;
  lf_task_ref(task);
  if (lf_waiter_add(&member->waiter, task))
    return;
  push_ready(member);
  lf_waitset_tell(set);
}

lf_member *lf_waitset_take(lf_waitset *set) {
  if (!set->taken) {
    lf_member *m = atomic_exchange(&set->ready, NULL);
    while (m) {
      lf_member *next = m->next;
      m->next = set->taken;
      set->taken = m;
      m = next;
    }
  }
  lf_member *m = set->taken;
  if (m)
    set->taken = m->next;
  return m;
}

void lf_waitset_forget(lf_member *member) {
  lf_waiter_remove(&member->waiter);
  lf_task_unref(member->waiter.task);
}

static bool some_ready(lf_waitset *set) {
  return set->taken || atomic_load(&set->ready);
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
  return !some_ready(set);
}

void lf_waitset_unwatch(lf_waitset *set, lf_waker *waker) {
  lf_link *next = set->watchers.next;
  lf_list_del(&waker->link);
  if (next == &waker->link) { /* it was the first */
    next = set->watchers.next;
    atomic_store(&set->first, next == &set->watchers
                                  ? NULL
                                  : lf_container_of(next, lf_waker, link));
    while (atomic_load(&set->firing) > 0)
      lf_relax();
  }
  if (some_ready(set))
    lf_waitset_tell(set);
}
