/* SPDX-License-Identifier: MIT
 *
 * runtime/cdecl/keywords.h. */
#include "tests/c/fake.h"

#include "runtime/base/suggest.h"
#include "runtime/cdecl/keywords.h"

#include <string.h>

static lf_ctoken name(const char *text) {
  return (lf_ctoken){.kind = LF_T_NAME, .at = text, .len = strlen(text)};
}

static void knows_the_words_of_c(void **state) {
  (void)state;
  static const struct {
    const char *text;
    lf_cwordkind kind;
  } words[] = {
      {"int", LF_W_BASE},         {"_Bool", LF_W_BASE},
      {"const", LF_W_CONST},      {"restrict", LF_W_IGNORED},
      {"extern", LF_W_EXTERN},    {"__attribute__", LF_W_ATTRIBUTE},
      {"typedef", LF_W_TYPEDEF},  {"union", LF_W_STRUCT},
      {"enum", LF_W_ENUM},        {"static", LF_W_STATIC},
      {"_Complex", LF_W_REFUSED}, {"while", LF_W_OTHER},
  };
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    lf_ctoken t = name(words[i].text);
    assert_true(lf_cword_is(&t, words[i].kind));
    assert_false(lf_cword_free(&t));
    const lf_cword *w = lf_cword_find(&t);
    bool refused = w->kind == LF_W_REFUSED || w->kind == LF_W_STATIC;
    assert_int_equal(w->why != NULL, refused);
    assert_int_equal(w->base != 0, w->kind == LF_W_BASE);
  }
}

static void knows_no_other_words(void **state) {
  (void)state;
  static const char *const free[] = {"in", "integer", "Int", "x", "uint8_t"};
  for (size_t i = 0; i < sizeof free / sizeof free[0]; i++) {
    lf_ctoken t = name(free[i]);
    assert_null(lf_cword_find(&t));
    assert_true(lf_cword_free(&t));
  }
  lf_ctoken number = {.kind = LF_T_NUMBER, .at = "int", .len = 3};
  assert_null(lf_cword_find(&number));
  assert_false(lf_cword_free(&number));
  lf_ctoken text = name("class");
  assert_true(lf_cword_cpp(&text));
  text = name("int");
  assert_false(lf_cword_cpp(&text));
}

/* The sum of the words' bases, which are separated by spaces. */
static unsigned bases_of(const char *words) {
  unsigned sum = 0;
  for (const char *at = words; *at; at += strspn(at, " ")) {
    lf_ctoken t = {.kind = LF_T_NAME, .at = at, .len = strcspn(at, " ")};
    sum += lf_cword_find(&t)->base;
    at += t.len;
  }
  return sum;
}

static void adds_words_up_to_types(void **state) {
  (void)state;
  static const char *const types[][2] = {
      {"int", "int"},
      {"long unsigned int long", "unsigned long long"},
      {"unsigned", "unsigned int"},
      {"signed short", "short"},
      {"signed char", "signed char"},
      {"char", "char"},
      {"double", "double"},
      {"_Bool", "bool"},
      {"void", "void"},
  };
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    const lf_ctype *t = lf_cword_type(bases_of(types[i][0]));
    assert_non_null(t);
    assert_string_equal(t->name, types[i][1]);
  }
}

static void refuses_words_that_do_not_fit(void **state) {
  (void)state;
  static const char *const none[] = {
      "long double",  "signed unsigned", "short long",        "int int",
      "void int",     "unsigned double", "char char",         "long long long",
      "signed _Bool", "float double",    "unsigned unsigned", "short short",
  };
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
    assert_null(lf_cword_type(bases_of(none[i])));
  assert_null(lf_cword_type(0));
}

static const char *near(const char *text, const char *more) {
  lf_ctoken t = name(text);
  lf_cnear best = lf_cnear_word(&t);
  if (more)
    lf_cnear_compare(&best, more);
  return best.name;
}

static void finds_what_was_meant(void **state) {
  (void)state;
  static const char *const pairs[][2] = {
      {"itn", "int"},
      {"uint", "unsigned int"},
      {"uint8", "uint8_t"},
      {"sizet", "size_t"},
      {"unsinged", "unsigned"},
      {"strcut", "struct"},
      {"uchar", "unsigned char"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    assert_string_equal(near(pairs[i][0], NULL), pairs[i][1]);
  assert_null(near("gzFile", NULL));
  assert_null(near("ab", NULL)); /* too short to tell */
}

static void compares_names_of_ones_own(void **state) {
  (void)state;
  assert_string_equal(near("gzfile", "gzFile"), "gzFile");
  assert_string_equal(near("itn", "ints"), "int"); /* is nearer */
  assert_null(near("gzFile", "sqlite3"));
  char name[LF_SIMILAR_MOST + 2];
  memset(name, 'n', sizeof name);
  name[sizeof name - 1] = '\0';
  assert_null(near(name, name));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(knows_the_words_of_c),   TEST(knows_no_other_words),
      TEST(adds_words_up_to_types), TEST(refuses_words_that_do_not_fit),
      TEST(finds_what_was_meant),   TEST(compares_names_of_ones_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
