/* SPDX-License-Identifier: MIT
 *
 * Many tasks waited for at once: each that ends appears once on the list of
 * ready ones, in the order of completion. One owner thread, which may have
 * several runs that wait for it; only 'ready' and 'first' are touched by
 * others. Adding, ending and taking are O(1). */
#ifndef LF_TASK_WAITSET_H
#define LF_TASK_WAITSET_H

#include "runtime/base/stack.h"
#include "runtime/task/task.h"

typedef struct lf_waitset lf_waitset;

typedef struct lf_member {
  lf_waiter waiter;
  lf_waitset *set;
  lf_node node; /* among the ready */
} lf_member;

struct lf_waitset {
  lf_stack ready;            /* pushed by any thread, taken by the owner */
  _Atomic(lf_waker *) first; /* of those who watch; set by the owner */
  _Atomic int firing;        /* threads that may be about to wake it */
  lf_link watchers;          /* wakers; the owner's */
};

void lf_waitset_init(lf_waitset *set);

/* From now on 'member' (the owner's storage) stands for 'task', of which it
 * holds a reference; a done one is ready at once. */
void lf_waitset_add(lf_waitset *set, lf_member *member, lf_task *task);

/* The member that became ready first, each once, or NULL. */
lf_member *lf_waitset_take(lf_waitset *set);

/* When the set goes: takes a member out, which may be ready, and drops its
 * reference. */
void lf_waitset_forget(lf_member *member);

/* The waker is to be woken when there is a change, until it is taken out again.
 * False if there has been one: a member is ready. */
bool lf_waitset_watch(lf_waitset *set, lf_waker *waker);

/* It is not being woken and will not be. The others are, if a member is ready:
 * of several watchers, only the first is told of one that becomes ready. */
void lf_waitset_unwatch(lf_waitset *set, lf_waker *waker);

/* Wakes all who watch. */
void lf_waitset_tell(lf_waitset *set);

#endif
