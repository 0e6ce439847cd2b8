/* SPDX-License-Identifier: MIT
 *
 * See timer.h. A binary heap by time, under one lock. The thread is told of a
 * new timer only if it would sleep past it; it is left to sleep until one that
 * was unset, and looks again then. */
#include "runtime/os/timer.h"

#include <pthread.h>
#include <time.h>

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

enum { STACK_BYTES = 256 << 10 };

static pthread_cond_t changed;
static lf_timer **heap; /* all of it under the lock */
static size_t count, size;
static bool there;    /* the thread is */
static int64_t until; /* it sleeps until then; 0: it does not */

/* What is set is the parent's. */
static void begin_anew(void) {
  for (size_t i = 0; i < count; i++)
    heap[i]->index = 0;
  count = 0;
  there = false;
  until = 0;
  lf_cond_init(&changed);
}

LF_FORK_MUTEX(lock, LF_FORK_TIMERS, begin_anew);

__attribute__((constructor)) static void begin(void) {
  lf_cond_init(&changed);
}

/* --- The heap --- */

static void put(size_t i, lf_timer *t) {
  heap[i] = t;
  t->index = i + 1;
}

static void sift_up(size_t i, lf_timer *t) {
  for (; i > 0 && heap[(i - 1) / 2]->at > t->at; i = (i - 1) / 2)
    put(i, heap[(i - 1) / 2]);
  put(i, t);
}

static void sift_down(size_t i, lf_timer *t) {
  for (size_t child; (child = 2 * i + 1) < count; i = child) {
    if (child + 1 < count && heap[child + 1]->at < heap[child]->at)
      child++;
    if (heap[child]->at >= t->at)
      break;
    put(i, heap[child]);
  }
  put(i, t);
}

static void place(size_t i, lf_timer *t) {
  if (i > 0 && heap[(i - 1) / 2]->at > t->at)
    sift_up(i, t);
  else
    sift_down(i, t);
}

static void take_out(lf_timer *t) {
  size_t i = t->index - 1;
  t->index = 0;
  lf_timer *last = heap[--count];
  if (last != t)
    place(i, last);
  if (count > 0)
    return;
  lf_free(heap);
  heap = NULL;
  size = 0;
}

static bool make_room(void) {
  if (count < size)
    return true;
  size_t more = size ? 2 * size : 64;
  lf_timer **bigger = lf_realloc(heap, more * sizeof *bigger);
  if (!bigger)
    return false;
  heap = bigger;
  size = more;
  return true;
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
    lf_timer *first = count > 0 ? heap[0] : NULL;
    if (!first || first->at > lf_now()) {
      sleep_until(first ? first->at : LF_FOREVER);
      continue;
    }
    take_out(first);
    pthread_mutex_unlock(&lock);
    first->fire(first);
    pthread_mutex_lock(&lock);
  }
  return unused;
}

/* --- */

int lf_timer_set(lf_timer *t, int64_t at) {
  int err = 0;
  pthread_mutex_lock(&lock);
  if (t->index == 0 && !make_room())
    err = LF_ENOMEM;
  else if (!there && !(there = lf_thread_start_apart(run, STACK_BYTES, NULL)))
    err = LF_ETHREAD;
  if (err == 0) {
    size_t i = t->index ? t->index - 1 : count++;
    t->at = at;
    place(i, t);
    if (until > at)
      pthread_cond_signal(&changed);
  }
  pthread_mutex_unlock(&lock);
  return err;
}

bool lf_timer_unset(lf_timer *t) {
  pthread_mutex_lock(&lock);
  bool was = t->index > 0;
  if (was)
    take_out(t);
  pthread_mutex_unlock(&lock);
  return was;
}

size_t lf_timers(void) {
  pthread_mutex_lock(&lock);
  size_t n = count;
  pthread_mutex_unlock(&lock);
  return n;
}
