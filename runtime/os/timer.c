/* SPDX-License-Identifier: MIT
 *
 * See timer.h. They are in a heap by time, under one lock. The thread is told
 * of a new timer only if it would sleep past it; it is left to sleep until one
 * that was unset, and looks again then. */
#include "runtime/os/timer.h"

#include <pthread.h>
#include <time.h>

#include "runtime/base/atfork.h"
#include "runtime/os/clock.h"

enum { STACK_BYTES = 256 << 10 };

static pthread_cond_t changed;
static lf_deadlines heap; /* all of it under the lock */
static size_t count;
static bool there;    /* the thread is */
static int64_t until; /* it sleeps until then; 0: it does not */

/* What is set is the parent's. */
static void begin_anew(void) {
  while (heap.first)
    lf_deadline_unset(&heap, heap.first);
  count = 0;
  there = false;
  until = 0;
  lf_cond_init(&changed);
}

LF_FORK_MUTEX(lock, LF_FORK_TIMERS, begin_anew);

__attribute__((constructor)) static void begin(void) {
  lf_cond_init(&changed);
}

/* --- The thread --- */

static void sleep_until(int64_t at) {
  until = at;
  lf_cond_wait(&changed, &lock, at);
  until = 0;
}

static void *run(void *unused) {
  pthread_mutex_lock(&lock);
  for (;;) {
    lf_deadline *past = lf_deadline_past(&heap, lf_now());
    if (!past) {
      sleep_until(lf_deadlines_next(&heap));
      continue;
    }
    count--;
    pthread_mutex_unlock(&lock);
    lf_timer *first = lf_container_of(past, lf_timer, deadline);
    first->fire(first);
    pthread_mutex_lock(&lock);
  }
  return unused;
}

/* --- */

/* Under the lock. */
static bool take_out(lf_timer *t) {
  bool was = lf_deadline_is_set(&t->deadline);
  if (was)
    count--;
  lf_deadline_unset(&heap, &t->deadline);
  return was;
}

int lf_timer_set(lf_timer *t, int64_t at) {
  int err = 0;
  pthread_mutex_lock(&lock);
  if (!there && !(there = lf_thread_start_apart(run, STACK_BYTES, NULL)))
    err = LF_ETHREAD;
  if (err == 0) {
    (void)take_out(t);
    lf_deadline_set(&heap, &t->deadline, at);
    count++;
    if (until > at)
      pthread_cond_signal(&changed);
  }
  pthread_mutex_unlock(&lock);
  return err;
}

bool lf_timer_unset(lf_timer *t) {
  pthread_mutex_lock(&lock);
  bool was = take_out(t);
  pthread_mutex_unlock(&lock);
  return was;
}

size_t lf_timers(void) {
  pthread_mutex_lock(&lock);
  size_t n = count;
  pthread_mutex_unlock(&lock);
  return n;
}
