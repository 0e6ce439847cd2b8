/* SPDX-License-Identifier: MIT
 *
 * runtime/os/clock.h. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"

#include <math.h>

static void points_in_time(void **state) {
  (void)state;
  assert_true(lf_after(NAN) == LF_FOREVER);
  assert_true(lf_after(INFINITY) == LF_FOREVER);
  assert_true(lf_after(1e300) == LF_FOREVER);
  assert_int_equal(lf_after(0), 0);
  assert_int_equal(lf_after(-1), 0);
  assert_int_equal(lf_after(-INFINITY), 0);
  int64_t before = lf_now(), at = lf_after(10), after = lf_now();
  assert_true(before <= after);
  assert_true(at >= before + 10000000000 && at <= after + 10000000000);
  assert_true(lf_wall_time() > 1.5e9);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(points_in_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
