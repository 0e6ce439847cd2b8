/* SPDX-License-Identifier: MIT
 *
 * Memory in the arena that belongs to an object and not to a process: slabs of
 * one size, in zones that are common. A table at the beginning of each zone
 * says whose a slab is; it is claimed there by compare-and-swap, so no lock
 * lies in it. When an object goes, so do its slabs, also those that a killed
 * process had claimed for it and not put to use yet. Any thread. */
#ifndef LF_SHM_SLAB_H
#define LF_SHM_SLAB_H

#include "runtime/shm/waiters.h"

/* Bytes of a slab, a power of two; slabs lie at multiples of that. The same
 * from when the arena is there. */
extern _Atomic uint64_t lf_slab_bytes;
uint64_t lf_slab_measure(void);
static inline uint64_t lf_slab_size(void) {
  uint64_t n = atomic_load_explicit(&lf_slab_bytes, memory_order_relaxed);
  return n ? n : lf_slab_measure();
}

/* One for the object, of which this process may touch all; what is in it is
 * anything. 0: there is none. */
uint64_t lf_slab_claim(lf_shared *object);

/* Gives it back, with its memory. */
void lf_slab_free(uint64_t at);

/* The same with all of an object that ends. */
void lf_slabs_free_of(lf_shared *object);

/* The same with all of the objects that lay between the two offsets. */
void lf_slabs_free_between(uint64_t from, uint64_t to);

/* How many are claimed. */
uint64_t lf_slabs(void);

#endif
