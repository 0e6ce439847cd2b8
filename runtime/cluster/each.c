/* SPDX-License-Identifier: MIT
 *
 * For each worker of a cluster a task of its own. See internal.h. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/functions.h"

#include <stdio.h>

/* A list of members: {id, workers} ... */
typedef struct {
  lf_cluster *cluster;
  bool answered;
  int n;
  struct member {
    char id[LF_ID];
    int workers;
  } * v; /* owned */
} members;

static void on_members(void *user, const redisReply *reply) {
  members *m = user;
  m->answered = true;
  pthread_cond_broadcast(&m->cluster->changed);
  if (!reply || reply->type != REDIS_REPLY_ARRAY)
    return;
  m->v = lf_malloc((reply->elements / 2 + 1) * sizeof *m->v);
  for (size_t i = 0; m->v && i + 1 < reply->elements; i += 2) {
    struct member *one = &m->v[m->n++];
    snprintf(one->id, sizeof one->id, "%s", reply->element[i]->str);
    one->workers = (int)reply->element[i + 1]->integer;
  }
}

/* Those that there are; the caller frees m->v. False: nobody knows. */
static bool ask_members(lf_cluster *cl, members *m) {
  *m = (members){.cluster = cl};
  if (!lf_client_is_connected(cl) ||
      pthread_equal(cl->thread, pthread_self()) ||
      lf_client_call(cl, LF_FUNCTION("members"), NULL, 0, on_members, m) != 0)
    return false;
  lf_client_flush(cl);
  while (!m->answered)
    pthread_cond_wait(&cl->changed, &cl->pool->lock);
  return m->v;
}

int lf_client_count(lf_cluster *cl) {
  members m;
  int n = 0;
  pthread_mutex_lock(&cl->pool->lock);
  if (ask_members(cl, &m))
    for (int i = 0; i < m.n; i++)
      n += m.v[i].workers;
  pthread_mutex_unlock(&cl->pool->lock);
  lf_free(m.v);
  return n;
}

/* Sends so many tasks to a member. */
static int send_to(lf_cluster *cl, const struct member *m, lf_task **tasks,
                   int n) {
  lf_batch *b = lf_batch_new(cl, 0);
  if (!b)
    return LF_ENOMEM;
  snprintf(b->member, sizeof b->member, "%s", m->id);
  int err = 0;
  for (int i = 0; i < n && err == 0; i++) {
    err = lf_batch_add(b, lf_task_ref(tasks[i]));
    if (err)
      lf_task_unref(tasks[i]); /* not the last */
  }
  if (!lf_list_empty(&b->tasks))
    err = lf_client_put(b, false);
  else
    lf_batch_free(b);
  return err;
}

int lf_client_broadcast(lf_cluster *cl, lf_task **tasks, int n) {
  members m;
  int sum = 0, at = 0, err = 0;
  if (!ask_members(cl, &m)) {
    lf_free(m.v);
    return LF_ECLUSTER;
  }
  for (int i = 0; i < m.n; i++)
    sum += m.v[i].workers;
  if (sum != n) /* some have come or gone */
    err = LF_ECLUSTER;
  for (int i = 0; i < m.n && err == 0; i++) {
    err = send_to(cl, &m.v[i], tasks + at, m.v[i].workers);
    at += m.v[i].workers;
  }
  lf_free(m.v);
  lf_client_flush(cl);
  return err;
}
