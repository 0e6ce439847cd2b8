/* SPDX-License-Identifier: MIT
 *
 * See chunk_io.h. */
#include "runtime/process/chunk_io.h"

int lf_chunk_send(lf_channel *end, lf_msg *msg, const lf_chunk *c) {
  lf_payload payload = {0};
  lf_block *b = c->block;
  msg->a = c->first;
  msg->b = c->count;
  msg->state = c->shareable;
  if (b) {
    bool last = c->first + c->count == b->first + b->count;
    payload.body = &b->bytes;
    payload.from = lf_block_start(b, c->first);
    payload.to = last ? b->bytes.len : lf_block_start(b, c->first + c->count);
    payload.tail = b->starts.data + (c->first - b->first) * sizeof(size_t);
    payload.tail_len = c->count * sizeof(size_t);
    payload.owner = b;
    payload.drop = lf_block_drop;
    msg->c = payload.from;
    atomic_fetch_add(&b->refs, 1);
  }
  int err = lf_channel_send(end, msg, &payload);
  if (err && b)
    lf_block_unref(b);
  return err;
}
