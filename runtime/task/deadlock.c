/* SPDX-License-Identifier: MIT
 *
 * See deadlock.h. A wait for one task follows the chain of waits to its end.
 * Where tasks wait for several, the question is which of the tasks that can be
 * reached can still end: all that do not wait; one that needs all of several,
 * if all can; one that needs any, if any can. Marking those from the ends
 * backwards until nothing changes finds them; if the origin is not among them,
 * it would wait for ever.
 *
 * Two that begin to wait for each other at the same time: each counts the other
 * as awaited and notes its own wait before it looks whether it is awaited, so
 * at least one searches, and finds the other's. A wait that ends is taken out
 * before it is seen whether somebody searches, who so is either waited for, or
 * does not find it. */
#include "runtime/task/deadlock.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

#include <pthread.h>
#include <stdio.h>

LF_FORK_MUTEX(graph, LF_FORK_GRAPH, NULL);
static atomic_bool searching; /* written under the lock */
static uint32_t searches; /* marks of a search: 2 * its number, + 1: can end */

void lf_deadlock_lock(void) {
  pthread_mutex_lock(&graph);
}

void lf_deadlock_unlock(void) {
  pthread_mutex_unlock(&graph);
}

/* --- Waits for one --- */

static void each_of_one(lf_waits *waits, lf_visit *visit, void *arg) {
  visit(lf_container_of(waits, lf_wait_one, waits)->task, arg);
}

static void count_one(lf_waits *waits, int by) {
  lf_task_await(lf_container_of(waits, lf_wait_one, waits)->task, by);
}

lf_waits *lf_wait_for_one(lf_wait_one *wait, lf_task *task) {
  wait->waits = (lf_waits){.each = each_of_one, .count = count_one};
  wait->task = task;
  return &wait->waits;
}

/* --- The search: under the lock --- */

/* A task that waits, and which one of the nodes led to it. */
typedef struct {
  lf_task *task;
  lf_waits *waits;
  size_t from;
} node;

typedef struct {
  node *nodes; /* the first is the origin */
  size_t n, cap;
  size_t at; /* the node whose tasks are visited */
  uint32_t mark;
  size_t closing; /* a node that waits for the origin; 0: none yet */
  bool failed;    /* no memory */
} search;

static lf_waits *waits_of(lf_task *task) {
  return lf_task_done(task) ? NULL : atomic_load(&task->waits);
}

/* Takes up a task that waits, once. */
static void add_node(search *s, lf_task *task, lf_waits *waits) {
  if (s->n == s->cap) {
    size_t cap = s->cap ? 2 * s->cap : 64;
    node *nodes = lf_realloc(s->nodes, cap * sizeof *nodes);
    if (!nodes) {
      s->failed = true;
      return;
    }
    s->nodes = nodes;
    s->cap = cap;
  }
  task->mark = s->mark;
  s->nodes[s->n++] = (node){task, waits, s->at};
}

static bool collect_one(lf_task *t, void *arg) {
  search *s = arg;
  lf_waits *waits = t->mark == s->mark ? NULL : waits_of(t);
  if (t == s->nodes[0].task)
    s->closing = s->at;
  else if (waits)
    add_node(s, t, waits);
  return !s->failed;
}

static void collect(search *s) {
  for (s->at = 0; s->at < s->n && !s->failed; s->at++) {
    lf_waits *w = s->nodes[s->at].waits;
    w->each(w, collect_one, s);
  }
}

/* Can a wait end, as far as is known? Tasks can that did not wait when they
 * were met, and those that are marked: one that begins to wait meanwhile is
 * awaited, and searches next. */
typedef struct {
  const search *s;
  bool any, some, end;
} outlook;

static bool look_at_one(lf_task *t, void *arg) {
  outlook *o = arg;
  o->some = true;
  if ((t->mark != o->s->mark) != o->any)
    return true;
  o->end = o->any;
  return false;
}

static bool wait_can_end(const search *s, lf_waits *w) {
  outlook o = {.s = s, .any = w->any, .end = !w->any};
  w->each(w, look_at_one, &o);
  return o.end || !o.some;
}

/* Marks what can end; later nodes first, as earlier ones wait for them. */
static void mark_all(search *s) {
  bool changed = true;
  while (changed) {
    changed = false;
    for (size_t i = s->n; i-- > 0;) {
      node *x = &s->nodes[i];
      if (x->task->mark == s->mark && wait_can_end(s, x->waits)) {
        x->task->mark = s->mark + 1;
        changed = true;
      }
    }
  }
}

/* "origin -> task -> origin", on the way by which the last one was found. */
static void write_path(const search *s, size_t i, char *path, size_t size) {
  if (i > 0)
    write_path(s, s->nodes[i].from, path, size);
  size_t n = strlen(path);
  snprintf(path + n, size - n, "%s -> ", lf_task_label(s->nodes[i].task));
}

/* True if the origin could never end. */
static bool is_hopeless(search *s, lf_task *origin, char *path, size_t size) {
  searches += 2;
  s->mark = searches;
  add_node(s, origin, atomic_load(&origin->waits));
  collect(s);
  if (!s->failed)
    mark_all(s);
  if (s->failed || origin->mark != s->mark)
    return false;
  path[0] = '\0';
  write_path(s, s->closing, path, size);
  size_t n = strlen(path);
  snprintf(path + n, size - n, "%s", lf_task_label(origin));
  return true;
}

/* The first two tasks of a wait. */
typedef struct {
  lf_task *task[2];
  int n;
} first_two;

static bool take_one(lf_task *t, void *arg) {
  first_two *two = arg;
  two->task[two->n++] = t;
  return two->n < 2;
}

/* Follows waits for one task: false if they lead to one that can go on. */
static bool needs_search(lf_task *origin) {
  lf_waits *waits = atomic_load(&origin->waits);
  for (int steps = 0; steps < 10000; steps++) {
    first_two two = {0};
    waits->each(waits, take_one, &two);
    if (two.n == 0)
      return false;
    if (two.n > 1 || two.task[0] == origin)
      return true;
    waits = waits_of(two.task[0]);
    if (!waits)
      return false;
  }
  return true;
}

/* --- Beginning and ending --- */

static void count(lf_waits *waits, int by) {
  if (waits && waits->count)
    waits->count(waits, by);
}

void lf_deadlock_settle(void) {
  if (!atomic_load(&searching))
    return;
  lf_deadlock_lock();
  lf_deadlock_unlock();
}

void lf_deadlock_visit(lf_waits *waits, lf_visit *visit, void *arg) {
  lf_deadlock_lock();
  atomic_store(&searching, true);
  waits->each(waits, visit, arg);
  atomic_store(&searching, false);
  lf_deadlock_unlock();
}

void lf_deadlock_glance(lf_task *task, void (*look)(lf_waits *waits, void *arg),
                        void *arg) {
  if (pthread_mutex_trylock(&graph) != 0)
    return;
  atomic_store(&searching, true);
  lf_waits *waits = atomic_load(&task->waits);
  if (waits)
    look(waits, arg);
  atomic_store(&searching, false);
  pthread_mutex_unlock(&graph);
}

/* The wait has been replaced. */
static void retire(lf_waits *former) {
  if (!former)
    return;
  lf_deadlock_settle();
  count(former, -1);
}

/* May another task be waiting for it? */
static bool is_awaited(const lf_task *task) {
  return atomic_load(&task->awaited) > 0 ||
         (task->ops && task->ops->is_awaited && task->ops->is_awaited(task));
}

int lf_deadlock_begin(lf_task *task, lf_waits *waits, char *path, size_t size) {
  if (!task)
    return 0;
  count(waits, 1);
  atomic_store(&task->waits, waits);
  if (!is_awaited(task))
    return 0;
  search s = {0};
  lf_deadlock_lock();
  atomic_store(&searching, true);
  bool stuck = needs_search(task) && is_hopeless(&s, task, path, size);
  if (stuck)
    atomic_store(&task->waits, NULL);
  atomic_store(&searching, false);
  lf_deadlock_unlock();
  lf_free(s.nodes);
  if (stuck)
    count(waits, -1);
  return stuck ? LF_EDEADLOCK : 0;
}

lf_waits *lf_deadlock_swap(lf_task *task, lf_waits *waits) {
  count(waits, 1);
  lf_waits *former = atomic_exchange(&task->waits, waits);
  retire(former);
  return former;
}

void lf_deadlock_end(lf_task *task) {
  if (task)
    retire(atomic_exchange(&task->waits, NULL));
}
