/* SPDX-License-Identifier: MIT
 *
 * runtime/base/deadline.h */
#include "tests/c/fake.h"

#include "runtime/base/deadline.h"

#include <stdlib.h>

enum { MANY = 2000 };

static lf_deadline all[MANY];
static lf_deadlines heap;

static int begin(void **state) {
  heap = (lf_deadlines){NULL};
  for (int i = 0; i < MANY; i++)
    all[i] = (lf_deadline){0};
  srand(1);
  return fake_begin(state);
}

/* Takes out all that is left, and checks the order. */
static int take_all(void) {
  int n = 0;
  int64_t before = INT64_MIN;
  for (lf_deadline *d; (d = lf_deadline_past(&heap, LF_FOREVER)); n++) {
    assert_false(lf_deadline_is_set(d));
    assert_true(d->at >= before);
    before = d->at;
  }
  assert_int_equal(lf_deadlines_next(&heap), LF_FOREVER);
  return n;
}

static void empty(void **state) {
  (void)state;
  assert_null(lf_deadline_past(&heap, LF_FOREVER));
  assert_int_equal(lf_deadlines_next(&heap), LF_FOREVER);
  lf_deadline_unset(&heap, &all[0]);
}

static void first_ones_first(void **state) {
  (void)state;
  for (int i = 0; i < MANY; i++)
    lf_deadline_set(&heap, &all[i], rand() % 500);
  assert_int_equal(take_all(), MANY);
}

static void only_what_is_past(void **state) {
  (void)state;
  for (int i = 0; i < MANY; i++)
    lf_deadline_set(&heap, &all[i], MANY - i);
  int n = 0;
  while (lf_deadline_past(&heap, MANY / 4))
    n++;
  assert_int_equal(n, MANY / 4);
  assert_int_equal(lf_deadlines_next(&heap), MANY / 4 + 1);
  assert_int_equal(take_all(), MANY - MANY / 4);
}

/* Ascending, descending, equal; each third is taken out from the middle. */
static void taken_out_anywhere(void **state) {
  (void)state;
  for (int order = 0; order < 3; order++) {
    for (int i = 0; i < MANY; i++)
      lf_deadline_set(&heap, &all[i], order == 0 ? i : order == 1 ? -i : 7);
    int left = MANY;
    for (int i = 0; i < MANY; i += 3, left--) {
      lf_deadline_unset(&heap, &all[i]);
      assert_false(lf_deadline_is_set(&all[i]));
    }
    assert_int_equal(take_all(), left);
  }
}

static void any_order_of_events(void **state) {
  (void)state;
  int set = 0;
  for (int i = 0; i < 100 * MANY; i++) {
    lf_deadline *d = &all[rand() % MANY];
    if (lf_deadline_is_set(d)) {
      lf_deadline_unset(&heap, d);
      set--;
    } else {
      lf_deadline_set(&heap, d, rand() % 1000);
      set++;
    }
    if (i % 5 == 0 && set > 0 && lf_deadline_past(&heap, rand() % 20))
      set--;
  }
  assert_int_equal(take_all(), set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(empty, begin, fake_end),
      cmocka_unit_test_setup_teardown(first_ones_first, begin, fake_end),
      cmocka_unit_test_setup_teardown(only_what_is_past, begin, fake_end),
      cmocka_unit_test_setup_teardown(taken_out_anywhere, begin, fake_end),
      cmocka_unit_test_setup_teardown(any_order_of_events, begin, fake_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
