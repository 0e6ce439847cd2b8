/* SPDX-License-Identifier: MIT
 *
 * runtime/cdecl/lex.h. */
#include "tests/c/why.h"

#include "runtime/cdecl/lex.h"

#include <stdio.h>
#include <string.h>

static lf_clex x;

static void start(const char *text, size_t len) {
  lf_buf_reset(&why);
  lf_clex_init(&x, text, len, &why);
}

/* The tokens of the text, between bars; with the ends of lines or without. */
static const char *tokens(const char *text, bool lines) {
  static char all[1000];
  start(text, strlen(text));
  x.lines = lines;
  all[0] = '\0';
  for (lf_clex_next(&x); x.tok.kind != LF_T_END; lf_clex_next(&x)) {
    size_t len = strlen(all);
    snprintf(all + len, sizeof all - len, "%.*s|", (int)x.tok.len, x.tok.at);
    if (x.tok.kind == LF_T_LINE)
      x.lines = false; /* one is enough: it is not gone past */
  }
  return all;
}

static void cuts_text_into_words(void **state) {
  (void)state;
  static const char *const texts[][2] = {
      {"", ""},
      {"int f(void);", "int|f|(|void|)|;|"},
      {"a_1 _B", "a_1|_B|"},
      {"a<<b>>=c", "a|<<|b|>>|=|c|"},
      {"a<=b!=c&&d||e::f", "a|<=|b|!=|c|&&|d||||e|::|f|"},
      {"(int, ...)", "(|int|,|...|)|"},
      {"a..b", "a|.|.|b|"},
      {"0x1e+1 1e+1 .5f 10UL", "0x1e|+|1|1e+1|.5f|10UL|"},
      {"'a' '\\'' \"b\\\"c\"", "'a'|'\\''|\"b\\\"c\"|"},
      {"a/b", "a|/|b|"},
      {"a/*b*/c//d\ne", "a|c|e|"},
      {"a//b\\\nc\nd", "a|d|"},
      {"a\\\nb", "a|b|"},
      {"a\\\r\nb", "a|b|"},
      {"# define X 1", "# define|X|1|"},
      {"#", "#|"},
      {"/**/ #if", "#if|"},
      {"\t\v\f\r\n ", ""},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    assert_string_equal(tokens(texts[i][0], false), texts[i][1]);
  assert_int_equal(x.err, 0);
}

static void tells_the_kinds_apart(void **state) {
  (void)state;
  static const char text[] = "#if name 1 '2' \"3\" ... << ;";
  static const int kinds[] = {
      LF_T_HASH, LF_T_NAME,       LF_T_NUMBER, LF_T_CHAR, LF_T_STRING,
      LF_T_DOTS, LF_T2('<', '<'), ';',         LF_T_END,  LF_T_END};
  start(text, strlen(text));
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    lf_clex_next(&x);
    assert_int_equal(x.tok.kind, kinds[i]);
  }
}

static void counts_lines(void **state) {
  (void)state;
  static const char text[] = "a\nb/*\n\n*/c\\\nd\r\ne";
  static const int lines[] = {1, 2, 4, 5, 6};
  start(text, strlen(text));
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    lf_clex_next(&x);
    assert_int_equal(x.tok.line, lines[i]);
  }
}

static void ends_lines_where_they_count(void **state) {
  (void)state;
  assert_string_equal(tokens("a b\nc", true), "a|b||c|");
  assert_string_equal(tokens("a\\\nb\nc", true), "a|b||c|");
  start("a", 1);
  x.lines = true;
  lf_clex_next(&x);
  lf_clex_next(&x);
  assert_int_equal(x.tok.kind, LF_T_END);
  assert_true(lf_ctoken_over(&x.tok));
}

static void looks_ahead(void **state) {
  (void)state;
  start("a b", 3);
  lf_clex_next(&x);
  lf_ctoken next = lf_clex_peek(&x);
  assert_true(lf_ctoken_is(&next, "b"));
  assert_true(lf_ctoken_is(&x.tok, "a"));
  assert_false(lf_clex_take(&x, ';'));
  assert_true(lf_clex_take(&x, LF_T_NAME));
  assert_true(lf_ctoken_is(&x.tok, "b"));
  assert_false(lf_ctoken_is(&x.tok, "bc"));
  assert_false(lf_ctoken_is(&x.tok, ""));
}

/* Everything is read to the first mistake. */
static void assert_refused(const char *text, size_t len, const char *answer) {
  start(text, len);
  do
    lf_clex_next(&x);
  while (x.tok.kind != LF_T_END);
  assert_int_equal(x.err, LF_EBROKEN);
  assert_string_equal(why_text(), answer);
}

#define REFUSED(text, answer) assert_refused(text, sizeof text - 1, answer)

static void refuses_what_is_no_token(void **state) {
  (void)state;
  REFUSED("a @", "cdef:1:3: unexpected character '@'\na @\n  ^");
  REFUSED("a\n\x01", "cdef:2:1: unexpected byte '\\x01'\n?\n^");
  REFUSED("\0", "cdef:1:1: unexpected byte '\\x00'\n?\n^");
  REFUSED("a #", "cdef:1:3: '#' in the middle of a line\na #\n  ^");
  REFUSED("/* a", "cdef:1:1: comment without its end\n/* a\n^");
  REFUSED("'a", "cdef:1:1: quotation mark without its end\n'a\n^");
  REFUSED("\"a\n\"", "cdef:1:1: quotation mark without its end\n\"a\n^");
  REFUSED("\"a\\", "cdef:1:1: quotation mark without its end\n\"a\\\n^");
}

static void limits_names(void **state) {
  (void)state;
  char name[LF_C_NAME + 1];
  memset(name, 'n', sizeof name);
  start(name, LF_C_NAME);
  lf_clex_next(&x);
  assert_int_equal(x.tok.len, LF_C_NAME);
  start(name, LF_C_NAME + 1);
  lf_clex_next(&x);
  assert_int_equal(x.err, LF_EBROKEN);
}

static void shows_a_part_of_long_lines(void **state) {
  (void)state;
  char text[301], want[300];
  memset(text, ' ', 300);
  text[300] = '\0';
  text[100] = '@';
  snprintf(want, sizeof want,
           "cdef:1:101: unexpected character '@'\n...%40s@%29s...\n   %40s^",
           "", "", "");
  assert_refused(text, 300, want);
  memset(text, ' ', 300);
  text[299] = '@'; /* at the end, all that is before it is shown */
  snprintf(want, sizeof want,
           "cdef:1:300: unexpected character '@'\n...%69s@\n   %69s^", "", "");
  assert_refused(text, 300, want);
}

/* The first complaint stays, and nothing comes behind it. */
static void complains_once(void **state) {
  (void)state;
  start("a b", 3);
  lf_clex_next(&x);
  assert_false(lf_clex_expect(&x, ';'));
  assert_int_equal(x.tok.kind, LF_T_END);
  lf_clex_next(&x);
  assert_int_equal(x.tok.kind, LF_T_END);
  lf_clex_expected(&x, "nothing");
  lf_clex_no_memory(&x);
  assert_int_equal(x.err, LF_EBROKEN);
  assert_string_equal(why_text(), "cdef:1:1: ';' expected before 'a'\na b\n^");
  start("", 0);
  lf_clex_no_memory(&x);
  lf_clex_expected(&x, "nothing");
  assert_int_equal(x.err, LF_ENOMEM);
  assert_int_equal(why.len, 0);
}

static void limits_depth(void **state) {
  (void)state;
  start("a", 1);
  lf_clex_next(&x);
  for (int i = 0; i < LF_C_NESTING; i++)
    assert_true(lf_clex_enter(&x));
  lf_clex_leave(&x);
  assert_true(lf_clex_enter(&x));
  assert_false(lf_clex_enter(&x));
  assert_int_equal(x.err, LF_EBROKEN);
}

static void quotes_tokens(void **state) {
  (void)state;
  char name[100];
  memset(name, 'n', sizeof name);
  lf_ctoken t = {.kind = LF_T_NAME, .at = name, .len = 60};
  assert_int_equal(strlen(lf_clex_quote(&t).text), 62);
  t.len = 61;
  assert_int_equal(strlen(lf_clex_quote(&t).text), 65);
  t.kind = LF_T_END;
  assert_string_equal(lf_clex_quote(&t).text, "end of text");
  t.kind = LF_T_LINE;
  assert_string_equal(lf_clex_quote(&t).text, "end of line");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WHY_TEST(cuts_text_into_words), WHY_TEST(tells_the_kinds_apart),
      WHY_TEST(counts_lines),         WHY_TEST(ends_lines_where_they_count),
      WHY_TEST(looks_ahead),          WHY_TEST(refuses_what_is_no_token),
      WHY_TEST(limits_names),         WHY_TEST(shows_a_part_of_long_lines),
      WHY_TEST(complains_once),       WHY_TEST(limits_depth),
      WHY_TEST(quotes_tokens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
