/* SPDX-License-Identifier: MIT
 *
 * What a bar says in so many columns; that it is drawn is tested in
 * sh/progress. */
#include "tests/c/fake.h"

#include "runtime/sync/progress_bar.h"

#include <stdio.h>
#include <string.h>

static char text[LF_BAR_TEXT];

static const char *in(int columns, lf_bar_state s) {
  s.label = s.label ? s.label : "";
  size_t n = lf_bar_text(&s, columns, false, text);
  assert_int_equal(n, strlen(text));
  return text;
}

static const lf_bar_state half = {
    .label = "squares", .done = 57, .total = 100, .known = true, .seconds = 10};

static void shrinks(void **state) {
  (void)state;
  assert_string_equal(in(-1, half), "squares: 57% 57/100 5.7/s 0:08 left");
  assert_string_equal(in(50, half),
                      "squares: 57% [######......] 57/100 5.7/s 0:08 left");
  assert_string_equal(in(42, half), "squares: 57% 57/100 5.7/s 0:08 left");
  assert_string_equal(in(35, half), "squares: 57% 57/100 5.7/s 0:08 left");
  assert_string_equal(in(34, half), "squares: 57% 57/100 0:08 left");
  assert_string_equal(in(28, half), "squares: 57% [###...] 57/100");
  assert_string_equal(in(20, half), "squares: 57% 57/100");
  assert_string_equal(in(12, half), "squares: 57%");
  assert_string_equal(in(9, half), "squar 57%");
  assert_string_equal(in(3, half), "57%");
  assert_string_equal(in(2, half), "");
  assert_string_equal(in(0, half), "");
}

/* The graphic is not wider than it makes sense. */
static void fits(void **state) {
  (void)state;
  for (int i = 0; i < 300; i++)
    assert_true(strlen(in(i, half)) <= (size_t)i);
  assert_int_equal(strlen(in(300, half)), strlen(in(1000, half)));
}

static void without_a_total(void **state) {
  (void)state;
  lf_bar_state s = {.done = 1234, .seconds = 100};
  assert_string_equal(in(80, s), "1234 12/s");
  s.label = "lines";
  assert_string_equal(in(-1, s), "lines: 1234 12/s");
  assert_string_equal(in(6, s), "1234");
  assert_string_equal(in(3, s), "");
}

static void at_both_ends(void **state) {
  (void)state;
  lf_bar_state s = {.total = 10, .known = true, .seconds = 1};
  assert_string_equal(in(30, s), "0% [....................] 0/10");
  s.done = 10;
  s.over = true;
  assert_string_equal(in(30, s), "100% [#######] 10/10 10/s 0:01");
  s = (lf_bar_state){.known = true, .over = true};
  assert_string_equal(in(-1, s), "100% 0/0 0:00");
  s = (lf_bar_state){.done = 99999, .total = 100000, .known = true};
  assert_string_equal(in(4, s), "99%"); /* not all yet */
}

static void rates_and_times(void **state) {
  (void)state;
  lf_bar_state s = {.done = 1, .total = 2, .known = true, .seconds = 100};
  assert_string_equal(in(-1, s), "50% 1/2 0.01/s 1:40 left");
  s.seconds = 4000;
  assert_string_equal(in(-1, s), "50% 1/2 0.00/s 1:06:40 left");
  s.seconds = 1e9;
  assert_string_equal(in(-1, s), "50% 1/2 0.00/s 99:59:59 left");
  s.seconds = 0;
  s.over = true;
  assert_string_equal(in(-1, s), "50% 1/2 1000000000/s 0:00");
}

static void has_colours(void **state) {
  (void)state;
  size_t n = lf_bar_text(&half, 50, true, text);
  assert_non_null(strstr(text, "[\033[32m######......\033[m]"));
  assert_int_equal(n, 50 + strlen("\033[32m\033[m"));
}

static void check_clean(const char *label, size_t len, int columns,
                        const char *expected) {
  char clean[LF_BAR_LABEL + 1];
  assert_int_equal(lf_bar_clean(label, len, clean), columns);
  assert_string_equal(clean, expected);
}

static void labels_are_only_text(void **state) {
  (void)state;
  check_clean("a\033[2Jb\nc\0d\177", 10, 10, "a?[2Jb?c?d");
  check_clean("gr\xc3\xbc\xc3\x9f", 6, 4, "gr\xc3\xbc\xc3\x9f");
  check_clean("\xe6\x97\xa5", 3, 2, "\xe6\x97\xa5"); /* a wide one */
  check_clean("\xff\xc3", 2, 2, "??");
  check_clean("\xc2\x9b", 2, 1, "?");     /* a control, in UTF-8 */
  check_clean("\xe2\x80\xae", 3, 1, "?"); /* right to left */
  check_clean("\xed\xa0\x80\xf0\x80\x80\x80", 7, 7, "???????");
}

static void long_labels_are_cut(void **state) {
  (void)state;
  char label[1000], clean[LF_BAR_LABEL + 1];
  memset(label, 'x', sizeof label);
  assert_int_equal(lf_bar_clean(label, sizeof label, clean), LF_BAR_LABEL);
  assert_int_equal(strlen(clean), LF_BAR_LABEL);
  for (size_t i = 0; i + 2 < sizeof label; i += 3)
    memcpy(label + i, "\xe6\x97\xa5", 3);
  assert_int_equal(lf_bar_clean(label, sizeof label, clean),
                   2 * (LF_BAR_LABEL / 3));
  lf_bar_state s = half;
  s.label = clean;
  for (int columns = 10; columns < 100; columns++) {
    char again[LF_BAR_LABEL + 1];
    in(columns, s);
    assert_true(lf_bar_clean(text, strlen(text), again) <= columns);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(shrinks),
      TEST(fits),
      TEST(without_a_total),
      TEST(at_both_ends),
      TEST(rates_and_times),
      TEST(has_colours),
      TEST(labels_are_only_text),
      TEST(long_labels_are_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
