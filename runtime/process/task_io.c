/* SPDX-License-Identifier: MIT
 *
 * See task_io.h. */
#include "runtime/process/task_io.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/room.h"
#include "runtime/task/chain.h"
#include "runtime/trace/trace.h"

#include <string.h>

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
    payload.owner = lf_block_ref(b);
    payload.drop = lf_block_unref;
    msg->c = payload.from;
  }
  int err = lf_channel_send(end, msg, &payload);
  if (err && b)
    lf_block_unref(b);
  return err;
}

static void put_limits(lf_payload *payload, const lf_limits *limits) {
  if (limits)
    payload->tail = lf_limits_bytes(limits, &payload->tail_len);
}

void lf_payload_name(lf_msg *msg, lf_payload *payload, lf_code *code) {
  msg->slot = code ? code->id : 0;
  payload->code = code;
}

lf_payload lf_payload_call(lf_msg *msg, const lf_task *task) {
  lf_payload payload = {.body = &task->data, .to = task->data.len};
  const lf_limits *limits = lf_task_limits(task);
  msg->b = lf_task_born(task) > 0 ? (uint64_t)lf_task_born(task) : 0;
  put_limits(&payload, limits);
  if (limits || lf_is_traced()) /* else it names the task to nobody */
    lf_payload_name(msg, &payload, task->code);
  return payload;
}

lf_payload lf_payload_loop(lf_msg *msg, const lf_loop *loop) {
  const lf_buf *setup = lf_loop_setup(loop);
  lf_payload payload = {.body = setup, .to = setup->len};
  put_limits(&payload, lf_loop_limits(loop));
  lf_payload_name(msg, &payload, lf_loop_code(loop));
  return payload;
}

/* --- What comes --- */

/* The limits that the message has, a reference, or NULL. Mostly they are those
 * of the one before. */
static lf_limits *limits_of(lf_channel *end) {
  size_t len = 0;
  const lf_buf *tail = &end->tail;
  lf_limits *last = end->limits;
  if (end->msg.tail == 0)
    return NULL;
  const void *bytes = last ? lf_limits_bytes(last, &len) : NULL;
  if (last && len == tail->len && memcmp(bytes, tail->data, len) == 0)
    return lf_limits_ref(last);
  lf_limits *limits = lf_limits_from(tail);
  if (!limits)
    return NULL;
  if (last)
    lf_limits_unref(last);
  end->limits = lf_limits_ref(limits);
  return limits;
}

lf_loop *lf_loop_receive(lf_channel *end, lf_pool *pool, lf_chunk_done *done) {
  if (end->no_memory)
    return NULL;
  lf_code *code = lf_channel_code(end, end->msg.slot);
  lf_loop *loop = lf_loop_import(pool, &end->body, code, done);
  lf_limits *limits = loop ? limits_of(end) : NULL;
  if (limits) {
    lf_loop_limit(loop, limits);
    lf_limits_unref(limits);
  }
  return loop;
}

static bool is_limited(const lf_msg *msg, const lf_pool *pool) {
  return msg->tail > 0 ||
         (msg->kind == LF_MSG_SUBMIT && lf_room_is_limited(pool));
}

static lf_task *limited_receive(lf_channel *end, lf_pool *pool) {
  lf_limits *limits = limits_of(end);
  lf_task *t = lf_limited_new(lf_pool_owner(pool), limits);
  if (limits)
    lf_limits_unref(limits);
  lf_code *code = t ? lf_channel_code(end, end->msg.slot) : NULL;
  if (code)
    t->code = lf_code_ref(code);
  if (t && end->msg.kind != LF_MSG_SUBMIT)
    lf_task_run_once(t); /* its program sees to that; or it is a broadcast's */
  else if (t && lf_room_is_limited(pool))
    lf_limited_take_room(t, true);
  return t;
}

static lf_task *chain_new(lf_owner *owner, lf_task *after) {
  lf_dependent *d = lf_chain_new(owner, after);
  return d ? &d->task : NULL;
}

/* When it was submitted, and by what function it is known. */
static void note_origin(lf_channel *end, lf_task *t) {
  lf_task_set_born(t, (int64_t)end->msg.b);
  lf_code *code = t->code ? NULL : lf_channel_code(end, end->msg.slot);
  if (code)
    t->code = lf_code_ref(code);
}

lf_task *lf_call_receive(lf_channel *end, lf_pool *pool, lf_task *after) {
  lf_owner *owner = lf_pool_owner(pool);
  lf_task *t = after                         ? chain_new(owner, after)
               : is_limited(&end->msg, pool) ? limited_receive(end, pool)
                                             : lf_task_new(owner);
  if (t)
    note_origin(end, t);
  if (t && lf_buf_move(&t->data, &end->body) == 0)
    return t;
  if (t)
    lf_task_unref(t);
  return NULL;
}

/* Where the i-th item starts, or SIZE_MAX if that is not between the two. */
static size_t start_between(const lf_buf *starts, uint64_t i, size_t base,
                            size_t from, size_t to) {
  size_t at;
  memcpy(&at, starts->data + i * sizeof at, sizeof at);
  return at >= base && at - base >= from && at - base <= to ? at - base
                                                            : SIZE_MAX;
}

static lf_block *import_block(uint64_t first, uint64_t count, lf_buf *items,
                              const lf_buf *starts, size_t base) {
  size_t start = 0, len = items->len;
  lf_block *b = lf_block_new();
  if (!b)
    return NULL;
  b->first = first;
  bool ok =
      starts->len / sizeof start == count && lf_buf_move(&b->bytes, items) == 0;
  for (uint64_t i = 0; ok && i < count; i++) {
    start = start_between(starts, i, base, start, len);
    ok = start != SIZE_MAX && lf_block_item(b, start) == 0;
  }
  if (ok)
    return b;
  lf_block_unref(b);
  return NULL;
}

lf_chunk *lf_chunk_import(uint64_t first, uint64_t count, lf_buf *items,
                          const lf_buf *starts, size_t base) {
  lf_chunk *c =
      count > 0 && first <= UINT64_MAX - count ? lf_chunk_new() : NULL;
  if (!c)
    return NULL;
  c->first = first;
  c->count = count;
  if (!items)
    return c;
  c->block = import_block(first, count, items, starts, base);
  if (c->block)
    return c;
  lf_chunk_free(c);
  return NULL;
}

lf_task *lf_chunk_receive(lf_channel *end, lf_loop *loop) {
  const lf_msg *msg = &end->msg;
  lf_chunk *c =
      lf_chunk_import(msg->a, msg->b, msg->tail > 0 ? &end->body : NULL,
                      &end->tail, (size_t)msg->c);
  lf_runner *r = c ? lf_runner_new(loop, c) : NULL;
  if (r) {
    c->shareable = msg->state;
    c->task = &r->task;
    if (msg->kind == LF_MSG_CHUNK)
      lf_task_run_once(&r->task);
    return &r->task;
  }
  if (c)
    lf_chunk_free(c);
  return NULL;
}

/* --- What has become of it --- */

lf_state lf_task_receive_end(lf_channel *end, lf_task *t) {
  lf_state state = end->msg.state;
  lf_buf_reset(&t->data);
  t->error = end->msg.error;
  if (end->msg.tail && !end->no_memory)
    t->trace = lf_strndup((char *)end->tail.data, end->tail.len);
  if (end->no_memory || lf_buf_move(&t->data, &end->body) != 0) {
    state = LF_FAILED;
    t->error = LF_BROKEN;
    lf_buf_no_memory(&t->data);
  }
  return state == LF_FINISHED || state == LF_FAILED ? state : LF_CANCELLED;
}

static uint64_t half(int64_t ns) {
  return ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint64_t)ns;
}

void lf_times_put(lf_msg *msg, const lf_times *t) {
  if (!t->begun)
    return;
  msg->flag = t->fine ? 2 : 1;
  msg->b = UINT64_MAX;
  if (t->born > 0 && t->begun >= t->born)
    msg->b = (uint64_t)(t->begun - t->born);
  msg->c = (uint64_t)(t->ns[LF_PHASE_RUN] + t->ns[LF_PHASE_NATIVE]);
  msg->slot = half(t->ns[LF_PHASE_PACK]) << 32 | half(t->ns[LF_PHASE_UNPACK]);
}

lf_times lf_times_get(const lf_msg *msg) {
  lf_times t = {0};
  int64_t now = lf_now();
  if (!msg->flag || msg->c > (uint64_t)now)
    return t;
  t.fine = msg->flag == 2;
  t.ns[LF_PHASE_RUN] = (int64_t)msg->c;
  t.ns[LF_PHASE_PACK] = (int64_t)(msg->slot >> 32);
  t.ns[LF_PHASE_UNPACK] = (int64_t)(uint32_t)msg->slot;
  t.begun = now - t.ns[LF_PHASE_RUN]; /* about */
  if (msg->b < (uint64_t)t.begun)     /* else it is not known */
    t.born = t.begun - (int64_t)msg->b;
  return t;
}

/* msg->flag of a chunk that has ended; from the last one on, its reason. */
enum {
  FAILED = 1,
  DROPPED = 2,
  HAS_REST = 4,
  REASON_SHIFT = 3,
};

lf_payload lf_chunk_end(lf_msg *msg, const lf_chunk *c) {
  lf_payload payload = {.body = &c->out, .to = c->out.len};
  payload.tail = c->why.data;
  payload.tail_len = c->why.len;
  msg->a = c->finished;
  msg->b = (uint64_t)c->ns;
  msg->c = c->failures;
  msg->flag = (uint8_t)((c->failed ? FAILED : 0) | (c->dropped ? DROPPED : 0) |
                        (c->rest > 0 ? HAS_REST : 0) |
                        (unsigned)c->reason << REASON_SHIFT);
  msg->error = (uint8_t)c->error;
  return payload;
}

lf_reason lf_chunk_reason(const lf_msg *msg) {
  unsigned reason = msg->flag >> REASON_SHIFT;
  return reason <= LF_STOP_QUEUE ? (lf_reason)reason : LF_GO_ON;
}

void lf_chunk_no_memory(lf_chunk *c) {
  c->finished = c->rest = 0;
  c->failed = true;
  c->error = LF_RAISED;
  lf_buf_no_memory(&c->why);
}

bool lf_chunk_receive_end(lf_channel *end, lf_chunk *c) {
  const lf_msg *msg = &end->msg;
  bool refused = msg->state == LF_FAILED; /* the body is why */
  c->ns = (int64_t)msg->b;
  c->failures = msg->c <= c->count ? msg->c : c->count;
  c->finished = msg->a;
  c->failed = msg->flag & FAILED || refused;
  c->reason = lf_chunk_reason(msg);
  c->rest = msg->flag & HAS_REST && c->finished ? c->count - c->finished : 0;
  c->error = msg->error;
  if (end->no_memory || c->finished > c->count ||
      lf_buf_move(refused ? &c->why : &c->out, &end->body) != 0 ||
      (!refused && lf_buf_move(&c->why, &end->tail) != 0))
    lf_chunk_no_memory(c);
  return !(msg->flag & DROPPED);
}

/* --- The outcome of one that was sent --- */

bool lf_outcome_is_of(const lf_channel *end, const lf_task *t) {
  const lf_msg *msg = &end->msg;
  uint64_t why = msg->kind == LF_MSG_CHUNK_DONE ? msg->tail : msg->size;
  if (msg->error > LF_LOST || (msg->error == LF_LOST && why < sizeof(lf_lost)))
    return false;
  const lf_runner *runner = lf_runner_of(t);
  if (msg->kind == LF_MSG_CHUNK_DONE)
    return runner && msg->a <= runner->chunk->count;
  return msg->state == LF_FINISHED || msg->state == LF_FAILED;
}

void lf_outcome_note_reason(const lf_channel *end, lf_task *t) {
  uint64_t reason = lf_runner_of(t) ? lf_chunk_reason(&end->msg) : end->msg.a;
  if (reason == LF_GO_ON || reason > LF_STOP_MEMORY)
    return;
  lf_task_start(t); /* as far as is known here */
  lf_task_stop(t, (lf_reason)reason);
}

void lf_outcome_count(const lf_channel *end, lf_task *t, lf_tallies *tallies,
                      lf_ran *ran) {
  lf_times times = lf_times_get(&end->msg);
  bool chunk = lf_runner_of(t);
  times.sent = t->data.len;
  times.received = end->body.len;
  *ran = (lf_ran){.begun = times.begun, .ns = times.ns[LF_PHASE_RUN]};
  if (chunk && end->msg.kind == LF_MSG_CHUNK_DONE)
    *ran = (lf_ran){.begun = lf_now() - (int64_t)end->msg.b,
                    .ns = (int64_t)end->msg.b};
  else if (lf_task_born(t) > LF_BORN_QUIETLY && times.born) /* here: exactly */
    ran->begun = lf_task_born(t) + (times.begun - times.born);
  if (!chunk) /* else its loop counts */
    lf_tallies_run(tallies, lf_task_counted(t), end->msg.state != LF_FINISHED,
                   &times);
}

int lf_outcome_put_stopped(lf_buf *out, lf_task *t) {
  unsigned char reason = (unsigned char)lf_task_reason(t);
  const char *name = lf_task_name(t);
  size_t len;
  lf_limits *limits = lf_limits_new(lf_task_limits(t), name, strlen(name));
  if (!limits)
    return LF_ENOMEM;
  const void *bytes = lf_limits_bytes(limits, &len);
  int err = lf_buf_put(out, &reason, 1);
  err = err ? err : lf_buf_put(out, bytes, len);
  lf_limits_unref(limits);
  return err;
}

lf_state lf_outcome_receive(lf_channel *end, lf_task *t) {
  const lf_runner *runner = lf_runner_of(t);
  bool failed = false;
  if (!runner)
    failed = lf_task_receive_end(end, t) != LF_FINISHED;
  else if (end->msg.kind == LF_MSG_CHUNK_DONE)
    (void)lf_chunk_receive_end(end, runner->chunk); /* it was sent */
  else
    lf_chunk_no_memory(runner->chunk);
  t->stage = failed ? LF_STAGE_FAILED : LF_STAGE_FINISHED;
  return lf_task_outcome(t, failed ? LF_FAILED : LF_FINISHED);
}

bool lf_task_start_far(lf_task *t) {
  lf_clock *clock = lf_task_clock(t);
  if (clock)
    clock->elsewhere = true;
  return lf_task_start(t);
}

/* Has it begun, and not ended? Others may find out at the same time that it has
 * begun. */
static bool is_to_end(lf_task *t) {
  if (lf_task_state(t) == LF_PENDING)
    lf_task_start_far(t);
  return lf_task_state(t) == LF_RUNNING;
}

void lf_outcome_end(lf_task *t) {
  if (t->stage == LF_STAGE_UNSENT) {
    lf_task_fail(t, LF_BROKEN, LF_NO_MEMORY);
  } else if (is_to_end(t)) {
    lf_runner *runner = lf_runner_of(t);
    lf_chunk *c = runner ? runner->chunk : NULL;
    if (c) {
      runner->chunk = NULL;
      lf_loop_done(runner->loop, c, c->ns);
    }
    lf_task_end(t, t->stage == LF_STAGE_FINISHED ? LF_FINISHED : LF_FAILED);
  }
  lf_task_unref(t);
}

/* Ends a chunk of a loop that will have no results, as the chunk says by now.
 */
static void end_chunk(lf_task *t, lf_chunk *c) {
  lf_runner *runner = lf_runner_of(t);
  runner->chunk = NULL;
  c->failed = true;
  c->finished = 0;
  c->reason = lf_task_reason(t); /* it may have been stopped, or given up */
  lf_loop_done(runner->loop, c, 0);
  if (lf_task_start(t) || lf_task_state(t) == LF_RUNNING)
    lf_task_end(t, LF_FINISHED);
}

static lf_chunk *chunk_of(const lf_task *t) {
  const lf_runner *runner = lf_runner_of(t);
  return runner ? runner->chunk : NULL;
}

void lf_outcome_lose(lf_task *t, const lf_lost *lost, const char *within) {
  lf_chunk *c = chunk_of(t);
  if (c) {
    c->error = LF_LOST;
    (void)lf_lost_put(&c->why, lost, lf_task_name(t), within);
    end_chunk(t, c);
  } else {
    lf_profile_lost(lf_pool_profile(lf_task_pool(t)), lf_task_counted(t));
    lf_task_lose(t, lost, within);
  }
  lf_task_unref(t);
}

void lf_outcome_break(lf_task *t, const char *why) {
  lf_chunk *c = chunk_of(t);
  if (c) {
    c->error = LF_BROKEN;
    lf_buf_reset(&c->why);
    (void)lf_buf_put_text(&c->why, why);
    end_chunk(t, c);
  } else if (!lf_task_fail(t, LF_BROKEN, why) &&
             lf_task_state(t) == LF_RUNNING) {
    t->error = LF_BROKEN;
    lf_buf_reset(&t->data);
    (void)lf_buf_put_text(&t->data, why);
    lf_task_end(t, LF_FAILED);
  }
  lf_task_unref(t);
}

/* --- Reports --- */

int lf_report_send(lf_channel *end, uint64_t id, const lf_report *report) {
  unsigned char storage[sizeof *report];
  lf_buf body;
  lf_msg msg = {.kind = LF_MSG_PROGRESS, .id = id};
  lf_buf_init(&body, storage, sizeof storage);
  int err = lf_report_put(&body, report);
  lf_payload payload = {.body = &body, .to = body.len};
  err = err ? err : lf_channel_send(end, &msg, &payload);
  lf_buf_fini(&body);
  return err;
}

void lf_report_receive(const lf_channel *end, lf_task *task) {
  lf_report report;
  if (lf_report_get(&end->body, &report))
    (void)lf_task_report(task, &report); /* else the former stays */
}
