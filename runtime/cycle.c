/* SPDX-License-Identifier: MIT
 *
 * See cycle.h. A wait for one task follows the chain of waits to its end. Where
 * tasks wait for several, the question is which of the tasks that can be
 * reached can still end: all that do not wait; one that needs all of several,
 * if all can; one that needs any, if any can. Marking those from the ends
 * backwards until nothing changes finds them; if the origin is not among them,
 * it would wait for ever. */
#include "cycle.h"

#include "atfork.h"
#include "mem.h"

#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t graph = PTHREAD_MUTEX_INITIALIZER;
static uint32_t searches; /* marks of a search: 2 * its number, + 1: can end */

__attribute__((constructor)) static void survive_fork(void) {
  lf_at_fork(LF_FORK_GRAPH, lf_cycle_lock, lf_cycle_unlock, lf_cycle_unlock);
}

/* A task that waits, and which one of the nodes led to it. */
typedef struct {
  lf_task *task;
  lf_waits *waits;
  size_t from;
} node;

typedef struct {
  node *nodes; /* the first is the origin */
  size_t n, cap;
  uint32_t mark;
  size_t closing; /* a node that waits for the origin; 0: none yet */
  bool failed;    /* no memory */
} search;

static bool is_waiting(lf_task *task) {
  return lf_task_state(task) == LF_RUNNING && task->waits;
}

/* Takes up a task that waits, once. */
static void add_node(search *s, lf_task *task, lf_waits *waits, size_t from) {
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
  s->nodes[s->n++] = (node){task, waits, from};
}

static void collect(search *s) {
  lf_task *t;
  for (size_t i = 0; i < s->n && !s->failed; i++) {
    lf_waits *w = s->nodes[i].waits;
    for (size_t k = 0; (t = w->awaited(w, k)); k++) {
      if (t == s->nodes[0].task)
        s->closing = i;
      else if (t->mark != s->mark && is_waiting(t))
        add_node(s, t, t->waits, i);
    }
  }
}

/* Can the task end, as far as is known? */
static bool can_end(const search *s, lf_task *task) {
  bool waits = task == s->nodes[0].task || is_waiting(task);
  return !waits || task->mark == s->mark + 1;
}

static bool wait_can_end(const search *s, lf_waits *w) {
  lf_task *t;
  bool some = false;
  for (size_t k = 0; (t = w->awaited(w, k)); k++) {
    some = true;
    if (can_end(s, t) == w->any)
      return w->any;
  }
  return !some || !w->any;
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

/* The general search: true if the origin could never end. */
static bool is_hopeless(lf_task *origin, lf_waits *waits, char *path,
                        size_t size) {
  searches += 2;
  search s = {.mark = searches};
  add_node(&s, origin, waits, 0);
  collect(&s);
  if (!s.failed)
    mark_all(&s);
  bool hopeless = !s.failed && origin->mark == s.mark;
  if (hopeless) {
    path[0] = '\0';
    write_path(&s, s.closing, path, size);
    size_t n = strlen(path);
    snprintf(path + n, size - n, "%s", lf_task_label(origin));
  }
  lf_free(s.nodes);
  return hopeless;
}

/* Follows waits for one task: false if they lead to one that can go on. */
static bool needs_search(lf_task *origin, lf_waits *waits) {
  for (int steps = 0; steps < 10000; steps++) {
    lf_task *next = waits->awaited(waits, 0);
    if (!next)
      return false;
    if (waits->awaited(waits, 1) || next == origin)
      return true;
    if (!is_waiting(next))
      return false;
    waits = next->waits;
  }
  return true;
}

int lf_cycle_begin(lf_task *task, lf_waits *waits, char *path, size_t size) {
  if (!task)
    return 0;
  pthread_mutex_lock(&graph);
  bool stuck =
      needs_search(task, waits) && is_hopeless(task, waits, path, size);
  if (!stuck)
    task->waits = waits;
  pthread_mutex_unlock(&graph);
  return stuck ? LF_ECYCLE : 0;
}

lf_waits *lf_cycle_swap(lf_task *task, lf_waits *waits) {
  pthread_mutex_lock(&graph);
  lf_waits *former = task->waits;
  task->waits = waits;
  pthread_mutex_unlock(&graph);
  return former;
}

void lf_cycle_end(lf_task *task) {
  if (!task)
    return;
  pthread_mutex_lock(&graph);
  task->waits = NULL;
  pthread_mutex_unlock(&graph);
}

void lf_cycle_lock(void) {
  pthread_mutex_lock(&graph);
}

void lf_cycle_unlock(void) {
  pthread_mutex_unlock(&graph);
}
