/* SPDX-License-Identifier: MIT
 *
 * Which foreign function a thread is in, for who is to be told when the process
 * crashes there. Any thread. */
#ifndef LF_OS_CRASH_H
#define LF_OS_CRASH_H

#include "runtime/base/base.h"

/* From now on crashes are told, on the standard error stream unless there is a
 * note. Repeatable. */
void lf_crash_watch(void);

/* In a worker process, before its first task: what the thread was in is left in
 * the 'size' bytes at 'note', where the program finds it, and nothing is said.
 * NULL: none any more. */
void lf_crash_note(char *note, size_t size);

/* For the calling thread: a stack, so that it can still say so when it has used
 * up its own. */
void lf_crash_give_stack(void);

/* What the thread is in, or NULL. Read by a signal's handler, which must not be
 * the first to touch it. */
extern _Thread_local const char *volatile lf_crash_within
    __attribute__((tls_model("initial-exec")));
extern _Thread_local bool lf_crash_ready; /* the thread has been given one */

/* The thread is about to call what the label says; it has come back from there.
 * The label that was there before goes from the one to the other. */
static inline const char *lf_crash_enter(const char *label) {
  const char *outer = lf_crash_within;
  if (!lf_crash_ready)
    lf_crash_give_stack();
  lf_crash_within = label;
  return outer;
}

static inline void lf_crash_leave(const char *outer) {
  lf_crash_within = outer;
}

#endif
