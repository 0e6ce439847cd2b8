/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/base/code.h"

#include <string.h>

static _Atomic int annotated;

static void *annotate(const void *bytes, size_t len) {
  annotated++;
  return lf_strndup(bytes, len);
}

static void same_bytes_are_one_object(void **state) {
  (void)state;
  char a[] = "some bytes", b[] = "some bytes";
  lf_code *first = lf_code_get(a, sizeof a, "first", NULL);
  lf_code *second = lf_code_get(b, sizeof b, "second", NULL);
  lf_code *shorter = lf_code_get(a, sizeof a - 1, "shorter", NULL);
  lf_code *none = lf_code_get(a, 0, "none", NULL);
  assert_ptr_equal(first, second);
  assert_string_equal(first->label, "first");
  assert_ptr_not_equal(first, shorter);
  assert_ptr_not_equal(shorter, none);
  assert_int_equal(shorter->len, sizeof a - 1);
  assert_memory_equal(first->bytes, a, sizeof a);
  lf_code_unref(first);
  assert_memory_equal(second->bytes, a, sizeof a);
  lf_code_unref(second);
  lf_code_unref(shorter);
  lf_code_unref(none);
}

static void ids_are_not_used_again(void **state) {
  (void)state;
  uint64_t last = 0;
  for (int i = 0; i < 10; i++) {
    lf_code *code = lf_code_get("x", 1, "x", NULL);
    assert_true(code->id > last);
    last = code->id;
    lf_code_unref(code);
  }
}

static void annotates_new_bytes_only(void **state) {
  (void)state;
  annotated = 0;
  lf_code *first = lf_code_get("abc", 3, "", annotate);
  lf_code *second = lf_code_get("abc", 3, "", annotate);
  assert_int_equal(annotated, 1);
  assert_string_equal(second->notes, "abc");
  lf_code_unref(first);
  lf_code_unref(second);
  lf_code_unref(lf_code_get("abc", 3, "", annotate));
  assert_int_equal(annotated, 2);
}

static void cuts_labels(void **state) {
  (void)state;
  char label[200];
  memset(label, 'l', sizeof label);
  label[sizeof label - 1] = '\0';
  lf_code *code = lf_code_get("x", 1, label, NULL);
  assert_int_equal(strlen(code->label), sizeof code->label - 1);
  lf_code_unref(code);
}

static void finds_each_of_many(void **state) {
  (void)state;
  enum { MANY = 3000 };
  lf_code *codes[MANY];
  for (int i = 0; i < MANY; i++)
    codes[i] = lf_code_get(&i, sizeof i, "", NULL);
  for (int i = 0; i < MANY; i++) {
    lf_code *again = lf_code_get(&i, sizeof i, "", NULL);
    assert_ptr_equal(again, codes[i]);
    lf_code_unref(again);
  }
  for (int i = 0; i < MANY; i++)
    lf_code_unref(codes[i]);
}

enum { THREADS = 4, TIMES = 5000 };

static _Atomic int wrong;

static void *get_and_unref(void *arg) {
  (void)arg;
  for (int i = 0; i < TIMES; i++) {
    int bytes[3] = {i % 3, 1, 2};
    lf_code *code = lf_code_get(bytes, sizeof bytes, "", annotate);
    lf_code *same = lf_code_ref(code);
    wrong += memcmp(code->bytes, bytes, sizeof bytes) != 0 || !code->notes;
    lf_code_unref(code);
    lf_code_unref(same);
  }
  return NULL;
}

static void threads_share_it(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, get_and_unref, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(wrong, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(same_bytes_are_one_object), TEST(ids_are_not_used_again),
      TEST(annotates_new_bytes_only),  TEST(cuts_labels),
      TEST(finds_each_of_many),        TEST(threads_share_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
