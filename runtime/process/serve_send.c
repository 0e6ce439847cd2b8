/* SPDX-License-Identifier: MIT
 *
 * See serve_send.h. */
#include "runtime/process/serve_send.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/spin.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/sample.h"
#include "runtime/process/task_io.h"
#include "runtime/trace/trace.h"

#include <time.h>
#include <unistd.h>

enum {
  SOON_NS = 50000
}; /* before who waits for room sleeps, and for how long */

void lf_serve_enter(lf_serve *r, lf_serve_state state) {
  r->state = state;
  atomic_store(&r->region->busy,
               state != LF_SERVE_IDLE && state != LF_SERVE_BLOCKED);
}

void lf_serve_ring_doorbell(lf_serve *r) {
  atomic_thread_fence(memory_order_seq_cst); /* after what was published */
  if (atomic_load(&r->region->armed) && atomic_exchange(&r->region->armed, 0))
    lf_eventfd_ring(r->doorbell);
}

/* Under the lock: waits until all is written. */
void lf_serve_flush(lf_serve *r) {
  int64_t soon = 0;
  lf_serve_ring_doorbell(r);
  while (!lf_channel_flush(&r->end)) {
    struct timespec moment = {.tv_nsec = SOON_NS};
    int64_t now = lf_now();
    soon = soon ? soon : now + SOON_NS;
    lf_serve_ring_doorbell(r);
    if (now < soon)
      lf_relax();
    else
      nanosleep(&moment, NULL);
  }
}

/* Under the lock: sends, waiting for room. */
int lf_serve_post(lf_serve *r, lf_msg *msg, const lf_payload *payload) {
  int err = lf_channel_send(&r->end, msg, payload);
  lf_serve_flush(r);
  return err;
}

int lf_serve_tell(lf_serve *r, lf_msg_kind kind, uint64_t id, uint8_t flag) {
  static const lf_payload none;
  lf_msg msg = {.kind = (uint8_t)kind, .id = id, .flag = flag};
  pthread_mutex_lock(&r->pool->lock);
  int err = lf_serve_post(r, &msg, &none);
  pthread_mutex_unlock(&r->pool->lock);
  return err;
}

/* A result that could not be sent for lack of memory is an error in its place.
 */
void lf_serve_tell_lack(lf_serve *r, lf_msg *msg) {
  static char text[] = LF_NO_MEMORY;
  lf_buf body;
  lf_buf_init(&body, text, sizeof text);
  body.len = sizeof text - 1;
  lf_payload payload = {.body = &body, .to = body.len};
  msg->kind = LF_MSG_RESULT;
  msg->state = LF_FAILED;
  msg->error = LF_BROKEN;
  (void)lf_serve_post(r, msg, &payload);
}

/* --- Numbers of tasks --- */

lf_known *lf_serve_known(lf_serve *r, uint64_t id) {
  lf_entry *e = id ? lf_table_find(&r->tasks, id) : NULL;
  return e ? e->value : NULL;
}

/* Under the lock: the program knows the task by the number, of which a
 * reference is kept. False: no memory. */
static bool note(lf_serve *r, lf_task *t, uint64_t id) {
  lf_known *k = lf_malloc(sizeof *k);
  if (!k || lf_table_add(&r->tasks, id, k) != 0) {
    lf_free(k);
    return false;
  }
  *k = (lf_known){lf_task_ref(t), 1, 0};
  t->far.id = id;
  t->noted |= LF_NAMED;
  return true;
}

/* Under the lock: it does not know it any more. */
static void unnote(lf_serve *r, lf_task *t) {
  lf_free(lf_serve_known(r, t->far.id));
  lf_table_del(&r->tasks, t->far.id);
  t->noted &= (uint8_t)~LF_NAMED;
}

/* Under the lock: the next number for a task that is about to be sent. */
static bool note_sent(lf_serve *r, lf_task *t, uint64_t *id) {
  *id = r->last_number + 2;
  if (!note(r, t, *id))
    return false;
  r->last_number = *id;
  return true;
}

static uint64_t name(void *user, lf_task *t) {
  (void)user;
  return t->noted & LF_NAMED ? t->far.id : 0;
}

static lf_task *find_locked(lf_serve *r, uint64_t id) {
  lf_known *k = lf_serve_known(r, id);
  if (k) {
    k->names++;
    if (atomic_fetch_add(&k->task->refs, 1) == 0)
      k->revived++; /* whoever is about to free it does not */
    return k->task;
  }
  lf_task *t = lf_task_new(lf_pool_owner(r->pool));
  if (!t || !note(r, t, id)) {
    if (t)
      lf_task_unref(t);
    return NULL;
  }
  lf_task_start(t); /* as far as can be told */
  return t;         /* the table has another reference, until it has ended */
}

static lf_task *find(void *user, uint64_t id) {
  lf_serve *r = user;
  pthread_mutex_lock(&r->pool->lock);
  lf_task *t = find_locked(r, id);
  pthread_mutex_unlock(&r->pool->lock);
  return t;
}

static void *self(void *user) {
  lf_serve *r = user;
  return lf_pool_handle(r->pool);
}

const lf_names lf_serve_names = {name, find, self, lf_pool_unhandle};

bool lf_serve_release(lf_serve *r, lf_task *t) {
  static const lf_payload none;
  if (!(t->noted & LF_NAMED))
    return true;
  pthread_mutex_lock(&r->pool->lock);
  lf_known *k = lf_serve_known(r, t->far.id);
  bool last = k->revived == 0;
  if (last) {
    lf_msg msg = {.kind = LF_MSG_RELEASE, .id = t->far.id, .a = k->names};
    unnote(r, t);
    if (!lf_runner_of(t))
      (void)lf_serve_post(r, &msg, &none);
  } else {
    k->revived--;
  }
  pthread_mutex_unlock(&r->pool->lock);
  return last;
}

/* --- Results --- */

/* What is sent stays where it is until it has been written: post waits. */
static void nothing(void *owner) {
  (void)owner;
}

static void send_outcome(lf_serve *r, lf_msg *msg, lf_payload payload) {
  payload.drop = nothing;
  pthread_mutex_lock(&r->pool->lock);
  if (lf_serve_post(r, msg, &payload) != 0)
    lf_serve_tell_lack(r, msg);
  pthread_mutex_unlock(&r->pool->lock);
}

void lf_serve_end(lf_serve *r, lf_task *t, lf_state state) {
  atomic_fetch_add(&r->region->ended, 1);
  if (!lf_runner_of(t)) {
    lf_msg msg = {.kind = LF_MSG_RESULT, .id = t->far.id, .error = t->error};
    msg.state = (uint8_t)state;
    msg.a = lf_task_reason(t);
    if (lf_is_traced() && lf_ring_filled(r->end.in) == 0 &&
        lf_list_empty(&r->pool->queue))
      lf_trace_hand_over(); /* who sees the result may end the trace */
    lf_times_put(&msg, &r->worker->times);
    send_outcome(r, &msg, lf_payload_task(t));
  }
  if (r->begun == t)
    r->begun = NULL;
  lf_task_end(t, state);
  lf_task_unref(t);
}

static lf_serve *here; /* the process's, for what it traces */

static uint64_t pair(pid_t low, pid_t high) {
  return (uint32_t)low | (uint64_t)(uint32_t)high << 32;
}

/* What it has seen; any thread. */
static void send_seen(lf_msg *msg, const lf_buf *body) {
  lf_payload payload = {.body = body, .to = body->len, .drop = nothing};
  pthread_mutex_lock(&here->pool->lock);
  (void)lf_serve_post(here, msg, &payload);
  pthread_mutex_unlock(&here->pool->lock);
}

static void send_trace(const lf_trace_from *from, const void *bytes, size_t n) {
  lf_msg msg = {.kind = LF_MSG_TRACE, .a = from->session};
  msg.id = pair(from->thread, from->process);
  msg.b = pair(from->namer, from->parent);
  lf_buf body;
  lf_buf_init(&body, (void *)bytes, n);
  body.len = n;
  send_seen(&msg, &body);
}

static void send_profile(const lf_buf *bytes) {
  lf_msg msg = {.kind = LF_MSG_PROFILE};
  send_seen(&msg, bytes);
}

void lf_serve_profiles(void) {
  lf_profiles_hand_over(send_profile);
}

void lf_serve_trace(lf_serve *r) {
  here = r;
  const lf_trace_way way = {send_trace, &r->region->desk, lf_profiles_sample,
                            lf_profiles_rest};
  lf_trace_forward(&way);
}

/* A chunk of a loop that was received has ended. */
void lf_serve_chunk_done(lf_runner *runner, lf_chunk *c, int64_t ns) {
  lf_serve *r = lf_serve_of(lf_loop_pool(runner->loop));
  lf_msg msg = {.kind = LF_MSG_CHUNK_DONE, .id = runner->task.far.id};
  c->ns = ns;
  lf_payload payload = lf_chunk_end(&msg, c);
  send_outcome(r, &msg, payload);
  lf_chunk_free(c);
}

/* --- Submitting --- */

bool lf_serve_is_closed(lf_serve *r) {
  return atomic_load(&r->region->closed);
}

/* Under the lock. The task is running from here on, as far as can be told. */
static int post_task(lf_serve *r, lf_task *t, lf_msg *msg) {
  if (!note_sent(r, t, &msg->id))
    return LF_ENOMEM;
  lf_payload payload = lf_payload_call(msg, t);
  lf_payload_name(msg, &payload, t->code);
  int err = lf_serve_post(r, msg, &payload);
  if (err) {
    unnote(r, t);
    lf_task_unref(t);
  }
  return err;
}

/* 'after': the number of the task that it comes after, or 0. */
static int submit_call(lf_serve *r, lf_task *t, lf_route route,
                       uint64_t after) {
  lf_msg msg = {.kind = LF_MSG_SUBMIT, .flag = (uint8_t)route, .a = after};
  lf_clock_leave(t);
  if (!lf_task_start(t))
    return 0; /* it has been cancelled meanwhile */
  pthread_mutex_lock(&r->pool->lock);
  int err = post_task(r, t, &msg);
  pthread_mutex_unlock(&r->pool->lock);
  if (err == 0)
    lf_buf_fini(&t->data); /* what it was given has been sent */
  return err;
}

/* Under the lock: the loop's setup, unless it was sent last. */
static int post_loop(lf_serve *r, lf_loop *loop) {
  if (r->lent_id == lf_loop_id(loop))
    return 0;
  lf_msg msg = {.kind = LF_MSG_LOOP, .id = lf_loop_id(loop)};
  lf_payload payload = lf_payload_loop(&msg, loop);
  int err = lf_serve_post(r, &msg, &payload);
  if (err == 0)
    r->lent_id = lf_loop_id(loop);
  return err;
}

static int post_chunk(lf_serve *r, lf_runner *runner) {
  lf_task *t = &runner->task;
  lf_msg msg = {.kind = LF_MSG_SUBMIT_CHUNK};
  msg.flag = (uint8_t)lf_loop_route(runner->loop);
  int err = post_loop(r, runner->loop);
  if (err || !note_sent(r, t, &msg.id))
    return LF_ENOMEM;
  msg.slot = t->code ? t->code->id : 0;
  err = lf_chunk_send(&r->end, &msg, runner->chunk);
  lf_serve_flush(r);
  return err;
}

/* The chunk could not be sent for lack of memory. */
static void fail_chunk(lf_runner *runner) {
  lf_chunk *c = runner->chunk;
  runner->chunk = NULL;
  lf_chunk_no_memory(c);
  lf_loop_done(runner->loop, c, 0);
  lf_task_end(&runner->task, LF_FINISHED);
}

/* A runner gets its chunk and is sent with it. */
static void send_runner(lf_serve *r, lf_runner *runner) {
  lf_task *t = &runner->task;
  lf_clock_leave(t);
  lf_chunk *c = lf_task_start(t) ? lf_loop_claim(runner->loop, runner) : NULL;
  if (!c) {
    if (lf_task_state(t) == LF_RUNNING)
      lf_task_end(t, LF_FINISHED);
    return;
  }
  runner->chunk = c;
  pthread_mutex_lock(&r->pool->lock);
  int err = post_chunk(r, runner);
  r->chunks += err == 0;
  pthread_mutex_unlock(&r->pool->lock);
  if (err)
    fail_chunk(runner);
}

/* Sends chunks of loops, a few at a time, so that their sizes can adapt. Those
 * that wait do not count: they may wait for what is sent now. One thread does,
 * for all. */
void lf_serve_send_runners(lf_serve *r) {
  lf_link *l;
  pthread_mutex_t *lock = &r->pool->lock;
  pthread_mutex_lock(lock);
  bool mine = !r->sending_runners;
  r->sending_runners = true;
  while (mine && r->chunks <= r->pool->o.max_workers &&
         (l = lf_list_pop(&r->runners))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    pthread_mutex_unlock(lock);
    send_runner(r, lf_runner_of(t));
    lf_task_unref(t);
    pthread_mutex_lock(lock);
  }
  r->sending_runners = !mine;
  pthread_mutex_unlock(lock);
}

/* Under the lock: after those of at least its priority. */
static void add_runner(lf_serve *r, lf_task *t) {
  lf_link *at = &r->runners;
  while (at->prev != &r->runners &&
         lf_task_priority(lf_container_of(at->prev, lf_task, link)) <
             lf_task_priority(t))
    at = at->prev;
  lf_list_add(at, &lf_task_ref(t)->link);
}

int lf_serve_submit(lf_serve *r, lf_task *t, lf_route route) {
  if (lf_serve_is_closed(r) && !lf_runner_of(t))
    return LF_ESHUTDOWN;
  if (!lf_runner_of(t))
    return submit_call(r, t, route, 0);
  pthread_mutex_lock(&r->pool->lock);
  add_runner(r, t);
  pthread_mutex_unlock(&r->pool->lock);
  lf_serve_send_runners(r);
  return 0;
}

int lf_serve_follow(lf_serve *r, lf_task *t, const lf_task *after) {
  return lf_serve_is_closed(r) ? LF_ESHUTDOWN
                               : submit_call(r, t, LF_NEAR, after->far.id);
}

int lf_serve_broadcast(lf_serve *r, lf_task **tasks) {
  if (lf_serve_is_closed(r))
    return LF_ESHUTDOWN;
  int n = r->pool->o.max_workers, err = 0;
  pthread_mutex_lock(&r->pool->lock);
  for (int i = 0; i < n && err == 0; i++) {
    lf_msg msg = {.kind = LF_MSG_BROADCAST, .a = (uint64_t)(n - i)};
    lf_clock_leave(tasks[i]);
    lf_task_start(tasks[i]);
    err = post_task(r, tasks[i], &msg);
  }
  pthread_mutex_unlock(&r->pool->lock);
  return err;
}
