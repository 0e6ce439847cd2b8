/* SPDX-License-Identifier: MIT
 *
 * runtime/os/spin.h. How long waits take is set here, and not measured: what
 * is learnt from it decides. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/spin.h"

/* A wait by the habit, that nothing ends while it spins. True: it has spun. */
static bool waits_in_vain(lf_habit *habit) {
  lf_spin spin = lf_spin_begin(habit, LF_FOREVER);
  bool spun = spin.spins;
  while (lf_spin_on(&spin))
    continue;
  assert_true(spin.in_vain);
  lf_spin_end(&spin);
  return spun;
}

static bool waits_briefly(lf_habit *habit) {
  lf_spin spin = lf_spin_begin(habit, LF_FOREVER);
  bool spun = spin.spins;
  lf_spin_end(&spin);
  return spun;
}

static void what_was_better_is_done(void **state) {
  (void)state;
  lf_habit habit = LF_HABIT, sleeps = {.spun = 60000, .slept = 60000};
  assert_true(waits_briefly(&habit));
  assert_false(waits_briefly(&sleeps)); /* it spares nothing */
  sleeps.slept = 100000;
  assert_true(waits_briefly(&sleeps));
}

static void spinning_is_given_up(void **state) {
  (void)state;
  lf_habit habit = {.spun = 1000, .slept = 10000};
  int n = 0;
  while (n < 1000 && waits_in_vain(&habit))
    n++;
  assert_in_range(n, 1, 999);
}

static void the_other_is_tried_now_and_then(void **state) {
  (void)state;
  lf_habit habit = {.spun = 200000, .slept = 0};
  int spun = 0;
  for (int i = 0; i < 200; i++)
    spun += waits_in_vain(&habit);
  assert_in_range(spun, 1, 50);
}

static void what_is_found_at_once_counts(void **state) {
  (void)state;
  lf_habit habit = {.spun = 200000, .slept = 200000};
  int n = 0;
  while (n < 1000 && !waits_briefly(&habit)) {
    habit.slept = 50000; /* as if it had taken so long to be woken */
    n++;
  }
  for (int i = 0; i < 20; i++)
    waits_briefly(&habit);
  assert_in_range(n, 1, 999);
  assert_true(habit.spun < 50000 && waits_briefly(&habit));
}

static void not_beyond_a_deadline(void **state) {
  (void)state;
  lf_habit habit = LF_HABIT;
  lf_spin spin = lf_spin_begin(&habit, 0);
  int looks = 0;
  while (lf_spin_on(&spin))
    looks++;
  assert_true(looks < 64);
  assert_false(lf_spin_again(&spin));
  spin = lf_spin_begin(&habit, LF_FOREVER);
  assert_true(lf_spin_again(&spin));
}

static void not_without_a_processor(void **state) {
  (void)state;
  enum { MANY = 1 << 20 };
  lf_habit habit = LF_HABIT;
  lf_count_awake(MANY);
  assert_false(lf_may_spin());
  assert_false(waits_briefly(&habit));
  lf_count_awake(-MANY);
  _Atomic uint32_t others = MANY;
  lf_count_outside(&others);
  assert_false(lf_may_spin());
  others = 0;
  assert_true(lf_may_spin() && waits_briefly(&habit));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_was_better_is_done),         TEST(spinning_is_given_up),
      TEST(the_other_is_tried_now_and_then), TEST(what_is_found_at_once_counts),
      TEST(not_beyond_a_deadline),           TEST(not_without_a_processor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
