/* SPDX-License-Identifier: MIT
 *
 * Where Lua code is, for reports (pool/usr1.h): what the calling thread's
 * interpreters run, since when, and what that waits for. A signal handler on
 * the interpreters' own thread looks at them, while the thread stands still in
 * a wait or another system call; nothing that it uses allocates or changes
 * anything. */
#ifndef LFB_RUN_POSITION_H
#define LFB_RUN_POSITION_H

#include "bindings/core/state.h"
#include "bindings/run/watch.h"
#include "runtime/pool/usr1.h"
#include "runtime/shm/waiters.h"

struct lfb_run;

/* A wait of a thread that sleeps: on its stack. */
struct lfb_blocked {
  const lfb_wait_for *what; /* or one of the next: */
  lf_shared *object;        /* in shared memory, */
  uint32_t kind;            /* and why; */
  const char *words;        /* something else, */
  int64_t number;           /* and that one of it, or 0 */
  int64_t since;            /* 0: it has just begun */
  int64_t until;            /* LF_FOREVER: no deadline */
  struct lfb_run *run; /* whose wait it is, or NULL: what runs outside of one */
  lfb_blocked *outer;
};

/* The interpreter's thread is about to sleep; and has slept. Nothing is raised
 * in between. */
void lfb_blocked_begin(lfb_state *S, lfb_blocked *b);
void lfb_blocked_end(lfb_state *S, lfb_blocked *b);

/* The calling thread runs the initializer of the interpreter, which nobody
 * knows yet; NULL: not any more. */
void lfb_opens_here(struct lf_vm *vm);

/* An lf_see. */
bool lfb_see_here(lf_sight *sight, bool asleep);

#endif
