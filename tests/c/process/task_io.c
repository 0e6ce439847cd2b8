/* SPDX-License-Identifier: MIT
 *
 * runtime/process/task_io.h: chunks from other processes, whose positions may
 * be anything. Linked with memory.c. */
#include "tests/c/fake.h"
#include "tests/c/memory.h"

#include "runtime/pool/internal.h"
#include "runtime/pool/limits.h"
#include "runtime/process/task_io.h"

static lf_buf items, starts;

/* Ten bytes, and where the items in them start, 'base' further on. */
static void prepare(const size_t *at, size_t n, size_t base) {
  lf_buf_init(&items, NULL, 0);
  lf_buf_init(&starts, NULL, 0);
  lf_buf_put(&items, "0123456789", 10);
  for (size_t i = 0; i < n; i++) {
    size_t start = at[i] + base;
    lf_buf_put(&starts, &start, sizeof start);
  }
}

static lf_chunk *import(uint64_t first, uint64_t count, size_t base) {
  lf_chunk *c = lf_chunk_import(first, count, &items, &starts, base);
  lf_buf_fini(&items);
  lf_buf_fini(&starts);
  return c;
}

static void takes_chunks_of_others(void **state) {
  (void)state;
  prepare((size_t[]){0, 0, 4, 10}, 4, 7); /* an item may be empty */
  lf_chunk *c = import(50, 4, 7);
  assert_non_null(c);
  assert_int_equal(c->first, 50);
  assert_int_equal(c->count, 4);
  assert_int_equal(lf_block_start(c->block, 52), 4);
  assert_int_equal(lf_block_start(c->block, 53), 10);
  assert_memory_equal(c->block->bytes.data, "0123456789", 10);
  lf_chunk_free(c);
  c = lf_chunk_import(UINT64_MAX - 5, 5, NULL, NULL, 0); /* of a range */
  assert_null(c->block);
  lf_chunk_free(c);
}

static void refuses_what_cannot_be(void **state) {
  (void)state;
  assert_null(lf_chunk_import(0, 0, NULL, NULL, 0));
  assert_null(lf_chunk_import(UINT64_MAX, 1, NULL, NULL, 0));
  assert_null(lf_chunk_import(5, UINT64_MAX - 4, NULL, NULL, 0));
  prepare((size_t[]){0, 4}, 2, 0); /* one is missing, one too many */
  assert_null(import(0, 3, 0));
  prepare((size_t[]){0, 4}, 2, 0);
  assert_null(import(0, 1, 0));
  prepare((size_t[]){0, 5, 4}, 3, 0); /* backwards */
  assert_null(import(0, 3, 0));
  prepare((size_t[]){0, 11}, 2, 0); /* behind the end */
  assert_null(import(0, 2, 0));
  prepare((size_t[]){2}, 1, 0); /* before the beginning */
  assert_null(import(0, 1, 3));
  prepare((size_t[]){SIZE_MAX}, 1, 0);
  assert_null(import(0, 1, 3));
}

static bool take_one(void *arg) {
  (void)arg;
  lf_buf_init(&items, NULL, 0);
  lf_buf_init(&starts, NULL, 0);
  size_t at = 0;
  lf_chunk *c = NULL;
  if (lf_buf_put(&items, "0123456789", 10) == 0 &&
      lf_buf_put(&starts, &at, sizeof at) == 0)
    c = lf_chunk_import(0, 1, &items, &starts, 0);
  lf_buf_fini(&items);
  lf_buf_fini(&starts);
  if (c)
    lf_chunk_free(c);
  return c != NULL;
}

static void lacks_memory(void **state) {
  (void)state;
  assert_true(memory_fail_each(take_one, NULL) > 3);
}

static lf_clock *begun_meanwhile(const lf_task *t) {
  lf_task_start((lf_task *)t); /* as another thread that hears of it */
  return NULL;
}

static void not_freed(lf_task *t) {
  (void)t;
}

static void ends_what_is_seen_to_begin_at_that_moment(void **state) {
  (void)state;
  static const lf_task_ops ops = {.free = not_freed, .clock = begun_meanwhile};
  lf_task t;
  lf_task_init(&t, NULL, &ops);
  t.stage = LF_STAGE_FINISHED;
  lf_outcome_end(&t);
  assert_int_equal(lf_task_state(&t), LF_FINISHED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(takes_chunks_of_others),
      TEST(refuses_what_cannot_be),
      TEST(lacks_memory),
      TEST(ends_what_is_seen_to_begin_at_that_moment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
