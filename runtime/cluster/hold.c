/* SPDX-License-Identifier: MIT
 *
 * See internal.h. A task that is given futures waits here, and nowhere else,
 * until these are done: then their outcomes go along with it. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"

typedef struct lf_held lf_held;

struct lf_held {
  lf_link link; /* among all */
  lf_node node; /* among those whose futures are all done */
  lf_cluster *cluster;
  lf_task *task; /* a reference, of which the futures are kept by its data; its
                    far.carrier is this */
  _Atomic size_t left; /* futures that are not done, and one while it begins */
  size_t n;
  struct input {
    lf_waiter waiter;
    lf_held *of;
  } inputs[];
};

bool lf_ref_is_future(const struct lf_ref *ref) {
  return ref->drop == lf_task_unref;
}

static size_t count_futures(const lf_task *t) {
  size_t n = 0;
  for (size_t i = 0; t->data.refs && i < t->data.refs->n; i++)
    n += lf_ref_is_future(&t->data.refs->v[i]) &&
         !lf_task_done(t->data.refs->v[i].object);
  return n;
}

/* Any thread, maybe under a future's lock. The pool stays: the futures are its.
 */
static void count_down(lf_held *h, size_t by) {
  lf_cluster *cl = h->cluster;
  if (atomic_fetch_sub(&h->left, by) != by)
    return;
  lf_stack_push(&cl->unheld, &h->node);
  lf_client_kick(cl);
}

static void fire(lf_waiter *waiter) {
  count_down(lf_container_of(waiter, struct input, waiter)->of, 1);
}

static void wait_for(lf_held *h, lf_task *future) {
  struct input *in = &h->inputs[h->n];
  in->of = h;
  in->waiter.fire = fire;
  lf_list_init(&in->waiter.link);
  atomic_fetch_add(&h->left, 1);
  if (lf_waiter_add(&in->waiter, future))
    h->n++;
  else
    atomic_fetch_sub(&h->left, 1); /* not the last */
}

int lf_client_hold(lf_cluster *cl, lf_task *t, bool *held) {
  size_t n = count_futures(t);
  *held = n > 0;
  if (n == 0)
    return 0;
  lf_held *h = lf_zalloc(sizeof *h + n * sizeof h->inputs[0]);
  if (!h)
    return LF_ENOMEM;
  h->cluster = cl;
  h->task = lf_task_ref(t);
  lf_list_init(&h->link);
  lf_list_add(&cl->held, &h->link);
  cl->pool->owner.held++;
  t->stage = LF_STAGE_HELD;
  t->epoch = (uint32_t)lf_pool_epoch(cl->pool);
  t->far.carrier = h;
  atomic_init(&h->left, 1);
  const lf_refs *refs = t->data.refs;
  for (size_t i = 0; i < refs->n && h->n < n; i++)
    if (lf_ref_is_future(&refs->v[i]))
      wait_for(h, refs->v[i].object);
  count_down(h, 1);
  return 0;
}

/* The task is the caller's, with its reference. */
static lf_task *release(lf_held *h) {
  lf_task *t = h->task;
  t->far.carrier = NULL;
  t->stage = LF_STAGE_QUEUED;
  h->cluster->pool->owner.held--;
  lf_list_del(&h->link);
  lf_free(h);
  return t;
}

void lf_client_unhold(lf_cluster *cl) {
  lf_pool *p = cl->pool;
  lf_node *node;
  while ((node = lf_stack_take(&cl->unheld))) {
    lf_task *t = release(lf_container_of(node, lf_held, node));
    if (lf_pool_wants(p, t))
      lf_common_add(p, t, false);
    else if (p->broken)
      lf_client_end(cl, t, (lf_ending){.what = LF_END_BROKEN});
    else
      lf_client_end(
          cl, t, (lf_ending){.what = LF_END_DROPPED, .reason = LF_STOP_CANCEL});
  }
}

bool lf_client_let_go(lf_task *t) {
  lf_held *h = t->far.carrier;
  size_t removed = 0;
  for (size_t i = 0; i < h->n; i++)
    removed += lf_waiter_remove(&h->inputs[i].waiter);
  bool ours = removed > 0 && atomic_fetch_sub(&h->left, removed) == removed;
  if (ours)
    (void)release(h);
  else /* the last future is done */
    lf_client_unhold(h->cluster);
  return ours;
}

void lf_client_drop_held(lf_cluster *cl, lf_ending how) {
  while (!lf_list_empty(&cl->held)) {
    lf_task *t = lf_container_of(cl->held.next, lf_held, link)->task;
    if (lf_client_let_go(t))
      lf_client_end(cl, t, how);
  }
}
