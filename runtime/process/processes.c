/* SPDX-License-Identifier: MIT
 *
 * See processes.h, internal.h. */
#include "runtime/process/processes.h"

#include "runtime/base/mem.h"
#include "runtime/process/internal.h"

#include <stdio.h>

int lf_pool_processes(lf_pool *p, char *why, size_t size) {
  char name[32];
  lf_parker here;
  lf_parker_init(&here);
  lf_fleet *f = lf_zalloc(sizeof *f);
  if (f) {
    f->epoll = f->control = -1;
    atomic_init(&f->bell, -1);
    f->opening = &here;
    lf_list_init(&f->hold.link);
    lf_outcome_init(&f->after);
    lf_list_init(&f->lively);
    lf_list_init(&f->idle);
    p->fleet = f;
    snprintf(name, sizeof name, "%.10s_keeper", p->o.name);
    lf_pool_ref(p);
    if (lf_thread_start(name, lf_supervisor_main, p) == 0) {
      while (lf_doze(&here, LF_FOREVER) != 0)
        continue;
      if (f->failures == 0)
        return 0;
      snprintf(why, size, "cannot start worker processes: %s", f->trouble);
      return LF_EBROKEN;
    }
    lf_pool_unref(p); /* not the last */
    p->fleet = NULL;
    lf_free(f);
  }
  snprintf(why, size, "cannot start worker processes: no thread for them");
  return LF_EBROKEN;
}

void lf_pool_tell(lf_pool *p, const lf_notice *notice) {
  if (!p->fleet)
    return;
  notice->hold(notice->owner);
  pthread_mutex_lock(&p->lock);
  lf_notice old = p->fleet->notice;
  p->fleet->notice = *notice;
  p->fleet->notices++;
  pthread_mutex_unlock(&p->lock);
  if (old.drop)
    old.drop(old.owner);
}

/* To workers that are processes. */
int lf_processes_submit(lf_pool *p, lf_task *task, lf_place place) {
  pthread_mutex_lock(&p->lock);
  bool closed =
      p->ended || (p->shutdown && place != LF_TAIL && !lf_runner_of(task));
  int err = closed ? LF_ESHUTDOWN : p->broken ? LF_EBROKEN : 0;
  if (err == 0 && place == LF_HOME)
    err = lf_fleet_add_home(p, task);
  else if (err == 0)
    lf_fleet_add(p, task, &p->queue);
  if (err == 0)
    p->fleet->visits++;
  pthread_mutex_unlock(&p->lock);
  if (err == 0 && !lf_fleet_is_pumping(p))
    lf_fleet_pump(p);
  return err;
}

int lf_processes_broadcast(lf_pool *p, lf_task **tasks) {
  pthread_mutex_lock(&p->lock);
  int err = lf_fleet_broadcast(p, tasks);
  pthread_mutex_unlock(&p->lock);
  lf_fleet_pump(p);
  return err;
}

void lf_processes_stat(lf_pool *p, lf_pool_stats *s) {
  lf_fleet_pump(p);
  pthread_mutex_lock(&p->lock);
  lf_fleet_stat(p, s);
  pthread_mutex_unlock(&p->lock);
}
