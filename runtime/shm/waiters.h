/* SPDX-License-Identifier: MIT
 *
 * Who waits for what is shared: threads of all processes that sleep until
 * something has become of an object in the arena. Each has a waiter on the
 * arena's table of waiters while it waits, with the object, the kind of wait, a
 * ticket that says who came first, and a parker of its own. Whoever changes an
 * object calls those that it concerns; they look again, and go on sleeping if
 * it was not for them. So nothing is handed over that could be lost on the way,
 * and no list lies in shared memory that a killed process could leave
 * half-linked: the waiters of those who wait for an object lie where its number
 * leads to, and are looked through. Who reaps a process empties its waiters
 * and has everybody look again.
 *
 * A wait for an object: take a waiter; then rearm it, look, sleep, again and
 * again until there is what is waited for; give the waiter up. If it was called
 * at the end, call another: one look may have answered several calls. A change
 * of an object: change it, then call. Any thread. */
#ifndef LF_SHM_WAITERS_H
#define LF_SHM_WAITERS_H

#include "runtime/os/thread.h"

/* How every object begins that may be waited for. All of it is shared by the
 * processes that have the object. */
typedef struct {
  uint32_t type;             /* immutable: what it is (object.h) */
  _Atomic uint32_t sleeping; /* waiters that name it and have not been called;
                                perhaps too many */
  _Atomic uint32_t deaths;   /* how many of these have been killed */
  /* slab.h's: how many slabs it has, perhaps too many; one more than the number
   * of the last one that it has had; the same of the first, inverted. */
  _Atomic uint32_t slabs, beyond, before;
} lf_shared;

typedef struct lf_shared_waiter lf_shared_waiter;

/* The calling thread is about to wait for the object (in the arena) for a
 * reason (a bit). NULL: too many do. */
lf_shared_waiter *lf_shared_waiter_new(lf_shared *object, uint32_t kind);

/* In 'kind': a change calls all of these, so that who has been called need not
 * pass that on. */
#define LF_CROWD (UINT32_C(1) << 31)

/* Frees the waiter; true if it is called, and another may have to be. */
bool lf_shared_waiter_end(lf_shared_waiter *waiter);

/* Has somebody called it? Stays so until it is rearmed, which lets it be called
 * again. */
bool lf_shared_waiter_called(const lf_shared_waiter *waiter);
void lf_shared_waiter_rearm(lf_shared_waiter *waiter);

/* Has somebody called it, or is its thread to look again for another reason? */
bool lf_shared_waiter_stirred(const lf_shared_waiter *waiter);

/* While the thread does something else: it is not called. True: it has been. */
bool lf_shared_waiter_pause(lf_shared_waiter *waiter);
void lf_shared_waiter_resume(lf_shared_waiter *waiter);

/* One thread may wait in several waiters: it sleeps at a waiter of its own, its
 * doorbell, which is woken when one of those is called that ring it. NULL: too
 * many wait. */
lf_shared_waiter *lf_doorbell_new(void);
void lf_doorbell_end(lf_shared_waiter *doorbell);

/* Has it been rung since this was asked? By its thread. */
bool lf_doorbell_take(lf_shared_waiter *doorbell);
bool lf_doorbell_is_rung(const lf_shared_waiter *doorbell);

/* From now on the waiter rings the doorbell, or none (NULL): who sleeps has to
 * look once more before. */
void lf_shared_waiter_ring(lf_shared_waiter *waiter,
                           const lf_shared_waiter *doorbell);

/* Frees the waiter without having taken anything: if it is called, so is
 * another.
 */
void lf_shared_waiter_pass(lf_shared_waiter *waiter);

/* Sleeps until it is called or has to look again (0), the deadline
 * (LF_ETIMEOUT), or a signal (LF_EINTR); also when the thread's own parker is
 * woken (0). Not at all if it is called. May spin first. */
int lf_sleep(lf_shared_waiter *waiter, lf_parker *own, int64_t deadline);

/* Calls up to 'n' of those that wait for one of the reasons, the longest
 * waiting first, and have not been called yet. Returns how many. */
uint32_t lf_call_slowly(lf_shared *object, uint32_t kinds, uint32_t n);

/* After a change of the object. */
static inline uint32_t lf_call(lf_shared *object, uint32_t kinds, uint32_t n) {
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&object->sleeping, memory_order_relaxed) == 0)
    return 0;
  return lf_call_slowly(object, kinds, n);
}

/* The process with the number, and those come from it, have ended: to be called
 * before their zones and numbers are taken over, and afterwards that everybody
 * has to look again. */
void lf_shared_waiters_reap(uint32_t owner);
void lf_shared_waiters_look_again(void);

/* How many wait, in all processes. */
uint32_t lf_shared_waiters(void);

#endif
