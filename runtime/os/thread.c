/* SPDX-License-Identifier: MIT
 *
 * See thread.h. A parker is a futex word: 0, WOKEN, SLEEPING, or AWAY. */
#include "runtime/os/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/spin.h"

enum {
  WOKEN = 1,
  SLEEPING = 2,
  AWAY = 3,
  STACK = 16 << 20 /* address space only: pages are touched when needed */
};

static _Atomic int threads;
static _Atomic int loud;       /* those of 'threads' that are not silent */
static _Thread_local bool own; /* the calling thread is one of 'loud' */

void lf_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
}

int lf_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock,
                 int64_t deadline) {
  struct timespec ts = lf_timespec(deadline);
  return deadline == LF_FOREVER ? pthread_cond_wait(cond, lock)
                                : pthread_cond_timedwait(cond, lock, &ts);
}

/* The thread's own copy of what it has to do; the thread frees it. */
struct start {
  void (*entry)(void *arg);
  void *arg;
  char name[16];
};

static void *thread_main(void *p) {
  struct start s = *(struct start *)p;
  lf_free(p);
  pthread_setname_np(pthread_self(), s.name);
  own = true;
  lf_count_awake(1);
  s.entry(s.arg);
  lf_count_awake(-1);
  lf_thread_silent();
  atomic_fetch_sub(&threads, 1);
  return NULL;
}

/* A thread has the signals of who starts it, so that what it starts in turn has
 * them, too; but a fault belongs to who makes it, and SIGURG is how lfut
 * reaches its own threads. */
static void worker_signals(sigset_t *set) {
  const int passed[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                        SIGTRAP, SIGABRT, SIGURG};
  pthread_sigmask(SIG_SETMASK, NULL, set);
  for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
    sigdelset(set, passed[i]);
}

/* Bytes of a thread's stack. Where address space is limited they are less, and
 * threads share the arenas of malloc(3), of which each takes much. */
static size_t stack_size(void) {
  enum { LEAST = 1 << 20, PARTS = 256, ARENAS = 2 };
  uint64_t space = lf_address_space();
  if (space == UINT64_MAX)
    return STACK;
  mallopt(M_ARENA_MAX, ARENAS);
  size_t part = space / PARTS;
  return part < LEAST ? LEAST : part > STACK ? STACK : part;
}

int lf_thread_start(const char *name, void (*entry)(void *arg), void *arg) {
  struct start *s = lf_malloc(sizeof *s);
  if (!s)
    return LF_ETHREAD;
  s->entry = entry;
  s->arg = arg;
  snprintf(s->name, sizeof s->name, "%s", name);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, stack_size());
  atomic_fetch_add(&threads, 1);
  atomic_fetch_add(&loud, 1);
  sigset_t set, old;
  worker_signals(&set);
  pthread_sigmask(SIG_SETMASK, &set, &old);
  pthread_t thread;
  int err = pthread_create(&thread, &attr, thread_main, s);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  if (err == 0)
    return 0;
  atomic_fetch_sub(&loud, 1);
  atomic_fetch_sub(&threads, 1);
  lf_free(s);
  return LF_ETHREAD;
}

bool lf_thread_start_apart(void *(*entry)(void *unused), size_t stack,
                           pthread_t *joinable) {
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t all, old;
  pthread_attr_init(&attr);
  if (!joinable)
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  if (stack > 0)
    pthread_attr_setstacksize(&attr, stack);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  bool started =
      pthread_create(joinable ? joinable : &thread, &attr, entry, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return started;
}

void lf_eventfd_ring(int fd) {
  uint64_t one = 1;
  ssize_t n = write(fd, &one, sizeof one);
  (void)n;
}

void lf_threads_settle(void) {
  struct timespec moment = {.tv_nsec = 50000};
  for (int i = 0; i < 20000 && atomic_load(&threads) > 0; i++)
    nanosleep(&moment, NULL);
}

void lf_threads_discount(int by) {
  atomic_fetch_add(&threads, by);
  atomic_fetch_add(&loud, by);
}

bool lf_threads_others(void) {
  return atomic_load(&loud) > own;
}

void lf_thread_silent(void) {
  if (own)
    atomic_fetch_sub(&loud, 1);
  own = false;
}

void lf_threads_forked(void) {
  own = false;
  atomic_store(&threads, 0);
  atomic_store(&loud, 0);
  lf_count_awake(1 - lf_awake());
}

size_t lf_stack_left(void) {
  static _Thread_local char *lowest;
  char here;
  if (!lowest) {
    pthread_attr_t attr;
    void *stack = &here;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
      pthread_attr_getstack(&attr, &stack, &size);
      pthread_attr_destroy(&attr);
    }
    lowest = stack;
  }
  return &here > lowest ? (size_t)(&here - lowest) : 0;
}

/* Not FUTEX_PRIVATE_FLAG: the word may be shared with another process. */
static long futex(_Atomic uint32_t *word, int op, uint32_t value,
                  const struct timespec *deadline) {
  return syscall(SYS_futex, word, op, value, deadline, NULL,
                 FUTEX_BITSET_MATCH_ANY);
}

int lf_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline) {
  struct timespec ts = lf_timespec(deadline);
  if (futex(word, FUTEX_WAIT_BITSET, value, &ts) == 0 || errno == EAGAIN)
    return 0;
  return errno == ETIMEDOUT ? LF_ETIMEOUT : LF_EINTR;
}

void lf_futex_wake(_Atomic uint32_t *word) {
  futex(word, FUTEX_WAKE, 1, NULL);
}

static bool take_wakeup(lf_parker *parker) {
  uint32_t woken = WOKEN;
  return atomic_compare_exchange_strong(&parker->word, &woken, 0);
}

static lf_habit parking = LF_HABIT;

_Thread_local volatile bool lf_thread_dozes;

static int sleep_until(lf_parker *parker, int64_t deadline) {
  struct timespec ts = lf_timespec(deadline);
  lf_count_awake(-1);
  lf_thread_dozes = true;
  long r = futex(&parker->word, FUTEX_WAIT_BITSET, SLEEPING,
                 deadline == LF_FOREVER ? NULL : &ts);
  int err = r == 0 ? 0 : errno;
  lf_thread_dozes = false;
  uint32_t sleeping = SLEEPING;
  bool woken = !atomic_compare_exchange_strong(&parker->word, &sleeping, 0);
  if (!woken || parker->shared)
    lf_count_awake(1);
  if (woken) {
    atomic_store(&parker->word, 0); /* it was WOKEN: ours */
    return 0;
  }
  return err == EINTR ? LF_EINTR : err == ETIMEDOUT ? LF_ETIMEOUT : 1;
}

int lf_doze(lf_parker *parker, int64_t deadline) {
  if (take_wakeup(parker))
    return 0;
  if (deadline <= 0)
    return LF_ETIMEOUT;
  int r = 1;
  while (r > 0) {
    uint32_t idle = 0;
    if (atomic_compare_exchange_strong(&parker->word, &idle, SLEEPING))
      r = sleep_until(parker, deadline);
    else
      r = take_wakeup(parker) ? 0 : LF_EINTR;
  }
  return r;
}

int lf_park(lf_parker *parker, int64_t deadline) {
  if (take_wakeup(parker))
    return 0;
  if (deadline <= 0)
    return LF_ETIMEOUT;
  lf_spin spin = lf_spin_begin(&parking, deadline);
  while (!lf_parker_woken(parker) && lf_spin_on(&spin))
    continue;
  int r = lf_doze(parker, deadline);
  if (r == 0)
    lf_spin_end(&spin);
  return r;
}

static char *_Atomic shared_base;

void lf_parkers_from(void *base) {
  atomic_store(&shared_base, base);
}

int lf_doze_at(lf_parker *at, lf_parker *parker, int64_t deadline) {
  uint32_t idle = 0, away = AWAY;
  atomic_store(&parker->away, (uint64_t)((char *)at - shared_base));
  if (!atomic_compare_exchange_strong(&parker->word, &idle, AWAY))
    return take_wakeup(parker) ? 0 : LF_EINTR;
  int r = lf_doze(at, deadline);
  if (atomic_compare_exchange_strong(&parker->word, &away, 0))
    return r;
  atomic_store(&parker->word, 0); /* it was WOKEN: ours */
  return 0;
}

void lf_unpark(lf_parker *parker) {
  bool shared = parker->shared; /* afterwards it may be gone */
  uint32_t before = atomic_exchange(&parker->word, WOKEN);
  if (before == AWAY) {
    char *at = shared_base + atomic_load(&parker->away);
    lf_unpark((lf_parker *)at);
  } else if (before == SLEEPING) {
    if (!shared)
      lf_count_awake(1);
    futex(&parker->word, FUTEX_WAKE, 1, NULL);
  }
}
