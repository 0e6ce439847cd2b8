/* SPDX-License-Identifier: MIT
 *
 * runtime/base/line.h. */
#include "tests/c/fake.h"

#include "runtime/base/line.h"

#include <string.h>

static void is_made_of_pieces(void **state) {
  (void)state;
  char text[100];
  lf_line line;
  lf_line_init(&line, text, sizeof text);
  assert_string_equal(text, "");
  lf_line_put(&line, "a\n");
  lf_line_number(&line, 0);
  lf_line_put(&line, " ");
  lf_line_number(&line, -120);
  lf_line_put(&line, " ");
  lf_line_hex(&line, 0x1f0);
  assert_string_equal(text, "a?0 -120 0x1f0");
  assert_int_equal(line.len, strlen(text));
}

static void has_the_largest_numbers(void **state) {
  (void)state;
  char text[100];
  lf_line line;
  lf_line_init(&line, text, sizeof text);
  lf_line_number(&line, INT64_MIN);
  lf_line_put(&line, " ");
  lf_line_number(&line, INT64_MAX);
  lf_line_put(&line, " ");
  lf_line_hex(&line, UINT64_MAX);
  assert_string_equal(
      text, "-9223372036854775808 9223372036854775807 0xffffffffffffffff");
}

static void has_lines_and_times(void **state) {
  (void)state;
  char text[20];
  lf_line line;
  lf_line_init(&line, text, sizeof text);
  lf_line_seconds(&line, 1590000000);
  lf_line_end(&line);
  lf_line_seconds(&line, -1);
  assert_string_equal(text, "1.5\n0.0");
  lf_line_put(&line, "a text that is too long");
  lf_line_end(&line);
  assert_string_equal(text, "1.5\n0.0a text that\n");
}

static void is_cut_at_its_end(void **state) {
  (void)state;
  char text[] = "......";
  lf_line line;
  lf_line_init(&line, text, 4);
  lf_line_put(&line, "ab");
  lf_line_number(&line, 123);
  lf_line_put(&line, "c");
  assert_string_equal(text, "ab1");
  assert_int_equal(text[4], '.');
  lf_line_copy(text, 1, "abc");
  assert_string_equal(text, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_made_of_pieces),
      cmocka_unit_test(has_the_largest_numbers),
      cmocka_unit_test(has_lines_and_times),
      cmocka_unit_test(is_cut_at_its_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
