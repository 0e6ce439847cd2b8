/* SPDX-License-Identifier: MIT
 *
 * See gate.h. */
#include "gate.h"

#include "crew.h"
#include "mem.h"

struct lf_gate {
  lf_gate *next; /* all gates; the list's lock */
  pthread_mutex_t lock;
  pthread_cond_t left; /* nobody is inside */
  bool taken;          /* all below under the lock */
  int threads;         /* that wait to enter; they come first */
  lf_link waiting;     /* tasks put aside, oldest first, a reference each */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static lf_gate *gates;

static void take_lock(void) {
  pthread_mutex_lock(&list_lock);
}

static void give_lock(void) {
  pthread_mutex_unlock(&list_lock);
}

/* In a forked process nobody else is at a gate, or ever leaves it. */
static void begin_anew(void) {
  for (lf_gate *g = gates; g; g = g->next) {
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->left, NULL);
    g->taken = false;
    g->threads = 0;
    lf_list_init(&g->waiting); /* they are the parent's */
  }
  pthread_mutex_unlock(&list_lock);
}

__attribute__((constructor)) static void survive_fork(void) {
  pthread_atfork(take_lock, give_lock, begin_anew);
}

lf_gate *lf_gate_new(void) {
  lf_gate *g = lf_zalloc(sizeof *g);
  if (!g)
    return NULL;
  pthread_mutex_init(&g->lock, NULL);
  pthread_cond_init(&g->left, NULL);
  lf_list_init(&g->waiting);
  pthread_mutex_lock(&list_lock);
  g->next = gates;
  gates = g;
  pthread_mutex_unlock(&list_lock);
  return g;
}

void lf_gate_free(lf_gate *g) {
  pthread_mutex_lock(&list_lock);
  lf_gate **at = &gates;
  while (*at != g)
    at = &(*at)->next;
  *at = g->next;
  pthread_mutex_unlock(&list_lock);
  pthread_mutex_destroy(&g->lock);
  pthread_cond_destroy(&g->left);
  lf_free(g);
}

/* One that was called back and finds it taken again is still the first. */
bool lf_gate_admit(lf_task *t) {
  lf_gate *g = t->gate;
  lf_pool *p = t->pool;
  p->aside++; /* before another thread can take it back in */
  pthread_mutex_lock(&g->lock);
  bool in = !g->taken;
  g->taken = true;
  if (!in)
    lf_list_add(t->called ? g->waiting.next : &g->waiting, &t->link);
  t->called = false;
  pthread_mutex_unlock(&g->lock);
  if (in)
    p->aside--; /* the caller's run keeps the pool from ending */
  return in;
}

/* Under the lock: the oldest that is still wanted, or NULL; others to 'over'.
 */
static lf_task *next_waiting(lf_gate *g, lf_link *over) {
  lf_link *l;
  while ((l = lf_list_pop(&g->waiting))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (!lf_task_done(t))
      return t;
    lf_list_add(over, l);
  }
  return NULL;
}

/* Under the lock, which it gives back: if nobody is inside, calls the next. It
 * does not hold the gate while it waits for a worker: the worker may be one
 * that waits to enter. */
static void call_next(lf_gate *g) {
  lf_task *t = NULL;
  lf_link over, *l;
  lf_list_init(&over);
  if (!g->taken && g->threads > 0)
    pthread_cond_signal(&g->left);
  else if (!g->taken)
    t = next_waiting(g, &over);
  if (t)
    t->called = true;
  pthread_mutex_unlock(&g->lock);
  if (t)
    lf_pool_take_in(t);
  while ((l = lf_list_pop(&over)))
    lf_pool_take_in(lf_container_of(l, lf_task, link));
}

void lf_gate_leave(lf_gate *g) {
  pthread_mutex_lock(&g->lock);
  g->taken = false;
  call_next(g);
}

void lf_gate_dismiss(lf_task *t) {
  if (!t->called)
    return;
  pthread_mutex_lock(&t->gate->lock);
  t->called = false;
  call_next(t->gate);
}

void lf_gate_enter(lf_gate *g) {
  pthread_mutex_lock(&g->lock);
  g->threads++;
  while (g->taken)
    pthread_cond_wait(&g->left, &g->lock);
  g->threads--;
  g->taken = true;
  pthread_mutex_unlock(&g->lock);
}

void lf_gate_drain(lf_pool *p, lf_link *out) {
  pthread_mutex_lock(&list_lock);
  for (lf_gate *g = gates; g; g = g->next) {
    pthread_mutex_lock(&g->lock);
    for (lf_link *l = g->waiting.next, *after; l != &g->waiting; l = after) {
      after = l->next;
      if (lf_container_of(l, lf_task, link)->pool != p)
        continue;
      lf_list_del(l);
      lf_list_add(out, l);
      p->aside--;
    }
    pthread_mutex_unlock(&g->lock);
  }
  pthread_mutex_unlock(&list_lock);
}
