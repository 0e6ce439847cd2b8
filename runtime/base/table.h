/* SPDX-License-Identifier: MIT
 *
 * A table from numbers (not 0) to pointers: open addressing, linear probing;
 * removal moves back what follows (Knuth, volume 3, 6.4, algorithm R). Not for
 * several threads at once. */
#ifndef LF_BASE_TABLE_H
#define LF_BASE_TABLE_H

#include "runtime/base/base.h"

typedef struct {
  uint64_t id; /* 0: free */
  void *value;
} lf_entry;

typedef struct {
  lf_entry *entries;
  size_t n, cap; /* cap: 0 or a power of 2 */
} lf_table;

/* The entry, until the table is changed, or NULL. */
lf_entry *lf_table_find(const lf_table *table, uint64_t id);

/* Adds one that is not there. 0 or LF_ENOMEM. */
int lf_table_add(lf_table *table, uint64_t id, void *value);

/* Removes it if it is there. */
void lf_table_del(lf_table *table, uint64_t id);

/* Empties it and frees its memory. */
void lf_table_fini(lf_table *table);

#endif
