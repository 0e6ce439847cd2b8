/* SPDX-License-Identifier: MIT
 *
 * See serve.h. */
#include "runtime/process/serve.h"

#include "runtime/base/mem.h"
#include "runtime/native/library.h"
#include "runtime/process/chunk_io.h"
#include "runtime/shm/arena.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_NS = 50000000, SOON_NS = 50000 };

/* A question to the program. Any thread asks; the worker's receives the answer,
 * and tells who waits for it. */
typedef struct {
  lf_link link;
  uint64_t number;
  lf_parker *parker; /* of who asks */
  atomic_bool answered;
  uint64_t answer;
  lf_pool_stats stats;
} question;

struct lf_remote {
  lf_pool *pool; /* the reference of the process */
  lf_worker *worker;
  lf_region *region;
  lf_end end;
  int bell;
  bool stop;         /* the program will send nothing more */
  bool go;           /* it may go on, after lf_remote_unblock */
  lf_link questions; /* without an answer yet; the lock */
  uint64_t last_question;
  lf_job *job; /* received last; a reference */
  /* Tasks that the program knows, too: number -> lf_task *. There is a
   * reference to those of which the program is to tell the end. The lock. */
  lf_table tasks;
  uint64_t last_number;
  uint64_t lent_id; /* the job that was sent last */
  int parts;        /* parts of loops sent that may be running; the lock */
  lf_link runners;  /* that wait for their turn */
  lf_link waiting;  /* tasks that run here and wait */
  bool sending_runners;
};

/* --- Sending --- */

static void ring_bell(lf_remote *r) {
  uint64_t one = 1;
  atomic_thread_fence(memory_order_seq_cst); /* after what was published */
  if (atomic_load(&r->region->armed) && atomic_exchange(&r->region->armed, 0)) {
    ssize_t n = write(r->bell, &one, sizeof one);
    (void)n;
  }
}

/* Under the lock: waits until all is written. */
static void flush(lf_remote *r) {
  int64_t soon = 0;
  ring_bell(r);
  while (!lf_end_flush(&r->end)) {
    struct timespec moment = {.tv_nsec = SOON_NS};
    int64_t now = lf_now();
    soon = soon ? soon : now + SOON_NS;
    ring_bell(r);
    if (now < soon)
      lf_relax();
    else
      nanosleep(&moment, NULL);
  }
}

/* Under the lock: sends, waiting for room. */
static int post(lf_remote *r, lf_msg *msg, const lf_load *load) {
  int err = lf_end_send(&r->end, msg, load);
  flush(r);
  return err;
}

static int tell(lf_remote *r, lf_msg_kind kind, uint64_t id, uint8_t flag) {
  static const lf_load none;
  lf_msg msg = {.kind = (uint8_t)kind, .id = id, .flag = flag};
  pthread_mutex_lock(&r->pool->lock);
  int err = post(r, &msg, &none);
  pthread_mutex_unlock(&r->pool->lock);
  return err;
}

/* A result that could not be sent for lack of memory is an error in its place.
 */
static void tell_lack(lf_remote *r, lf_msg *msg) {
  static char text[] = "not enough memory";
  lf_buf body;
  lf_buf_init(&body, text, sizeof text);
  body.len = sizeof text - 1;
  lf_load load = {.body = &body, .to = body.len};
  msg->kind = LF_MSG_RESULT;
  msg->state = LF_FAILED;
  msg->error = LF_BROKEN;
  (void)post(r, msg, &load);
}

/* What is sent stays where it is until it has been written: post waits. */
static void nothing(void *owner) {
  (void)owner;
}

void lf_remote_end(lf_remote *r, lf_task *t, lf_state state) {
  if (!t->job) {
    lf_msg msg = {.kind = LF_MSG_RESULT, .id = t->flight, .error = t->error};
    msg.state = (uint8_t)state;
    lf_load load = lf_load_task(t);
    load.drop = nothing;
    pthread_mutex_lock(&r->pool->lock);
    if (post(r, &msg, &load) != 0)
      tell_lack(r, &msg);
    pthread_mutex_unlock(&r->pool->lock);
  }
  lf_task_end(t, state);
  lf_task_unref(t);
}

void lf_remote_report(lf_remote *r, lf_task *t) {
  static const lf_load none;
  lf_msg msg = {.kind = LF_MSG_PROGRESS, .id = t->flight};
  msg.a = atomic_load(&t->progress);
  pthread_mutex_lock(&r->pool->lock);
  (void)post(r, &msg, &none);
  pthread_mutex_unlock(&r->pool->lock);
}

/* A part of a loop that was received has ended. */
static void part_done(lf_job *job, lf_task *t, lf_chunk *c, int64_t ns) {
  lf_remote *r = lf_job_pool(job)->remote;
  lf_msg msg = {.kind = LF_MSG_PART, .id = t->flight, .a = c->finished};
  msg.b = (uint64_t)ns;
  msg.flag = (uint8_t)((c->rest > 0) << 1 | c->failed);
  msg.error = (uint8_t)c->error;
  lf_load load = {.body = &c->out, .to = c->out.len};
  load.tail = c->why.data;
  load.tail_len = c->why.len;
  load.drop = nothing;
  pthread_mutex_lock(&r->pool->lock);
  if (post(r, &msg, &load) != 0)
    tell_lack(r, &msg);
  pthread_mutex_unlock(&r->pool->lock);
  lf_chunk_free(c);
}

/* --- Submitting --- */

/* Under the lock: a number for the task, of which a reference is kept. */
static bool note_sent(lf_remote *r, lf_task *t, uint64_t *id) {
  *id = r->last_number + 2;
  if (lf_table_add(&r->tasks, *id, t) != 0)
    return false;
  r->last_number = *id;
  lf_task_ref(t);
  t->flight = *id;
  t->names = 1;
  return true;
}

/* Under the lock: the program does not know it after all. */
static void unnote(lf_remote *r, lf_task *t) {
  lf_table_del(&r->tasks, t->flight);
  t->names = 0;
  lf_task_unref(t);
}

static uint64_t name(void *user, lf_task *t) {
  (void)user;
  return t->names > 0 ? t->flight : 0;
}

static lf_task *find_locked(lf_remote *r, uint64_t id) {
  lf_entry *e = lf_table_find(&r->tasks, id);
  if (e) {
    lf_task *t = e->value;
    t->names++;
    if (atomic_fetch_add(&t->refs, 1) == 0)
      t->revived++; /* whoever is about to free it does not */
    return t;
  }
  lf_task *t = lf_task_new(r->pool);
  if (!t || lf_table_add(&r->tasks, id, t) != 0) {
    if (t)
      lf_task_unref(t);
    return NULL;
  }
  lf_task_start(t); /* as far as can be told */
  t->flight = id;
  t->names = 1;
  return lf_task_ref(t); /* one is the table's, until it has ended */
}

static lf_task *find(void *user, uint64_t id) {
  lf_remote *r = user;
  pthread_mutex_lock(&r->pool->lock);
  lf_task *t = find_locked(r, id);
  pthread_mutex_unlock(&r->pool->lock);
  return t;
}

static const lf_names names = {name, find};

bool lf_remote_release(lf_remote *r, lf_task *t) {
  static const lf_load none;
  pthread_mutex_lock(&r->pool->lock);
  bool last = t->revived == 0;
  if (last) {
    lf_msg msg = {.kind = LF_MSG_RELEASE, .id = t->flight, .a = t->names};
    lf_table_del(&r->tasks, t->flight);
    if (!t->job)
      (void)post(r, &msg, &none);
  } else {
    t->revived--;
  }
  pthread_mutex_unlock(&r->pool->lock);
  return last;
}

/* Under the lock. The task is running from here on, as far as can be told. */
static int post_task(lf_remote *r, lf_task *t, lf_msg *msg) {
  if (!note_sent(r, t, &msg->id))
    return LF_ENOMEM;
  lf_load load = {.body = &t->data, .to = t->data.len};
  msg->slot = t->code ? t->code->id : 0;
  int err = post(r, msg, &load);
  if (err)
    unnote(r, t);
  return err;
}

static int submit_call(lf_remote *r, lf_task *t, lf_place place) {
  lf_msg msg = {.kind = LF_MSG_SUBMIT, .flag = (uint8_t)place};
  lf_task_start(t);
  pthread_mutex_lock(&r->pool->lock);
  int err = post_task(r, t, &msg);
  pthread_mutex_unlock(&r->pool->lock);
  if (err == 0)
    lf_buf_fini(&t->data); /* what it was given has been sent */
  return err;
}

/* Under the lock: the job's setup, unless it was sent last. */
static int post_job(lf_remote *r, lf_job *job) {
  if (r->lent_id == lf_job_id(job))
    return 0;
  lf_msg msg = {.kind = LF_MSG_JOB, .id = lf_job_id(job)};
  const lf_buf *setup = lf_job_setup(job);
  lf_load load = {.body = setup, .to = setup->len};
  int err = post(r, &msg, &load);
  if (err == 0)
    r->lent_id = lf_job_id(job);
  return err;
}

static int post_part(lf_remote *r, lf_task *t, const lf_chunk *c) {
  lf_msg msg = {.kind = LF_MSG_SUBMIT_CHUNK};
  msg.flag = (uint8_t)lf_job_place(t->job);
  int err = post_job(r, t->job);
  if (err || !note_sent(r, t, &msg.id))
    return LF_ENOMEM;
  msg.slot = t->code ? t->code->id : 0;
  err = lf_chunk_send(&r->end, &msg, c);
  flush(r);
  return err;
}

/* The part could not be sent for lack of memory. */
static void fail_part(lf_task *t, lf_chunk *c) {
  static const char text[] = "not enough memory";
  t->chunk = NULL;
  c->failed = true;
  (void)lf_buf_put(&c->why, text, sizeof text - 1);
  lf_job_done(t->job, c, 0);
  lf_task_end(t, LF_FINISHED);
}

/* A runner gets its chunk and is sent with it. */
static void send_runner(lf_remote *r, lf_task *t) {
  lf_chunk *c = lf_task_start(t) ? lf_job_claim(t->job, t) : NULL;
  if (!c) {
    if (lf_task_state(t) == LF_RUNNING)
      lf_task_end(t, LF_FINISHED);
    return;
  }
  t->chunk = c;
  pthread_mutex_lock(&r->pool->lock);
  int err = post_part(r, t, c);
  r->parts += err == 0;
  pthread_mutex_unlock(&r->pool->lock);
  if (err)
    fail_part(t, c);
}

/* Sends parts of loops, a few at a time, so that their sizes can adapt. Those
 * that wait do not count: they may wait for what is sent now. One thread does,
 * for all. */
static void send_runners(lf_remote *r) {
  lf_link *l;
  pthread_mutex_t *lock = &r->pool->lock;
  pthread_mutex_lock(lock);
  bool mine = !r->sending_runners;
  r->sending_runners = true;
  while (mine && r->parts <= r->pool->o.max_workers &&
         (l = lf_list_pop(&r->runners))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    pthread_mutex_unlock(lock);
    send_runner(r, t);
    lf_task_unref(t);
    pthread_mutex_lock(lock);
  }
  r->sending_runners = !mine;
  pthread_mutex_unlock(lock);
}

int lf_remote_submit(lf_remote *r, lf_task *t, lf_place place) {
  if (lf_remote_is_closed(r) && !t->job)
    return LF_ESHUTDOWN;
  if (!t->job)
    return submit_call(r, t, place);
  pthread_mutex_lock(&r->pool->lock);
  lf_list_add(&r->runners, &lf_task_ref(t)->link);
  pthread_mutex_unlock(&r->pool->lock);
  send_runners(r);
  return 0;
}

int lf_remote_broadcast(lf_remote *r, lf_task **tasks) {
  if (lf_remote_is_closed(r))
    return LF_ESHUTDOWN;
  int n = r->pool->o.max_workers, err = 0;
  pthread_mutex_lock(&r->pool->lock);
  for (int i = 0; i < n && err == 0; i++) {
    lf_msg msg = {.kind = LF_MSG_BROADCAST, .a = (uint64_t)(n - i)};
    lf_task_start(tasks[i]);
    err = post_task(r, tasks[i], &msg);
  }
  pthread_mutex_unlock(&r->pool->lock);
  return err;
}

/* --- Receiving --- */

/* True if the task in the slot is the worker's from now on, and not taken back.
 */
static bool begin(lf_remote *r, uint32_t i) {
  _Atomic uint32_t *slot = &r->region->slots[i % LF_SLOTS];
  uint32_t word = atomic_load(slot);
  atomic_store(&r->region->busy, 1);
  bool begun =
      (word & 3) == LF_SLOT_SENT &&
      atomic_compare_exchange_strong(slot, &word, (word & ~3u) | LF_SLOT_BEGUN);
  if (!begun) /* it was taken back: the slot can be used again */
    atomic_store(slot, word & ~3u);
  atomic_fetch_add(&r->region->begun, 1);
  return begun;
}

/* The task in hand cannot be kept for lack of memory: it ends with that. */
static void refuse_task(lf_remote *r) {
  lf_msg msg = {.id = r->end.msg.id};
  if (!begin(r, (uint32_t)r->end.msg.slot))
    return;
  pthread_mutex_lock(&r->pool->lock);
  tell_lack(r, &msg);
  pthread_mutex_unlock(&r->pool->lock);
}

/* A task to be run here. */
static void receive_task(lf_remote *r) {
  lf_end *end = &r->end;
  lf_pool *p = r->pool;
  lf_task *t = lf_task_new(p);
  bool chunk = end->msg.kind == LF_MSG_CHUNK;
  bool fine = t && !end->no_memory && (!chunk || r->job);
  if (fine && chunk) {
    t->chunk = lf_chunk_import(end->msg.a, end->msg.b,
                               end->msg.tail ? &end->body : NULL, &end->tail,
                               (size_t)end->msg.c);
    fine = t->chunk != NULL;
    if (fine)
      t->chunk->shareable = end->msg.state;
    t->job = lf_job_ref(r->job);
  } else if (fine) {
    fine = lf_buf_move(&t->data, &end->body) == 0;
  }
  if (!fine) {
    refuse_task(r);
    if (t)
      lf_task_unref(t);
    return;
  }
  t->flight = end->msg.id;
  t->slot = (uint8_t)end->msg.slot;
  t->pinned = end->msg.flag ? (uint32_t)r->worker->id : 0;
  lf_list_add(end->msg.flag ? &r->worker->pinned : &p->queue, &t->link);
}

static char no_memory[] = "not enough memory";

/* The part does not run any more, or waits. */
static void uncount_part(lf_remote *r, lf_task *t) {
  pthread_mutex_lock(&r->pool->lock);
  r->parts -= !t->rests;
  t->rests = true;
  pthread_mutex_unlock(&r->pool->lock);
}

/* What has become of a part of a loop that was submitted from here. */
static void receive_part(lf_remote *r, lf_task *t) {
  lf_end *end = &r->end;
  lf_chunk *c = t->chunk;
  bool refused = end->msg.state == LF_FAILED; /* the body is why */
  t->chunk = NULL;
  uncount_part(r, t);
  c->finished = end->msg.a;
  c->failed = end->msg.flag & 1 || refused;
  c->dropped = end->msg.flag & 2;
  c->rest = end->msg.flag & 4 && c->finished ? c->count - c->finished : 0;
  c->error = end->msg.error;
  bool fine = !end->no_memory && c->finished <= c->count &&
              lf_buf_move(refused ? &c->why : &c->out, &end->body) == 0 &&
              (refused || lf_buf_move(&c->why, &end->tail) == 0);
  if (!fine) {
    c->finished = 0;
    c->failed = true;
    c->error = LF_RAISED;
    lf_buf_reset(&c->why);
    (void)lf_buf_put(&c->why, no_memory, sizeof no_memory - 1);
  }
  if (c->dropped)
    lf_job_drop(t->job, c);
  else
    lf_job_done(t->job, c, (int64_t)end->msg.b);
  lf_task_end(t, LF_FINISHED);
}

static void receive_result(lf_remote *r, lf_task *t) {
  lf_end *end = &r->end;
  lf_state state = end->msg.state;
  t->error = end->msg.error;
  if (end->msg.tail && !end->no_memory)
    t->trace = lf_strndup((char *)end->tail.data, end->tail.len);
  if (end->no_memory || lf_buf_move(&t->data, &end->body) != 0) {
    state = LF_FAILED;
    t->error = LF_BROKEN;
    (void)lf_buf_put(&t->data, no_memory, sizeof no_memory - 1);
  }
  bool known = state == LF_FINISHED || state == LF_FAILED;
  lf_task_end(t, known ? state : LF_CANCELLED);
}

/* The task that the message in hand is about, unless it has ended. */
static lf_task *find_open(lf_remote *r) {
  pthread_mutex_lock(&r->pool->lock);
  lf_entry *e = lf_table_find(&r->tasks, r->end.msg.id);
  lf_task *t = e ? e->value : NULL;
  pthread_mutex_unlock(&r->pool->lock);
  return t && !lf_task_done(t) ? t : NULL;
}

/* A part of a loop that was submitted from here waits for something. */
static void receive_rested(lf_remote *r) {
  lf_task *t = find_open(r);
  if (!t || !t->chunk)
    return;
  uncount_part(r, t);
  send_runners(r);
}

/* A task that was submitted from here, or is known here, has ended. */
static void receive_done(lf_remote *r) {
  lf_task *t = find_open(r);
  if (!t)
    return;
  if (t->chunk)
    receive_part(r, t);
  else
    receive_result(r, t);
  lf_task_unref(t); /* the table's */
  send_runners(r);
}

/* One of the tasks that wait here would do so for ever. */
static void receive_stuck(lf_remote *r) {
  for (lf_link *l = r->waiting.next; l != &r->waiting; l = l->next) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (t->flight != r->end.msg.id || t->stuck)
      continue;
    t->trace = lf_strndup((char *)r->end.body.data, r->end.body.len);
    t->stuck = true;
    r->pool->o.ops->stuck(r->worker->vm, t);
    lf_unpark(r->worker->parker_at); /* if it waits in the middle of a task */
    return;
  }
}

static void receive_reply(lf_remote *r) {
  const lf_end *end = &r->end;
  pthread_mutex_lock(&r->pool->lock);
  for (lf_link *l = r->questions.next; l != &r->questions; l = l->next) {
    question *q = lf_container_of(l, question, link);
    if (q->number != end->msg.b)
      continue;
    lf_list_del(l);
    q->answer = end->msg.a;
    if (end->body.len == sizeof q->stats)
      memcpy(&q->stats, end->body.data, sizeof q->stats);
    lf_parker *parker = q->parker;
    atomic_store(&q->answered, true); /* then it may be gone */
    lf_unpark(parker);
    break;
  }
  pthread_mutex_unlock(&r->pool->lock);
}

/* The program waits for room in the ring, of which there is more now. */
static void make_room_known(lf_remote *r) {
  atomic_thread_fence(memory_order_seq_cst); /* after what was taken */
  if (atomic_load(&r->end.in->want)) {
    atomic_store(&r->region->armed, 1);
    ring_bell(r);
  }
}

static void tell_dropped(lf_remote *r) {
  if (!lf_peer_has_dropped(&r->end.peer))
    return;
  pthread_mutex_lock(&r->pool->lock);
  lf_end_tell_dropped(&r->end);
  flush(r);
  pthread_mutex_unlock(&r->pool->lock);
}

void lf_remote_receive(lf_remote *r) {
  while (lf_end_receive(&r->end)) {
    switch (r->end.msg.kind) {
    case LF_MSG_TASK:
    case LF_MSG_CHUNK:
      receive_task(r);
      break;
    case LF_MSG_JOB:
      if (r->job)
        lf_job_unref(r->job);
      r->job = r->end.no_memory
                   ? NULL
                   : lf_job_import(r->pool, &r->end.body, part_done);
      break;
    case LF_MSG_DONE:
      receive_done(r);
      break;
    case LF_MSG_RESTED:
      receive_rested(r);
      break;
    case LF_MSG_NOTICE:
      if (!r->end.no_memory)
        r->pool->o.ops->notice(r->worker->vm, &r->end.body);
      break;
    case LF_MSG_STUCK:
      receive_stuck(r);
      break;
    case LF_MSG_GO:
      r->go = true;
      break;
    case LF_MSG_REPLY:
      receive_reply(r);
      break;
    case LF_MSG_STOP:
      r->stop = true;
      break;
    default:
      break;
    }
  }
  make_room_known(r);
  tell_dropped(r);
}

/* --- Running --- */

lf_task *lf_remote_take(lf_remote *r, bool pinned) {
  lf_link *l;
  lf_link *from = pinned ? &r->worker->pinned : &r->pool->queue;
  while ((l = lf_list_pop(from))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (begin(r, t->slot))
      return t;
    lf_task_unref(t);
  }
  return NULL;
}

static void learn_time(lf_remote *r, int64_t ns) {
  uint64_t old =
      atomic_load_explicit(&r->region->task_ns, memory_order_relaxed);
  uint64_t new = old ? (3 * old + (uint64_t)ns) / 4 : (uint64_t)ns;
  atomic_store_explicit(&r->region->task_ns, new + 1, memory_order_relaxed);
}

static void run_task(lf_remote *r, lf_task *t) {
  int64_t since = lf_now();
  r->worker->swept = false;
  lf_task_start(t);
  r->pool->o.ops->run(r->worker->vm, t);
  learn_time(r, lf_now() - since);
}

static bool has_work(lf_remote *r) {
  lf_worker *w = r->worker;
  return lf_ring_filled(r->end.in) > 0 || w->taken || atomic_load(&w->ready);
}

static lf_spin_time idling = LF_SPIN_TIME;

/* Nothing to do now. */
static void rest(lf_remote *r) {
  lf_worker *w = r->worker;
  int64_t since = lf_now(), deadline = lf_worker_deadline(w);
  bool holds = lf_worker_holds(w); /* and will not begin what it has */
  atomic_store(&r->region->busy, holds);
  ring_bell(r);
  int64_t end = since + lf_spin_ns(&idling);
  for (int i = 1; lf_may_spin() && !has_work(r); i++) {
    lf_relax();
    if (i % 32 == 0 && lf_now() >= end)
      break;
  }
  if (!has_work(r)) {
    int64_t soon = w->swept ? LF_FOREVER : lf_now() + IDLE_NS;
    soon = soon < deadline ? soon : deadline;
    int err = holds ? lf_worker_sleep(w, soon) : lf_doze(w->parker_at, soon);
    if (err == LF_ETIMEOUT && soon < deadline) {
      w->swept = true;
      r->pool->o.ops->idle(w->vm);
    }
  }
  lf_spin_learn(&idling, lf_now() - since);
}

/* One step of the worker's life; false: it is to leave. */
static bool step(lf_remote *r) {
  lf_run *run = lf_worker_ready(r->worker); /* receives, too */
  if (run) {
    atomic_store(&r->region->busy, 1);
    r->pool->o.ops->resume(r->worker->vm, run);
    return true;
  }
  bool holds = lf_worker_holds(r->worker);
  lf_task *t = holds ? NULL : lf_remote_take(r, true);
  t = t || holds ? t : lf_remote_take(r, false);
  if (t)
    run_task(r, t);
  else if (r->stop)
    return false;
  else
    rest(r);
  return true;
}

/* --- Blocking --- */

void lf_remote_block(lf_remote *r) {
  atomic_store(&r->region->busy, 0);
  tell(r, LF_MSG_BLOCK, 0, 0);
}

void lf_remote_unblock(lf_remote *r) {
  r->go = false;
  atomic_store(&r->region->busy, 1);
  tell(r, LF_MSG_UNBLOCK, 0, 0);
  for (;;) {
    lf_remote_receive(r);
    if (r->go)
      return;
    lf_doze(r->worker->parker_at, LF_FOREVER);
  }
}

static lf_remote *remote_of(const lf_task *t) {
  return t->pool ? t->pool->remote : NULL;
}

static bool put_id(lf_task *t, void *ids) {
  if (t->names > 0 && lf_task_state(t) == LF_RUNNING)
    (void)lf_buf_put(ids, &t->flight, sizeof t->flight);
  return true;
}

/* Tells what the task waits for, and which one runs on top of it, or NULL. */
static void tell_wait(lf_remote *r, lf_task *t, lf_waits *waits,
                      const lf_task *top, bool look) {
  lf_buf ids;
  lf_buf_init(&ids, NULL, 0);
  if (waits)
    waits->each(waits, put_id, &ids);
  if (ids.len > 0 || top) {
    lf_msg msg = {.kind = LF_MSG_WAIT, .id = t->flight};
    lf_load load = {.body = &ids, .to = ids.len};
    msg.flag = waits && waits->any;
    msg.a = top ? top->flight : 0;
    msg.b = look;
    pthread_mutex_lock(&r->pool->lock);
    t->told = post(r, &msg, &load) == 0;
    pthread_mutex_unlock(&r->pool->lock);
  }
  lf_buf_fini(&ids);
}

static void tell_unwait(lf_remote *r, lf_task *t) {
  if (t->told)
    tell(r, LF_MSG_UNWAIT, t->flight, 0);
  t->told = false;
}

void lf_remote_wait(lf_task *t, lf_waits *waits) {
  lf_remote *r = remote_of(t);
  if (!r)
    return;
  lf_list_add(&r->waiting, &t->link);
  tell_wait(r, t, waits, NULL, true);
}

void lf_remote_cover(lf_task *t, lf_waits *waits, const lf_task *top) {
  lf_remote *r = remote_of(t);
  if (!r)
    return;
  tell_unwait(r, t);
  tell_wait(r, t, waits, top, false);
}

void lf_remote_unwait(lf_task *t) {
  lf_remote *r = remote_of(t);
  if (!r)
    return;
  lf_list_del(&t->link);
  tell_unwait(r, t);
}

void lf_remote_rest(lf_task *t) {
  lf_remote *r = remote_of(t);
  if (!r || !t->job || t->rests)
    return;
  t->rests = true;
  tell(r, LF_MSG_REST, t->flight, 0);
}

/* --- Questions --- */

/* A thread of this process that waits for what the worker's thread receives. */
typedef struct {
  lf_waiter waiter;
  lf_parker own, *at;
} listener;

static void listen(const lf_remote *r, listener *l) {
  lf_parker_init(&l->own);
  l->at = lf_self == r->worker ? r->worker->parker_at : &l->own;
}

/* Sleeps until something may have come. */
static void hear(lf_remote *r, const listener *l) {
  if (lf_self == r->worker)
    lf_remote_receive(r);
  else
    lf_doze(l->at, LF_FOREVER);
}

/* Asks the program and waits for its answer: in 'q'. */
static uint64_t ask(lf_remote *r, lf_msg_kind kind, uint64_t id, question *q) {
  static const lf_load none;
  listener l;
  listen(r, &l);
  *q = (question){.parker = l.at};
  pthread_mutex_lock(&r->pool->lock);
  q->number = ++r->last_question;
  lf_list_add(&r->questions, &q->link);
  lf_msg msg = {.kind = (uint8_t)kind, .id = id, .b = q->number};
  (void)post(r, &msg, &none);
  pthread_mutex_unlock(&r->pool->lock);
  for (;;) {
    hear(r, &l);
    if (atomic_load(&q->answered))
      return q->answer;
    if (lf_self == r->worker)
      lf_doze(l.at, LF_FOREVER);
  }
}

static void fire_listener(lf_waiter *waiter) {
  lf_unpark(lf_container_of(waiter, listener, waiter)->at);
}

/* It has ended, as the program has said; what has become of it is on its way.
 */
static void await_done(lf_remote *r, lf_task *t) {
  listener l = {.waiter.fire = fire_listener};
  listen(r, &l);
  lf_waiter_add(&l.waiter, t);
  while (!lf_task_done(t)) {
    hear(r, &l);
    if (lf_self == r->worker && !lf_task_done(t))
      lf_doze(l.at, LF_FOREVER);
  }
  lf_waiter_remove(&l.waiter);
}

bool lf_remote_cancel(lf_remote *r, lf_task *t) {
  if (lf_task_done(t) || t->names == 0)
    return lf_task_cancel(t);
  question q;
  if (!ask(r, LF_MSG_CANCEL, t->flight, &q))
    return false;
  await_done(r, t);
  return lf_task_state(t) == LF_CANCELLED;
}

lf_state lf_remote_look(lf_remote *r, lf_task *t) {
  if (t->names == 0 || lf_task_done(t))
    return lf_task_state(t);
  question q;
  lf_state state = (lf_state)ask(r, LF_MSG_LOOK, t->flight, &q);
  if (state < LF_FINISHED)
    return state;
  await_done(r, t);
  return lf_task_state(t);
}

void lf_remote_stat(lf_remote *r, lf_pool_stats *s) {
  question q;
  ask(r, LF_MSG_STATS, 0, &q);
  *s = q.stats;
}

void lf_remote_shutdown(lf_remote *r, bool cancel) {
  atomic_store(&r->region->closed, 1);
  tell(r, LF_MSG_SHUTDOWN, 0, cancel);
}

bool lf_remote_is_closed(lf_remote *r) {
  return atomic_load(&r->region->closed);
}

const _Atomic int *lf_remote_full(lf_remote *r) {
  return &r->region->full;
}

/* --- Life --- */

static _Noreturn void die(const char *why) {
  fprintf(stderr, "lfut: a worker process cannot start: %s\n", why);
  lf_fork_exit(LF_REMOTE_REFUSED);
}

/* Arrays that the program has given are gone: it is to be told, by the worker's
 * thread, which does that before it sleeps. */
static void rouse(lf_giver *giver) {
  lf_remote *r = lf_container_of(giver, lf_remote, end.peer.giver);
  if (lf_self != r->worker)
    lf_unpark(r->worker->parker_at);
}

/* The program's pool, as it is seen from here. */
static lf_remote *remote_new(const lf_pool_options *options, int id,
                             lf_region *region, int bell) {
  lf_remote *r = lf_zalloc(sizeof *r);
  lf_pool *p = r ? lf_pool_new(options) : NULL;
  lf_worker *w = p ? lf_worker_in_caller(p) : NULL;
  if (!w)
    die("not enough memory");
  p->remote = r;
  r->pool = p;
  r->worker = w;
  r->region = region;
  r->bell = bell;
  lf_list_init(&r->runners);
  lf_list_init(&r->waiting);
  lf_list_init(&r->questions);
  w->id = id;
  w->mode = ACTIVE;
  w->next_deadline = LF_FOREVER;
  w->parker_at = &region->parker;
  lf_end_init(&r->end, &region->in, &region->out, p, &names, r);
  lf_peer_init(&r->end.peer, true, rouse);
  lf_owner_be(region->owner);
  r->last_number = 1; /* odd */
  return r;
}

static void send_broken(lf_remote *r, int err, lf_buf *why) {
  static char text[] = "not enough memory";
  lf_msg msg = {.kind = LF_MSG_BROKEN};
  lf_load load = {.body = why, .to = why->len};
  if (err != LF_EBROKEN) {
    lf_buf_reset(why);
    (void)lf_buf_put(why, text, sizeof text - 1);
    load.to = why->len;
  }
  pthread_mutex_lock(&r->pool->lock);
  (void)post(r, &msg, &load);
  pthread_mutex_unlock(&r->pool->lock);
}

static _Noreturn void live(lf_remote *r) {
  char name[32];
  lf_buf why;
  lf_worker *w = r->worker;
  lf_buf_init(&why, NULL, 0);
  snprintf(name, sizeof name, "%.10s_%d", r->pool->o.name, w->id);
  prctl(PR_SET_NAME, name);
  lf_count_outside(&r->region->load);
  lf_pool_catch_interrupts();
  lf_native_note_crash(r->region->crash, sizeof r->region->crash);
  lf_self = w;
  w->thread = pthread_self();
  int err = r->pool->o.ops->open(w, &w->vm, &why);
  if (err) {
    send_broken(r, err, &why);
    lf_fork_exit(EXIT_FAILURE);
  }
  tell(r, LF_MSG_READY, (uint64_t)getpid(), 0);
  while (step(r))
    continue;
  r->pool->o.ops->close(w->vm);
  lf_fork_exit(EXIT_SUCCESS);
}

void lf_remote_main(const lf_pool_options *options, int id, int region_fd,
                    int bell) {
  lf_pool_options o = *options;
  lf_region *region = lf_region_map(region_fd);
  if (!region)
    die("no shared memory");
  close(region_fd);
  lf_fd_own(bell);
  o.host = NULL;
  o.program = NULL;
  o.setup_free = NULL;
  live(remote_new(&o, id, region, bell));
}

void lf_remote_spawned(int id, pid_t parent, const lf_vmops *ops,
                       lf_remote_make *make) {
  lf_pool_options o = {.name = "", .ops = ops};
  lf_region *region = lf_region_map(LF_REMOTE_REGION);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!region || getppid() != parent)
    die("no shared memory");
  close(LF_REMOTE_REGION);
  if (region->owner && lf_arena_adopt(LF_REMOTE_ARENA) != 0)
    die("no shared memory for arrays");
  lf_fd_own(LF_REMOTE_BELL);
  lf_fork_leave_interrupts();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  lf_remote *r = remote_new(&o, id, region, LF_REMOTE_BELL);
  while (!lf_end_receive(&r->end))
    lf_doze(r->worker->parker_at, LF_FOREVER);
  o.max_workers = (int)r->end.msg.a;
  o.name = lf_strndup((char *)r->end.tail.data, r->end.tail.len);
  o.setup = o.name && !r->end.no_memory ? make(&r->end.body) : NULL;
  if (!o.setup)
    die("not enough memory");
  r->pool->o = o;
  live(r);
}
