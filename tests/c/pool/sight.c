/* SPDX-License-Identifier: MIT
 *
 * runtime/pool/sight.h. */
#include "tests/c/fake.h"

#include "runtime/pool/sight.h"

#include <string.h>
#include <unistd.h>

static lf_sight sight, copy;

static lf_sight_line line(const char *name, const char *thing) {
  lf_sight_line l = {.what = LF_SIGHT_TASK, .since = 100};
  lf_line_copy(l.name, sizeof l.name, name);
  lf_line_copy(l.thing, sizeof l.thing, thing);
  return l;
}

static int begin(void **state) {
  (void)state;
  sight = copy = (lf_sight){0};
  return 0;
}

static void is_read_when_it_is_answered(void **state) {
  (void)state;
  lf_sight_line l = line("f", "");
  assert_false(lf_sight_is_asked(&sight));
  assert_int_equal(lf_sight_read(&sight, 1, &copy), LF_SIGHT_NOTHING);
  assert_true(lf_sight_ask(&sight, 1));
  assert_true(lf_sight_is_asked(&sight));
  lf_sight_begin(&sight);
  lf_sight_add(&sight, &l, 0);
  lf_sight_end(&sight, false);
  assert_true(lf_sight_is_asked(&sight));
  assert_true(lf_sight_ask(&sight, 1));
  assert_int_equal(lf_sight_read(&sight, 1, &copy), LF_SIGHT_GLANCE);
  lf_sight_begin(&sight);
  lf_sight_add(&sight, &l, 0);
  lf_sight_end(&sight, true);
  assert_false(lf_sight_is_asked(&sight));
  assert_false(lf_sight_ask(&sight, 1));
  assert_int_equal(lf_sight_read(&sight, 1, &copy), LF_SIGHT_WHOLE);
  assert_int_equal(copy.n, 1);
  assert_int_equal(copy.thread, gettid());
  assert_string_equal(copy.lines[0].name, "f");
  assert_true(lf_sight_ask(&sight, 2));
  assert_int_equal(lf_sight_read(&sight, 2, &copy), LF_SIGHT_NOTHING);
}

static void is_not_read_while_it_is_written(void **state) {
  (void)state;
  lf_sight_ask(&sight, 1);
  lf_sight_begin(&sight);
  lf_sight_end(&sight, true);
  lf_sight_begin(&sight); /* and then its process was killed */
  assert_int_equal(lf_sight_read(&sight, 1, &copy), LF_SIGHT_NOTHING);
}

static void counts_lines_that_are_alike(void **state) {
  (void)state;
  lf_sight_line a = line("f", "x"), b = line("f", "y");
  lf_sight_begin(&sight);
  a.awaited = 7;
  lf_sight_add(&sight, &a, 0);
  lf_sight_add(&sight, &b, 0);
  a.since = 50;
  a.waits_since = 60;
  lf_sight_add(&sight, &a, 0);
  assert_int_equal(sight.n, 2);
  assert_int_equal(sight.lines[0].count, 2);
  assert_int_equal(sight.lines[0].since, 50);
  assert_int_equal(sight.lines[0].waits_since, 60);
  assert_int_equal(sight.lines[0].awaited, 7);
  assert_int_equal(sight.lines[1].count, 1);
  a.awaited = 8; /* each waits for one of its own */
  lf_sight_add(&sight, &a, 0);
  assert_int_equal(sight.lines[0].count, 3);
  assert_int_equal(sight.lines[0].awaited, 0);
}

static void has_a_limit(void **state) {
  (void)state;
  lf_sight_begin(&sight);
  for (int i = 0; i < LF_SIGHT_LINES + 3; i++) {
    char name[] = {(char)('a' + i), '\0'};
    lf_sight_line l = line(name, "");
    lf_sight_add(&sight, &l, (uint64_t)i + 1);
  }
  assert_int_equal(sight.n, LF_SIGHT_LINES);
  assert_int_equal(sight.more, 3);
  assert_int_equal(sight.nholders, LF_SIGHT_LINES);
  lf_sight_line first = line("a", "");
  for (int i = 0; i < LF_SIGHT_HOLDERS; i++)
    lf_sight_add(&sight, &first, 1000);
  assert_int_equal(sight.nholders, LF_SIGHT_HOLDERS);
  assert_int_equal(sight.holders[LF_SIGHT_HOLDERS - 1].line, 0);
}

static void what_another_process_writes_is_made_sound(void **state) {
  (void)state;
  lf_sight_ask(&sight, 1);
  lf_sight_begin(&sight);
  memset(sight.lines, 'x', sizeof sight.lines);
  sight.n = sight.nholders = UINT32_MAX;
  lf_sight_end(&sight, true);
  assert_int_equal(lf_sight_read(&sight, 1, &copy), LF_SIGHT_WHOLE);
  assert_int_equal(copy.n, LF_SIGHT_LINES);
  assert_int_equal(copy.nholders, LF_SIGHT_HOLDERS);
  assert_int_equal(strlen(copy.lines[0].where), sizeof copy.lines[0].where - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(is_read_when_it_is_answered, begin),
      cmocka_unit_test_setup(is_not_read_while_it_is_written, begin),
      cmocka_unit_test_setup(counts_lines_that_are_alike, begin),
      cmocka_unit_test_setup(has_a_limit, begin),
      cmocka_unit_test_setup(what_another_process_writes_is_made_sound, begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
