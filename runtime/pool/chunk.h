/* SPDX-License-Identifier: MIT
 *
 * Chunks of a parallel loop: the items first ... first + count - 1, and what
 * has come of them. */
#ifndef LF_POOL_CHUNK_H
#define LF_POOL_CHUNK_H

#include "runtime/task/task.h"

/* Packed items, read-only once supplied. Counted. */
typedef struct {
  _Atomic size_t refs;
  uint64_t first, count; /* items, from 0 */
  lf_buf bytes;
  lf_buf starts; /* of size_t: where each item starts in 'bytes' */
} lf_block;

lf_block *lf_block_new(void);
lf_block *lf_block_ref(lf_block *block);
void lf_block_unref(void *block);

/* Notes that one more item is there, from 'start' in 'bytes'. 0 or LF_ENOMEM.
 */
int lf_block_item(lf_block *block, size_t start);
size_t lf_block_start(const lf_block *block, uint64_t item);

/* Items first ... first + count - 1. Written by the worker that claimed it,
 * then, once done, the consumer's. */
typedef struct lf_chunk {
  lf_link link; /* in item order, or in order of completion */
  uint64_t first, count;
  lf_block *block;     /* where the items are, or NULL; a reference */
  lf_task *task;       /* its runner, once it has one; not counted */
  lf_link running;     /* in the loop's list; the loop's lock */
  lf_link returned;    /* among those that wait to be claimed again; the same */
  unsigned char ended; /* its runner has been, with the loop; the same */
  bool shareable;      /* what has not been begun of it may be given back, */
  uint64_t rest;       /* if it is: how many items, of the last ones */
  uint64_t finished;   /* how many items have their result in 'out' */
  lf_buf out;
  bool failed, done; /* failed: the rest has no result but 'error', 'why', */
  lf_reason reason;  /* or has been stopped for that */
  bool dropped;      /* cancelled after all: nothing of it was run */
  int64_t ns;        /* how long it took, while it is told from far */
  uint64_t failures; /* of its items, that have their error in 'out' */
  lf_error error;
  lf_buf why;
} lf_chunk;

/* No more items than that at once. */
enum { LF_CHUNK_MAX = LF_LIMIT(1 << 20, 64) };

/* How many of the 'left' items (at least 1) the next chunk should have, if they
 * take 'item_ns' nanoseconds each (0: not known yet) and so many workers share
 * them; and about how many it would have with no end in sight. */
uint64_t lf_chunk_size(uint64_t left, int workers, uint64_t item_ns);
uint64_t lf_chunk_usual_size(uint64_t item_ns);

/* Does a chunk that has been run since then take longer than one should? */
bool lf_chunk_is_long(int64_t since);

/* An empty one; NULL: no memory. */
lf_chunk *lf_chunk_new(void);
void lf_chunk_free(void *chunk);

#endif
