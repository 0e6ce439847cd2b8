/* SPDX-License-Identifier: MIT
 *
 * runtime/base/table.h */
#include "tests/c/fake.h"

#include "runtime/base/table.h"

static int things[1000];

static void finds_what_was_added(void **state) {
  (void)state;
  lf_table t = {0};
  assert_null(lf_table_find(&t, 1));
  for (uint64_t i = 1; i < 1000; i++)
    assert_int_equal(lf_table_add(&t, i * i, &things[i]), 0);
  assert_int_equal(t.n, 999);
  for (uint64_t i = 1; i < 1000; i++)
    assert_ptr_equal(lf_table_find(&t, i * i)->value, &things[i]);
  assert_null(lf_table_find(&t, 2));
  lf_table_fini(&t);
  assert_int_equal(t.n, 0);
  assert_null(lf_table_find(&t, 1));
}

static void removes_without_losing_others(void **state) {
  (void)state;
  lf_table t = {0};
  for (uint64_t i = 1; i < 1000; i++)
    assert_int_equal(lf_table_add(&t, i, &things[i]), 0);
  for (uint64_t i = 1; i < 1000; i++)
    if (i % 3 != 0)
      lf_table_del(&t, i);
  lf_table_del(&t, 1); /* is not there */
  assert_int_equal(t.n, 333);
  for (uint64_t i = 1; i < 1000; i++) {
    lf_entry *e = lf_table_find(&t, i);
    assert_int_equal(e != NULL, i % 3 == 0);
    if (e)
      assert_ptr_equal(e->value, &things[i]);
  }
  lf_table_fini(&t);
}

static void stays_small_when_few_are_in_it(void **state) {
  (void)state;
  lf_table t = {0};
  for (uint64_t i = 1; i < 100000; i++) {
    assert_int_equal(lf_table_add(&t, i, NULL), 0);
    if (i > 4)
      lf_table_del(&t, i - 4);
  }
  assert_true(t.cap <= 16);
  lf_table_fini(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(finds_what_was_added),
      TEST(removes_without_losing_others),
      TEST(stays_small_when_few_are_in_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
