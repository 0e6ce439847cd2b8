/* SPDX-License-Identifier: MIT
 *
 * What threads and processes agree by, in shared memory: locks, semaphores,
 * events, barriers. The state of each is one word that is changed in one step,
 * so it is right whenever a process is killed. None of the functions waits:
 * they try, and LF_EAGAIN means that the caller may wait (waiters.h) and try
 * again; those that change something call who waits. (A condition has no state:
 * it is those that sleep at it.) All are in memory that reads zero at first.
 * Any thread. */
#ifndef LF_SYNC_SYNC_H
#define LF_SYNC_SYNC_H

#include "runtime/shm/arena.h"
#include "runtime/shm/waiters.h"

/* The one reason to wait for these. */
enum { LF_WAITER = 1 };

/* --- Locks --- */

typedef struct {
  lf_shared shared;
  bool recursive;          /* immutable */
  _Atomic uint64_t holder; /* arena.h; 0: it is free */
  uint64_t depth;          /* the holder's: how often it has it, less one */
} lf_lock;

/* 'me' has it from now on (0), or it is held (LF_EAGAIN). '*abandoned' is set
 * if the process of who held it has died; else it is left alone. */
int lf_lock_try_slowly(lf_lock *lock, uint64_t me, bool *abandoned);

LF_INLINE int lf_lock_try(lf_lock *lock, uint64_t me, bool *abandoned) {
  uint64_t nobody = 0;
  if (atomic_compare_exchange_strong(&lock->holder, &nobody, me))
    return 0;
  return lf_lock_try_slowly(lock, me, abandoned);
}

static inline bool lf_lock_is_mine(const lf_lock *lock, uint64_t me) {
  return me && atomic_load_explicit(&lock->holder, memory_order_relaxed) == me;
}

/* Once less, or not at all. LF_EPERM: 'me' does not have it. */
LF_INLINE int lf_lock_release(lf_lock *lock, uint64_t me) {
  if (!lf_lock_is_mine(lock, me))
    return LF_EPERM;
  if (lock->depth > 0) {
    lock->depth--;
    return 0;
  }
  atomic_store(&lock->holder, 0);
  if (atomic_load(&lock->shared.sleeping) > 0)
    lf_call_slowly(&lock->shared, LF_WAITER, 1);
  return 0;
}

/* --- Semaphores --- */

typedef struct {
  lf_shared shared;
  int64_t most; /* immutable; of a bounded one, else INT64_MAX */
  _Atomic int64_t value;
} lf_semaphore;

/* 0 or LF_EAGAIN. */
int lf_semaphore_try(lf_semaphore *semaphore);

/* LF_EPERM: that would be more than there may be. */
int lf_semaphore_release(lf_semaphore *semaphore, int64_t n);

/* --- Events --- */

typedef struct {
  lf_shared shared;
  _Atomic uint32_t set;
} lf_event;

void lf_event_set(lf_event *event);

/* --- Barriers --- */

typedef struct {
  lf_shared shared;
  uint32_t parties;         /* immutable; at most LF_PARTIES */
  _Atomic uint32_t mourned; /* deaths that have been looked at */
  _Atomic uint64_t word;    /* see sync.c */
} lf_barrier;

enum { LF_PARTIES = 1 << 20 };

/* Comes to the barrier: the index of who comes, from 0, and in '*round' what it
 * waits for; the last one, with the index parties - 1, has to pass. LF_EAGAIN:
 * the last one of another round has not passed yet; LF_EBROKEN. */
int lf_barrier_enter(lf_barrier *barrier, uint32_t *round);

/* The last one opens it for all. LF_EBROKEN: it was broken meanwhile. */
int lf_barrier_pass(lf_barrier *barrier, uint32_t round);

/* Is the round over (0)? LF_EAGAIN: it is not; LF_EBROKEN: it never will be. */
int lf_barrier_look(lf_barrier *barrier, uint32_t round);

/* Breaks it for all who wait, and for all who come until it is reset. */
void lf_barrier_abort(lf_barrier *barrier);

/* The same for one round only: if it is still the one. */
void lf_barrier_leave(lf_barrier *barrier, uint32_t round);

/* Sends away all who wait, and begins anew. */
void lf_barrier_reset(lf_barrier *barrier);

/* How many have come; is it broken? */
uint32_t lf_barrier_waiting(lf_barrier *barrier);
bool lf_barrier_is_broken(lf_barrier *barrier);

#endif
