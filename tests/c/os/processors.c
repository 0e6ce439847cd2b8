/* SPDX-License-Identifier: MIT
 *
 * runtime/os/processors.h. */
#include "tests/c/fake.h"

#include "runtime/os/processors.h"

#include <sched.h>

static void those_that_may_be_used(void **state) {
  (void)state;
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  int n = lf_cpu_count();
  assert_in_range(n, 1, CPU_COUNT(&all));
  assert_in_range(lf_cpus_whole(), 0, n);
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
    if (CPU_ISSET(i, &all))
      CPU_SET(i, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(lf_cpu_count(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
  assert_int_equal(lf_cpu_count(), n);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(those_that_may_be_used)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
