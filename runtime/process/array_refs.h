/* SPDX-License-Identifier: MIT
 *
 * Arrays between two processes, a program and one of its workers: which each
 * has given to the other. They are called by the offset of their memory. Who
 * gives one keeps a reference, and counts how often it has named it, until the
 * other, which counts, too, has said that it has as many references less.
 *
 * 'given' is under the lock under which is sent and received (channel.h), the
 * rest under array.c's. */
#ifndef LF_PROCESS_ARRAY_REFS_H
#define LF_PROCESS_ARRAY_REFS_H

#include "runtime/base/buf.h"
#include "runtime/base/table.h"
#include "runtime/shm/array.h"

typedef struct {
  bool up;        /* it is the program that has started this process */
  lf_table given; /* offset -> array and count */
  lf_giver giver; /* what it has given to us */
} lf_peer;

void lf_peer_init(lf_peer *peer, bool up, void (*rouse)(lf_giver *giver));

/* The other has ended, which owned zones as 'owner' (may be 0). */
void lf_peer_fini(lf_peer *peer, uint32_t owner);

/* What the other is to be sent for the array. 0 or LF_ENOMEM. */
int lf_peer_name(lf_peer *peer, lf_array *array, lf_array_name *name);

/* That has not been sent after all. */
void lf_peer_unname(lf_peer *peer, const lf_array_name *name);

/* Appends to 'out' what is to be said of arrays that are gone here; false: no
 * memory for all of it. */
bool lf_peer_put_dropped(lf_peer *peer, lf_buf *out);

static inline bool lf_peer_has_dropped(lf_peer *peer) {
  return atomic_load_explicit(&peer->giver.dropped, memory_order_relaxed) !=
         NULL;
}

/* What the other has said so. */
void lf_peer_take_dropped(lf_peer *peer, const lf_buf *body);

#endif
