/* SPDX-License-Identifier: MIT
 *
 * See serve_receive.h. */
#include "runtime/process/serve_receive.h"

#include "runtime/base/mem.h"
#include "runtime/process/task_io.h"

#include <string.h>

/* --- Tasks to run --- */

/* True if the task is the worker's from now on, and not taken back. It is seen
 * that the worker is busy, and with what, before it is seen that this has
 * begun: who asks it to stop would take it for parked. */
static bool begin(lf_serve *r, uint64_t id) {
  _Atomic uint32_t *slot = &r->region->slots[id % LF_SLOTS];
  uint32_t word = atomic_load(slot);
  lf_serve_enter(r, LF_SERVE_RUNNING);
  atomic_store(&r->region->running, id);
  bool begun =
      (word & 3) == LF_SLOT_SENT &&
      atomic_compare_exchange_strong(slot, &word, (word & ~3u) | LF_SLOT_BEGUN);
  if (!begun) { /* it was taken back: the slot can be used again */
    atomic_store(slot, word & ~3u);
    atomic_fetch_add(&r->region->ended, 1);
  }
  atomic_fetch_add(&r->region->begun, 1);
  return begun;
}

/* The task in hand cannot be kept for lack of memory: it ends with that. */
static void refuse_task(lf_serve *r) {
  lf_msg msg = {.id = r->end.msg.id};
  lf_serve_state before = r->state;
  uint64_t running = atomic_load(&r->region->running);
  if (begin(r, r->end.msg.id)) {
    atomic_fetch_add(&r->region->ended, 1);
    pthread_mutex_lock(&r->pool->lock);
    lf_serve_tell_lack(r, &msg);
    pthread_mutex_unlock(&r->pool->lock);
  }
  atomic_store(&r->region->running, running);
  lf_serve_enter(r, before);
}

/* A task to be run here. */
static void receive_task(lf_serve *r) {
  lf_channel *end = &r->end;
  lf_task *t = NULL;
  if (!end->no_memory && end->msg.kind != LF_MSG_CHUNK)
    t = lf_call_receive(end, r->pool, NULL);
  else if (!end->no_memory && r->loop)
    t = lf_chunk_receive(end, r->loop);
  if (!t) {
    refuse_task(r);
    return;
  }
  t->far.id = end->msg.id;
  t->pinned = end->msg.flag ? (uint32_t)r->worker->id : 0;
  lf_list_add(end->msg.flag ? &r->worker->pinned : &r->pool->queue, &t->link);
}

lf_task *lf_serve_take(lf_serve *r, bool pinned) {
  lf_link *l;
  lf_link *from = pinned ? &r->worker->pinned : &r->pool->queue;
  uint64_t running = atomic_load(&r->region->running);
  while ((l = lf_list_pop(from))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (begin(r, t->far.id))
      return r->begun = t;
    lf_task_unref(t);
    atomic_store(&r->region->running, running);
  }
  return NULL;
}

/* --- Tasks that were submitted from here --- */

/* The chunk does not run any more, or waits. */
static void uncount_chunk(lf_serve *r, lf_task *t) {
  pthread_mutex_lock(&r->pool->lock);
  r->chunks -= !(t->noted & LF_RESTS);
  t->noted |= LF_RESTS;
  pthread_mutex_unlock(&r->pool->lock);
}

/* What has become of a chunk of a loop that was submitted from here. */
static void receive_chunk(lf_serve *r, lf_runner *runner) {
  lf_task *t = &runner->task;
  lf_chunk *c = runner->chunk;
  runner->chunk = NULL;
  uncount_chunk(r, t);
  bool run = lf_chunk_receive_end(&r->end, c);
  if (run)
    lf_loop_done(runner->loop, c, c->ns);
  else
    lf_loop_drop(runner->loop, c);
  lf_task_end(t, LF_FINISHED);
}

/* The task that the message in hand is about, unless it has ended. */
static lf_task *find_open(lf_serve *r) {
  pthread_mutex_lock(&r->pool->lock);
  lf_known *k = lf_serve_known(r, r->end.msg.id);
  lf_task *t = k ? k->task : NULL;
  pthread_mutex_unlock(&r->pool->lock);
  return t && !lf_task_done(t) ? t : NULL;
}

/* A chunk of a loop that was submitted from here waits for something. */
static void receive_rested(lf_serve *r) {
  lf_task *t = find_open(r);
  if (!t || !lf_runner_of(t))
    return;
  uncount_chunk(r, t);
  lf_serve_send_runners(r);
}

/* A task that was submitted from here, or is known here, has ended. */
static void receive_done(lf_serve *r) {
  lf_task *t = find_open(r);
  if (!t)
    return;
  if (lf_runner_of(t))
    receive_chunk(r, lf_runner_of(t));
  else
    lf_task_end(t, lf_task_receive_end(&r->end, t));
  lf_task_unref(t); /* the table's */
  lf_serve_send_runners(r);
}

/* One of the tasks that wait here would do so for ever. */
static void receive_stuck(lf_serve *r) {
  for (lf_link *l = r->waiting.next; l != &r->waiting; l = l->next) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (t->far.id != r->end.msg.id || t->stuck)
      continue;
    t->trace = lf_strndup((char *)r->end.body.data, r->end.body.len);
    t->stuck = true;
    r->pool->o.ops->stuck(r->worker->vm, t);
    lf_unpark(r->worker->parker_at); /* if it waits in the middle of a task */
    return;
  }
}

/* --- All else --- */

static void receive_reply(lf_serve *r) {
  const lf_channel *end = &r->end;
  pthread_mutex_lock(&r->pool->lock);
  for (lf_link *l = r->questions.next; l != &r->questions; l = l->next) {
    lf_question *q = lf_container_of(l, lf_question, link);
    if (q->number != end->msg.b)
      continue;
    lf_list_del(l);
    q->answer = end->msg.a;
    if (end->body.len == sizeof q->stats)
      memcpy(&q->stats, end->body.data, sizeof q->stats);
    if (q->body)
      (void)lf_buf_put(q->body, end->body.data, end->body.len);
    lf_parker *parker = q->parker;
    atomic_store(&q->answered, true); /* then it may be gone */
    lf_unpark(parker);
    break;
  }
  pthread_mutex_unlock(&r->pool->lock);
}

/* The program waits for room in the ring, of which there is more now. */
static void make_room_known(lf_serve *r) {
  atomic_thread_fence(memory_order_seq_cst); /* after what was taken */
  if (atomic_load(&r->end.in->want)) {
    atomic_store(&r->region->armed, 1);
    lf_serve_ring_doorbell(r);
  }
}

static void tell_dropped(lf_serve *r) {
  if (!lf_array_refs_has_dropped(&r->end.array_refs))
    return;
  pthread_mutex_lock(&r->pool->lock);
  lf_channel_tell_dropped(&r->end);
  lf_serve_flush(r);
  pthread_mutex_unlock(&r->pool->lock);
}

static bool is_asked_for(lf_task *t, void *arg) {
  lf_serve *r = arg;
  if (t->far.id != r->end.msg.id)
    return true;
  lf_task_stop(t, (lf_reason)r->end.msg.flag);
  return false;
}

/* A task that runs here is to stop. It may be over, or wait for the permit to
 * run on top of another. */
static void receive_ask(lf_serve *r) {
  lf_worker *w = r->worker;
  lf_task *current = atomic_load(&w->current);
  if (r->end.msg.flag == LF_GO_ON || r->end.msg.flag > LF_STOP_MEMORY)
    return;
  if (current && !is_asked_for(current, r)) {
    r->pool->o.ops->poke();
    return;
  }
  if (!r->begun || is_asked_for(r->begun, r))
    r->pool->o.ops->each(w->vm, is_asked_for, r);
  atomic_store(&w->asked, true);
}

static void receive_loop(lf_serve *r) {
  lf_channel *end = &r->end;
  if (r->loop)
    lf_loop_unref(r->loop);
  r->loop = lf_loop_receive(end, r->pool, lf_serve_chunk_done);
}

/* Deals with the message in hand. */
static void receive_message(lf_serve *r) {
  switch (r->end.msg.kind) {
  case LF_MSG_TASK:
  case LF_MSG_CHUNK:
    receive_task(r);
    break;
  case LF_MSG_LOOP:
    receive_loop(r);
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
    if (r->state == LF_SERVE_WANTING)
      lf_serve_enter(r, LF_SERVE_RUNNING);
    break;
  case LF_MSG_REPLY:
    receive_reply(r);
    break;
  case LF_MSG_ASK:
    receive_ask(r);
    break;
  case LF_MSG_STOP:
    r->stop = true;
    break;
  default:
    break;
  }
}

void lf_serve_receive(lf_serve *r) {
  while (lf_channel_receive(&r->end))
    receive_message(r);
  make_room_known(r);
  tell_dropped(r);
}
