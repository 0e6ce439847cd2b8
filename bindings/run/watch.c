/* SPDX-License-Identifier: MIT
 *
 * See watch.h. */
#include "bindings/run/watch.h"

static void fire(lf_waiter *waiter) {
  lfb_watch *w = lf_container_of(waiter, lfb_watch, waiter);
  w->waker->wake(w->waker);
}

static void end_task(lfb_watch *w) {
  lf_waiter_remove(&w->waiter);
  lf_task_unref(w->object);
}

static void end_set(lfb_watch *w) {
  lf_waitset_unwatch(w->object, w->waker);
}

static void end_loop(lfb_watch *w) {
  lf_loop_unwatch(w->object, w->waker);
  lf_loop_unref(w->object);
}

static void end_polled(lfb_watch *w) {
  lf_polled *polled = w->object;
  for (int i = 0; i < w->n; i++)
    lf_poller_unwatch(&polled[i]);
}

static void fire_polled(lf_polled *p) {
  lf_waker *waker = p->arg;
  waker->wake(waker);
}

static bool begin_polled(lfb_watch *w, lf_polled *polled, int n) {
  bool all = true;
  w->object = polled;
  w->n = n;
  w->end = end_polled;
  for (int i = 0; i < n; i++) {
    lf_polled *p = &polled[i];
    p->fire = fire_polled;
    p->arg = w->waker;
    p->err = p->fd >= 0 ? lf_poller_watch(p) : 0;
    all = all && p->err == 0;
  }
  return all;
}

static void end_none(lfb_watch *w) {
  (void)w;
}

/* False: it is there already. */
static bool begin(lfb_watch *w, const lfb_wait_for *what) {
  if (what->task) {
    w->object = lf_task_ref(what->task);
    w->end = end_task;
    w->waiter.fire = fire;
    return lf_waiter_add(&w->waiter, what->task);
  }
  if (what->set) {
    w->object = what->set;
    w->end = end_set;
    return lf_waitset_watch(what->set, w->waker);
  }
  if (what->loop) {
    w->object = lf_loop_ref(what->loop);
    w->end = end_loop;
    return lf_loop_watch(what->loop, w->waker);
  }
  if (what->polled)
    return begin_polled(w, what->polled, what->npolled);
  w->end = end_none;
  return true;
}

bool lfb_watch_is_for(const lfb_watch *w, lfb_wait_for *what) {
  *what = (lfb_wait_for){0};
  if (w->end == end_task)
    what->task = w->object;
  else if (w->end == end_set)
    what->set = w->object;
  else if (w->end == end_loop)
    what->loop = w->object;
  else if (w->end == end_polled)
    what->polled = w->object;
  return what->polled || what->task || what->set || what->loop ||
         w->end == end_none;
}

void lfb_watch_begin(lfb_watch *w, lf_waker *waker, const lfb_wait_for *what) {
  w->waker = waker;
  if (!begin(w, what))
    waker->wake(waker);
}

static void wake_thread(lf_waker *waker) {
  lfb_sleeper *s = lf_container_of(waker, lfb_sleeper, waker);
  lf_parker *parker = s->parker;
  atomic_store(&s->fired, true); /* then 's' may be gone */
  lf_unpark(parker);
}

void lfb_sleeper_init(lfb_sleeper *s, lf_parker *parker) {
  *s = (lfb_sleeper){.waker = {.wake = wake_thread}, .parker = parker};
}
