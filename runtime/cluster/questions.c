/* SPDX-License-Identifier: MIT
 *
 * See internal.h. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/functions.h"

#include <inttypes.h>
#include <stdio.h>

static void tell(const lf_sent *s, const char *function, const char *argument,
                 lf_redis_reply *reply, void *user) {
  char stream[64];
  lf_digits number;
  lf_cluster *cl = s->batch->cluster;
  const lf_arg args[] = {
      lf_arg_text(cl->id),
      lf_arg_text(lf_batch_stream(s->batch, stream, sizeof stream)),
      lf_arg_text(s->batch->id), lf_arg_int(number, (int64_t)s->number),
      lf_arg_text(argument ? argument : "")};
  if (lf_client_call(cl, function, args, 5, reply, user) != 0)
    reply(user, NULL);
  else
    lf_client_flush(cl);
}

/* The task's place in the server, as soon as its entry is known; NULL: it is
 * not there any more. Waits. */
static lf_sent *await_entry(lf_cluster *cl, const lf_task *t) {
  for (;;) {
    lf_sent *s = t->stage == LF_STAGE_SENT ? t->far.carrier : NULL;
    if (!s || (s->batch->id[0] && lf_client_is_connected(cl)))
      return s;
    pthread_cond_wait(&cl->changed, &cl->pool->lock);
  }
}

static void on_answer(void *user, const redisReply *reply) {
  enum { LATER = 2 }; /* its member will say */
  lf_question *q = user;
  int64_t value =
      reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
  q->told = true;
  if (q->early >= 0 && (value == LATER || value < 0))
    value = q->early;
  if (value != LATER)
    lf_question_answer(q, value);
}

/* A question about a task that was sent; it is there until the server has
 * answered. NULL: no memory. */
static lf_question *question_new(lf_cluster *cl) {
  lf_question *q = lf_zalloc(sizeof *q);
  if (!q)
    return NULL;
  q->cluster = cl;
  q->value = -1;
  lf_list_init(&q->link);
  lf_list_add(&cl->questions, &q->link);
  return q;
}

static void question_free(lf_question *q) {
  lf_list_del(&q->link);
  lf_free(q);
}

static void put_question(lf_question *q, const lf_sent *s,
                         const char *function) {
  lf_digits digits;
  q->number = ++q->cluster->last_question;
  q->task = s->number;
  q->answered = q->told = false;
  q->early = -1;
  lf_arg_int(digits, (int64_t)q->number);
  tell(s, function, digits, on_answer, q);
}

/* Asks once; false: the task has ended. */
static bool ask_once(lf_question *q, lf_task *t, const char *function) {
  lf_cluster *cl = q->cluster;
  lf_sent *s = await_entry(cl, t);
  if (!s)
    return false;
  put_question(q, s, function);
  while (!q->answered)
    pthread_cond_wait(&cl->changed, &cl->pool->lock);
  return true;
}

int64_t lf_client_ask(lf_cluster *cl, lf_task *t, const char *function) {
  lf_question *q =
      pthread_equal(cl->thread, pthread_self()) ? NULL : question_new(cl);
  if (!q)
    return -1;
  while (q->value < 0 && ask_once(q, t, function))
    continue;
  int64_t value = q->value;
  question_free(q);
  return value;
}

/* Nobody has begun the task: it is the caller's, and dropped. */
static void drop(lf_cluster *cl, uint64_t number, lf_reason reason) {
  lf_entry *e = lf_table_find(&cl->sent, number);
  if (!e)
    return;
  lf_sent *s = e->value;
  lf_batch *b = s->batch;
  lf_task *t = lf_sent_end(s);
  t->stage = LF_STAGE_TAKEN;
  lf_batch_end_if_empty(b);
  lf_ending how = {.what = LF_END_DROPPED, .reason = reason};
  if (cl->pool->broken)
    how.what = LF_END_BROKEN;
  lf_client_end(cl, t, how);
  lf_client_kick(cl);
}

static void on_withdrawn(lf_question *q) {
  lf_cluster *cl = q->cluster;
  uint64_t task = q->task;
  lf_reason reason = q->reason;
  bool free = q->value == 1;
  cl->withdrawals--;
  question_free(q);
  if (free)
    drop(cl, task, reason);
}

void lf_client_withdraw(lf_cluster *cl, lf_task *t, lf_reason reason) {
  lf_sent *s = t->stage == LF_STAGE_SENT ? t->far.carrier : NULL;
  bool there = s && s->batch->id[0] && lf_client_is_connected(cl);
  lf_question *q = there ? question_new(cl) : NULL;
  if (s && !there)
    s->withdrawn = reason; /* when the server has answered */
  if (!q)
    return;
  q->reason = reason;
  q->done = on_withdrawn;
  cl->withdrawals++;
  put_question(q, s, LF_FUNCTION("cancel"));
}

/* --- Stopping --- */

typedef struct {
  lf_cluster *cluster;
  uint64_t task;
  lf_reason reason;
} stopping;

/* 1: nobody has begun it, and will. */
static void on_stopped(void *user, const redisReply *reply) {
  stopping *s = user;
  if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1)
    drop(s->cluster, s->task, s->reason);
  lf_free(s);
}

void lf_client_stop(lf_cluster *cl, lf_task *t, lf_reason reason) {
  lf_digits why;
  lf_sent *s = t->stage == LF_STAGE_SENT ? t->far.carrier : NULL;
  bool there = s && s->batch->id[0] && lf_client_is_connected(cl);
  stopping *what = there ? lf_malloc(sizeof *what) : NULL;
  if (!what)
    return;
  *what = (stopping){cl, s->number, reason};
  lf_arg_int(why, reason);
  tell(s, LF_FUNCTION("stop"), why, on_stopped, what);
}
