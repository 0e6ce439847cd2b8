/* SPDX-License-Identifier: MIT
 *
 * runtime/pool/stop.h: tasks of threads that are asked to stop, and given up.
 */
#include "tests/c/fake.h"

#include "runtime/pool/current.h"
#include "runtime/pool/stop.h"

enum { LONG_NS = 3600 * 1000000000ll, SHORT_NS = 1000000 };

static bool step_take_current(fake_run *run, void *arg) {
  (void)arg;
  lf_worker_runs(run->vm->worker, run->task); /* as interpreters say */
  return true;
}

/* A task that has begun and hangs until 'go' is open. */
static lf_task *hang(lf_pool *pool, gate *go) {
  gate begun = GATE;
  lf_task *t =
      submit(pool, step_take_current, NULL, step_add, &begun, step_await, go);
  gate_await(&begun, 1);
  return t;
}

static void one_that_does_not_run_is_not_asked(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate go = GATE;
  lf_task *running = hang(pool, &go);
  lf_task *pending = submit(pool, step_log, NUMBER(1));
  assert_false(lf_pool_stop(pending, LF_STOP_CANCEL, LONG_NS));
  gate_add(&go);
  await(running);
  await(pending);
  assert_false(lf_pool_stop(running, LF_STOP_CANCEL, LONG_NS));
  lf_task_unref(running);
  lf_task_unref(pending);
  fake_close(pool);
}

/* It ends by itself, and never as finished. */
static void one_that_ends_within_its_grace(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate go = GATE;
  lf_task *t = hang(pool, &go);
  assert_true(lf_pool_stop(t, LF_STOP_CANCEL, LONG_NS));
  assert_false(lf_pool_stop(t, LF_STOP_TIMEOUT, LONG_NS));
  assert_int_equal(lf_task_state(t), LF_RUNNING);
  gate_add(&go);
  await(t);
  assert_int_equal(lf_task_state(t), LF_CANCELLED);
  assert_false(lf_task_is_forced(t));
  lf_task_unref(t);
  t = submit(pool, step_log, NUMBER(7));
  await(t);
  assert_log(7);
  lf_task_unref(t);
  lf_pool_stats s = stat_of(pool);
  assert_int_equal(s.cancelled, 1);
  assert_int_equal(s.finished, 1);
  assert_int_equal(s.running, 0);
  assert_true(setup.asked >= 1);
  fake_close(pool);
}

static void one_that_hangs_is_given_up(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gate go = GATE;
  lf_task *t = hang(pool, &go);
  assert_true(lf_pool_stop(t, LF_STOP_TIMEOUT, SHORT_NS));
  await(t);
  assert_int_equal(lf_task_state(t), LF_FAILED);
  assert_true(lf_task_is_forced(t));
  lf_task *tasks[2]; /* there are two workers again */
  for (int i = 0; i < 2; i++)
    tasks[i] = hang(pool, &go);
  gate_add(&go); /* also for the one that hung: it leaves */
  for (int i = 0; i < 2; i++) {
    await(tasks[i]);
    assert_int_equal(lf_task_state(tasks[i]), LF_FINISHED);
    lf_task_unref(tasks[i]);
  }
  until(setup.closed == 1);
  lf_task_unref(t);
  fake_close(pool);
}

static void when_all_hang_the_pool_is_broken(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gate go = GATE;
  for (int i = 0; i < 2; i++) {
    assert_null(lf_pool_broken(pool));
    lf_task *t = hang(pool, &go);
    assert_true(lf_pool_stop(t, LF_STOP_CANCEL, SHORT_NS));
    await(t);
    lf_task_unref(t);
  }
  assert_non_null(lf_pool_broken(pool));
  lf_task *t = fake_task(pool, step_log, NUMBER(1), NULL);
  assert_int_equal(lf_pool_submit(pool, t, LF_TAIL), LF_EBROKEN);
  lf_task_unref(t);
  fake_close(pool); /* it does not wait for them */
  gate_add(&go);
  until(setup.closed == 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(one_that_does_not_run_is_not_asked),
      TEST(one_that_ends_within_its_grace),
      TEST(one_that_hangs_is_given_up),
      TEST(when_all_hang_the_pool_is_broken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
