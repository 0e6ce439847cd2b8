/* SPDX-License-Identifier: MIT
 *
 * Many tasks waited for at once: each that ends appears once on the list of
 * ready ones, in the order of completion. One owner thread; only 'ready' and
 * 'waker' are touched by others. Adding, ending and taking are O(1). */
#ifndef LF_WAITSET_H
#define LF_WAITSET_H

#include "task.h"

typedef struct lf_waitset lf_waitset;

typedef struct lf_member {
  lf_waiter waiter;
  lf_waitset *set;
  struct lf_member *next; /* on the ready list */
} lf_member;

struct lf_waitset {
  _Atomic(lf_member *) ready; /* pushed by any thread, newest first */
  _Atomic(lf_waker *) waker;  /* who is told; set by the owner */
  _Atomic int firing;         /* threads that may be about to tell it */
  lf_member *taken;           /* oldest first; the owner's */
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

/* Who is to be woken by the next one that becomes ready; NULL: nobody. The
 * former one is not being told and will not be. False if one is ready. */
bool lf_waitset_watch(lf_waitset *set, lf_waker *waker);

#endif
