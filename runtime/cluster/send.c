/* SPDX-License-Identifier: MIT
 *
 * See internal.h. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/functions.h"
#include "runtime/os/clock.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/room.h"
#include "runtime/process/task_io.h"
#include "runtime/task/dependent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
  WINDOW = LF_LIMIT(16384, 64), /* tasks in the server, if nothing is said */
  BATCH = 64,                   /* tasks */
  BATCH_BYTES = 256 << 10,
  SHARE = 4, /* batches that a worker should find, at least */
  AHEAD = 2, /* batches that the server has not answered, while it has enough,
                so that others gather meanwhile */
  LOOPS = LF_LIMIT(64, 2),
  FULL_NS = 100000000,
};

static _Thread_local const lf_pool *in_round;

/* --- What tasks need --- */

/* Sets a field of what the client's tasks need. */
static int store(lf_cluster *cl, const char *field, const lf_buf *bytes) {
  char key[64];
  snprintf(key, sizeof key, "lfut:code:%s", cl->id);
  const lf_arg args[] = {lf_arg_text("HSET"),
                         lf_arg_text(key),
                         lf_arg_text(field),
                         {bytes->data, bytes->len}};
  return lf_redis_send(cl->commands, args, 4, NULL, NULL);
}

static void unstore(lf_cluster *cl, const char *field) {
  char key[64];
  snprintf(key, sizeof key, "lfut:code:%s", cl->id);
  const lf_arg args[] = {lf_arg_text("HDEL"), lf_arg_text(key),
                         lf_arg_text(field)};
  (void)lf_redis_send(cl->commands, args, 3, NULL, NULL);
}

static int store_code(lf_cluster *cl, lf_code *code) {
  char field[24];
  lf_buf bytes;
  if (lf_channel_knows(&cl->out, code))
    return 0;
  lf_channel_limit(&cl->out);
  lf_buf_init(&bytes, NULL, 0);
  snprintf(field, sizeof field, "%" PRIu64, code->id);
  int err = lf_channel_put_code(&cl->out, code, &bytes);
  err = err ? err : store(cl, field, &bytes);
  lf_buf_fini(&bytes);
  return err;
}

/* Futures name none. */
static int store_codes_of(lf_cluster *cl, const lf_buf *data) {
  int err = 0;
  for (size_t i = 0; data->refs && i < data->refs->n && err == 0; i++)
    if (data->refs->v[i].drop == lf_code_unref)
      err = store_code(cl, data->refs->v[i].object);
  return err;
}

/* The functions that packed values refer to, and outcomes of futures in them.
 */
static int store_codes(lf_cluster *cl, const lf_buf *data) {
  int err = data ? store_codes_of(cl, data) : 0;
  for (size_t i = 0; data && data->refs && i < data->refs->n && err == 0; i++)
    if (lf_ref_is_future(&data->refs->v[i]))
      err = store_codes_of(cl, &((lf_task *)data->refs->v[i].object)->data);
  return err;
}

/* The loops that have gone are not known here: all are forgotten now and then.
 */
static void forget_loops(lf_cluster *cl) {
  char field[24];
  if (cl->chunks > 0 || cl->loops.n < LOOPS)
    return;
  for (size_t i = 0; i < cl->loops.cap; i++) {
    if (!cl->loops.entries[i].id)
      continue;
    snprintf(field, sizeof field, "l%" PRIu64, cl->loops.entries[i].id);
    unstore(cl, field);
  }
  lf_table_fini(&cl->loops);
}

static int store_loop(lf_cluster *cl, lf_loop *loop) {
  char field[24];
  lf_buf bytes;
  uint64_t id = lf_loop_id(loop);
  if (lf_table_find(&cl->loops, id))
    return 0;
  forget_loops(cl);
  lf_buf_init(&bytes, NULL, 0);
  lf_msg msg = {.kind = LF_MSG_LOOP, .id = id};
  lf_payload payload = lf_payload_loop(&msg, loop);
  int err = store_codes(cl, lf_loop_setup(loop));
  if (err == 0 && lf_loop_code(loop))
    err = store_code(cl, lf_loop_code(loop));
  cl->out.sink = &bytes;
  err = err ? err : lf_channel_send(&cl->out, &msg, &payload);
  snprintf(field, sizeof field, "l%" PRIu64, id);
  err = err ? err : store(cl, field, &bytes);
  err = err ? err : lf_table_add(&cl->loops, id, NULL);
  lf_buf_fini(&bytes);
  return err;
}

/* How interpreters start from now on, if that has changed. */
static int store_notice(lf_cluster *cl) {
  char field[24];
  lf_buf bytes;
  const lf_buf *notice = cl->notice.bytes;
  if (cl->stored == cl->notices)
    return 0;
  lf_buf_init(&bytes, NULL, 0);
  lf_msg msg = {.kind = LF_MSG_NOTICE, .id = cl->notices};
  lf_payload payload = {.body = notice, .to = notice->len};
  int err = store_codes(cl, notice);
  cl->out.sink = &bytes;
  err = err ? err : lf_channel_send(&cl->out, &msg, &payload);
  snprintf(field, sizeof field, "n%" PRIu64, cl->notices);
  err = err ? err : store(cl, field, &bytes);
  if (err == 0)
    cl->stored = cl->notices;
  lf_buf_fini(&bytes);
  return err;
}

/* --- Batches --- */

/* What the members are to know before they begin the batch. */
static int put_notice(lf_cluster *cl, lf_buf *out) {
  static const lf_payload none;
  lf_msg msg = {.kind = LF_MSG_NOTICE, .id = cl->notices};
  if (cl->notices <= 1) /* the first came with the setup */
    return 0;
  int err = store_notice(cl);
  cl->out.sink = out;
  return err ? err : lf_channel_send(&cl->out, &msg, &none);
}

static int put_chunk(lf_cluster *cl, lf_runner *r, lf_buf *out, uint64_t id) {
  static const lf_payload none;
  lf_msg which = {.kind = LF_MSG_LOOP, .id = lf_loop_id(r->loop)};
  lf_msg msg = {.kind = LF_MSG_CHUNK, .id = id};
  int err = store_loop(cl, r->loop);
  if (err == 0 && r->chunk->block)
    err = store_codes(cl, &r->chunk->block->bytes);
  cl->out.sink = out;
  err = err ? err : lf_channel_send(&cl->out, &which, &none);
  return err ? err : lf_chunk_send(&cl->out, &msg, r->chunk);
}

/* One that was stopped: what it has is not its outcome. */
static int put_stopped(lf_cluster *cl, lf_msg *msg, lf_task *future) {
  lf_buf body = {0};
  msg->error = LF_HALTED;
  int err = lf_outcome_put_stopped(&body, lf_task_origin(future));
  lf_payload payload = {.body = &body, .to = body.len};
  err = err ? err : lf_channel_send(&cl->out, msg, &payload);
  lf_buf_fini(&body);
  return err;
}

static int put_future(lf_cluster *cl, lf_task *future, lf_buf *out) {
  lf_msg msg = {.kind = LF_MSG_DONE, .id = (uintptr_t)future};
  lf_payload payload = {0};
  msg.state = (uint8_t)lf_task_state(future);
  msg.error = future->error;
  cl->out.sink = out;
  if (msg.state == LF_FAILED && lf_task_reason(future) != LF_GO_ON)
    return put_stopped(cl, &msg, future);
  if (msg.state != LF_CANCELLED)
    payload = lf_payload_task(future);
  return lf_channel_send(&cl->out, &msg, &payload);
}

/* What has become of the futures that are given to a task, in front of it. */
static int put_futures(lf_cluster *cl, const lf_buf *data, lf_buf *out) {
  int err = 0;
  for (size_t i = 0; data->refs && i < data->refs->n && err == 0; i++)
    if (lf_ref_is_future(&data->refs->v[i]))
      err = put_future(cl, data->refs->v[i].object, out);
  return err;
}

static int put_call(lf_cluster *cl, lf_task *t, lf_buf *out, uint64_t id,
                    bool each) {
  lf_msg msg = {.kind = LF_MSG_TASK, .id = id};
  msg.flag = (uint8_t)((each ? LF_TASK_EACH : 0) |
                       (lf_room_is_limited(cl->pool) ? LF_TASK_TELL : 0));
  lf_payload payload = lf_payload_call(&msg, t);
  int err = store_codes(cl, &t->data);
  if (err == 0 && t->code)
    err = store_code(cl, t->code);
  err = err ? err : put_futures(cl, &t->data, out);
  cl->out.sink = out;
  return err ? err : lf_channel_send(&cl->out, &msg, &payload);
}

void lf_batch_store(lf_batch *b) {
  if (b->cluster->notices > 1)
    (void)store_notice(b->cluster);
  for (lf_link *l = b->tasks.next; l != &b->tasks; l = l->next) {
    lf_task *t = lf_container_of(l, lf_sent, link)->task;
    lf_runner *r = lf_runner_of(t);
    if (r && r->chunk) {
      (void)store_loop(b->cluster, r->loop);
      if (r->chunk->block)
        (void)store_codes(b->cluster, &r->chunk->block->bytes);
    } else if (!r) {
      (void)store_codes(b->cluster, &t->data);
      if (t->code)
        (void)store_code(b->cluster, t->code);
    }
  }
}

int lf_batch_add(lf_batch *b, lf_task *t) {
  lf_cluster *cl = b->cluster;
  lf_sent *s = lf_zalloc(sizeof *s);
  if (!s)
    return LF_ENOMEM;
  size_t numbers = b->numbers.len, payload = b->payload.len;
  *s = (lf_sent){.task = t, .number = ++cl->last_number, .batch = b};
  lf_list_init(&s->link);
  int err = payload == 0 ? put_notice(cl, &b->payload) : 0;
  err = err ? err : lf_buf_print(&b->numbers, "%" PRIu64 " ", s->number);
  if (err == 0)
    err = lf_runner_of(t)
              ? put_chunk(cl, lf_runner_of(t), &b->payload, s->number)
              : put_call(cl, t, &b->payload, s->number, b->member[0]);
  err = err ? err : lf_table_add(&cl->sent, s->number, s);
  if (err) {
    lf_buf_cut(&b->numbers, numbers);
    lf_buf_cut(&b->payload, payload);
    lf_free(s);
    return err;
  }
  lf_list_add(&b->tasks, &s->link);
  cl->in_server++;
  cl->chunks += lf_runner_of(t) != NULL;
  t->far.carrier = s;
  t->stage = LF_STAGE_SENT;
  return 0;
}

/* What the batch has is queued again: it has not come to the server. */
static void take_back(lf_batch *b) {
  lf_pool *p = b->cluster->pool;
  while (!lf_list_empty(&b->tasks)) {
    lf_sent *s = lf_container_of(b->tasks.prev, lf_sent, link);
    lf_common_add(p, lf_sent_end(s), true);
  }
  lf_batch_free(b);
}

/* The entry is known: what could not be withdrawn before is so now. */
static void withdraw_late(lf_batch *b) {
  for (lf_link *l = b->tasks.next; l != &b->tasks; l = l->next) {
    lf_sent *s = lf_container_of(l, lf_sent, link);
    if (s->withdrawn != LF_GO_ON)
      lf_client_withdraw(b->cluster, s->task, s->withdrawn);
  }
}

static void on_put(void *user, const redisReply *reply) {
  lf_batch *b = user;
  lf_cluster *cl = b->cluster;
  pthread_cond_broadcast(&cl->changed);
  cl->unanswered--;
  if (!reply)
    return; /* it is asked for when there is a connection again */
  if (reply->type == REDIS_REPLY_STRING) {
    cl->full = false;
    snprintf(b->id, sizeof b->id, "%s", reply->str);
    lf_buf_fini(&b->numbers);
    lf_buf_fini(&b->payload);
    lf_buf_fini(&b->name);
    withdraw_late(b);
    lf_batch_end_if_empty(b);
    return;
  }
  if (reply->type == REDIS_REPLY_NIL && b->member[0]) {
    snprintf(b->id, sizeof b->id, "-");
    lf_batch_lose(b, &(lf_lost){.exitcode = -1});
    lf_client_kick(cl);
    return;
  }
  const char *text = reply->type == REDIS_REPLY_ERROR ? reply->str : "";
  cl->gone |= strncmp(text, "GONE", 4) == 0;
  if (!cl->gone) {
    snprintf(cl->trouble, sizeof cl->trouble, "the server refuses tasks: %s",
             text);
    cl->full = true;
    cl->try_again = lf_now() + FULL_NS;
  }
  if (b->name.len > 0 && cl->commands)
    lf_parts_drop(cl->commands, cl->id, b->name.data, b->name.len);
  take_back(b);
}

static int call_put(lf_batch *b, const char *function, const lf_arg *args,
                    int n) {
  int err = lf_client_call(b->cluster, function, args, n, on_put, b);
  b->cluster->unanswered += err == 0;
  return err;
}

static int give(lf_batch *b, lf_arg payload, bool again) {
  const lf_arg args[] = {lf_arg_text(b->cluster->id),
                         lf_arg_text(b->member),
                         lf_arg_text(again ? "1" : "0"),
                         {b->numbers.data, b->numbers.len},
                         payload};
  return call_put(b, LF_FUNCTION("give"), args, 5);
}

static int put(lf_batch *b, lf_arg payload, bool again) {
  lf_digits level;
  const lf_arg args[] = {lf_arg_text(b->cluster->id),
                         lf_arg_int(level, b->priority),
                         lf_arg_text(again ? "1" : "0"),
                         {b->numbers.data, b->numbers.len},
                         payload};
  return call_put(b, LF_FUNCTION("put"), args, 5);
}

int lf_client_put(lf_batch *b, bool again) {
  lf_cluster *cl = b->cluster;
  lf_arg payload = {b->payload.data, b->payload.len};
  lf_buf_fini(&b->name);
  if (payload.len > LF_LARGE) {
    int err = lf_parts_put(cl->commands, cl->id, payload.bytes, payload.len,
                           &b->numbers, &b->name);
    if (err)
      return err;
    payload = (lf_arg){b->name.data, b->name.len};
  }
  return b->member[0] ? give(b, payload, again) : put(b, payload, again);
}

/* --- Which tasks --- */

static int workers(const lf_cluster *cl) {
  return lf_pool_max_workers(cl->pool);
}

/* How many more the server may have. */
static size_t room(const lf_cluster *cl) {
  size_t most =
      cl->o.max_workers && !cl->o.program ? (size_t)cl->o.max_workers : WINDOW;
  return most > cl->in_server ? most - cl->in_server : 0;
}

/* Has the server something for all workers, and more? */
static bool has_enough(const lf_cluster *cl) {
  return cl->in_server >= 2 * SHARE * (size_t)workers(cl);
}

static bool may_send(const lf_cluster *cl) {
  return lf_client_is_connected(cl) && !cl->gone &&
         (cl->unanswered < AHEAD || !has_enough(cl)) &&
         (!cl->full || lf_now() >= cl->try_again);
}

/* The next one, taken out of the queue, that goes with the batch; NULL: none.
 * A runner gets its chunk first. */
static lf_task *next(lf_cluster *cl, const lf_batch *b) {
  lf_pool *p = cl->pool;
  lf_task *t;
  while ((t = lf_common_first(p))) {
    lf_runner *r = lf_runner_of(t);
    if (r && cl->chunks >= 2 * (size_t)workers(cl))
      return NULL;
    if (b && lf_task_priority(t) != b->priority)
      return NULL;
    lf_common_del(p, t);
    if (lf_task_done(t)) {
      lf_task_unref(t);
      continue;
    }
    if (!r || r->chunk)
      return t;
    cl->chunks++; /* is about to be */
    t->stage = LF_STAGE_CLAIMING;
    lf_list_add(&cl->claims, &t->link);
  }
  return NULL;
}

/* How many tasks each batch should have, so that all workers find some. */
static size_t batch_size(const lf_cluster *cl) {
  size_t share = cl->pool->queued;
  if (!has_enough(cl))
    share /= SHARE * (size_t)workers(cl);
  share = share < BATCH ? share : BATCH;
  return share > 0 && !lf_room_is_limited(cl->pool) ? share : 1;
}

/* One batch. False: there is nothing to be sent. */
static bool send_batch(lf_cluster *cl) {
  size_t most = batch_size(cl), n = 0;
  lf_batch *b = NULL;
  lf_task *t;
  most = most < room(cl) ? most : room(cl);
  while (n < most && (!b || b->payload.len < BATCH_BYTES) &&
         (t = next(cl, b))) {
    b = b ? b : lf_batch_new(cl, lf_task_priority(t));
    if (!b || lf_batch_add(b, t) != 0)
      lf_client_lack(cl, t);
    n++;
  }
  if (!b)
    return n > 0;
  if (lf_list_empty(&b->tasks))
    lf_batch_free(b);
  else if (lf_client_put(b, false) != 0)
    take_back(b);
  return true;
}

static void send(lf_cluster *cl) {
  bool some = false;
  lf_client_unhold(cl);
  if (cl->full && may_send(cl)) {
    some = send_batch(cl); /* one, to see */
    cl->try_again = lf_now() + FULL_NS;
  }
  while (!cl->full && may_send(cl) && send_batch(cl))
    some = true;
  if (some)
    lf_client_flush(cl);
}

/* --- A round --- */

/* A runner gets its chunk, and is the next one to be sent. */
static void claim(lf_pool *p, lf_task *t) {
  uint64_t epoch = lf_pool_epoch(p);
  lf_runner *runner = lf_runner_of(t);
  lf_chunk *chunk = lf_loop_claim(runner->loop, runner);
  runner->chunk = chunk;
  if (!chunk && lf_task_start(t))
    lf_task_end(t, LF_FINISHED);
  pthread_mutex_lock(&p->lock);
  lf_cluster_of(p)->chunks--;
  bool wanted = chunk && !p->broken && lf_pool_epoch(p) == epoch;
  if (wanted) {
    t->stage = LF_STAGE_QUEUED;
    lf_common_add(p, t, true);
  }
  pthread_mutex_unlock(&p->lock);
  if (wanted)
    return;
  if (chunk)
    p->broken ? lf_task_fail(t, LF_BROKEN, p->broken) : lf_task_cancel(t);
  lf_task_unref(t);
}

static void run_ending(lf_pool *p, lf_ending *e) {
  switch (e->what) {
  case LF_END_LOST:
    lf_outcome_lose(e->task, &e->how, "");
    break;
  case LF_END_BROKEN:
    lf_outcome_break(e->task, p->broken ? p->broken : "");
    break;
  default:
    if (!lf_task_drop(e->task, e->reason) &&
        lf_task_state(e->task) == LF_RUNNING) /* and was asked to stop */
      lf_task_end(e->task, LF_FAILED);
    lf_task_unref(e->task);
  }
  lf_free(e);
}

/* What is to be done without the lock. */
typedef struct {
  lf_link claims, done, endings;
  char *broken;
} outcome;

static bool take_outcome(lf_cluster *cl, outcome *o) {
  bool some = !lf_list_empty(&cl->claims) || !lf_list_empty(&cl->done) ||
              !lf_list_empty(&cl->endings) || cl->broken;
  lf_link *const from[] = {&cl->claims, &cl->done, &cl->endings};
  lf_link *const to[] = {&o->claims, &o->done, &o->endings};
  for (int i = 0; i < 3; i++) {
    lf_list_init(to[i]);
    lf_list_move(to[i], from[i]);
  }
  cl->rounds += some;
  o->broken = cl->broken;
  cl->broken = NULL;
  return some;
}

static void run_outcome(lf_pool *p, outcome *o) {
  lf_link *l;
  if (o->broken) {
    lf_pool_break(p, o->broken);
    pthread_mutex_lock(&p->lock);
    lf_client_drop_held(lf_cluster_of(p), (lf_ending){.what = LF_END_BROKEN});
    pthread_mutex_unlock(&p->lock);
  }
  lf_words_free(o->broken);
  while ((l = lf_list_pop(&o->done)))
    lf_outcome_end(lf_container_of(l, lf_task, link));
  while ((l = lf_list_pop(&o->endings)))
    run_ending(p, lf_container_of(l, lf_ending, link));
  while ((l = lf_list_pop(&o->claims)))
    claim(p, lf_container_of(l, lf_task, link));
}

void lf_client_round(lf_pool *p) {
  const lf_pool *outer = in_round;
  lf_cluster *cl = lf_cluster_of(p);
  outcome o;
  if (outer == p)
    return; /* it is done when the outer one goes on */
  in_round = p;
  pthread_mutex_lock(&p->lock);
  send(cl);
  while (take_outcome(cl, &o)) {
    pthread_mutex_unlock(&p->lock);
    run_outcome(p, &o);
    pthread_mutex_lock(&p->lock);
    cl->rounds--;
    send(cl);
  }
  bool over = !lf_pool_is_open(p) && cl->in_server == 0;
  pthread_mutex_unlock(&p->lock);
  in_round = outer;
  if (over)
    lf_client_kick(cl); /* it may end */
}
