/* SPDX-License-Identifier: MIT
 *
 * See internal.h. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void lf_client_kick(lf_cluster *cl) {
  lf_eventfd_ring(cl->doorbell);
}

void lf_client_flush(lf_cluster *cl) {
  if (!lf_redis_flush(cl->commands) || lf_redis_is_full(cl->commands))
    lf_client_kick(cl);
}

int lf_client_call(lf_cluster *cl, const char *function, const lf_arg *args,
                   int n, lf_redis_reply *reply, void *user) {
  return lf_call_send(cl->commands, function, args, n, reply, user);
}

void lf_client_note_workers(lf_cluster *cl, int n) {
  int most = cl->o.program ? 0 : cl->o.max_workers;
  cl->workers = n;
  n = most && most < n ? most : n;
  __atomic_store_n(&cl->pool->o.max_workers, n > 0 ? n : 1, __ATOMIC_RELAXED);
}

/* --- Answers --- */

void lf_question_answer(lf_question *q, int64_t value) {
  lf_cluster *cl = q->cluster;
  q->answered = true;
  q->value = value;
  if (q->done)
    q->done(q);
  pthread_cond_broadcast(&cl->changed);
}

void lf_client_answer(lf_cluster *cl, uint64_t number, int64_t value) {
  for (lf_link *l = cl->questions.next; l != &cl->questions; l = l->next) {
    lf_question *q = lf_container_of(l, lf_question, link);
    if (q->number != number || q->answered)
      continue;
    if (q->told)
      lf_question_answer(q, value);
    else
      q->early = value; /* by another connection */
    return;
  }
}

/* The task has ended, or is lost. If the server is still to answer, that is on
 * its way. */
static void end_questions(lf_cluster *cl, uint64_t task) {
  for (lf_link *l = cl->questions.next, *next; l != &cl->questions; l = next) {
    lf_question *q = lf_container_of(l, lf_question, link);
    next = l->next;
    if (q->task == task && !q->answered && q->told)
      lf_question_answer(q, -1);
  }
}

/* --- Batches --- */

lf_batch *lf_batch_new(lf_cluster *cl, int64_t priority) {
  lf_batch *b = lf_zalloc(sizeof *b);
  if (!b)
    return NULL;
  b->cluster = cl;
  b->made = lf_now();
  b->priority = priority;
  lf_list_init(&b->tasks);
  lf_list_init(&b->link);
  lf_list_add(&cl->batches, &b->link);
  return b;
}

void lf_batch_free(lf_batch *b) {
  lf_list_del(&b->link);
  lf_buf_fini(&b->numbers);
  lf_buf_fini(&b->payload);
  lf_buf_fini(&b->name);
  lf_free(b);
}

void lf_batch_end_if_empty(lf_batch *b) {
  if (lf_list_empty(&b->tasks) && b->id[0])
    lf_batch_free(b);
}

lf_task *lf_sent_end(lf_sent *s) {
  lf_task *t = s->task;
  lf_cluster *cl = s->batch->cluster;
  lf_table_del(&cl->sent, s->number);
  lf_list_del(&s->link);
  end_questions(cl, s->number);
  cl->in_server--;
  cl->chunks -= lf_runner_of(t) != NULL;
  t->far.carrier = NULL;
  t->stage = LF_STAGE_QUEUED;
  lf_free(s);
  return t;
}

/* --- Otherwise ended --- */

void lf_client_lack(lf_cluster *cl, lf_task *t) {
  t->stage = LF_STAGE_UNSENT;
  lf_list_add(&cl->done, &t->link);
}

void lf_client_end(lf_cluster *cl, lf_task *t, lf_ending ending) {
  lf_ending *e = lf_malloc(sizeof *e);
  if (!e) {
    lf_client_lack(cl, t);
    return;
  }
  *e = ending;
  e->task = t;
  lf_list_init(&e->link);
  lf_list_add(&cl->endings, &e->link);
}

/* --- What is lost --- */

/* Queues the task once more, if it may be. */
bool lf_client_again(lf_cluster *cl, lf_task *t) {
  lf_pool *p = cl->pool;
  lf_task_start(t); /* as far as is known here */
  if (p->broken || p->dropped || !lf_task_again(t))
    return false;
  t->stage = LF_STAGE_QUEUED;
  lf_common_add(p, t, false);
  return true;
}

void lf_client_lose(lf_cluster *cl, lf_task *t, const lf_lost *how) {
  if (lf_client_again(cl, t)) {
    if (!lf_runner_of(t)) /* else its end is counted */
      lf_profile_lost(lf_pool_profile(cl->pool), lf_task_counted(t));
    return;
  }
  cl->failed++;
  lf_client_end(cl, t, (lf_ending){.what = LF_END_LOST, .how = *how});
}

void lf_batch_lose(lf_batch *b, const lf_lost *how) {
  lf_cluster *cl = b->cluster;
  while (!lf_list_empty(&b->tasks)) {
    lf_sent *s = lf_container_of(b->tasks.next, lf_sent, link);
    lf_client_lose(cl, lf_sent_end(s), how);
  }
  lf_batch_end_if_empty(b);
}

const char *lf_batch_stream(const lf_batch *b, char *room, size_t size) {
  if (b->member[0])
    snprintf(room, size, "lfut:tasks:of:%s", b->member);
  else if (b->priority)
    snprintf(room, size, "lfut:tasks:%" PRId64, b->priority);
  else
    snprintf(room, size, "lfut:tasks");
  return room;
}
