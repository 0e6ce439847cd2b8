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
  lf_table given; /* offset -> array and count */
  lf_giver giver; /* what it has given to us */
} lf_array_refs;

/* 'parent': it is the program that has started this process. */
void lf_array_refs_init(lf_array_refs *array_refs, bool parent,
                        void (*rouse)(lf_giver *giver));

/* The other has ended, which owned zones as 'owner' (may be 0). */
void lf_array_refs_fini(lf_array_refs *array_refs, uint32_t owner);

/* What the other is to be sent for the array. 0 or LF_ENOMEM. */
int lf_array_refs_name(lf_array_refs *array_refs, lf_array *array,
                       lf_array_name *name);

/* That has not been sent after all. */
void lf_array_refs_unname(lf_array_refs *array_refs, const lf_array_name *name);

/* Appends to 'out' what is to be said of arrays that are gone here; false: no
 * memory for all of it. */
bool lf_array_refs_put_dropped(lf_array_refs *array_refs, lf_buf *out);

static inline bool lf_array_refs_has_dropped(lf_array_refs *array_refs) {
  return atomic_load_explicit(&array_refs->giver.dropped,
                              memory_order_relaxed) != NULL;
}

/* What the other has said so. */
void lf_array_refs_take_dropped(lf_array_refs *array_refs, const lf_buf *body);

#endif
