/* SPDX-License-Identifier: MIT
 *
 * No task sleeps beside an idle worker: whoever is woken for several things, or
 * looks for common work and turns to its own, has another look for the rest.
 *
 * In each round one worker gets something that only it can do, which keeps it
 * until something else has been done, for which there is the other one. */
#include "tests/c/fake.h"

enum { ROUNDS = 300, SLOW = 4, WORKERS = 2 };

/* Nobody looks at the round's gates any more. */
static void finish(lf_task *task) {
  await(task);
  lf_task_unref(task);
}

/* Both workers run something. */
static void visit(lf_pool *pool) {
  lf_task *tasks[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    tasks[i] = fake_task(pool, step_log, NUMBER(0), NULL);
  assert_int_equal(lf_pool_broadcast(pool, tasks, lf_pool_count(pool)), 0);
  for (int i = 0; i < WORKERS; i++)
    finish(tasks[i]);
}

/* A task of nobody's, to be waited for. */
static lf_task *promise(void) {
  lf_task *t = lf_task_new(NULL);
  assert_non_null(t);
  lf_task_start(t);
  return t;
}

static void keep(lf_task *promise) {
  lf_task_end(promise, LF_FINISHED);
}

/* In the first rounds both workers sleep before, and will not wake by
 * themselves: both have had something to do since they tidied up last, and have
 * done so again. Later they may be doing anything. */
static int before_round(lf_pool *pool, const fake_setup *setup) {
  visit(pool);
  return setup->idled;
}

static void settle(lf_pool *pool, const fake_setup *setup, int round,
                   int idled) {
  if (round < SLOW)
    until(setup->idled >= idled + WORKERS && stat_of(pool).idle == WORKERS);
}

static void what_becomes_ready_hides_no_task(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, WORKERS);
  for (int round = 0; round < ROUNDS; round++) {
    int idled = before_round(pool, &setup);
    gate begun = GATE, done = GATE;
    lf_task *p = promise();
    lf_task *parked =
        submit(pool, step_add, &begun, step_wait, p, step_await, &done);
    gate_await(&begun, 1);
    settle(pool, &setup, round, idled);
    keep(p);
    finish(submit(pool, step_add, &done));
    finish(parked);
    lf_task_unref(p);
  }
  fake_close(pool);
}

static void what_is_for_one_worker_hides_no_task(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, WORKERS);
  for (int round = 0; round < ROUNDS; round++) {
    int idled = before_round(pool, &setup);
    gate done = GATE;
    lf_task *pinned = fake_task(pool, step_await, &done, NULL);
    settle(pool, &setup, round, idled);
    assert_int_equal(lf_pool_submit(pool, pinned, LF_ROUTE_AFFINE), 0);
    finish(submit(pool, step_add, &done));
    finish(pinned);
  }
  fake_close(pool);
}

static void nor_does_it_hide_a_workers_task(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, WORKERS);
  for (int round = 0; round < ROUNDS; round++) {
    int idled = before_round(pool, &setup);
    gate begun = GATE, go = GATE, done = GATE;
    lf_task *p = promise();
    lf_task *inner = fake_task(pool, step_add, &done, NULL);
    lf_task_ref(inner); /* the step takes over one */
    lf_task *parked = submit(pool, step_add, &begun, step_wait, p);
    gate_await(&begun, 1);
    settle(pool, &setup, round, idled);
    lf_task *outer =
        submit(pool, step_await, &go, step_submit, inner, step_await, &done);
    keep(p); /* one of the two has the outer one, the other this */
    gate_add(&go);
    finish(outer);
    finish(inner);
    finish(parked);
    lf_task_unref(p);
  }
  fake_close(pool);
}

/* A worker that finds out in the middle of a task that it has to wait leaves
 * its place while another comes back to its own. */
static void nor_a_task_that_a_blocked_one_needs(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, WORKERS);
  for (int round = 0; round < ROUNDS; round++) {
    int idled = before_round(pool, &setup);
    gate begun = GATE, done = GATE;
    lf_task *p = promise();
    lf_task *parked =
        submit(pool, step_add, &begun, step_wait, p, step_block, &done);
    gate_await(&begun, 1);
    settle(pool, &setup, round, idled);
    lf_task *blocked = submit(pool, step_block, &done);
    keep(p);
    finish(submit(pool, step_add, &done));
    finish(blocked);
    finish(parked);
    lf_task_unref(p);
  }
  fake_close(pool);
}

/* Several of each at once: all that was woken for is done. */
static void nothing_is_missed_in_a_crowd(void **state) {
  (void)state;
  enum { CROWD = 8 };
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, WORKERS);
  for (int round = 0; round < ROUNDS; round++) {
    gate begun = GATE, ran = GATE;
    lf_task *p = promise(), *parked[CROWD], *others[CROWD];
    for (int i = 0; i < CROWD; i++)
      parked[i] = submit(pool, step_add, &begun, step_wait, p, step_add, &ran);
    gate_await(&begun, CROWD);
    keep(p);
    for (int i = 0; i < CROWD; i++)
      others[i] = submit(pool, step_add, &ran);
    gate_await(&ran, 2 * CROWD);
    for (int i = 0; i < CROWD; i++) {
      finish(parked[i]);
      finish(others[i]);
    }
    lf_task_unref(p);
  }
  fake_close(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_becomes_ready_hides_no_task),
      TEST(what_is_for_one_worker_hides_no_task),
      TEST(nor_does_it_hide_a_workers_task),
      TEST(nor_a_task_that_a_blocked_one_needs),
      TEST(nothing_is_missed_in_a_crowd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
