/* SPDX-License-Identifier: MIT
 *
 * A strand that one at a time may pass: a task at its start, or a thread in the
 * middle of one. A task that finds it taken is put aside, so that its worker
 * can run others, and comes back to its owner when it is let in; it is pending
 * meanwhile and can be cancelled. First come, first served among the tasks of
 * an owner. */
#ifndef LF_TASK_STRAND_H
#define LF_TASK_STRAND_H

#include "runtime/task/task.h"

typedef struct lf_strand lf_strand;

lf_strand *lf_strand_new(void); /* NULL: no memory */
void lf_strand_free(lf_strand *strand);

/* By a worker that is about to run the task, whose task->strand this is; false:
 * it was put aside, with the caller's reference. */
bool lf_strand_admit(lf_task *task);

/* A task of a queue will not be run after all: lets the next one come, if it
 * was this one's turn. */
void lf_strand_dismiss(lf_task *task);

/* A task that was cancelled does not wait there any longer. */
void lf_strand_forget(lf_task *task);

/* By any thread: waits until it can pass; false: not before the deadline. */
bool lf_strand_enter(lf_strand *strand, int64_t deadline);

/* After either. */
void lf_strand_leave(lf_strand *strand);

/* Takes the owner's tasks that were put aside to 'out'. */
void lf_strand_drain(lf_owner *owner, lf_link *out);

#endif
