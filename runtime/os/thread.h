/* SPDX-License-Identifier: MIT
 *
 * Threads, and parking: how a thread sleeps until it is told to go on. */
#ifndef LF_OS_THREAD_H
#define LF_OS_THREAD_H

#include "runtime/base/base.h"

#include <pthread.h>
#include <stdatomic.h>

/* A condition variable for the next; destroy it with pthread_cond_destroy. */
void lf_cond_init(pthread_cond_t *cond);

/* Waits for it, until the deadline: 0 or ETIMEDOUT. */
int lf_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);

/* Starts 'entry(arg)' on a detached thread, with the caller's signals. 'name'
 * (15 characters count) is what top -H shows. 0 or LF_ETHREAD. */
int lf_thread_start(const char *name, void (*entry)(void *arg), void *arg);

/* Starts 'entry(NULL)' on a thread apart: it gets no signals, does not count as
 * awake, and the end of a program does not wait for it. 'stack': bytes, 0: as
 * many as usual. '*joinable' (NULL: it is detached): to be joined. */
bool lf_thread_start_apart(void *(*entry)(void *unused), size_t stack,
                           pthread_t *joinable);

/* Rings an eventfd; one that is full has been rung already. */
void lf_eventfd_ring(int fd);

/* Waits a moment for threads that are about to end to be gone. */
void lf_threads_settle(void);

/* Are there threads of lf_thread_start other than the caller? Silent ones do
 * not count. */
bool lf_threads_others(void);

/* Nobody is to wait for one of those threads any more (-1), or for it again (1,
 * by itself). */
void lf_threads_discount(int by);

/* The calling thread uses no stream of stdio, from now to its end. */
void lf_thread_silent(void);

/* In a forked child, which has one thread. */
void lf_threads_forked(void);

/* Bytes left on the calling thread's C stack, roughly. */
size_t lf_stack_left(void);

/* One thread sleeps on it, any other may wake it. A wake-up that comes
 * first is kept (one, not a count). */
typedef struct {
  _Atomic uint32_t word;
  atomic_bool shared;    /* other processes may wake its thread */
  _Atomic uint64_t away; /* where its thread sleeps instead: see lf_doze_at */
} lf_parker;

static inline void lf_parker_init(lf_parker *parker) {
  atomic_init(&parker->word, 0);
  parker->shared = false;
  atomic_init(&parker->away, 0);
}

/* In memory that processes share. Somebody may still wake who had the memory
 * before. */
static inline void lf_parker_init_shared(lf_parker *parker) {
  atomic_store(&parker->word, 0);
  atomic_store(&parker->away, 0);
  atomic_store(&parker->shared, true);
}

/* Sleeps until woken (0), the deadline (LF_ETIMEOUT), a signal (LF_EINTR).
 * May spin first, if a processor is free for it. */
int lf_park(lf_parker *parker, int64_t deadline);

/* The same without spinning first. */
int lf_doze(lf_parker *parker, int64_t deadline);

/* The same for a thread that is to be woken by other processes, too, through
 * 'at', which lies in what they share: who wakes 'own' meanwhile wakes it
 * there.
 */
int lf_doze_at(lf_parker *at, lf_parker *own, int64_t deadline);

/* The calling thread sleeps in one of these; for its signal handlers. */
extern _Thread_local volatile bool lf_thread_dozes;

/* Where what the processes share begins in this one; set once. */
void lf_parkers_from(void *base);

/* Wakes the parked thread, or lets its next park return at once. May be
 * called from a signal handler. */
void lf_unpark(lf_parker *parker);

/* True when a wake-up waits to be taken. */
static inline bool lf_parker_woken(lf_parker *parker) {
  return atomic_load_explicit(&parker->word, memory_order_acquire) == 1;
}

/* True when someone sleeps on it, or is about to. */
static inline bool lf_parker_sleeps(const lf_parker *parker) {
  return atomic_load_explicit(&parker->word, memory_order_relaxed) >= 2;
}

/* The system calls below all of that, for words that processes share. Waits
 * while the word has the value, until the deadline at most: 0, LF_ETIMEOUT,
 * LF_EINTR. */
int lf_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
void lf_futex_wake(_Atomic uint32_t *word); /* one who does */

#endif
