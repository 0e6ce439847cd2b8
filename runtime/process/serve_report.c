/* SPDX-License-Identifier: MIT
 *
 * See serve_report.h. The first report is sent at once; what follows too soon
 * is put off, and sent by a timer, or when its task ends: whatever it says by
 * then. */
#include "runtime/process/serve_report.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/process/task_io.h"

enum { GAP_NS = 10000000 }; /* between two times of sending */

/* A task whose last report has not been sent. It does not end with this
 * there. */
typedef struct {
  lf_link link;
  lf_task *task;
} unsent;

/* Under the lock. */
static void send(lf_serve *r, lf_task *t) {
  lf_report report;
  if (!lf_task_progress(t, &report))
    return;
  (void)lf_report_send(&r->end, t->far.id, &report);
  lf_serve_flush(r);
}

static void send_unsent(lf_serve *r, unsent *u) {
  lf_list_del(&u->link);
  send(r, u->task);
  lf_free(u);
  r->nunsent--; /* then the task may end */
}

static void send_all(lf_timer *timer) {
  lf_serve *r = lf_container_of(timer, lf_serve, reports);
  pthread_mutex_lock(&r->pool->lock);
  r->reported = lf_now();
  while (!lf_list_empty(&r->unsent))
    send_unsent(r, lf_container_of(r->unsent.next, unsent, link));
  pthread_mutex_unlock(&r->pool->lock);
}

void lf_serve_report_init(lf_serve *r) {
  lf_list_init(&r->unsent);
  lf_timer_init(&r->reports, send_all);
}

static unsent *find(lf_serve *r, const lf_task *t) {
  for (lf_link *l = r->unsent.next; l != &r->unsent; l = l->next) {
    unsent *u = lf_container_of(l, unsent, link);
    if (u->task == t)
      return u;
  }
  return NULL;
}

/* False: it cannot be put off. */
static bool put_off(lf_serve *r, lf_task *t, int64_t until) {
  unsent *u = lf_malloc(sizeof *u);
  if (!u || lf_timer_set(&r->reports, until) != 0) {
    lf_free(u);
    return false;
  }
  *u = (unsent){.task = t};
  lf_list_init(&u->link);
  lf_list_add(&r->unsent, &u->link);
  r->nunsent++;
  return true;
}

void lf_serve_report(lf_serve *r, lf_task *t) {
  int64_t now = lf_now();
  pthread_mutex_lock(&r->pool->lock);
  bool soon = now < r->reported + GAP_NS;
  if (!find(r, t) && !(soon && put_off(r, t, r->reported + GAP_NS))) {
    r->reported = now;
    send(r, t);
  }
  pthread_mutex_unlock(&r->pool->lock);
}

void lf_serve_report_last(lf_serve *r, const lf_task *t) {
  if (r->nunsent == 0)
    return;
  pthread_mutex_lock(&r->pool->lock);
  unsent *u = find(r, t);
  if (u)
    send_unsent(r, u);
  pthread_mutex_unlock(&r->pool->lock);
}
