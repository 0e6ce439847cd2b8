/* SPDX-License-Identifier: MIT
 *
 * See atfork.h. */
#include "runtime/base/atfork.h"

#include <pthread.h>

static struct hooks {
  pthread_mutex_t *lock; /* or NULL */
  void (*prepare)(void), (*parent)(void), (*child)(void);
} hooks[LF_FORK_LOCKS]; /* written before there are threads */

static void prepare(void) {
  for (int i = 0; i < LF_FORK_LOCKS; i++) {
    const struct hooks *h = &hooks[i];
    if (h->lock)
      pthread_mutex_lock(h->lock);
    if (h->prepare)
      h->prepare();
  }
}

static void go_on(const struct hooks *h, void (*hook)(void)) {
  if (hook)
    hook();
  if (h->lock)
    pthread_mutex_unlock(h->lock);
}

static void in_parent(void) {
  for (int i = LF_FORK_LOCKS; i-- > 0;)
    go_on(&hooks[i], hooks[i].parent);
}

static void in_child_too(void) {
  for (int i = LF_FORK_LOCKS; i-- > 0;)
    go_on(&hooks[i], hooks[i].child);
}

static void add(lf_fork_lock which, struct hooks h) {
  static bool registered;
  if (!registered)
    pthread_atfork(prepare, in_parent, in_child_too);
  registered = true;
  hooks[which] = h;
}

void lf_at_fork(lf_fork_lock which, void (*before)(void), void (*parent)(void),
                void (*child)(void)) {
  add(which, (struct hooks){NULL, before, parent, child});
}

void lf_lock_at_fork(lf_fork_lock which, pthread_mutex_t *lock,
                     void (*in_child)(void)) {
  add(which, (struct hooks){lock, NULL, NULL, in_child});
}

/* --- Calls that no fork may interrupt --- */

/* Read by who calls, written by who forks. */
static pthread_rwlock_t calls;
static _Thread_local int depth; /* of the calling thread's */

static void init_calls(void) {
  pthread_rwlockattr_t attr;
  pthread_rwlockattr_init(&attr);
  pthread_rwlockattr_setkind_np(&attr,
                                PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&calls, &attr);
  pthread_rwlockattr_destroy(&attr);
}

/* From within such a call: what it has locked is its own business. */
static void stop_calls(void) {
  if (depth == 0)
    pthread_rwlock_wrlock(&calls);
}

static void allow_calls(void) {
  if (depth == 0)
    pthread_rwlock_unlock(&calls);
}

/* It would not know its writer again, whose number is another now. */
static void allow_calls_in_child(void) {
  depth = 0;
  init_calls();
}

__attribute__((constructor)) static void guard_calls(void) {
  init_calls();
  lf_at_fork(LF_FORK_CALLS, stop_calls, allow_calls, allow_calls_in_child);
}

void lf_call_begin(void) {
  if (depth++ == 0)
    pthread_rwlock_rdlock(&calls);
}

void lf_call_end(void) {
  if (--depth == 0)
    pthread_rwlock_unlock(&calls);
}
