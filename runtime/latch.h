/* SPDX-License-Identifier: MIT
 *
 * A lock in memory that processes share, held for a moment only. When a process
 * dies that has it, the next one gets it and is told: what it protects must be
 * such that it can go on from any point. (A robust mutex of POSIX, as glibc and
 * the kernel have it.) */
#ifndef LF_LATCH_H
#define LF_LATCH_H

#include "thread.h"

#include <errno.h>
#include <pthread.h>

typedef struct {
  pthread_mutex_t mutex;
} lf_latch;

enum { LF_LATCH_SPINS = 100 };

/* In memory that reads zero. It needs no end. */
static inline void lf_latch_init(lf_latch *latch) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  lf_check(pthread_mutex_init(&latch->mutex, &a) == 0);
  pthread_mutexattr_destroy(&a);
}

/* Waits for it, at first without sleeping, as it is never had for long. True:
 * whoever had it has died. */
static inline bool lf_latch_take(lf_latch *latch) {
  int err = pthread_mutex_trylock(&latch->mutex);
  for (int i = 0; err == EBUSY && i < LF_LATCH_SPINS; i++) {
    lf_relax();
    err = pthread_mutex_trylock(&latch->mutex);
  }
  if (err == EBUSY)
    err = pthread_mutex_lock(&latch->mutex);
  if (err == EOWNERDEAD)
    pthread_mutex_consistent(&latch->mutex);
  lf_check(err == 0 || err == EOWNERDEAD);
  return err == EOWNERDEAD;
}

static inline void lf_latch_give(lf_latch *latch) {
  pthread_mutex_unlock(&latch->mutex);
}

#endif
