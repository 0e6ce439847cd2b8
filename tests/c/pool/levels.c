/* SPDX-License-Identifier: MIT
 *
 * Tasks with a priority: when they are taken. */
#include "runtime/pool/current.h"
#include "runtime/pool/limits.h"
#include "tests/c/fake.h"

/* A pool of one worker that is busy until the gate is open. */
static lf_pool *occupied(fake_setup *setup, gate *go) {
  static gate busy;
  busy = (gate)GATE;
  lf_pool *pool = fake_pool(setup, 1);
  lf_task_unref(submit(pool, step_add, &busy, step_await, go));
  gate_await(&busy, 1);
  return pool;
}

static lf_task *add(lf_pool *pool, int64_t priority, int number) {
  lf_task *t = fake_task_with(pool, priority, step_log, NUMBER(number));
  return fake_submit(pool, t);
}

static void higher_ones_come_first(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = occupied(&setup, &go);
  static const int64_t priorities[] = {0,  -1, 5,         0, INT64_MAX,
                                       -7, 5,  INT64_MIN, 0, 1};
  enum { N = sizeof priorities / sizeof priorities[0] };
  for (int i = 0; i < N; i++)
    lf_task_unref(add(pool, priorities[i], i));
  assert_int_equal(stat_of(pool).queued, N);
  gate_add(&go);
  fake_close(pool);
  assert_log(4, 2, 6, 9, 0, 3, 8, 1, 5, 7);
}

static void in_one_the_first_comes_first(void **state) {
  (void)state;
  enum { MANY = 300 };
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = occupied(&setup, &go);
  for (int i = 0; i < MANY; i++)
    lf_task_unref(add(pool, 1 - i % 3, i));
  gate_add(&go);
  fake_close(pool);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(log_at((size_t)i), i % (MANY / 3) * 3 + i / (MANY / 3));
}

/* What a worker has submitted itself comes between the two kinds. */
static void they_frame_a_workers_own(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate busy = GATE, go = GATE;
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *inner[4];
  static const int64_t priorities[4] = {0, -1, 0, 1};
  for (int i = 0; i < 4; i++)
    inner[i] = fake_task_with(pool, priorities[i], step_log, NUMBER(i));
  lf_task_unref(submit(pool, step_submit, inner[0], step_submit, inner[1],
                       step_submit, inner[2], step_submit, inner[3], step_add,
                       &busy, step_await, &go));
  gate_await(&busy, 1);
  lf_task_unref(add(pool, -2, 10));
  lf_task_unref(add(pool, 0, 11));
  lf_task_unref(add(pool, 2, 12));
  gate_add(&go);
  fake_close(pool);
  assert_log(12, 3, 2, 0, 11, 1, 10);
}

static bool step_submit_and_add(fake_run *run, void *arg) {
  lf_task **tasks = arg;
  (void)run;
  for (int i = 0; tasks[i]; i++) {
    lf_pool_submit(lf_task_pool(tasks[i]), tasks[i], LF_NEAR);
    lf_task_unref(tasks[i]);
  }
  return true;
}

/* What lies with another worker comes before them, too. */
static void the_lowest_come_after_what_is_stolen(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate busy = GATE, other = GATE, go = GATE;
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *inner[3] = {fake_task(pool, step_log, NUMBER(1), NULL),
                       fake_task(pool, step_log, NUMBER(2), NULL), NULL};
  lf_task_unref(submit(pool, step_add, &busy, step_await, &other));
  lf_task_unref(submit(pool, step_submit_and_add, inner, step_add, &busy,
                       step_await, &go));
  gate_await(&busy, 2);
  lf_task *last = add(pool, -1, 3);
  lf_task_unref(add(pool, 0, 0));
  gate_add(&other);
  await(last);
  lf_task_unref(last);
  gate_add(&go);
  fake_close(pool);
  assert_log(0, 1, 2, 3);
}

/* The same with six tasks that wait, of the priorities -1, 0, 1, -1, 0, 1. */
static lf_pool *occupied_with(fake_setup *setup, gate *go, lf_task *tasks[6]) {
  lf_pool *pool = occupied(setup, go);
  for (int i = 0; i < 6; i++)
    tasks[i] = add(pool, i % 3 - 1, i);
  return pool;
}

static void cancelled_ones_are_passed_over(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_task *tasks[6];
  lf_pool *pool = occupied_with(&setup, &go, tasks);
  for (int i = 0; i < 3; i++)
    assert_true(lf_pool_cancel(tasks[i]));
  gate_add(&go);
  fake_close(pool);
  assert_log(5, 4, 3);
  for (int i = 0; i < 6; i++)
    lf_task_unref(tasks[i]);
}

static void all_are_cancelled_with_the_pool(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_task *tasks[6];
  lf_pool *pool = occupied_with(&setup, &go, tasks);
  lf_pool_shutdown(pool, true);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(lf_task_state(tasks[i]), LF_CANCELLED);
    lf_task_unref(tasks[i]);
  }
  gate_add(&go);
  fake_close(pool);
  assert_int_equal(log_len(), 0);
}

static void log_item(uint64_t item, void *arg) {
  log_add((int)(intptr_t)arg + (int)item);
}

static lf_loop *loop_with(lf_pool *pool, int64_t priority, int number) {
  fake_body body = {.item = log_item, .arg = NUMBER(number)};
  lf_loop *loop = fake_loop(pool, body, 1, LF_ORDERED);
  lf_limits *limits = lf_limits_new(NULL, NULL, 0);
  assert_non_null(limits);
  limits->priority = priority;
  lf_loop_limit(loop, limits);
  assert_ptr_equal(lf_loop_limits(loop), limits);
  lf_limits_unref(limits);
  assert_int_equal(lf_loop_supply(loop, NULL, 3), 0);
  return loop;
}

static void a_loops_chunks_have_that_of_the_loop(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = occupied(&setup, &go);
  lf_loop *low = loop_with(pool, -1, 10), *high = loop_with(pool, 1, 20);
  lf_task_unref(add(pool, 0, 1));
  lf_task_unref(add(pool, -1, 2));
  gate_add(&go);
  for (int i = 0; i < 6; i++) {
    lf_chunk *chunk;
    lf_stop why;
    assert_int_equal(fake_next(i < 3 ? high : low, &chunk, &why), LF_CHUNK);
    lf_chunk_free(chunk);
  }
  lf_loop_unref(low);
  lf_loop_unref(high);
  fake_close(pool);
  assert_log(20, 21, 22, 1, 10, 2, 11, 12);
}

enum { MANY = 3000 };

static bool step_submit_more(fake_run *run, void *arg) {
  lf_pool *pool = lf_worker_pool(run->vm->worker);
  for (int i = 0; i < 5; i++) {
    lf_task *t = fake_task_with(pool, i - 2, step_add, arg);
    lf_task_unref(fake_submit(pool, t));
  }
  return true;
}

/* Each is run once, whatever the priorities and who submits. */
static void none_is_lost(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate ran = GATE;
  lf_pool *pool = fake_pool(&setup, 3);
  for (int i = 0; i < MANY; i++) {
    lf_task *t = fake_task_with(pool, i % 7 - 3, step_submit_more, &ran);
    lf_task_unref(fake_submit(pool, t));
  }
  gate_await(&ran, 5 * MANY);
  fake_close(pool);
  assert_int_equal(gate_count(&ran), 5 * MANY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(higher_ones_come_first),
      TEST(in_one_the_first_comes_first),
      TEST(they_frame_a_workers_own),
      TEST(the_lowest_come_after_what_is_stolen),
      TEST(cancelled_ones_are_passed_over),
      TEST(all_are_cancelled_with_the_pool),
      TEST(a_loops_chunks_have_that_of_the_loop),
      TEST(none_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
