/* SPDX-License-Identifier: MIT
 *
 * See slab.h. */
#include "runtime/shm/slab.h"

#include "runtime/shm/arena.h"

#define SLAB ((uint64_t)LF_LIMIT(64 << 10, 4 << 10))

/* At the beginning of a common zone: the offsets of the owners, 0: free. */
typedef _Atomic uint64_t owners;

static _Atomic uint64_t hint; /* where the last one was found */

_Atomic uint64_t lf_slab_bytes;

uint64_t lf_slab_measure(void) {
  uint64_t most = lf_zone_size() / 16; /* in small arenas */
  uint64_t n = SLAB < most ? SLAB : most;
  atomic_store_explicit(&lf_slab_bytes, n, memory_order_relaxed);
  return n;
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

static void raise(_Atomic uint32_t *word, uint32_t to) {
  uint32_t now = atomic_load_explicit(word, memory_order_relaxed);
  while (now < to && !atomic_compare_exchange_weak(word, &now, to))
    continue;
}

/* The object says where its slabs are before it has one there: who is killed in
 * between has claimed none that could not be found. */
static bool try_claim(owners *o, lf_shared *object, uint64_t at) {
  uint64_t nobody = 0;
  if (atomic_load_explicit(o, memory_order_relaxed) != 0)
    return false;
  uint32_t number = (uint32_t)(at / lf_slab_size());
  raise(&object->beyond, number + 1);
  raise(&object->before, ~number);
  return atomic_compare_exchange_strong(o, &nobody, lf_arena_offset(object));
}

/* A slab of the zone from the i-th on; 0: none. */
static uint64_t claim_in(uint32_t zone, uint64_t i, lf_shared *object) {
  owners *o = table_of(zone);
  uint64_t head = per_zone() * sizeof *o / lf_slab_size() + 1;
  for (i = i < head ? head : i; o && i < per_zone(); i++) {
    uint64_t at = zone * lf_zone_size() + i * lf_slab_size();
    if (!try_claim(&o[i], object, at))
      continue;
    atomic_store(&hint, at);
    return at;
  }
  return 0;
}

static uint64_t claim_anywhere(lf_shared *object) {
  uint64_t at = 0;
  for (uint32_t zone = 0; zone < LF_ZONES && !at; zone++)
    at = claim_in(zone, 0, object);
  return at;
}

uint64_t lf_slab_claim(lf_shared *object) {
  uint64_t near = atomic_load(&hint), zone = lf_zone_size();
  atomic_fetch_add(&object->slabs, 1);
  uint64_t at =
      claim_in((uint32_t)(near / zone), near % zone / lf_slab_size(), object);
  at = at ? at : claim_anywhere(object);
  if (!at && lf_zone_claim_common() >= 0)
    at = claim_anywhere(object);
  if (!at)
    atomic_fetch_sub(&object->slabs, 1);
  return at;
}

static owners *owner_of(uint64_t at) {
  uint64_t zone = at / lf_zone_size();
  owners *o = lf_arena_at(zone * lf_zone_size());
  return &o[at % lf_zone_size() / lf_slab_size()];
}

/* Returns whose it was. */
static uint64_t release(uint64_t at) {
  lf_arena_clear(at, lf_slab_size());
  uint64_t owner = atomic_exchange(owner_of(at), 0);
  lf_check(owner != 0);
  atomic_store(&hint, at);
  return owner;
}

void lf_slab_free(uint64_t at) {
  lf_shared *object = lf_arena_at(release(at));
  atomic_fetch_sub(&object->slabs, 1);
}

/* Those of owners between the two offsets. */
typedef struct {
  uint64_t from, to;
  uint64_t most; /* there are not more */
  bool release;  /* they are given back */
} those;

/* Deals with those among the zone's slabs from 'first' to 'last'; returns how
 * many there were. */
static uint64_t each_in(const those *t, uint32_t zone, uint64_t first,
                        uint64_t last) {
  uint64_t n = 0;
  owners *o = table_of(zone);
  for (uint64_t i = first; o && i <= last && n < t->most; i++) {
    uint64_t owner = atomic_load(&o[i]);
    if (owner < t->from || owner >= t->to)
      continue;
    n++;
    if (t->release)
      (void)release(zone * lf_zone_size() + i * lf_slab_size());
  }
  return n;
}

static uint64_t each(those t) {
  uint64_t n = 0;
  for (uint32_t zone = 0; zone < LF_ZONES; zone++)
    n += each_in(&t, zone, 0, per_zone() - 1);
  return n;
}

void lf_slabs_free_between(uint64_t from, uint64_t to) {
  each((those){from, to, UINT64_MAX, true});
}

void lf_slabs_free_of(lf_shared *object) {
  uint64_t at = lf_arena_offset(object), n = per_zone();
  uint64_t first = (uint32_t)~object->before;
  uint64_t beyond = object->beyond;
  those t = {at, at + 1, object->slabs, true};
  while (first < beyond && t.most > 0) {
    uint64_t end = (first / n + 1) * n;
    end = end < beyond ? end : beyond;
    t.most -= each_in(&t, (uint32_t)(first / n), first % n, (end - 1) % n);
    first = end;
  }
}

uint64_t lf_slabs(void) {
  return lf_arena_size() ? each((those){1, UINT64_MAX, UINT64_MAX, false}) : 0;
}
