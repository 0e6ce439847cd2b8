/* SPDX-License-Identifier: MIT
 *
 * An interpreter as the runtime sees it: opaque, one per worker, entered by
 * one thread only, and known by these functions alone. */
#ifndef LF_TASK_VM_H
#define LF_TASK_VM_H

#include "runtime/base/deadline.h"
#include "runtime/base/stack.h"
#include "runtime/os/thread.h"
#include "runtime/task/task.h"

typedef struct lf_vm lf_vm;
typedef struct lf_worker lf_worker;

/* One task on its way through an interpreter. The interpreter embeds it in
 * what it knows of the task and keeps the storage until it is closed, so that
 * a late wake-up finds it; the runtime only queues it. */
typedef struct lf_run {
  lf_waker waker;       /* wakes: makes it ready on its worker */
  lf_worker *worker;    /* where it began and goes on */
  lf_deadline deadline; /* when it becomes ready anyway; among the worker's */
  lf_node node;         /* among its worker's ready ones */
  atomic_bool ready;    /* is one */
  bool parked;          /* stands still; the worker's own */
  /* While it waits for something shared: see lf_run_hold. */
  lf_link held;                    /* among the worker's */
  struct lf_shared_waiter *waiter; /* or NULL */
  bool interrupted;                /* it goes on only to end */
  bool occupies;                   /* else it would occupy its worker */
} lf_run;

typedef struct lf_vmops {
  const char *engine; /* those of one name understand each other's functions */

  /* A new interpreter for 'worker', on its thread. 0; LF_ENOMEM; or
   * LF_EBROKEN with the reason as text in 'why'. */
  int (*open)(lf_worker *worker, lf_vm **vm, lf_buf *why);

  /* Runs a started task until it ends (then calls lf_task_end) or parks. Takes
   * over the caller's reference to the task. */
  void (*run)(lf_vm *vm, lf_task *task);

  /* Goes on with what became ready: a parked run, or what the interpreter
   * queued for itself. May be called for one that needs nothing. */
  void (*resume)(lf_vm *vm, lf_run *run);

  /* Those parked runs that occupy the worker, where such are parked, are to end
   * (run->interrupted): makes them ready. On the worker's thread. */
  void (*interrupt_parked)(lf_vm *vm);

  /* The worker has had nothing to do for a moment. */
  void (*idle)(lf_vm *vm);

  /* In a signal handler on the worker's thread: stop the running task. */
  void (*interrupt)(lf_vm *vm);

  /* Tasks that run here have been asked to stop (lf_task_stop). On the worker's
   * thread. */
  void (*asked)(lf_vm *vm);

  /* Visits the tasks that are in an interpreter, until 'visit' says false. */
  void (*each)(lf_vm *vm, bool (*visit)(lf_task *task, void *arg), void *arg);

  /* The same in a signal handler, about the tasks that the calling thread runs:
   * it sees to it that their code looks. */
  void (*poke)(void);

  void (*close)(lf_vm *vm);

  /* The task that waits will never be able to go on: task->stuck, its trace
   * says why. Wakes it. */
  void (*stuck)(lf_vm *vm, lf_task *task);

  /* In a worker process: how interpreters start has changed (lf_pool_tell); may
   * take the bytes. */
  void (*notice)(lf_vm *vm, lf_buf *bytes);

  lf_annotate *annotate; /* for lf_code_get */
} lf_vmops;

#endif
