/* SPDX-License-Identifier: MIT
 *
 * See orphans.h. */
#include "runtime/shm/orphans.h"

#include "runtime/shm/arena.h"
#include "runtime/shm/refs.h"
#include "runtime/shm/slab.h"

#define GOING UINT32_MAX

/* By zone: how many orphans lie there, or GOING; does it linger? */
static _Atomic uint32_t orphans[LF_ZONES];
static _Atomic bool lingers[LF_ZONES];
static _Atomic uint32_t lingering; /* how many do */

typedef struct {
  uint32_t first, last;
} zones;

static zones zones_of(uint64_t at, uint64_t size) {
  uint64_t zone = lf_zone_size(), end = at + (size ? size : 1);
  return (zones){(uint32_t)(at / zone), (uint32_t)((end - 1) / zone)};
}

void lf_orphans_add(uint64_t at, uint64_t size) {
  zones in = zones_of(at, size);
  for (uint32_t z = in.first; z <= in.last; z++)
    orphans[z] = orphans[z] == GOING ? 1 : orphans[z] + 1;
}

void lf_orphans_del(uint64_t at, uint64_t size) {
  zones in = zones_of(at, size);
  for (uint32_t z = in.first; z <= in.last; z++)
    if (orphans[z] > 0 && --orphans[z] == 0)
      orphans[z] = GOING;
}

bool lf_orphans_in(uint32_t zone) {
  return orphans[zone] > 0;
}

void lf_orphans_forget(void) {
  for (int z = 0; z < LF_ZONES; z++) {
    atomic_store_explicit(&orphans[z], 0, memory_order_relaxed);
    atomic_store_explicit(&lingers[z], false, memory_order_relaxed);
  }
  atomic_store(&lingering, 0);
}

void lf_orphans_free_zone(uint32_t zone) {
  uint64_t at = zone * lf_zone_size();
  if (!lf_zone_is_mine(zone) || lf_orphans_in(zone))
    return;
  if (lf_refs_in(zone)) {
    if (!atomic_exchange(&lingers[zone], true))
      atomic_fetch_add(&lingering, 1);
    return;
  }
  lf_slabs_free_between(at, at + lf_zone_size());
  lf_zone_free(zone);
}

void lf_orphans_free(uint64_t at, uint64_t size) {
  zones in = zones_of(at, size);
  for (uint32_t z = in.first; z <= in.last; z++) {
    uint32_t going = GOING;
    if (atomic_compare_exchange_strong(&orphans[z], &going, 0))
      lf_orphans_free_zone(z);
  }
}

void lf_orphans_sweep(void) {
  for (uint32_t z = 0; lf_orphans_linger() && z < LF_ZONES; z++)
    if (atomic_load(&lingers[z]) && !lf_orphans_in(z) && !lf_refs_in(z) &&
        atomic_exchange(&lingers[z], false)) {
      atomic_fetch_sub(&lingering, 1);
      lf_orphans_free_zone(z);
    }
}

bool lf_orphans_linger(void) {
  return atomic_load(&lingering) > 0;
}
