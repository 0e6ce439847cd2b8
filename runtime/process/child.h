/* SPDX-License-Identifier: MIT
 *
 * A forked process: its start, signals to it, its end.
 *
 * Each has a thread in its parent, which forks it and waits for its end: it
 * lives as long as the process, which dies with it (fork.h), and reaps it
 * whether or not anybody asks. */
#ifndef LF_PROCESS_CHILD_H
#define LF_PROCESS_CHILD_H

#include "runtime/task/task.h"

#include <sys/types.h>

typedef struct lf_child lf_child;

/* One that has not been started. 'program' says whose it is, a number to
 * lf_child_running; 'daemon' too. NULL: no memory. */
lf_child *lf_child_new(const void *program, bool daemon);

lf_child *lf_child_ref(lf_child *child);
void lf_child_unref(void *child);

/* Forks; in the new process body(arg) is called, which must not return: on a
 * thread that has nothing to do with the one that calls this, while that one
 * stands still in here. What is on its stack may be read until there is a
 * second thread. 0; LF_ENOMEM, LF_ETHREAD; LF_EFORK with errno. Once. */
int lf_child_start(lf_child *child, const char *name, void (*body)(void *arg),
                   void *arg);

/* Finished when the process has ended and is reaped. */
lf_task *lf_child_over(lf_child *child);

/* After the start: the number, and how it ended (0 to 255, or -signal; or
 * LF_RUNNING_YET). */
enum { LF_RUNNING_YET = 1000 };
pid_t lf_child_pid(const lf_child *child);
int lf_child_exitcode(lf_child *child);

/* Is it the process that calls? Is it the child of another than that? */
bool lf_child_is_here(const lf_child *child);
bool lf_child_is_foreign(const lf_child *child);

/* Sends the signal unless it has ended. */
void lf_child_signal(lf_child *child, int sig);

/* The i-th of the program's that run, with a reference for the caller; NULL
 * after the last. */
lf_child *lf_child_running(const void *program, bool daemon, size_t i);

#endif
