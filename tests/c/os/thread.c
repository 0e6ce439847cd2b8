/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/processors.h"
#include "runtime/os/thread.h"

#include <signal.h>
#include <string.h>

static void a_wakeup_is_kept_once(void **state) {
  (void)state;
  lf_parker parker;
  lf_parker_init(&parker);
  assert_false(lf_parker_woken(&parker));
  lf_unpark(&parker);
  lf_unpark(&parker);
  assert_true(lf_parker_woken(&parker));
  assert_int_equal(lf_park(&parker, LF_FOREVER), 0);
  assert_false(lf_parker_woken(&parker));
  assert_int_equal(lf_park(&parker, 0), LF_ETIMEOUT);
}

static void a_wakeup_goes_before_a_deadline(void **state) {
  (void)state;
  lf_parker parker;
  lf_parker_init(&parker);
  lf_unpark(&parker);
  assert_int_equal(lf_park(&parker, 0), 0);
}

static void sleeps_until_the_deadline(void **state) {
  (void)state;
  lf_parker parker;
  lf_parker_init(&parker);
  for (int us = 10; us <= 3000; us *= 17) {
    int64_t deadline = lf_now() + us * 1000;
    assert_int_equal(lf_park(&parker, deadline), LF_ETIMEOUT);
    assert_true(lf_now() >= deadline);
  }
  assert_int_equal(lf_park(&parker, lf_now() - 1), LF_ETIMEOUT);
}

typedef struct {
  lf_parker here, there;
  int turns; /* of the one whose turn it is */
} table;

enum { TURNS = 2000 };

static void *answer(void *arg) {
  table *t = arg;
  for (int i = 0; i < TURNS; i++) {
    lf_park(&t->there, LF_FOREVER);
    t->turns++;
    lf_unpark(&t->here);
  }
  return NULL;
}

static void two_wake_each_other(void **state) {
  (void)state;
  table t = {.turns = 0};
  lf_parker_init(&t.here);
  lf_parker_init(&t.there);
  pthread_t thread;
  pthread_create(&thread, NULL, answer, &t);
  for (int i = 0; i < TURNS; i++) {
    lf_unpark(&t.there);
    assert_int_equal(lf_park(&t.here, LF_FOREVER), 0);
    assert_int_equal(t.turns, i + 1);
  }
  pthread_join(thread, NULL);
}

static void on_signal(int sig) {
  (void)sig;
}

static atomic_bool interrupted;

static void *interrupt(void *arg) {
  while (!interrupted) {
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

static void a_signal_ends_it(void **state) {
  (void)state;
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  lf_parker parker;
  lf_parker_init(&parker);
  pthread_t thread, self = pthread_self();
  pthread_create(&thread, NULL, interrupt, &self);
  assert_int_equal(lf_park(&parker, LF_FOREVER), LF_EINTR);
  interrupted = true;
  pthread_join(thread, NULL);
}

typedef struct {
  gate started;
  char name[32];
  sigset_t blocked;
} found;

static void look(void *arg) {
  found *f = arg;
  pthread_getname_np(pthread_self(), f->name, sizeof f->name);
  pthread_sigmask(SIG_BLOCK, NULL, &f->blocked);
  gate_add(&f->started);
}

static void starts_threads(void **state) {
  (void)state;
  found f = {.started = GATE};
  sigset_t some, own;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR1);
  sigaddset(&some, SIGURG);
  pthread_sigmask(SIG_BLOCK, &some, &own);
  assert_int_equal(lf_thread_start("a name that is too long", look, &f), 0);
  pthread_sigmask(SIG_SETMASK, &own, NULL);
  gate_await(&f.started, 1);
  lf_threads_settle();
  assert_string_equal(f.name, "a name that is ");
  assert_true(sigismember(&f.blocked, SIGUSR1)); /* the caller's */
  assert_false(sigismember(&f.blocked, SIGINT));
  assert_false(sigismember(&f.blocked, SIGURG)); /* its own */
}

static size_t deeper(int depth) {
  volatile char some[1000];
  memset((char *)some, 0, sizeof some);
  size_t left = depth > 0 ? deeper(depth - 1) : lf_stack_left();
  return left + (size_t)some[0];
}

static void knows_its_stack(void **state) {
  (void)state;
  size_t here = lf_stack_left();
  assert_true(here > 100000);
  assert_true(deeper(20) < here);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_wakeup_is_kept_once),     TEST(a_wakeup_goes_before_a_deadline),
      TEST(sleeps_until_the_deadline), TEST(two_wake_each_other),
      TEST(a_signal_ends_it),          TEST(starts_threads),
      TEST(knows_its_stack),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
