/* SPDX-License-Identifier: MIT
 *
 * A worker process from the inside: it receives tasks from its program, runs
 * them, and sends back what becomes of them. What its tasks submit to their own
 * pool goes to the program, which runs it wherever there is room.
 *
 * The process has one pool of its own that stands for the program's, with one
 * worker: its main thread. Sending is under the pool's lock; only the worker's
 * thread receives. */
#ifndef LF_PROCESS_SERVE_H
#define LF_PROCESS_SERVE_H

#include "runtime/pool/pool.h"
#include "runtime/task/deadlock.h"

#include <sys/types.h>

/* How a spawned worker is called: lfut --worker=VERSION ENGINE ID PARENT, with
 * the region, the doorbell and the arena as these descriptors; the last one if
 * the region has an owner's number. */
#define LF_SERVE_OPTION "--worker=" PACKAGE_VERSION
enum { LF_SERVE_REGION = 3, LF_SERVE_DOORBELL, LF_SERVE_ARENA };

/* How a worker exits that the system has refused what it takes to start. */
enum { LF_SERVE_REFUSED = 71 };

/* The back end of the pool that stands for the program's. */
extern const lf_backend lf_serve_backend;

/* The life of a forked worker, from options that are there already. */
_Noreturn void lf_serve_main(const lf_pool_options *options, int id, int region,
                             int doorbell);

/* The life of a spawned one for a program with the engine: 'make' reads the
 * greeting and makes the setup; NULL: it cannot. */
typedef void *lf_serve_make(lf_buf *greeting);
_Noreturn void lf_serve_spawned(const char *engine, int id, pid_t parent,
                                const lf_vmops *ops, lf_serve_make *make);

/* For bindings: a task that runs here waits, and does so no more. The program
 * looks whether that can ever end. */
void lf_serve_wait(lf_task *task, lf_waits *waits);

/* A task that waits needs the end of 'top', too, which runs on top of it; NULL:
 * not any more. 'waits' is what it waits for then (may be NULL). */
void lf_serve_cover(lf_task *task, lf_waits *waits, const lf_task *top);

void lf_serve_unwait(lf_task *task);

/* For reports: what the program calls a task by that waits, or runs here; 0: it
 * does not know it. Async-signal-safe. */
uint64_t lf_serve_number(const lf_task *task, bool runs_here);

/* For bindings: a task that runs here gives up the worker for a while. If it is
 * a chunk of a loop, the loop goes on with another. */
void lf_serve_rest(lf_task *task);

#endif
