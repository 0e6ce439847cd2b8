/* SPDX-License-Identifier: MIT
 *
 * Blocks of the arena's memory: a process hands out what lies in its own zones.
 * What it knows of that is its own, and under a lock of its own; other
 * processes read and write the blocks. Any thread. A forked process begins with
 * no zones: blocks of its parent are not its to give back. */
#ifndef LF_SHM_HEAP_H
#define LF_SHM_HEAP_H

#include "runtime/base/base.h"

enum { LF_HEAP_ALIGN = 64 };

/* A piece of a run of zones. */
typedef struct lf_extent {
  uint64_t at, size;                /* in the arena */
  uint64_t dirty_from, dirty_to;    /* outside of it a free one is zero */
  struct lf_extent *before, *after; /* in the run, or NULL */
  lf_link link;                     /* free ones: of about that size */
  bool free;
} lf_extent;

/* A block of zeroes of that size at least, at a multiple of LF_HEAP_ALIGN, or
 * NULL. The arena is there. */
lf_extent *lf_heap_take(uint64_t size);

/* Gives it back; the memory of large ones at once. */
void lf_heap_give(lf_extent *extent);

/* Bytes handed out. */
uint64_t lf_heap_used(void);

#endif
