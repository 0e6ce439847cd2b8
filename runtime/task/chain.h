/* SPDX-License-Identifier: MIT
 *
 * A task that is run by its owner's workers when another has finished, with
 * that one's results: its data is then what is to be called, and behind it a
 * second stream, the results. If that one fails or is cancelled, so is it. Its
 * owner holds it meanwhile, and takes it in then (lf_owner_ops.take_in). */
#ifndef LF_TASK_CHAIN_H
#define LF_TASK_CHAIN_H

#include "runtime/task/dependent.h"

/* A task after another, or NULL: no memory. Its data is the caller's to fill.
 */
lf_dependent *lf_chain_new(lf_owner *owner, lf_task *after);

/* The task that it comes after. */
static inline lf_task *lf_chain_after(const lf_dependent *chain) {
  return chain->inputs[0].waiter.task;
}

/* Before lf_dependent_begin: its owner has not ended, and waits for it. */
void lf_chain_hold(lf_dependent *chain);

/* The one that it comes after is done: true if it is to be run, else it has
 * ended. By who has claimed it. */
bool lf_chain_resolve(lf_dependent *chain);

/* Is the task held? Then it is not any more, is the caller's alone to run or to
 * end, and the caller has to uncount it (owner->held). May be called with the
 * owner's locks. */
bool lf_chain_claim(lf_task *task);

/* Claims all of an owner's, for 'out', with a reference each, uncounted. */
void lf_chain_drain(lf_owner *owner, lf_link *out);

#endif
