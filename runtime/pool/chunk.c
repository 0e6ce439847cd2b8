/* SPDX-License-Identifier: MIT
 *
 * See chunk.h. The size of chunks follows guided self-scheduling
 * (Polychronopoulos and Kuck, 1987), bounded by time on both sides. */
#include "runtime/pool/chunk.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

#include <string.h>

enum {
  CHUNK_NS = 1000000,   /* what a chunk should take, */
  OVERRUN_NS = 3000000, /* and what is too long while others are idle */
  LEAST_NS = 50000,     /* what it takes at least, towards the end */
};

uint64_t lf_chunk_size(uint64_t left, int workers, uint64_t item_ns) {
  uint64_t share = left / (2 * (uint64_t)workers);
  uint64_t least = item_ns ? LEAST_NS / item_ns : 1;
  uint64_t n = item_ns ? CHUNK_NS / item_ns : 1;
  n = n > share ? share : n;
  n = n < least ? least : n;
  n = n > LF_CHUNK_MAX ? LF_CHUNK_MAX : n;
  n = n < 1 ? 1 : n;
  return n < left ? n : left;
}

uint64_t lf_chunk_usual_size(uint64_t item_ns) {
  uint64_t n = item_ns ? CHUNK_NS / item_ns + 1 : 1;
  return n < LF_CHUNK_MAX ? n : LF_CHUNK_MAX;
}

bool lf_chunk_is_long(int64_t since) {
  return lf_now() - since > OVERRUN_NS;
}

lf_block *lf_block_new(void) {
  lf_block *b = lf_zalloc(sizeof *b);
  if (b)
    atomic_init(&b->refs, 1);
  return b;
}

lf_block *lf_block_ref(lf_block *b) {
  atomic_fetch_add(&b->refs, 1);
  return b;
}

void lf_block_unref(void *block) {
  lf_block *b = block;
  if (atomic_fetch_sub(&b->refs, 1) != 1)
    return;
  lf_buf_fini(&b->bytes);
  lf_buf_fini(&b->starts);
  lf_free(b);
}

int lf_block_item(lf_block *b, size_t start) {
  int err = lf_buf_put(&b->starts, &start, sizeof start);
  if (err == 0)
    b->count++;
  return err;
}

size_t lf_block_start(const lf_block *b, uint64_t item) {
  size_t at;
  memcpy(&at, b->starts.data + (item - b->first) * sizeof at, sizeof at);
  return at;
}

void lf_chunk_free(void *chunk) {
  lf_chunk *c = chunk;
  if (c->block)
    lf_block_unref(c->block);
  lf_buf_fini(&c->out);
  lf_buf_fini(&c->why);
  lf_free(c);
}

lf_chunk *lf_chunk_new(void) {
  lf_chunk *c = lf_zalloc(sizeof *c);
  if (!c)
    return NULL;
  lf_list_init(&c->link);
  lf_list_init(&c->running);
  lf_list_init(&c->returned);
  return c;
}
