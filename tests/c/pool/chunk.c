/* SPDX-License-Identifier: MIT
 *
 * runtime/pool/chunk.h: blocks of items. */
#include "tests/c/fake.h"

#include "runtime/pool/chunk.h"

static void blocks_know_where_items_start(void **state) {
  (void)state;
  lf_block *b = lf_block_new();
  b->first = 100;
  for (size_t i = 0; i < 1000; i++)
    assert_int_equal(lf_block_item(b, i * 3), 0);
  assert_int_equal(b->count, 1000);
  assert_int_equal(lf_block_start(b, 100), 0);
  assert_int_equal(lf_block_start(b, 1099), 999 * 3);
  lf_block_unref(b);
}

static int dropped;

static void drop(void *object) {
  (void)object;
  dropped++;
}

static void the_last_chunk_frees_its_block(void **state) {
  (void)state;
  dropped = 0;
  lf_block *b = lf_block_new();
  assert_int_equal(lf_buf_ref(&b->bytes, LF_NOWHERE, b, drop), 0);
  lf_chunk *one = lf_chunk_new(), *two = lf_chunk_new();
  one->block = two->block = b;
  b->refs = 2;
  lf_chunk_free(one);
  assert_int_equal(dropped, 0);
  lf_chunk_free(two);
  assert_int_equal(dropped, 1);
}

static void sizes_follow_what_is_left_and_what_items_take(void **state) {
  (void)state;
  assert_int_equal(lf_chunk_size(1000, 2, 0), 1); /* nothing is known */
  assert_int_equal(lf_chunk_size(1, 2, 1), 1);
  assert_int_equal(lf_chunk_size(1000, 2, 100000000), 1);
  uint64_t far = lf_chunk_size(UINT64_MAX, 2, 100000);
  assert_int_equal(far, 10);                         /* a millisecond */
  assert_int_equal(lf_chunk_size(20, 2, 100000), 5); /* a share of them */
  assert_int_equal(lf_chunk_size(3, 2, 50000), 1);
  assert_true(lf_chunk_size(UINT64_MAX, 2, 1) <= LF_CHUNK_MAX);
  assert_int_equal(lf_chunk_usual_size(0), 1);
  assert_true(lf_chunk_usual_size(1) <= LF_CHUNK_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sizes_follow_what_is_left_and_what_items_take),
      TEST(blocks_know_where_items_start),
      TEST(the_last_chunk_frees_its_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
