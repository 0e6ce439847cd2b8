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
  lf_chunk_drop(two);
  assert_int_equal(dropped, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(blocks_know_where_items_start),
      TEST(the_last_chunk_frees_its_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
