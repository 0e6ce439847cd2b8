/* SPDX-License-Identifier: MIT
 *
 * See cycle.h. A depth-first search from the tasks to be awaited back to the
 * one that wants to wait. A wait for any of several is hopeless only if each
 * of them is. */
#include "cycle.h"

#include <pthread.h>
#include <stdio.h>

/* Deeper chains than this through waits for several tasks are not followed. */
enum { DEPTH = LF_LIMIT(20000, 2000) };

static pthread_mutex_t graph = PTHREAD_MUTEX_INITIALIZER;

/* The chain of tasks from the start of the search to here. */
struct step {
  lf_task *task;
  const struct step *from;
};

struct search {
  lf_task *origin;
  char *path;
  size_t size;
};

/* Writes the path, nearest to the origin first. */
static size_t write_path(const struct search *s, const struct step *step) {
  if (!step)
    return (size_t)snprintf(s->path, s->size, "%s", lf_task_label(s->origin));
  size_t n = write_path(s, step->from);
  if (n >= s->size)
    return n;
  const char *label = lf_task_label(step->task);
  return n + (size_t)snprintf(s->path + n, s->size - n, " -> %s", label);
}

static bool hopeless_all(struct search *s, lf_waits *w, const struct step *at,
                         int depth);

/* True if 'task' cannot end before the origin does. */
static bool hopeless(struct search *s, lf_task *task, const struct step *from,
                     int depth) {
  struct step step = {task, from};
  if (task == s->origin) {
    write_path(s, &step);
    return true;
  }
  if (lf_task_state(task) != LF_RUNNING || !task->waits || depth >= DEPTH)
    return false;
  return hopeless_all(s, task->waits, &step, depth + 1);
}

static bool hopeless_all(struct search *s, lf_waits *w, const struct step *at,
                         int depth) {
  lf_task *t;
  bool found = false;
  for (size_t i = 0; (t = w->awaited(w, i)); i++) {
    bool stuck = !lf_task_done(t) && hopeless(s, t, at, depth);
    if (stuck && !w->any)
      return true;
    if (!stuck && w->any)
      return false;
    found = found || stuck;
  }
  return found;
}

int lf_cycle_begin(lf_task *task, lf_waits *waits, char *path, size_t size) {
  if (!task)
    return 0;
  struct search s = {task, path, size};
  pthread_mutex_lock(&graph);
  bool stuck = hopeless_all(&s, waits, NULL, 0);
  if (!stuck)
    task->waits = waits;
  pthread_mutex_unlock(&graph);
  return stuck ? LF_ECYCLE : 0;
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
