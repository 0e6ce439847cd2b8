/* SPDX-License-Identifier: MIT
 *
 * A lock in memory that processes share, held for a moment only. When a process
 * dies that has it, the next one gets it and is told: what it protects must be
 * such that it can go on from any point. The holder is a process, by its
 * number; who waits for long looks whether that is still there. (A robust mutex
 * of POSIX would be that, but for processes that the C library has not forked:
 * see fork.h.) It begins as zeroes and needs no end. Any thread. */
#ifndef LF_SHM_ROBUST_H
#define LF_SHM_ROBUST_H

#include "runtime/shm/arena.h"

#include <stdatomic.h>

typedef struct {
  _Atomic uint32_t word; /* the holder's lf_process(), 0: it is free; with a bit
                            that says that somebody may sleep until it is */
} lf_robust;

#define LF_LATCH_WAITED ((uint32_t)1 << 31)

bool lf_robust_take_slowly(lf_robust *robust, uint32_t me);
void lf_robust_wake(lf_robust *robust);

/* Waits for it. True: whoever had it has died. */
static inline bool lf_robust_take(lf_robust *robust) {
  uint32_t nobody = 0, me = lf_process();
  lf_assert(me != 0);
  if (atomic_compare_exchange_strong(&robust->word, &nobody, me))
    return false;
  return lf_robust_take_slowly(robust, me);
}

static inline void lf_robust_give(lf_robust *robust) {
  if (atomic_exchange(&robust->word, 0) & LF_LATCH_WAITED)
    lf_robust_wake(robust);
}

#endif
