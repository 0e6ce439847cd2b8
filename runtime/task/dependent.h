/* SPDX-License-Identifier: MIT
 *
 * A task that is pending until others are done, its inputs, and then ends by
 * what has become of them: no worker waits, and no interpreter is needed. Each
 * input that ends is told to it by the thread that has ended it (follow.h).
 *
 * While it is pending it is known to wait for its inputs (deadlock.h), so a
 * task that waits for it waits for them. */
#ifndef LF_TASK_DEPENDENT_H
#define LF_TASK_DEPENDENT_H

#include "runtime/task/deadlock.h"
#include "runtime/task/follow.h"
#include "runtime/task/task.h"

typedef struct lf_dependent lf_dependent;

typedef struct {
  lf_waiter waiter; /* its task: a reference, or NULL */
  lf_follow follow;
  lf_dependent *of;
} lf_input;

typedef struct {
  /* An input is done, and the dependent is not yet, as far as can be told. Any
   * thread, for several inputs at a time, without locks. */
  void (*ready)(lf_dependent *dependent, lf_input *input);
  /* It is done. NULL: no matter. */
  void (*over)(lf_dependent *dependent);
} lf_dependent_ops;

/* 'inputs', 'n' and 'executor' are immutable from lf_dependent_begin on, but
 * for an input that is let go by lf_dependent_let_go. */
struct lf_dependent {
  lf_task task;
  const lf_dependent_ops *ops;
  lf_owner *executor; /* a reference: who is to run what follows it, if it has
                         no owner of its own; may be NULL */
  lf_task
      *origin; /* a reference: whose failure it has; written before it ends */
  lf_waits waits;
  lf_link held;              /* of a chain (chain.h); its lock */
  struct lf_dependent *next; /* in a list of those that are to begin */
  _Atomic size_t left;       /* inputs; for 'ready' */
  _Atomic int stage;         /* of dependent.c */
  size_t n;
  lf_input inputs[];
};

/* One with room for 'most' inputs and one reference; 'owner' as a task's. All
 * inputs are needed, or any. NULL: no memory. */
lf_dependent *lf_dependent_new(lf_owner *owner, const lf_dependent_ops *ops,
                               size_t most, bool any);

/* The dependent that the task is, or NULL. */
lf_dependent *lf_dependent_of(const lf_task *task);

/* Before it begins: one more input. */
void lf_dependent_add(lf_dependent *dependent, lf_task *input);

/* It is told of its inputs from now on: 'ready' may be called before this
 * returns. Without locks. */
void lf_dependent_begin(lf_dependent *dependent);

/* Ends it, unless it is done, as the task has ended: by failing, or being
 * cancelled. */
void lf_dependent_fail(lf_dependent *dependent, lf_task *from);

/* Nobody looks at the input any more. */
void lf_dependent_let_go(lf_input *input);

/* Whose failure a failed task has: its own, or that of one that it depends on.
 */
lf_task *lf_task_origin(lf_task *task);

/* Whose workers are to run what follows the task, or NULL. */
lf_owner *lf_task_executor(const lf_task *task);

#endif
