/* SPDX-License-Identifier: MIT
 *
 * See strand.h. Tasks wait in a lane for each owner. When nobody is inside, the
 * oldest of each lane is called back to it, and the first to come is let
 * in: an owner whose workers are busy holds up nobody. A task that is on its
 * way does not hold the strand, as its worker may be one that waits to enter.
 */
#include "runtime/task/strand.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/os/thread.h"

#include <pthread.h>

typedef struct {
  lf_link link;
  lf_owner *owner; /* the tasks' */
  lf_link tasks;   /* put aside, oldest first, a reference each */
  lf_task *called; /* on its way back, or NULL; not counted */
} lane;

struct lf_strand {
  lf_strand *next; /* all strands; the list's lock */
  pthread_mutex_t lock;
  pthread_cond_t left; /* nobody is inside */
  bool taken;          /* all below under the lock */
  int threads;         /* that wait to enter; they come first */
  lf_link lanes;       /* none is empty without having called */
};

static lf_strand *strands;

static void init_locks(lf_strand *g) {
  pthread_mutex_init(&g->lock, NULL);
  lf_cond_init(&g->left);
}

/* In a forked process nobody else is at a strand, or ever leaves it; who waits
 * is the parent's. */
static void begin_anew(void) {
  for (lf_strand *g = strands; g; g = g->next) {
    init_locks(g);
    g->taken = false;
    g->threads = 0;
    lf_list_init(&g->lanes);
  }
}

LF_FORK_MUTEX(list_lock, LF_FORK_STRANDS, begin_anew);

lf_strand *lf_strand_new(void) {
  lf_strand *g = lf_zalloc(sizeof *g);
  if (!g)
    return NULL;
  init_locks(g);
  lf_list_init(&g->lanes);
  pthread_mutex_lock(&list_lock);
  g->next = strands;
  strands = g;
  pthread_mutex_unlock(&list_lock);
  return g;
}

void lf_strand_free(lf_strand *g) {
  pthread_mutex_lock(&list_lock);
  lf_strand **at = &strands;
  while (*at != g)
    at = &(*at)->next;
  *at = g->next;
  pthread_mutex_unlock(&list_lock);
  pthread_mutex_destroy(&g->lock);
  pthread_cond_destroy(&g->left);
  lf_free(g);
}

/* --- Lanes: under the strand's lock --- */

static lane *find_lane(lf_strand *g, const lf_owner *owner) {
  for (lf_link *l = g->lanes.next; l != &g->lanes; l = l->next)
    if (lf_container_of(l, lane, link)->owner == owner)
      return lf_container_of(l, lane, link);
  return NULL;
}

/* NULL: no memory. */
static lane *need_lane(lf_strand *g, lf_owner *owner) {
  lane *n = find_lane(g, owner);
  if (n || !(n = lf_zalloc(sizeof *n)))
    return n;
  n->owner = owner;
  lf_list_init(&n->tasks);
  lf_list_add(&g->lanes, &n->link);
  return n;
}

static void drop_if_empty(lane *n) {
  if (!n || n->called || !lf_list_empty(&n->tasks))
    return;
  lf_list_del(&n->link);
  lf_free(n);
}

/* The task that was called has come, or will not. True if it was. */
static bool is_called(lf_strand *g, const lf_task *t) {
  lane *n = find_lane(g, t->owner);
  bool was = n && n->called == t;
  if (was)
    n->called = NULL;
  return was;
}

/* Calls the oldest of each lane that is still wanted, and those that are not
 * before it: they are at 'out', to be taken in. */
static void call_all(lf_strand *g, lf_link *out) {
  for (lf_link *l = g->lanes.next, *after; l != &g->lanes; l = after) {
    lane *n = lf_container_of(l, lane, link);
    after = l->next;
    while (!n->called && !lf_list_empty(&n->tasks)) {
      lf_link *first = lf_list_pop(&n->tasks);
      lf_task *t = lf_container_of(first, lf_task, link);
      t->held = false;
      n->called = lf_task_done(t) ? NULL : t;
      lf_list_add(out, first);
    }
    drop_if_empty(n);
  }
}

static void take_in(lf_task *t) {
  t->owner->ops->take_in(t);
}

/* Under the lock, which it gives back: if nobody is inside, lets others come.
 */
static void give_back(lf_strand *g) {
  lf_link out, *l;
  lf_list_init(&out);
  if (!g->taken && g->threads > 0)
    pthread_cond_signal(&g->left);
  else if (!g->taken)
    call_all(g, &out);
  pthread_mutex_unlock(&g->lock);
  while ((l = lf_list_pop(&out)))
    take_in(lf_container_of(l, lf_task, link));
}

/* --- Passing --- */

/* Under the lock. False: no memory. */
static bool put_aside(lf_strand *g, lf_task *t, bool first) {
  lane *n = need_lane(g, t->owner);
  if (!n)
    return false;
  t->held = true;
  t->epoch = (uint32_t)t->owner->epoch;
  t->owner->held++; /* before another thread can take it back in */
  lf_list_add(first ? n->tasks.next : &n->tasks, &t->link);
  return true;
}

bool lf_strand_admit(lf_task *t) {
  lf_strand *g = t->strand;
  pthread_mutex_lock(&g->lock);
  bool called = is_called(g, t), in = !g->taken;
  bool stays = !in && put_aside(g, t, called);
  g->taken = true;
  drop_if_empty(find_lane(g, t->owner));
  pthread_mutex_unlock(&g->lock);
  if (!in && !stays) {
    lf_task_fail(t, LF_BROKEN, LF_NO_MEMORY);
    lf_task_unref(t);
  }
  return in;
}

void lf_strand_leave(lf_strand *g) {
  pthread_mutex_lock(&g->lock);
  g->taken = false;
  give_back(g);
}

void lf_strand_dismiss(lf_task *t) {
  lf_strand *g = t->strand;
  pthread_mutex_lock(&g->lock);
  if (is_called(g, t))
    give_back(g);
  else
    pthread_mutex_unlock(&g->lock);
}

void lf_strand_forget(lf_task *t) {
  lf_strand *g = t->strand;
  pthread_mutex_lock(&g->lock);
  bool found = t->held;
  if (found) {
    lf_list_del(&t->link);
    t->held = false;
    drop_if_empty(find_lane(g, t->owner));
  }
  pthread_mutex_unlock(&g->lock);
  if (found)
    take_in(t);
}

bool lf_strand_enter(lf_strand *g, int64_t deadline) {
  int err = 0;
  pthread_mutex_lock(&g->lock);
  g->threads++;
  while (g->taken && err == 0)
    err = lf_cond_wait(&g->left, &g->lock, deadline);
  g->threads--;
  bool in = !g->taken;
  g->taken = true;
  pthread_mutex_unlock(&g->lock);
  return in;
}

/* --- Draining --- */

static void drain_strand(lf_strand *g, lf_owner *owner, lf_link *out) {
  pthread_mutex_lock(&g->lock);
  lane *n = find_lane(g, owner);
  lf_link *l;
  while (n && (l = lf_list_pop(&n->tasks))) {
    lf_container_of(l, lf_task, link)->held = false;
    lf_list_add(out, l);
    owner->held--;
  }
  drop_if_empty(n);
  pthread_mutex_unlock(&g->lock);
}

void lf_strand_drain(lf_owner *owner, lf_link *out) {
  pthread_mutex_lock(&list_lock);
  for (lf_strand *g = strands; g; g = g->next)
    drain_strand(g, owner, out);
  pthread_mutex_unlock(&list_lock);
}
