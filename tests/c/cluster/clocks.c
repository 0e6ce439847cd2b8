/* SPDX-License-Identifier: MIT
 *
 * Clocks of other hosts: each task narrows down what they differ by. */
#include "runtime/cluster/clocks.h"

#include "tests/c/fake.h"

static void one_per_member(void **state) {
  (void)state;
  lf_link clocks;
  lf_list_init(&clocks);
  lf_far_clock *a = lf_clock_of(&clocks, "a", 1),
               *b = lf_clock_of(&clocks, "b", 1);
  assert_ptr_not_equal(a, b);
  assert_int_not_equal(a->number, b->number);
  assert_ptr_equal(lf_clock_of(&clocks, "a", 1), a);
  assert_ptr_equal(lf_clock_of(&clocks, "b", 1), b);
  lf_far_clock *c = lf_clock_of(&clocks, "a", 2);
  assert_ptr_not_equal(a, c);
  assert_int_not_equal(a->number, c->number);
  lf_clocks_free(&clocks);
}

/* Theirs is 1000 behind ours. */
static void narrows_down(void **state) {
  (void)state;
  lf_link clocks;
  lf_list_init(&clocks);
  lf_far_clock *c = lf_clock_of(&clocks, "a", 1);
  /* Submitted at 5000, begun at 5100, ended at 5200, received at 5500. */
  assert_int_equal(lf_clock_note(c, 5000, 4100, 4200, 5500), 1100);
  /* One whose result came at once. */
  assert_int_equal(lf_clock_note(c, 6000, 5500, 5600, 6604), 952);
  /* One that was begun at once; nobody knows when it was submitted. */
  assert_int_equal(lf_clock_note(c, 7000, 6001, 6100, 9000), 1001);
  assert_int_equal(lf_clock_note(c, INT64_MIN / 4, 7000, 7100, 9000), 1001);
  /* What it is taken for stays, as long as it can be that. */
  assert_int_equal(lf_clock_note(c, 7000, 6000, 6100, 7102), 1001);
  lf_clocks_free(&clocks);
}

/* A member on this host: as long as it can be the same clock, it is. */
static void the_same_clock(void **state) {
  (void)state;
  lf_link clocks;
  lf_list_init(&clocks);
  lf_far_clock *c = lf_clock_of(&clocks, "a", 1);
  assert_int_equal(lf_clock_note(c, 5000, 5100, 5200, 9000), 0);
  assert_int_equal(lf_clock_note(c, 5000, 8000, 8100, 9000), 0);
  lf_clocks_free(&clocks);
}

static void names_once(void **state) {
  (void)state;
  lf_link clocks;
  lf_list_init(&clocks);
  lf_far_clock *c = lf_clock_of(&clocks, "a", 1);
  assert_true(lf_clock_names(c, 1, 0));
  assert_true(lf_clock_names(c, 1, 7));
  assert_false(lf_clock_names(c, 1, 0));
  assert_false(lf_clock_names(c, 1, 7));
  assert_true(lf_clock_names(c, 2, 7)); /* another trace */
  lf_clocks_free(&clocks);
}

static void one_run_after_the_other(void **state) {
  (void)state;
  lf_link clocks;
  lf_list_init(&clocks);
  lf_far_clock *c = lf_clock_of(&clocks, "a", 1);
  assert_int_equal(lf_clock_place(c, 7, 100, 10), 100);
  assert_int_equal(lf_clock_place(c, 8, 105, 10), 105);
  assert_int_equal(lf_clock_place(c, 7, 105, 10), 110);
  assert_int_equal(lf_clock_place(c, 7, 200, 10), 200);
  lf_clocks_free(&clocks);
}

/* It is set, or the host starts anew. */
static void another_clock(void **state) {
  (void)state;
  lf_link clocks;
  lf_list_init(&clocks);
  lf_far_clock *c = lf_clock_of(&clocks, "a", 1);
  lf_clock_note(c, 5000, 4100, 4200, 5500);
  assert_int_equal(lf_clock_note(c, 8000, 100, 200, 8300), 8000);
  lf_clocks_free(&clocks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(one_per_member),
      TEST(narrows_down),
      TEST(names_once),
      TEST(the_same_clock),
      TEST(one_run_after_the_other),
      TEST(another_clock),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
