/* SPDX-License-Identifier: MIT
 *
 * See chunk_io.h. */
#include "runtime/process/chunk_io.h"

int lf_chunk_send(lf_end *end, lf_msg *msg, const lf_chunk *c) {
  lf_load load = {0};
  lf_block *b = c->block;
  msg->a = c->first;
  msg->b = c->count;
  msg->state = c->shareable;
  if (b) {
    bool last = c->first + c->count == b->first + b->count;
    load.body = &b->bytes;
    load.from = lf_block_start(b, c->first);
    load.to = last ? b->bytes.len : lf_block_start(b, c->first + c->count);
    load.tail = b->starts.data + (c->first - b->first) * sizeof(size_t);
    load.tail_len = c->count * sizeof(size_t);
    load.owner = b;
    load.drop = lf_block_drop;
    msg->c = load.from;
    atomic_fetch_add(&b->refs, 1);
  }
  int err = lf_end_send(end, msg, &load);
  if (err && b)
    lf_block_unref(b);
  return err;
}
