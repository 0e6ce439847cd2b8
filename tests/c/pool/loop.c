/* SPDX-License-Identifier: MIT
 *
 * Parallel loops: which items are claimed, and in which order they come. */
#include "tests/c/fake.h"

#include <string.h>

enum { MANY = 1000 };

static _Atomic int ran[MANY];

static void run_item(uint64_t item, void *arg) {
  (void)arg;
  ran[item]++;
}

static const fake_body counting = {.item = run_item};

static void clear(void) {
  for (int i = 0; i < MANY; i++)
    ran[i] = 0;
}

static void assert_ran_once(int first, int end) {
  for (int i = first; i < end; i++)
    assert_int_equal(ran[i], 1);
}

static void fixed_chunks_in_order(void **state) {
  (void)state;
  for (int workers = 1; workers <= 4; workers++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, workers);
    lf_loop *loop = fake_loop(pool, counting, 7, LF_ORDERED);
    lf_chunk *chunk;
    lf_stop why;
    uint64_t next = 0;
    clear();
    assert_int_equal(lf_loop_supply(loop, NULL, MANY), 0);
    while (fake_next(loop, &chunk, &why) == LF_CHUNK) {
      assert_int_equal(chunk->first, next);
      assert_int_equal(chunk->count, MANY - next < 7 ? MANY - next : 7);
      assert_int_equal(chunk->finished, chunk->count);
      next += chunk->count;
      lf_chunk_free(chunk);
    }
    assert_int_equal(next, MANY);
    assert_int_equal(fake_next(loop, &chunk, &why), LF_END);
    assert_ran_once(0, MANY);
    assert_true(setup.most <= workers);
    lf_loop_unref(loop);
    fake_close(pool);
  }
}

/* Takes all chunks of a loop in any order; returns how many there were. */
static int take_all(lf_loop *loop, bool *seen) {
  lf_chunk *chunk;
  lf_stop why;
  int n = 0;
  for (; fake_next(loop, &chunk, &why) == LF_CHUNK; n++) {
    for (uint64_t i = 0; i < chunk->count; i++) {
      assert_false(seen[chunk->first + i]);
      seen[chunk->first + i] = true;
    }
    lf_chunk_free(chunk);
  }
  return n;
}

static void unordered_ones_come_all(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 4);
  lf_loop *loop = fake_loop(pool, counting, 3, LF_UNORDERED);
  bool seen[MANY] = {false};
  clear();
  lf_loop_supply(loop, NULL, MANY);
  assert_int_equal(take_all(loop, seen), (MANY + 2) / 3);
  for (int i = 0; i < MANY; i++)
    assert_true(seen[i]);
  assert_ran_once(0, MANY);
  lf_loop_unref(loop);
  fake_close(pool);
}

/* The first chunk waits until the second has been consumed. */
static gate first_may_go;

static void wait_in_first(uint64_t item, void *arg) {
  (void)arg;
  if (item == 0)
    gate_await(&first_may_go, 1);
}

static void unordered_ones_come_as_they_complete(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  fake_body body = {.item = wait_in_first};
  lf_loop *loop = fake_loop(pool, body, 1, LF_UNORDERED);
  lf_chunk *chunk;
  lf_stop why;
  first_may_go = (gate)GATE;
  lf_loop_supply(loop, NULL, 3);
  for (uint64_t i = 1; i <= 3; i++) {
    assert_int_equal(fake_next(loop, &chunk, &why), LF_CHUNK);
    assert_int_equal(chunk->first, i % 3);
    lf_chunk_free(chunk);
    if (i == 2)
      gate_add(&first_may_go);
  }
  assert_int_equal(fake_next(loop, &chunk, &why), LF_END);
  lf_loop_unref(loop);
  fake_close(pool);
}

static void ordered_ones_wait_for_the_first(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  fake_body body = {.item = wait_in_first};
  lf_loop *loop = fake_loop(pool, body, 1, LF_ORDERED);
  lf_chunk *chunk;
  lf_stop why;
  first_may_go = (gate)GATE;
  lf_loop_supply(loop, NULL, 3);
  until(stat_of(pool).finished >= 2);
  assert_int_equal(lf_loop_next(loop, &chunk, &why), LF_WAIT);
  gate_add(&first_may_go);
  for (uint64_t i = 0; i < 3; i++) {
    assert_int_equal(fake_next(loop, &chunk, &why), LF_CHUNK);
    assert_int_equal(chunk->first, i);
    lf_chunk_free(chunk);
  }
  lf_loop_unref(loop);
  fake_close(pool);
}

/* --- Sizes ------------------------------------------------------------------
 */

/* One chunk after the other, claimed and run here: their sizes. */
static int claim_here(lf_loop *loop, uint64_t *sizes) {
  lf_chunk *chunk;
  int n = 0;
  uint64_t next = 0;
  while ((chunk = lf_loop_claim(loop, NULL))) {
    assert_int_equal(chunk->first, next);
    next += sizes[n++] = chunk->count;
    fake_run_chunk(loop, chunk);
  }
  return n;
}

/* A pool whose workers all wait, so that the test can claim chunks itself. */
static lf_pool *waiting_pool(fake_setup *setup, gate *go, int workers) {
  lf_pool *pool = fake_pool(setup, workers);
  gate busy = GATE;
  for (int i = 0; i < workers; i++)
    lf_task_unref(submit(pool, step_add, &busy, step_await, go));
  gate_await(&busy, workers);
  return pool;
}

static void automatic_sizes_follow_the_time(void **state) {
  (void)state;
  static uint64_t sizes[MANY];
  const int64_t times[] = {10, 1000, 100000, 10000000};
  uint64_t largest = MANY;
  for (int i = 0; i < 4; i++) {
    fake_setup setup = {0};
    gate go = GATE;
    lf_pool *pool = waiting_pool(&setup, &go, 2);
    fake_body body = {.ns = times[i]};
    lf_loop *loop = fake_loop(pool, body, 0, LF_ORDERED);
    lf_loop_supply(loop, NULL, MANY);
    int n = claim_here(loop, sizes);
    uint64_t all = 0, most = 0;
    for (int k = 0; k < n; k++) {
      all += sizes[k];
      most = sizes[k] > most ? sizes[k] : most;
    }
    assert_int_equal(all, MANY);
    assert_int_equal(sizes[0], 1); /* the time is not known */
    /* A share for each worker, twice, unless that takes no time at all. */
    assert_true(most <= MANY / 4 || (int64_t)most * times[i] <= 100000);
    assert_true(most <= largest);
    largest = most;
    gate_add(&go);
    lf_loop_unref(loop);
    fake_close(pool);
  }
  assert_int_equal(largest, 1); /* of items that take 10 ms */
}

static void the_window_grows_with_the_chunks(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = waiting_pool(&setup, &go, 2);
  lf_loop *fixed = fake_loop(pool, (fake_body){0}, 10, LF_ORDERED);
  assert_true(lf_loop_window(fixed) >= 2 * 10);
  lf_loop *loop = fake_loop(pool, (fake_body){.ns = 100000}, 0, LF_ORDERED);
  uint64_t before = lf_loop_window(loop);
  assert_true(before >= 2);
  lf_loop_supply(loop, NULL, before);
  lf_chunk *chunk = lf_loop_claim(loop, NULL);
  fake_run_chunk(loop, chunk);
  assert_true(lf_loop_window(loop) > before);
  gate_add(&go);
  lf_loop_close(loop);
  lf_loop_unref(loop);
  lf_loop_unref(fixed);
  fake_close(pool);
}

/* --- Supplies
 * ----------------------------------------------------------------- */

static void items_come_bit_by_bit(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  lf_loop *loop = fake_loop(pool, counting, 0, LF_ORDERED);
  lf_chunk *chunk;
  lf_stop why;
  uint64_t next = 0;
  clear();
  assert_int_equal(fake_next(loop, &chunk, &why), LF_END);
  for (uint64_t end = 0; end <= MANY; end += 25) {
    lf_loop_supply(loop, NULL, end);
    while (next < end) {
      assert_int_equal(fake_next(loop, &chunk, &why), LF_CHUNK);
      assert_int_equal(chunk->first, next);
      next += chunk->count;
      lf_chunk_free(chunk);
    }
    assert_int_equal(fake_next(loop, &chunk, &why), LF_END);
  }
  assert_ran_once(0, MANY);
  lf_loop_unref(loop);
  fake_close(pool);
}

/* A block of n items, each its own number. */
static lf_block *block_of(uint64_t first, uint64_t n) {
  lf_block *block = lf_block_new();
  block->first = first;
  for (uint64_t i = first; i < first + n; i++) {
    size_t start = block->bytes.len;
    assert_int_equal(lf_buf_put(&block->bytes, &i, sizeof i), 0);
    assert_int_equal(lf_block_item(block, start), 0);
  }
  return block;
}

static void chunks_carry_their_block(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = waiting_pool(&setup, &go, 1);
  lf_loop *loop = fake_loop(pool, counting, 10, LF_ORDERED);
  lf_chunk *chunk;
  clear();
  for (uint64_t first = 0, n = 1; first + n < MANY; first += n, n += 7)
    lf_loop_supply(loop, block_of(first, n), first + n);
  while ((chunk = lf_loop_claim(loop, NULL))) {
    const lf_block *b = chunk->block;
    assert_non_null(b);
    for (uint64_t i = chunk->first; i < chunk->first + chunk->count; i++) {
      uint64_t item;
      memcpy(&item, b->bytes.data + lf_block_start(b, i), sizeof item);
      assert_int_equal(item, i);
    }
    fake_run_chunk(loop, chunk);
  }
  gate_add(&go);
  lf_loop_unref(loop);
  fake_close(pool);
}

static void loops_share_a_pool(void **state) {
  (void)state;
  enum { LOOPS = 10 };
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_loop *loops[LOOPS];
  clear();
  for (int i = 0; i < LOOPS; i++) {
    loops[i] = fake_loop(pool, counting, 0, i % 2 ? LF_ORDERED : LF_UNORDERED);
    lf_loop_supply(loops[i], NULL, MANY);
  }
  for (int i = LOOPS; i-- > 0;) {
    bool seen[MANY] = {false};
    take_all(loops[i], seen);
    lf_loop_unref(loops[i]);
  }
  for (int i = 0; i < MANY; i++)
    assert_int_equal(ran[i], LOOPS);
  fake_close(pool);
}

/* What chunks give back is run by others, comes in its place, and once. */
static void what_is_given_back_comes_in_order(void **state) {
  (void)state;
  for (uint64_t piece = 1; piece < 6; piece++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 3);
    fake_body body = {.item = run_item, .ns = 10, .piece = piece};
    lf_loop *loop = fake_loop(pool, body, 0, LF_ORDERED);
    lf_chunk *chunk;
    lf_stop why;
    uint64_t next = 0;
    clear();
    assert_int_equal(lf_loop_supply(loop, NULL, MANY / 2), 0);
    for (;;) {
      lf_next what = fake_next(loop, &chunk, &why);
      if (what == LF_END && next < MANY) {
        lf_loop_supply(loop, NULL, MANY);
        continue;
      }
      if (what == LF_END)
        break;
      assert_int_equal(what, LF_CHUNK);
      assert_int_equal(chunk->first, next);
      assert_int_equal(chunk->finished, chunk->count);
      assert_true(chunk->count <= piece);
      next += chunk->count;
      lf_chunk_free(chunk);
    }
    assert_int_equal(next, MANY);
    assert_ran_once(0, MANY);
    lf_loop_unref(loop);
    fake_close(pool);
  }
}

static void what_is_given_back_comes_out_of_order(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  fake_body body = {.item = run_item, .ns = 10, .piece = 3};
  lf_loop *loop = fake_loop(pool, body, 0, LF_UNORDERED);
  bool seen[MANY] = {false};
  clear();
  lf_loop_supply(loop, NULL, MANY);
  take_all(loop, seen);
  assert_ran_once(0, MANY);
  lf_loop_unref(loop);
  fake_close(pool);
}

/* The size was asked for: it stays. */
static void chunks_of_a_given_size_are_whole(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  fake_body body = {.item = run_item, .piece = 3};
  lf_loop *loop = fake_loop(pool, body, 10, LF_ORDERED);
  lf_chunk *chunk;
  lf_stop why;
  lf_loop_supply(loop, NULL, 100);
  while (fake_next(loop, &chunk, &why) == LF_CHUNK) {
    assert_int_equal(chunk->count, 10);
    lf_chunk_free(chunk);
  }
  lf_loop_unref(loop);
  fake_close(pool);
}

/* A loop that is left while something waits to be claimed again, in the middle
 * of a chunk, or afterwards. */
static void a_loop_may_be_left_with_something_given_back(void **state) {
  (void)state;
  for (int order = LF_ORDERED; order <= LF_UNORDERED; order++)
    for (int closed = 0; closed < 3; closed++) {
      fake_setup setup = {0};
      lf_pool *pool = fake_pool(&setup, 1);
      gate busy = GATE, go = GATE;
      lf_task *held = submit(pool, step_add, &busy, step_await, &go);
      gate_await(&busy, 1);
      lf_loop *loop = fake_loop(pool, (fake_body){.ns = 10}, 0, order);
      lf_loop_supply(loop, NULL, 100);
      lf_chunk *first = lf_loop_claim(loop, NULL), *chunk;
      lf_stop why;
      first->finished = first->count;
      lf_loop_done(loop, first, 10);
      lf_chunk *second = lf_loop_claim(loop, NULL);
      assert_true(second->count > 1);
      second->finished = 1;
      second->rest = second->count - 1;
      if (closed == 1)
        lf_loop_close(loop);
      lf_loop_done(loop, second, 10);
      if (closed == 2)
        lf_loop_close(loop);
      for (int i = 0; i < 2; i++) {
        assert_int_equal(lf_loop_next(loop, &chunk, &why), LF_CHUNK);
        lf_chunk_free(chunk);
      }
      assert_int_equal(lf_loop_next(loop, &chunk, &why),
                       closed ? LF_STOPPED : LF_WAIT);
      lf_loop_close(loop);
      lf_loop_unref(loop);
      gate_add(&go);
      await(held);
      lf_task_unref(held);
      fake_close(pool);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(fixed_chunks_in_order),
      TEST(unordered_ones_come_all),
      TEST(unordered_ones_come_as_they_complete),
      TEST(ordered_ones_wait_for_the_first),
      TEST(automatic_sizes_follow_the_time),
      TEST(the_window_grows_with_the_chunks),
      TEST(items_come_bit_by_bit),
      TEST(chunks_carry_their_block),
      TEST(loops_share_a_pool),
      TEST(what_is_given_back_comes_in_order),
      TEST(what_is_given_back_comes_out_of_order),
      TEST(chunks_of_a_given_size_are_whole),
      TEST(a_loop_may_be_left_with_something_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
