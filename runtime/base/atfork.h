/* SPDX-License-Identifier: MIT
 *
 * Locks around forks. Those that outlive a call register themselves where they
 * are defined, so that no child finds one held by a thread that it does not
 * have. However a process is forked by the C library. */
#ifndef LF_BASE_ATFORK_H
#define LF_BASE_ATFORK_H

#include "runtime/base/base.h"

#include <pthread.h>

/* Locks in the order in which a fork takes them, whatever the order of linking:
 * who holds one may wait for those below it, and for none above it. */
typedef enum {
  LF_FORK_PLUGINS,     /* no lock: told when all are given back */
  LF_FORK_CALLS,       /* lf_call_begin */
  LF_FORK_LIBRARIES,   /* library.c: while one is loaded, anything may run */
  LF_FORK_CHILDREN,    /* child.c */
  LF_FORK_COMMANDS,    /* command.c */
  LF_FORK_BORROWED,    /* borrow.c */
  LF_FORK_TERMINAL,    /* terminal.c */
  LF_FORK_STRANDS,     /* strand.c: the list's */
  LF_FORK_CHAINS,      /* chain.c */
  LF_FORK_GRAPH,       /* deadlock.c */
  LF_FORK_TASKS,       /* task.c */
  LF_FORK_REPORTS,     /* report.c */
  LF_FORK_CODE,        /* code.c */
  LF_FORK_ARRAYS,      /* array.c */
  LF_FORK_HEAP,        /* heap.c */
  LF_FORK_ARENA,       /* arena.c */
  LF_FORK_PROFILES,    /* profile.c */
  LF_FORK_TRACE,       /* trace.c: the rings, */
  LF_FORK_TRACE_NAMES, /* names, */
  LF_FORK_TRACE_SPOOL, /* and what does not fit */
  LF_FORK_DESCRIPTORS, /* fork.c */
  LF_FORK_POLLER,      /* poller.c */
  LF_FORK_TIMERS,      /* timer.c */
  LF_FORK_MEMORY,      /* mem.c: who holds others may be about to allocate */
  LF_FORK_LOCKS
} lf_fork_lock;

/* Has 'before' called before each fork, in the order above, and 'parent' or
 * 'child' afterwards, in the opposite order (each may be NULL). To be called by
 * constructors, or while there can be no fork. */
void lf_at_fork(lf_fork_lock which, void (*before)(void), void (*parent)(void),
                void (*child)(void));

/* A file's lock, which each fork takes before and gives back after, in the
 * child when 'in_child' (may be NULL) has put right what it is for. */
#define LF_FORK_MUTEX(name, which, in_child)                                   \
  static pthread_mutex_t name;                                                 \
  __attribute__((constructor)) static void name##_survives_forks(void) {       \
    lf_lock_at_fork(which, &(name), in_child);                                 \
  }                                                                            \
  static pthread_mutex_t name = PTHREAD_MUTEX_INITIALIZER

void lf_lock_at_fork(lf_fork_lock which, pthread_mutex_t *lock,
                     void (*in_child)(void));

/* Around calls that take locks of the C library which no fork cares for: time
 * zones, locales, the loader of libraries. No fork happens in between, but for
 * the calling thread's own. May be nested. */
void lf_call_begin(void);
void lf_call_end(void);

#endif
