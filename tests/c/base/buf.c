/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/base/buf.h"

static void drop(void *object) {
  ++*(int *)object;
}

static void fill(lf_buf *buf, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char byte = (unsigned char)(i * 7);
    assert_int_equal(lf_buf_put(buf, &byte, 1), 0);
  }
}

static void check(const lf_buf *buf, size_t n) {
  assert_int_equal(buf->len, n);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(buf->data[i], (unsigned char)(i * 7));
}

static void grows_out_of_its_storage(void **state) {
  (void)state;
  unsigned char storage[10];
  lf_buf buf;
  lf_buf_init(&buf, storage, sizeof storage);
  fill(&buf, sizeof storage);
  assert_ptr_equal(buf.data, storage);
  lf_buf_reset(&buf);
  fill(&buf, 10000);
  assert_ptr_not_equal(buf.data, storage);
  check(&buf, 10000);
  lf_buf_fini(&buf);
  assert_int_equal(buf.len, 0);
}

static void refuses_absurd_sizes(void **state) {
  (void)state;
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  fill(&buf, 100);
  assert_int_equal(lf_buf_grow(&buf, SIZE_MAX), LF_ENOMEM);
  assert_int_equal(lf_buf_grow(&buf, SIZE_MAX / 2), LF_ENOMEM);
  assert_null(lf_buf_room(&buf, SIZE_MAX - 50));
  check(&buf, 100);
  lf_buf_fini(&buf);
}

static void takes_nothing(void **state) {
  (void)state;
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  assert_int_equal(lf_buf_put(&buf, "", 0), 0);
  assert_int_equal(buf.len, 0);
  lf_buf_fini(&buf);
}

static void drops_each_reference_once(void **state) {
  (void)state;
  int dropped[100] = {0};
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  for (int i = 0; i < 100; i++)
    assert_int_equal(lf_buf_ref(&buf, LF_NOWHERE, &dropped[i], drop), 0);
  assert_int_equal(dropped[0], 0);
  lf_buf_reset(&buf);
  lf_buf_fini(&buf);
  lf_buf_fini(&buf);
  for (int i = 0; i < 100; i++)
    assert_int_equal(dropped[i], 1);
}

static void keeps_memory_unless_it_is_much(void **state) {
  (void)state;
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  fill(&buf, 100);
  unsigned char *data = buf.data;
  lf_buf_reset(&buf);
  fill(&buf, 100);
  assert_ptr_equal(buf.data, data);
  fill(&buf, 100000);
  lf_buf_reset(&buf);
  assert_int_equal(buf.cap, 0);
  lf_buf_fini(&buf);
}

static void moves_bytes_and_references(void **state) {
  (void)state;
  unsigned char storage[64], other[4];
  for (size_t n = 0; n <= 6000; n = n * 10 + 6) { /* in storage, then not */
    int dropped = 0, former = 0;
    lf_buf from, to;
    lf_buf_init(&from, storage, sizeof storage);
    lf_buf_init(&to, other, sizeof other);
    fill(&from, n);
    assert_int_equal(lf_buf_ref(&from, LF_NOWHERE, &dropped, drop), 0);
    assert_int_equal(lf_buf_ref(&to, LF_NOWHERE, &former, drop), 0);
    assert_int_equal(lf_buf_move(&to, &from), 0);
    assert_int_equal(former, 1);
    assert_int_equal(from.len, 0);
    lf_buf_fini(&from);
    assert_int_equal(dropped, 0);
    check(&to, n);
    lf_buf_fini(&to);
    assert_int_equal(dropped, 1);
  }
}

static void moves_an_empty_one(void **state) {
  (void)state;
  lf_buf from, to;
  lf_buf_init(&from, NULL, 0);
  lf_buf_init(&to, NULL, 0);
  assert_int_equal(lf_buf_move(&to, &from), 0);
  assert_int_equal(to.len, 0);
  lf_buf_fini(&to);
}

static void carries_the_references_of_another(void **state) {
  (void)state;
  int dropped = 0;
  lf_buf inner, outer;
  lf_buf_init(&inner, NULL, 0);
  lf_buf_init(&outer, NULL, 0);
  assert_int_equal(lf_buf_ref(&inner, LF_NOWHERE, &dropped, drop), 0);
  assert_int_equal(lf_buf_put(&outer, "abc", 3), 0);
  assert_int_equal(lf_buf_put(&inner, "defg", 4), 0);
  assert_int_equal(lf_buf_ref(&inner, 1, &dropped, drop), 0);
  assert_int_equal(lf_buf_append(&outer, &inner), 0);
  assert_int_equal(inner.len, 0);
  assert_memory_equal(outer.data, "abcdefg", 7);
  assert_int_equal(outer.refs->v[1].at, 4);
  assert_int_equal(dropped, 0);
  lf_buf_cut(&outer, 4);
  assert_int_equal(dropped, 1);
  lf_buf_fini(&outer);
  assert_int_equal(dropped, 2);
}

static void leaves_references_that_are_lent(void **state) {
  (void)state;
  int dropped = 0, own = 0;
  lf_buf from, to, next;
  lf_buf_init(&from, NULL, 0);
  lf_buf_init(&to, NULL, 0);
  lf_buf_init(&next, NULL, 0);
  assert_int_equal(lf_buf_put(&from, "_abc", 4), 0);
  assert_int_equal(lf_buf_ref(&from, 2, &dropped, drop), 0);
  assert_int_equal(lf_buf_put(&to, "xy", 2), 0);
  assert_int_equal(lf_buf_ref(&to, 0, &own, drop), 0);
  from.foreign = true;
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(lf_buf_lend(&to, &from, 1), 0);
    assert_int_equal(to.refs->v[i + 1].at, 3 + 3 * i);
    assert_ptr_equal(to.refs->v[i + 1].object, &dropped);
  }
  assert_int_equal(to.len, 17);
  assert_memory_equal(to.data, "xyabcabc", 8);
  assert_true(to.foreign);
  assert_int_equal(lf_buf_move(&next, &to), 0);
  lf_buf_reset(&next);
  assert_int_equal(own, 1);
  assert_int_equal(dropped, 0);
  lf_buf_fini(&next);
  lf_buf_fini(&from);
  assert_int_equal(dropped, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(grows_out_of_its_storage),
      TEST(refuses_absurd_sizes),
      TEST(takes_nothing),
      TEST(drops_each_reference_once),
      TEST(keeps_memory_unless_it_is_much),
      TEST(moves_bytes_and_references),
      TEST(moves_an_empty_one),
      TEST(carries_the_references_of_another),
      TEST(leaves_references_that_are_lent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
