/* SPDX-License-Identifier: MIT
 *
 * Spinning before sleeping: whether, and for how long. */
#ifndef LF_OS_SPIN_H
#define LF_OS_SPIN_H

#include "runtime/base/base.h"

#include <stdatomic.h>

/* Threads that are awake: those of lf_thread_start count themselves, a
 * program's own thread is counted by this (1, later -1). One that sleeps is
 * counted again by who wakes it, as it takes a while to run. */
void lf_count_awake(int by);

int lf_awake(void);

/* Others, outside of this process, that are awake: a word that someone keeps up
 * to date. */
void lf_count_outside(const _Atomic uint32_t *others);

/* May the calling thread spin instead of sleeping? If there is a whole
 * processor for each thread that is awake. */
bool lf_may_spin(void);

/* What one kind of waiting has taken lately, in nanoseconds, sleep included:
 * when it began with spinning, and when it did not. Which is the longer depends
 * on what else wants the processors, so both are tried, the worse one seldom;
 * where both are long, nobody spins. Any thread; of two that learn at once, one
 * may learn in vain. */
typedef struct {
  _Atomic uint32_t spun, slept;
  _Atomic uint32_t sleeps; /* since the other has been tried */
} lf_habit;

#define LF_HABIT                                                               \
  { .slept = 50000 }

/* One wait: since when, when to stop spinning, when it is over. */
typedef struct {
  lf_habit *habit;
  int64_t since, end, deadline;
  unsigned looks;
  bool spins;   /* or has spun; */
  bool in_vain; /* does so no more */
} lf_spin;

/* The wait begins; it lasts until the deadline at most. */
lf_spin lf_spin_begin(lf_habit *habit, int64_t deadline);

/* Nothing has come yet: waits a moment. False: it is time to sleep. */
bool lf_spin_on(lf_spin *spin);

/* Something has come, but not what is waited for: spinning begins anew. False:
 * the deadline has passed. */
bool lf_spin_again(lf_spin *spin);

/* The wait has ended, by what was waited for. */
void lf_spin_end(const lf_spin *spin);

/* Another thread is in the middle of something that takes no time, unless it
 * has been preempted: waits a moment. 'looks' counts those of this wait. */
void lf_relax_for_other(int *looks);

/* What a spinner does between two looks. */
static inline void lf_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif
