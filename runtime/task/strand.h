/* SPDX-License-Identifier: MIT
 *
 * A gate that one at a time may pass: a task at its start, or a thread in the
 * middle of one. A task that finds it taken is put aside, so that its worker
 * can run others, and comes back to its owner when it is let in; it is pending
 * meanwhile and can be cancelled. First come, first served among the tasks of
 * an owner. */
#ifndef LF_TASK_STRAND_H
#define LF_TASK_STRAND_H

#include "runtime/task/task.h"

typedef struct lf_gate lf_gate;

lf_gate *lf_gate_new(void); /* NULL: no memory */
void lf_gate_free(lf_gate *gate);

/* By a worker that is about to run the task, whose task->gate this is; false:
 * it was put aside, with the caller's reference. */
bool lf_gate_admit(lf_task *task);

/* A task of a queue will not be run after all: lets the next one come, if it
 * was this one's turn. */
void lf_gate_dismiss(lf_task *task);

/* A task that was cancelled does not wait there any longer. */
void lf_gate_forget(lf_task *task);

/* By any thread: waits until it can pass; false: not before the deadline. */
bool lf_gate_enter(lf_gate *gate, int64_t deadline);

/* After either. */
void lf_gate_leave(lf_gate *gate);

/* Takes the owner's tasks that were put aside to 'out'. */
void lf_gate_drain(lf_owner *owner, lf_link *out);

#endif
