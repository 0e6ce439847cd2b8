/* SPDX-License-Identifier: MIT
 *
 * The tasks of the common queue that have another priority than the usual one:
 * a list for each priority, as long as it has tasks. It lies in one of these,
 * so that it takes no memory. See internal.h. */
#include "runtime/pool/internal.h"

static lf_level *level_of(lf_link *link) {
  return lf_container_of(link, lf_level, link);
}

/* The task's own, which is in use if the list of its priority lies there. */
static lf_level *own_level(lf_task *task) {
  return task->ops->level(task);
}

static lf_task *first_of(lf_level *v) {
  return lf_container_of(v->tasks.next, lf_task, link);
}

/* The first level that is not above the priority, or the list's end. */
static lf_link *find(const lf_pool *p, int64_t priority) {
  lf_link *l = p->levels.next;
  while (l != &p->levels && level_of(l)->priority > priority)
    l = l->next;
  return l;
}

static lf_level *need(lf_pool *p, lf_task *task) {
  lf_level *own = own_level(task);
  lf_link *at = find(p, own->priority);
  if (at != &p->levels && level_of(at)->priority == own->priority)
    return level_of(at);
  lf_list_init(&own->tasks);
  lf_list_add(at, &own->link);
  return own;
}

static void count(lf_pool *p, int64_t priority, size_t by) {
  p->queued += by;
  p->leveled += by;
  if (priority > 0)
    p->urgent += by;
}

void lf_level_add(lf_pool *p, lf_task *task, bool first) {
  lf_level *v = need(p, task);
  lf_list_add(first ? v->tasks.next : &v->tasks, &task->link);
  count(p, v->priority, 1);
}

void lf_level_del(lf_pool *p, lf_task *task) {
  lf_level *own = own_level(task), *v = level_of(find(p, own->priority));
  lf_list_del(&task->link);
  count(p, v->priority, (size_t)-1);
  if (v != own && !lf_list_empty(&v->tasks))
    return;
  if (!lf_list_empty(&v->tasks)) { /* it stays in another one */
    lf_level *next = own_level(first_of(v));
    lf_list_init(&next->tasks);
    lf_list_move(&next->tasks, &v->tasks);
    lf_list_add(&v->link, &next->link);
  }
  lf_list_del(&v->link);
}

lf_task *lf_level_first(const lf_pool *p, int64_t least) {
  if (lf_list_empty(&p->levels))
    return NULL;
  lf_level *v = level_of(p->levels.next);
  return v->priority >= least ? first_of(v) : NULL;
}

lf_task *lf_level_find(const lf_pool *p, bool (*is)(const lf_task *task)) {
  for (lf_link *l = p->levels.next; l != &p->levels; l = l->next) {
    const lf_level *v = level_of(l);
    for (lf_link *m = v->tasks.next; m != &v->tasks; m = m->next)
      if (is(lf_container_of(m, lf_task, link)))
        return lf_container_of(m, lf_task, link);
  }
  return NULL;
}

lf_task *lf_common_first(const lf_pool *p) {
  lf_task *t = lf_level_first(p, 1);
  if (!t && !lf_list_empty(&p->queue))
    t = lf_container_of(p->queue.next, lf_task, link);
  return t ? t : lf_level_first(p, INT64_MIN);
}

void lf_common_drain(lf_pool *p, lf_link *out) {
  lf_link *l;
  while ((l = lf_list_pop(&p->levels)))
    lf_list_move(out, &level_of(l)->tasks);
  lf_list_move(out, &p->queue);
  p->queued = p->leveled = p->urgent = 0;
}
