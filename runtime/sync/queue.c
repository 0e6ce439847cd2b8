/* SPDX-License-Identifier: MIT
 *
 * See queue.h. */
#include "runtime/sync/queue.h"

void lf_queue_init(lf_queue *q, uint64_t maxsize) {
  q->maxsize = maxsize;
}

/* --- The state, under the lock --- */

static lf_queue_state begin(lf_queue *q) {
  lf_robust_take(&q->robust); /* a dead one leaves no state in between */
  return q->states[atomic_load_explicit(&q->current, memory_order_relaxed) & 1];
}

static void commit(lf_queue *q, const lf_queue_state *s) {
  uint32_t other = !atomic_load_explicit(&q->current, memory_order_relaxed);
  q->states[other] = *s;
  atomic_store_explicit(&q->current, other, memory_order_release);
}

static void end(lf_queue *q) {
  lf_robust_give(&q->robust);
}

lf_queue_state lf_queue_look(lf_queue *q) {
  lf_queue_state s = begin(q);
  end(q);
  return s;
}

/* --- Putting --- */

/* Writes behind the last item. */
static int write_item(lf_queue *q, lf_queue_state *s, const lf_record *r,
                      const lf_buf *values, const lf_buf *tail) {
  bool first = !s->tail;
  if (first)
    s->head = s->tail = lf_stream_begin(&q->shared);
  lf_position before = s->tail;
  if (before && lf_record_write(&q->shared, &s->tail, r, values, tail))
    return 0;
  if (before && first)
    lf_stream_free(before);
  else if (before)
    lf_stream_cut(before);
  return LF_ENOMEM;
}

static int put(lf_queue *q, const lf_record *r, const lf_buf *values,
               const lf_buf *tail) {
  lf_queue_state s = begin(q);
  int err = s.closed ? LF_ECLOSED : 0;
  if (err == 0 && q->maxsize && s.count >= q->maxsize)
    err = LF_EAGAIN;
  if (err == 0)
    err = write_item(q, &s, r, values, tail);
  if (err == 0) {
    s.count++;
    s.unfinished++;
    commit(q, &s);
  }
  end(q);
  return err;
}

int lf_queue_put(lf_queue *q, lf_buf *values) {
  lf_record r;
  lf_buf tail = {0};
  int err = lf_record_make(&q->shared, &r, values, &tail);
  if (err == 0 && (err = put(q, &r, values, &tail)) != 0)
    lf_record_undo(&q->shared, &tail);
  lf_buf_fini(&tail);
  if (err)
    return err;
  lf_record_keep(values);
  lf_call(&q->shared, LF_GETTER, 1);
  return 0;
}

/* --- Taking --- */

/* The first item is nonsense. */
static void drop_damaged(lf_queue_state *s, lf_position from) {
  uint64_t lost = 1;
  if (s->head == from) { /* where the next one begins is not known */
    lost = s->count;
    s->head = s->tail;
  }
  s->count -= lost;
  s->unfinished -= lost < s->unfinished ? lost : s->unfinished;
}

/* An empty queue begins anew in the slab where it ends, which is warm. */
static int take(lf_queue *q, lf_record *r, lf_buf *values, lf_buf *tail) {
  lf_queue_state s = begin(q);
  lf_position from = s.head;
  int err = s.count > 0 ? 0 : s.closed ? LF_ECLOSED : LF_EAGAIN;
  if (err == 0)
    err = lf_record_read(&s.head, r, values, tail);
  if (err == LF_EDAMAGED)
    drop_damaged(&s, from);
  else
    s.count -= err == 0;
  if (err == 0 || err == LF_EDAMAGED) {
    lf_position to = s.head;
    if (s.count == 0)
      s.head = s.tail = lf_stream_rewind(s.tail);
    commit(q, &s);
    lf_stream_leave(from, to, s.tail);
  }
  end(q);
  return err;
}

int lf_queue_get(lf_queue *q, lf_buf *values, lf_annotate *annotate) {
  lf_record r;
  lf_buf tail = {0};
  int err = take(q, &r, values, &tail);
  if (err == LF_EDAMAGED)
    lf_call(&q->shared, LF_PUTTER | LF_JOINER, UINT32_MAX);
  if (err == 0) {
    if (q->maxsize)
      lf_call(&q->shared, LF_PUTTER, 1);
    err = lf_record_open(values, &tail, annotate);
    lf_record_drop(&q->shared, &r, &tail, true);
  }
  lf_buf_fini(&tail);
  return err;
}

/* --- The rest --- */

void lf_queue_close(lf_queue *q) {
  lf_queue_state s = begin(q);
  s.closed = true;
  commit(q, &s);
  end(q);
  lf_call(&q->shared, LF_GETTER | LF_PUTTER, UINT32_MAX);
}

int lf_queue_done(lf_queue *q) {
  lf_queue_state s = begin(q);
  int err = s.unfinished > 0 ? 0 : LF_EPERM;
  if (err == 0) {
    s.unfinished--;
    commit(q, &s);
  }
  end(q);
  if (err == 0 && s.unfinished == 0)
    lf_call(&q->shared, LF_JOINER, UINT32_MAX);
  return err;
}

/* Nobody else has the queue any more. */
void lf_queue_fini(lf_queue *q) {
  lf_queue_state s = lf_queue_look(q);
  for (; s.count > 0; s.count--) {
    lf_record r;
    lf_stream_read(&s.head, &r, sizeof r);
    if (!lf_record_is_whole(&r))
      break;
    lf_record_discard(&q->shared, &r, s.head);
    lf_stream_read(&s.head, NULL, r.body + r.tail);
  }
}
