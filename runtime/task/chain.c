/* SPDX-License-Identifier: MIT
 *
 * See chain.h. Who ends what it comes after, who cancels it, and who cancels
 * all of its owner's may come at the same time: one of them claims it. */
#include "runtime/task/chain.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

#include <pthread.h>

LF_FORK_MUTEX(lock, LF_FORK_CHAINS, NULL); /* of all held ones */

static bool claim(lf_dependent *d) {
  pthread_mutex_lock(&lock);
  bool held = !lf_list_empty(&d->held);
  lf_list_del(&d->held);
  pthread_mutex_unlock(&lock);
  return held;
}

static void take_in(lf_dependent *d) {
  d->task.owner->ops->take_in(lf_task_ref(&d->task));
}

bool lf_chain_resolve(lf_dependent *d) {
  lf_task *after = lf_chain_after(d);
  if (lf_task_state(after) != LF_FINISHED) {
    lf_dependent_fail(d, after);
    return false;
  }
  lf_deadlock_end(&d->task);
  if (lf_buf_lend(&d->task.data, &after->data, 0) == 0)
    return true;
  lf_task_fail(&d->task, LF_BROKEN, LF_NO_MEMORY);
  return false;
}

static void ready(lf_dependent *d, lf_input *input) {
  (void)input;
  if (!claim(d))
    return;
  lf_chain_resolve(d);
  take_in(d);
}

/* If it was cancelled, another thread may be looking at what it comes after. */
static void over(lf_dependent *d) {
  if (claim(d))
    take_in(d);
  if (lf_task_state(&d->task) != LF_CANCELLED)
    lf_dependent_let_go(&d->inputs[0]);
}

static const lf_dependent_ops ops = {ready, over};

lf_dependent *lf_chain_new(lf_owner *owner, lf_task *after) {
  lf_dependent *d = lf_dependent_new(owner, &ops, 1, false);
  if (d)
    lf_dependent_add(d, after);
  return d;
}

void lf_chain_hold(lf_dependent *d) {
  lf_owner *owner = d->task.owner;
  d->task.epoch = (uint32_t)owner->epoch;
  owner->held++;
  pthread_mutex_lock(&lock);
  lf_list_add(&owner->chains, &d->held);
  pthread_mutex_unlock(&lock);
}

bool lf_chain_claim(lf_task *t) {
  lf_dependent *d = lf_dependent_of(t);
  return d && d->ops == &ops && claim(d);
}

void lf_chain_drain(lf_owner *owner, lf_link *out) {
  lf_link *l;
  pthread_mutex_lock(&lock);
  while ((l = lf_list_pop(&owner->chains))) {
    lf_task *t = &lf_container_of(l, lf_dependent, held)->task;
    lf_list_add(out, &lf_task_ref(t)->link);
    owner->held--;
  }
  pthread_mutex_unlock(&lock);
}
