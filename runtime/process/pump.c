/* SPDX-License-Identifier: MIT
 *
 * A round: what worker processes have sent is received, what they are to have
 * is sent, and what has come of it is done without the lock. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/spin.h"
#include "runtime/pool/limits.h"
#include "runtime/process/task_io.h"
#include "runtime/task/chain.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

/* --- Receiving --- */

static void receive_outcome(lf_proc *c, lf_outcome *after) {
  lf_in_flight *f = lf_proc_find(c, c->end.msg.id);
  if (!f || !lf_outcome_is_of(&c->end, f->task)) {
    lf_members_condemn(c);
    return;
  }
  lf_task *t = f->task;
  lf_proc_finish_flight(f);
  lf_outcome_note_reason(&c->end, t);
  lf_ran ran;
  lf_outcome_count(&c->end, t, &c->worker->tallies, &ran);
  if (lf_task_reason(t) != LF_GO_ON && lf_members_again(c->worker->pool, t))
    return;
  c->worker->started++;
  ran.process = c->own_pid;
  ran.worker = c->worker->id;
  if (ran.begun &&
      c->worker->pool->o.origin) /* it goes on to another program */
    (void)lf_task_note_run(t, &ran);
  lf_state end = lf_outcome_receive(&c->end, t);
  *(end == LF_FINISHED    ? &c->worker->finished
    : end == LF_CANCELLED ? &c->worker->stopped
                          : &c->worker->failed) += 1;
  lf_list_add(&after->done, &t->link);
}

static void receive_broken(lf_proc *c, lf_outcome *after) {
  if (c->ready) {
    lf_members_condemn(c);
    return;
  }
  c->stopping = true; /* it leaves */
  if (after->broken)
    return;
  after->broken = c->end.no_memory
                      ? lf_words(LF_NO_MEMORY, strlen(LF_NO_MEMORY))
                      : lf_words((char *)c->end.body.data, c->end.body.len);
}

static void receive_ready(lf_proc *c) {
  lf_members *f = lf_members_of(c->worker->pool);
  if (c->ready) {
    lf_members_condemn(c);
    return;
  }
  c->ready = true;
  c->seen_at = lf_now(); /* what it was sent before could not be begun */
  c->own_pid = (pid_t)c->end.msg.id;
  c->worker->mode = LF_WORKER_ACTIVE;
  f->starting--;
  f->failures = 0;
}

static void receive_all(lf_proc *c, lf_outcome *after) {
  while (!c->mad && lf_channel_receive(&c->end)) {
    switch (c->end.msg.kind) {
    case LF_MSG_READY:
      receive_ready(c);
      break;
    case LF_MSG_BROKEN:
      receive_broken(c, after);
      break;
    case LF_MSG_RESULT:
    case LF_MSG_CHUNK_DONE:
      receive_outcome(c, after);
      break;
    default:
      lf_requests_receive(c, after);
    }
  }
  if (c->end.damaged)
    lf_members_condemn(c);
}

/* --- What is done without the lock --- */

/* A runner gets its chunk, and goes back to be sent. Meanwhile it was in no
 * queue: if all that was queued has been cancelled, so is this. */
static void end_claimed(lf_pool *p, lf_task *t) {
  uint64_t epoch = lf_pool_epoch(p);
  lf_runner *runner = lf_runner_of(t);
  lf_chunk *chunk = lf_loop_claim(runner->loop, runner);
  if (!chunk) {
    if (lf_task_start(t))
      lf_task_end(t, LF_FINISHED);
    lf_task_unref(t);
    return;
  }
  runner->chunk = chunk;
  pthread_mutex_lock(&p->lock);
  bool cancelled = p->broken || lf_pool_epoch(p) != epoch;
  if (!cancelled)
    lf_members_put_first(p, t);
  pthread_mutex_unlock(&p->lock);
  if (cancelled) {
    p->broken ? lf_task_fail(t, LF_BROKEN, p->broken) : lf_task_cancel(t);
    lf_task_unref(t);
  }
}

static void run_after(lf_pool *p, lf_outcome *after) {
  lf_link *l;
  if (after->cancel_all)
    lf_pool_shutdown(p, true);
  if (after->broken)
    lf_pool_break(p, after->broken);
  lf_words_free(after->broken);
  while ((l = lf_list_pop(&after->done)))
    lf_outcome_end(lf_container_of(l, lf_task, link));
  while ((l = lf_list_pop(&after->cancelling)))
    lf_requests_cancel(p, lf_container_of(l, lf_cancelling, link));
  for (lf_dependent *d; (d = after->beginning);) {
    after->beginning = d->next;
    lf_dependent_begin(d);
    lf_task_unref(&d->task);
  }
  while ((l = lf_list_pop(&after->claims)))
    end_claimed(p, lf_container_of(l, lf_task, link));
}

/* Under the lock: takes what is to be done, if there is anything and nobody is
 * at it. */
static bool take_after(lf_members *f, lf_outcome *out) {
  lf_outcome *in = &f->after;
  if (f->ending || lf_outcome_is_empty(in))
    return false;
  lf_outcome_init(out);
  out->cancel_all = in->cancel_all;
  out->broken = in->broken;
  out->beginning = in->beginning;
  lf_list_move(&out->done, &in->done);
  lf_list_move(&out->cancelling, &in->cancelling);
  lf_list_move(&out->claims, &in->claims);
  lf_outcome_init(in);
  return f->ending = true;
}

/* --- A round --- */

/* Under the lock: what the worker has sent, and room for what it is to get. */
static void receive_from(lf_proc *c, lf_outcome *after) {
  c->reserved = 0;
  receive_all(c, after);
  lf_channel_tell_dropped(&c->end);
  if (!lf_list_empty(&c->end.parcels))
    lf_channel_flush(&c->end);
  lf_members_place(c);
}

/* Whose state is a later one then is looked at twice. */
static void receive_from_all(lf_members *f) {
  lf_proc *next;
  for (lf_proc *c = lf_members_from(f, LF_PROC_STARTING); c; c = next) {
    next = lf_members_next(f, c);
    receive_from(c, &f->after);
  }
}

/* Under the lock: tells the workers what they need to know of others, and wakes
 * those that have been sent something; and how many are awake, to all who want
 * to spin. */
static void wake(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  lf_count_awake(f->occupied - f->counted);
  if (p->o.bell && f->occupied < f->counted)
    lf_eventfd_ring(p->o.bell);
  f->counted = f->occupied;
  bool full = f->occupied >= p->o.max_workers || p->queued > 0;
  int awake = lf_awake();
  EACH_LIVELY(c, f) {
    int others = awake - c->occupied;
    atomic_store_explicit(&c->region->awake,
                          (uint32_t)(others > 0 ? others : 0),
                          memory_order_relaxed);
    atomic_store_explicit(&c->region->full, full, memory_order_relaxed);
    if (c->end.posted) {
      c->end.posted = false;
      lf_unpark(&c->region->parker);
    }
  }
}

/* Under the lock: receives and sends what can be. */
static void move_messages(lf_pool *p) {
  lf_outcome *after = &lf_members_of(p)->after;
  if (atomic_exchange(&lf_members_of(p)->rung, false))
    lf_members_look_at_resting(p);
  receive_from_all(lf_members_of(p));
  lf_requests_tell(p);
  lf_dispatch(p, after);
  lf_dispatch_stop(p);
  wake(p);
  lf_members_let_rest(p);
}

void lf_pump(lf_pool *p) {
  lf_pool *outer = lf_members_pumping;
  lf_outcome after;
  lf_members_pumping = p;
  pthread_mutex_lock(&p->lock);
  move_messages(p);
  while (take_after(lf_members_of(p), &after)) {
    pthread_mutex_unlock(&p->lock);
    run_after(p, &after);
    pthread_mutex_lock(&p->lock);
    lf_members_of(p)->ending = false;
    move_messages(p);
    if (p->threads == 0) /* it may be over, but the supervisor saw us at work */
      lf_members_kick(p);
  }
  pthread_mutex_unlock(&p->lock);
  lf_members_pumping = outer;
}

void lf_pump_settle(lf_pool *p) {
  bool ending = true;
  while (ending && !lf_members_is_pumping(p)) {
    pthread_mutex_lock(&p->lock);
    ending = lf_members_of(p)->ending;
    pthread_mutex_unlock(&p->lock);
    if (ending)
      sched_yield();
  }
}

/* --- Is there a need for one? --- */

bool lf_pump_has_news(lf_pool *p, bool wait) {
  if (wait)
    pthread_mutex_lock(&p->lock);
  else if (pthread_mutex_trylock(&p->lock) != 0)
    return false;
  lf_members *f = lf_members_of(p);
  atomic_thread_fence(memory_order_seq_cst); /* after lf_pump_arm */
  bool news = lf_stack_has_new(&f->ended, memory_order_relaxed);
  EACH_LIVELY(c, f) {
    if (news)
      break;
    news = lf_proc_has_news(c) || !lf_members_is_placed(c);
  }
  pthread_mutex_unlock(&p->lock);
  return news;
}

void lf_pump_arm(lf_pool *p, bool supervisor) {
  pthread_mutex_lock(&p->lock);
  if (supervisor)
    atomic_store(&lf_members_of(p)->deep, true);
  EACH_LIVELY(c, lf_members_of(p))
  atomic_store(&c->region->armed, 1);
  pthread_mutex_unlock(&p->lock);
}
