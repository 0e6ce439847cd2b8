/* SPDX-License-Identifier: MIT
 *
 * Zones that this process has inherited from one that has died, for as long as
 * something in them is used. By orphans, arrays that the dead one had given to
 * this process (array.h): they are counted in each zone. Or by what only the
 * table of references knows (refs.h): then the zone lingers, and is looked at
 * again.
 *
 *   held <-> held by more orphans
 *   held -> going      its last orphan is gone
 *   going -> held      but another has come before anybody has looked
 *   going -> lingering, free   by the first who looks; so has one without any
 *   lingering -> free  by the sweep
 *
 * Counted under array.c's lock; freed without it. */
#ifndef LF_SHM_ORPHANS_H
#define LF_SHM_ORPHANS_H

#include "runtime/base/base.h"

/* Under the lock: memory in such zones has one more orphan, or one less. */
void lf_orphans_add(uint64_t at, uint64_t size);
void lf_orphans_del(uint64_t at, uint64_t size);

/* Under the lock: is there one in the zone? */
bool lf_orphans_in(uint32_t zone);

/* Under the lock, in a forked process: there are none. */
void lf_orphans_forget(void);

/* An orphan with this memory is gone: frees the zones that are going. */
void lf_orphans_free(uint64_t at, uint64_t size);

/* The zone has no orphans: frees it, if nothing else is in it. */
void lf_orphans_free_zone(uint32_t zone);

/* Frees zones that need not linger any more; are there some that do? */
void lf_orphans_sweep(void);
bool lf_orphans_linger(void);

#endif
