/* SPDX-License-Identifier: MIT
 *
 * See slab.h. */
#include "slab.h"

#include "arena.h"

#define SLAB ((uint64_t)LF_LIMIT(64 << 10, 4 << 10))

/* At the beginning of a common zone: the offsets of the owners, 0: free. */
typedef _Atomic uint64_t owners;

static _Atomic uint64_t hint; /* where the last one was found */

uint64_t lf_slab_size(void) {
  uint64_t most = lf_zone_size() / 16; /* in small arenas */
  return SLAB < most ? SLAB : most;
}

static uint64_t per_zone(void) {
  return lf_zone_size() / lf_slab_size();
}

/* The zone's table, which this process may touch; NULL: the zone is none. */
static owners *table_of(uint32_t zone) {
  uint64_t at = zone * lf_zone_size();
  if (!lf_zone_is_common(zone) || !lf_arena_touch(at, lf_zone_size()))
    return NULL;
  return lf_arena_at(at);
}

static bool try_claim(owners *o, uint64_t owner) {
  uint64_t nobody = 0;
  return atomic_load_explicit(o, memory_order_relaxed) == 0 &&
         atomic_compare_exchange_strong(o, &nobody, owner);
}

/* A slab of the zone from the i-th on; 0: none. */
static uint64_t claim_in(uint32_t zone, uint64_t i, uint64_t owner) {
  owners *o = table_of(zone);
  uint64_t head = per_zone() * sizeof *o / lf_slab_size() + 1;
  for (i = i < head ? head : i; o && i < per_zone(); i++)
    if (try_claim(&o[i], owner)) {
      uint64_t at = zone * lf_zone_size() + i * lf_slab_size();
      atomic_store(&hint, at);
      return at;
    }
  return 0;
}

static uint64_t claim_anywhere(uint64_t owner) {
  uint64_t at = 0;
  for (uint32_t zone = 0; zone < LF_ZONES && !at; zone++)
    at = claim_in(zone, 0, owner);
  return at;
}

uint64_t lf_slab_claim(lf_shared *object) {
  uint64_t owner = lf_arena_offset(object);
  uint64_t near = atomic_load(&hint), zone = lf_zone_size();
  atomic_store_explicit(&object->slabs, 1, memory_order_relaxed);
  uint64_t at =
      claim_in((uint32_t)(near / zone), near % zone / lf_slab_size(), owner);
  at = at ? at : claim_anywhere(owner);
  if (!at && lf_zone_claim_common() >= 0)
    at = claim_anywhere(owner);
  return at;
}

static owners *owner_of(uint64_t at) {
  uint64_t zone = at / lf_zone_size();
  owners *o = lf_arena_at(zone * lf_zone_size());
  return &o[at % lf_zone_size() / lf_slab_size()];
}

void lf_slab_free(uint64_t at) {
  lf_arena_clear(at, lf_slab_size());
  uint64_t owner = atomic_exchange(owner_of(at), 0);
  lf_check(owner != 0);
}

/* Calls 'f', if there is one, for all of the owners between the two; returns
 * how many. */
static uint64_t each(uint64_t from, uint64_t to, void (*f)(uint64_t at)) {
  uint64_t n = 0;
  for (uint32_t zone = 0; zone < LF_ZONES; zone++) {
    owners *o = table_of(zone);
    for (uint64_t i = 0; o && i < per_zone(); i++) {
      uint64_t owner = atomic_load(&o[i]);
      if (owner < from || owner >= to)
        continue;
      n++;
      if (f)
        f(zone * lf_zone_size() + i * lf_slab_size());
    }
  }
  return n;
}

void lf_slabs_free_of(uint64_t from, uint64_t to) {
  each(from, to, lf_slab_free);
}

uint64_t lf_slabs(void) {
  return lf_arena_size() ? each(1, UINT64_MAX, NULL) : 0;
}
