/* SPDX-License-Identifier: MIT
 *
 * runtime/os/timer.h. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/timer.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000 };

typedef struct {
  lf_timer timer;
  int number;
} numbered;

static _Atomic int fired;
static int order[MANY];

static void note(lf_timer *t) {
  order[atomic_load(&fired)] = lf_container_of(t, numbered, timer)->number;
  atomic_fetch_add(&fired, 1);
}

static int begin(void **state) {
  atomic_store(&fired, 0);
  return fake_begin(state);
}

static void init(numbered *n, int number) {
  lf_timer_init(&n->timer, note);
  n->number = number;
}

static void await_fired(int n) {
  while (atomic_load(&fired) < n)
    sched_yield();
}

static void fires_in_the_order_of_time(void **state) {
  (void)state;
  static numbered all[MANY];
  int64_t base = lf_now() + 20000000;
  for (int i = 0; i < MANY; i++) {
    init(&all[i], i);
    int64_t at = base + (int64_t)(i * 7919 % MANY) * 1000;
    assert_int_equal(lf_timer_set(&all[i].timer, at), 0);
  }
  await_fired(MANY);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(order[i] * 7919 % MANY, i);
  assert_int_equal(lf_timers(), 0);
}

static void does_not_fire_when_it_was_unset(void **state) {
  (void)state;
  numbered first, last, never;
  init(&first, 1);
  init(&never, 2);
  init(&last, 3);
  assert_false(lf_timer_unset(&never.timer));
  assert_int_equal(lf_timer_set(&never.timer, lf_now() + 5000000), 0);
  assert_int_equal(lf_timer_set(&first.timer, 0), 0);
  assert_true(lf_timer_unset(&never.timer));
  assert_false(lf_timer_unset(&never.timer));
  await_fired(1);
  assert_int_equal(lf_timer_set(&last.timer, lf_now() + 10000000), 0);
  await_fired(2);
  assert_int_equal(order[0], 1);
  assert_int_equal(order[1], 3);
}

static void moves_when_it_is_set_again(void **state) {
  (void)state;
  numbered late, soon;
  init(&late, 1);
  init(&soon, 2);
  assert_int_equal(lf_timer_set(&late.timer, LF_FOREVER - 1), 0);
  assert_int_equal(lf_timer_set(&soon.timer, LF_FOREVER - 2), 0);
  assert_int_equal(lf_timers(), 2);
  assert_int_equal(lf_timer_set(&late.timer, 0), 0);
  await_fired(1);
  assert_int_equal(order[0], 1);
  assert_true(lf_timer_unset(&soon.timer));
}

static void set_itself_again(lf_timer *t) {
  if (atomic_fetch_add(&fired, 1) < 9)
    lf_check(lf_timer_set(t, lf_now() + 1000) == 0);
}

static void may_set_itself(void **state) {
  (void)state;
  lf_timer t;
  lf_timer_init(&t, set_itself_again);
  assert_int_equal(lf_timer_set(&t, 0), 0);
  await_fired(10);
}

/* (The thread sanitizer lets no child of several threads start one.) */
static void none_is_set_after_a_fork(void **state) {
  (void)state;
  const char *sanitizer = getenv("LFUT_SANITIZER");
  if (sanitizer && strcmp(sanitizer, "thread") == 0)
    skip();
  numbered parents;
  init(&parents, 1);
  assert_int_equal(lf_timer_set(&parents.timer, lf_now() + 3600000000000), 0);
  pid_t pid = fork();
  if (pid == 0) {
    numbered own;
    bool none = lf_timers() == 0 && !lf_timer_unset(&parents.timer);
    init(&own, 2);
    if (!none || lf_timer_set(&own.timer, 0) != 0)
      _exit(1);
    await_fired(1);
    _exit(order[0] == 2 ? 0 : 2);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_true(lf_timer_unset(&parents.timer));
}

#define TIMER(f) cmocka_unit_test_setup_teardown(f, begin, fake_end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TIMER(fires_in_the_order_of_time), TIMER(does_not_fire_when_it_was_unset),
      TIMER(moves_when_it_is_set_again), TIMER(may_set_itself),
      TIMER(none_is_set_after_a_fork),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
