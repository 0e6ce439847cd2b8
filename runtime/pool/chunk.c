/* SPDX-License-Identifier: MIT
 *
 * See chunk.h. */
#include "runtime/pool/chunk.h"

#include "runtime/base/mem.h"

#include <string.h>

lf_block *lf_block_new(void) {
  lf_block *b = lf_zalloc(sizeof *b);
  if (b)
    atomic_init(&b->refs, 1);
  return b;
}

void lf_block_unref(lf_block *b) {
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

void lf_chunk_free(lf_chunk *c) {
  if (c->block)
    lf_block_unref(c->block);
  lf_buf_fini(&c->out);
  lf_buf_fini(&c->why);
  lf_free(c);
}

void lf_chunk_drop(void *chunk) {
  lf_chunk_free(chunk);
}

void lf_block_drop(void *block) {
  lf_block_unref(block);
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
