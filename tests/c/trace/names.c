/* SPDX-License-Identifier: MIT
 *
 * Names in traces: each has one number, of which others are told first. */
#include "runtime/trace/names.h"

#include "tests/c/fake.h"

#include <stdio.h>
#include <string.h>

static void one_number_each(void **state) {
  (void)state;
  uint32_t a = lf_trace_name("a"), b = lf_trace_name_plain("\"b\"");
  assert_int_not_equal(a, b);
  assert_int_equal(lf_trace_name("a"), a);
  assert_int_equal(lf_trace_name("\\u0022b\\u0022"), b);
  assert_string_equal(lf_trace_name_text(a), "a");
  assert_string_equal(lf_trace_name_text(b), "\\u0022b\\u0022");
  assert_string_equal(lf_trace_name_text(0), "?");
  assert_string_equal(lf_trace_name_text(1000), "?");
  lf_trace_names_forget();
  assert_string_equal(lf_trace_name_text(a), "?");
}

static void many(void **state) {
  (void)state;
  char text[20];
  for (uint32_t i = 1; i <= 5000; i++) {
    snprintf(text, sizeof text, "name %u", (unsigned)i);
    assert_int_equal(lf_trace_name(text), i);
  }
  assert_string_equal(lf_trace_name_text(4711), "name 4711");
  lf_trace_names_forget();
}

static void of_functions(void **state) {
  (void)state;
  lf_code *code = lf_code_get("x", 1, "function <script.lua:12>", NULL);
  assert_string_equal(lf_trace_name_text(lf_trace_name_of(code, NULL)),
                      "script.lua:12");
  assert_string_equal(lf_trace_name_text(lf_trace_name_of(code, "own")), "own");
  assert_string_equal(lf_trace_name_text(lf_trace_name_of(NULL, NULL)), "task");
  lf_code_unref(code);
  lf_trace_names_forget();
}

static void tell(uint32_t number, const char *json) {
  log_add((int)number);
  log_add((int)strlen(json));
}

static void are_told_once(void **state) {
  (void)state;
  lf_trace_names_tell(tell);
  lf_trace_name("abc");
  lf_trace_name("abc");
  lf_trace_name("de");
  lf_trace_names_tell(NULL);
  lf_trace_name("f");
  assert_log(1, 3, 2, 2);
  lf_trace_names_forget();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(one_number_each),
      TEST(many),
      TEST(of_functions),
      TEST(are_told_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
