/* SPDX-License-Identifier: MIT
 *
 * The spool of a trace: what is put comes out in its order, and its room is
 * used again. */
#include "runtime/trace/spool.h"

#include "tests/c/fake.h"

#include <string.h>

static const lf_trace_from from = {1, 2, 3, 4, 5};
static lf_event out[LF_PIECE_MOST];

static void put(int64_t first, size_t n) {
  lf_event e[LF_PIECE_MOST] = {0};
  for (size_t i = 0; i < n; i++)
    e[i].at = first + (int64_t)i;
  assert_true(lf_spool_put(&from, e, n));
}

static void expect(int64_t first, size_t n) {
  lf_trace_from its;
  size_t got = 0;
  assert_true(lf_spool_take(&its, out, &got));
  assert_memory_equal(&its, &from, sizeof from);
  assert_int_equal(got, n);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(out[i].at, first + (int64_t)i);
}

static void expect_none(void) {
  lf_trace_from its;
  size_t n;
  assert_false(lf_spool_take(&its, out, &n));
}

static void try(const char *path) {
  lf_spool_open(path);
  expect_none();
  for (int turn = 0; turn < 3; turn++) {
    put(1, 1);
    put(100, LF_PIECE_MOST);
    expect(1, 1);
    put(7, 2);
    expect(100, LF_PIECE_MOST);
    expect(7, 2);
    expect_none();
  }
  put(1, 1);
  lf_spool_close();
  expect_none();
}

static void in_order(void **state) {
  (void)state;
  try(NULL);
  try("/tmp/trace.json");
  try("trace.json");
  try("/no/such/folder/trace.json"); /* in memory */
}

static void closed(void **state) {
  (void)state;
  lf_event e = {0};
  assert_false(lf_spool_put(&from, &e, 1));
  expect_none();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(in_order),
      TEST(closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
