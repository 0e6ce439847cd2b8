/* SPDX-License-Identifier: MIT
 *
 * runtime/base/suggest.h. */
#include "tests/c/fake.h"

#include "runtime/base/suggest.h"

#include <string.h>

static size_t distance(const char *a, const char *b) {
  return lf_suggest_distance(a, strlen(a), b, strlen(b));
}

static void counts_changes_of_letters(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    size_t distance;
  } pairs[] = {
      {"", "", 0},
      {"", "abc", 3},
      {"abc", "abc", 0},
      {"abc", "abcd", 1}, /* one more */
      {"abc", "ac", 1},   /* one less */
      {"abc", "axc", 1},  /* another */
      {"abc", "acb", 1},  /* two exchanged */
      {"ab", "ba", 1},
      {"abcd", "badc", 2},
      {"ca", "abc", 3}, /* no letter moves twice */
      {"kitten", "sitting", 3},
      {"submit", "sumbit", 1},
      {"abc", "xyz", 3},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    assert_int_equal(distance(pairs[i].a, pairs[i].b), pairs[i].distance);
    assert_int_equal(distance(pairs[i].b, pairs[i].a), pairs[i].distance);
  }
}

static void measures_names_of_any_length_allowed(void **state) {
  (void)state;
  char a[LF_SIMILAR_MOST], b[LF_SIMILAR_MOST];
  memset(a, 'a', sizeof a);
  memset(b, 'b', sizeof b);
  assert_int_equal(lf_suggest_distance(a, sizeof a, a, sizeof a), 0);
  assert_int_equal(lf_suggest_distance(a, sizeof a, b, sizeof b), sizeof a);
  assert_int_equal(lf_suggest_distance(a, 0, b, sizeof b), sizeof b);
}

/* The nearest of the candidates, which NULL ends. */
static const char *nearest(const char *name, const char *const *candidates) {
  static lf_suggestion s;
  s = lf_suggest(name);
  for (; *candidates; candidates++)
    lf_suggest_try(&s, *candidates);
  return s.best;
}

#define assert_nearest(best, name, ...)                                        \
  assert_string_equal(nearest(name, (const char *const[]){__VA_ARGS__, NULL}), \
                      best)

static void finds_the_nearest(void **state) {
  (void)state;
  assert_nearest("submit", "sumbit", "shutdown", "submit", "summit");
  assert_nearest("max_workers", "maxworkers", "name", "max_workers");
  assert_nearest("map", "map", "mop", "map", "mat");
}

static void finds_nothing_that_is_far(void **state) {
  (void)state;
  assert_nearest("", "result", "exception", "cancel");
  assert_nearest("", "ab", "ac");      /* half of it is other */
  assert_nearest("abd", "abc", "abd"); /* a third may be */
  assert_nearest("", "abc", "axy");
}

/* Of two that are as near the longer one: a letter was left out. */
static void prefers_the_longer(void **state) {
  (void)state;
  assert_nearest("chunks", "chunk", "chun", "chunks");
  assert_nearest("chunks", "chunk", "chunks", "chun");
  assert_nearest("chunks", "chunk", "chunks", "chunky"); /* the first */
}

static void knows_no_names_that_are_too_long(void **state) {
  (void)state;
  char just[LF_SIMILAR_MOST + 1], too[LF_SIMILAR_MOST + 2];
  memset(just, 'x', sizeof just);
  memset(too, 'x', sizeof too);
  just[sizeof just - 1] = too[sizeof too - 1] = '\0';
  assert_nearest(just, just, just, too);
  assert_nearest("", too, too, just);
  assert_nearest("", "", "a", "");
  assert_nearest("", "a", "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(counts_changes_of_letters),
      TEST(measures_names_of_any_length_allowed),
      TEST(finds_the_nearest),
      TEST(finds_nothing_that_is_far),
      TEST(prefers_the_longer),
      TEST(knows_no_names_that_are_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
