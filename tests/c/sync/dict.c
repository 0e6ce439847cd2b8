/* SPDX-License-Identifier: MIT
 *
 * runtime/sync/dict.h. */
#include "tests/c/fake.h"

#include "runtime/shm/refs.h"
#include "runtime/sync/dict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE = 2, MANY = LF_LIMIT(20000, 3000) };

static lf_array *root;
static lf_dict *d;

static void fini(void *dict) {
  lf_dict_fini(dict);
}

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  lf_object_fini(TYPE, fini);
  root = lf_object_new(TYPE, sizeof(lf_dict));
  d = root->data;
  return 0;
}

static int end(void **state) {
  lf_array_unref(root);
  return fake_unshare(state);
}

#define DICT(f) cmocka_unit_test_setup_teardown(f, begin, end)

static lf_buf key_of(const char *text) {
  return (lf_buf){.data = (unsigned char *)text, .len = strlen(text)};
}

static void set_text(const char *key, const char *text) {
  lf_buf k = key_of(key), v = key_of(text);
  lf_dict_value value = {.kind = LF_D_PACKED, .values = &v};
  if (lf_dict_set(d, &k, &value) != 0)
    abort();
}

static void set_number(const char *key, uint64_t n) {
  lf_buf k = key_of(key);
  lf_dict_value value = {.kind = LF_D_INTEGER, .bits = n};
  if (lf_dict_set(d, &k, &value) != 0)
    abort();
}

static void remove_key(const char *key) {
  lf_buf k = key_of(key);
  if (lf_dict_set(d, &k, NULL) != 0)
    abort();
}

/* Is this text under the key? NULL: nothing is. */
static bool has(const char *key, const char *text) {
  lf_buf k = key_of(key), v = {0};
  lf_dict_value value = {.values = &v};
  int err = lf_dict_get(d, &k, &value, NULL);
  bool same = text ? err == 0 && v.len == strlen(text) &&
                         (v.len == 0 || memcmp(v.data, text, v.len) == 0)
                   : err == LF_EAGAIN;
  lf_buf_fini(&v);
  return same;
}

static uint64_t add(const char *key, uint64_t n) {
  lf_buf k = key_of(key);
  lf_dict_value value = {.kind = LF_D_INTEGER, .bits = n};
  if (lf_dict_add(d, &k, &value) != 0)
    abort();
  return value.bits;
}

static void keeps_what_is_set_last(void **state) {
  (void)state;
  assert_true(has("a", NULL));
  remove_key("a");
  set_text("a", "1");
  set_text("b", "");
  assert_true(has("a", "1"));
  set_text("a", "a longer one");
  assert_true(has("a", "a longer one"));
  assert_true(has("b", ""));
  assert_int_equal(lf_dict_count(d), 2);
  remove_key("a");
  remove_key("a");
  assert_true(has("a", NULL));
  assert_int_equal(lf_dict_count(d), 1);
  set_text("a", "2");
  assert_true(has("a", "2"));
}

static void grows_and_is_written_anew(void **state) {
  (void)state;
  char key[20], text[30];
  for (int round = 0; round < 4; round++)
    for (int i = 0; i < MANY; i++) {
      snprintf(key, sizeof key, "%d", i);
      snprintf(text, sizeof text, "%d in round %d", i, round);
      set_text(key, text);
    }
  assert_int_equal(lf_dict_count(d), MANY);
  uint64_t slabs = lf_slabs();
  for (int i = 0; i < MANY; i++) {
    snprintf(key, sizeof key, "%d", i);
    snprintf(text, sizeof text, "%d in round 3", i);
    assert_true(has(key, text));
    if (i % 2)
      remove_key(key);
    assert_true(has(key, i % 2 ? NULL : text));
  }
  assert_int_equal(lf_dict_count(d), MANY / 2);
  for (int i = 0; i < 4 * MANY; i++)
    set_text("the same", i % 2 ? "this" : "that");
  assert_true(lf_slabs() <= slabs);
  assert_int_equal(lf_dict_count(d), MANY / 2 + 1);
}

static void large_values_and_keys(void **state) {
  (void)state;
  size_t n = 5 * lf_slab_size();
  char *large = malloc(n + 1);
  memset(large, 'x', n);
  large[n] = '\0';
  set_text("large", large);
  set_text(large, "small");
  assert_true(has("large", large));
  assert_true(has(large, "small"));
  large[n - 1] = 'y';
  assert_true(has(large, NULL));
  free(large);
}

static void numbers_are_added_to(void **state) {
  (void)state;
  lf_buf k = key_of("half");
  double half = 0.5, sum;
  lf_dict_value v = {.kind = LF_D_FLOAT};
  assert_int_equal(add("n", 5), 5);
  assert_int_equal(add("n", (uint64_t)-7), -2);
  set_number("n", 40);
  assert_int_equal(add("n", 2), 42);
  for (int i = 1; i <= 3; i++) {
    v.kind = LF_D_FLOAT;
    memcpy(&v.bits, &half, sizeof half);
    assert_int_equal(lf_dict_add(d, &k, &v), 0);
    memcpy(&sum, &v.bits, sizeof sum);
    assert_true(sum == i * 0.5);
  }
  set_text("text", "x");
  k = key_of("text");
  assert_int_equal(lf_dict_add(d, &k, &v), LF_EPERM);
}

static void a_copy_has_all(void **state) {
  (void)state;
  lf_dict_copy all = {0};
  lf_buf key;
  char name[20];
  uint64_t sum = 0, n = 0;
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "%d", i);
    set_number(name, (uint64_t)i);
  }
  assert_int_equal(lf_dict_copy_init(&all, d), 0);
  remove_key("7"); /* not in the copy */
  for (;; n++) {
    lf_buf none = {0};
    lf_dict_value v = {.values = &none};
    if (lf_dict_copy_next(&all, &key, &v, NULL) != 0)
      break;
    assert_int_equal(v.kind, LF_D_INTEGER);
    sum += v.bits;
    lf_buf_fini(&none);
  }
  assert_int_equal(n, 300);
  assert_int_equal(sum, 299 * 150);
  lf_dict_copy_fini(&all);
}

static void set_array(const char *key, lf_array *a) {
  lf_buf k = key_of(key), b = {0};
  if (lf_buf_put(&b, &a, sizeof a) != 0 ||
      lf_buf_ref(&b, 0, lf_array_ref(a), lf_array_unref) != 0)
    abort();
  lf_dict_value v = {.kind = LF_D_PACKED, .values = &b};
  if (lf_dict_set(d, &k, &v) != 0)
    abort();
  lf_buf_fini(&b);
}

static void entries_hold_what_they_refer_to(void **state) {
  (void)state;
  lf_array *a = lf_array_new(LF_A_INT8, 3);
  uint64_t at = a->at;
  set_array("a", a);
  set_array("b", a);
  lf_array_unref(a);
  assert_true(lf_refs_place(at));
  lf_buf k = key_of("a"), b = {0};
  lf_dict_value v = {.values = &b};
  assert_int_equal(lf_dict_get(d, &k, &v, NULL), 0);
  lf_buf_fini(&b);
  remove_key("a");
  assert_true(lf_refs_place(at));
  set_text("b", "another");
  assert_false(lf_refs_place(at));
  lf_array_sweep();
  assert_int_equal(lf_array_stat().arrays, 1);
  a = lf_array_new(LF_A_INT8, 3);
  set_array("until the end", a);
  lf_array_unref(a);
}

static void add_thousand(void *arg) {
  (void)arg;
  for (int i = 0; i < 1000; i++)
    add("sum", 1);
}

static void several_add_at_once(void **state) {
  (void)state;
  fake_child children[3];
  for (int i = 0; i < 3; i++)
    fake_start(&children[i], add_thousand, NULL);
  add_thousand(NULL);
  for (int i = 0; i < 3; i++)
    assert_int_equal(fake_join(&children[i]), 0);
  assert_int_equal(add("sum", 0), 4000);
}

static void write_for_ever(void *arg) {
  char key[20], text[2000];
  (void)arg;
  memset(text, 'z', sizeof text);
  for (unsigned i = 0;; i++) {
    snprintf(key, sizeof key, "%u", i * 31 % 50);
    text[i * 97 % sizeof text] = '\0';
    if (i % 5 == 0)
      remove_key(key);
    else
      set_text(key, text);
    text[i * 97 % sizeof text] = 'z';
    add("steps", 1);
  }
}

/* Killed at any instant, a process leaves the count of what is there, and
 * values that are whole. */
static void deaths_at_any_instant(void **state) {
  (void)state;
  fake_child child;
  for (int i = 0; i < 100; i++) {
    uint64_t steps = add("steps", 0);
    fake_start(&child, write_for_ever, NULL);
    until(add("steps", 0) > steps + (uint64_t)i % 50);
    fake_kill(&child);
    lf_dict_copy all = {0};
    size_t n = 0;
    lf_buf key;
    assert_int_equal(lf_dict_copy_init(&all, d), 0);
    for (;; n++) {
      lf_buf b = {0};
      lf_dict_value v = {.values = &b};
      if (lf_dict_copy_next(&all, &key, &v, NULL) != 0)
        break;
      for (size_t k = 0; k < b.len; k++)
        assert_int_equal(b.data[k], 'z');
      lf_buf_fini(&b);
    }
    assert_int_equal(n, lf_dict_count(d));
    lf_dict_copy_fini(&all);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DICT(keeps_what_is_set_last), DICT(grows_and_is_written_anew),
      DICT(large_values_and_keys),  DICT(numbers_are_added_to),
      DICT(a_copy_has_all),         DICT(entries_hold_what_they_refer_to),
      DICT(several_add_at_once),    DICT(deaths_at_any_instant),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
