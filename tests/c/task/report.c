/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/task/report.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

static void nothing_is_said(void **state) {
  (void)state;
  lf_report r;
  lf_task *t = lf_task_new(NULL);
  assert_false(lf_task_progress(t, &r));
  lf_task_unreport(t);
  assert_false(lf_task_progress(t, &r));
  lf_task_unref(t);
}

static void the_last_stays(void **state) {
  (void)state;
  lf_report r, said;
  lf_task *t = lf_task_new(NULL);
  for (int i = 0; i <= 4; i++) {
    lf_report_init(&r, i / 4.0, "half\0way", i % 2 ? 8 : 0);
    assert_int_equal(lf_task_report(t, &r), 0);
  }
  assert_true(lf_task_progress(t, &said));
  assert_true(said.fraction == 1 && said.has_text && said.len == 0);
  lf_report_init(&r, 0.5, "half\0way", 8);
  lf_task_report(t, &r);
  assert_true(lf_task_progress(t, &said));
  assert_int_equal(said.len, 8);
  assert_memory_equal(said.text, "half\0way", 8);
  lf_report_init(&r, 0.75, NULL, 0);
  lf_task_report(t, &r);
  assert_true(lf_task_progress(t, &said));
  assert_true(said.fraction == 0.75 && !said.has_text);
  lf_task_unref(t); /* with it */
}

static double cut(double fraction) {
  lf_report r;
  lf_report_init(&r, fraction, NULL, 0);
  return r.fraction;
}

static void shares_are_cut(void **state) {
  (void)state;
  assert_true(cut(-1) == 0 && cut(2) == 1 && cut(0.25) == 0.25);
  assert_true(cut(INFINITY) == 1 && cut(-INFINITY) == 0 && cut(NAN) == 0);
}

static void texts_are_cut_between_characters(void **state) {
  (void)state;
  lf_report r;
  char text[2 * LF_REPORT_TEXT];
  memset(text, 'a', sizeof text);
  lf_report_init(&r, 0, text, sizeof text);
  assert_int_equal(r.len, LF_REPORT_TEXT);
  memcpy(text + LF_REPORT_TEXT - 2, "\xe2\x82\xac", 3);
  lf_report_init(&r, 0, text, sizeof text);
  assert_int_equal(r.len, LF_REPORT_TEXT - 2);
  memset(text, '\x80', sizeof text); /* no UTF-8 */
  lf_report_init(&r, 0, text, sizeof text);
  assert_int_equal(r.len, LF_REPORT_TEXT - 4);
}

static void goes_through_bytes(void **state) {
  (void)state;
  static const char *const texts[] = {NULL, "", "words"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    lf_buf b;
    lf_report r, back;
    lf_buf_init(&b, NULL, 0);
    lf_report_init(&r, 0.25, texts[i], texts[i] ? strlen(texts[i]) : 0);
    assert_int_equal(lf_report_put(&b, &r), 0);
    assert_true(lf_report_get(&b, &back));
    assert_true(back.fraction == 0.25 && back.has_text == r.has_text);
    assert_int_equal(back.len, r.len);
    assert_memory_equal(back.text, r.text, r.len);
    b.len = sizeof(double);
    assert_false(lf_report_get(&b, &back));
    lf_buf_fini(&b);
  }
}

static void *say_much(void *arg) {
  lf_report r;
  for (int i = 0; i < 10000; i++) {
    lf_report_init(&r, i / 1e4, i % 2 ? "odd" : NULL, 3);
    lf_task_report(arg, &r);
  }
  return NULL;
}

static void is_read_while_it_is_said(void **state) {
  (void)state;
  pthread_t thread;
  lf_report r;
  double last = 0;
  lf_task *t = lf_task_new(NULL);
  pthread_create(&thread, NULL, say_much, t);
  for (int i = 0; i < 10000; i++)
    if (lf_task_progress(t, &r)) {
      assert_true(r.fraction >= last);
      assert_true(!r.has_text || memcmp(r.text, "odd", 3) == 0);
      last = r.fraction;
    }
  pthread_join(thread, NULL);
  lf_task_unref(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_is_said),    TEST(the_last_stays),
      TEST(shares_are_cut),     TEST(texts_are_cut_between_characters),
      TEST(goes_through_bytes), TEST(is_read_while_it_is_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
