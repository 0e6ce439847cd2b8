/* SPDX-License-Identifier: MIT
 *
 * Which task is taken next, and by whom. */
#include "runtime/pool/current.h"
#include "tests/c/fake.h"

/* A task that keeps its worker until the gate is open. */
static lf_task *occupy(lf_pool *pool, gate *busy, gate *go) {
  return submit(pool, step_add, busy, step_await, go);
}

static void first_come_first_served(void **state) {
  (void)state;
  enum { MANY = 200 };
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE, go = GATE;
  lf_task_unref(occupy(pool, &busy, &go));
  gate_await(&busy, 1);
  for (int i = 0; i < MANY; i++)
    lf_task_unref(submit(pool, step_log, NUMBER(i)));
  gate_add(&go);
  fake_close(pool);
  assert_int_equal(log_len(), MANY);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(log_at((size_t)i), i);
}

static void a_workers_own_come_first_newest_first(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE, go = GATE;
  lf_task *inner[3];
  for (int i = 0; i < 3; i++)
    inner[i] = fake_task(pool, step_log, NUMBER(i), NULL);
  lf_task_unref(submit(pool, step_add, &busy, step_await, &go, step_submit,
                       inner[0], step_submit, inner[1], step_submit, inner[2]));
  gate_await(&busy, 1);
  lf_task_unref(submit(pool, step_log, NUMBER(3)));
  gate_add(&go);
  fake_drop(pool);
  assert_log(2, 1, 0, 3);
}

static void the_tail_is_the_end(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE, go = GATE;
  lf_task *near = fake_task(pool, step_log, NUMBER(1), NULL);
  lf_task *tail = fake_task(pool, step_log, NUMBER(3), NULL);
  lf_task_unref(submit(pool, step_add, &busy, step_await, &go, step_tail, tail,
                       step_submit, near));
  gate_await(&busy, 1);
  lf_task_unref(submit(pool, step_log, NUMBER(2)));
  gate_add(&go);
  fake_drop(pool);
  assert_log(1, 2, 3);
}

/* A task that submits itself again until one from outside has run. */
static gate outside;

static bool step_again(fake_run *run, void *arg) {
  (void)arg;
  lf_pool *pool = lf_worker_pool(run->vm->worker);
  if (gate_count(&outside) == 0)
    lf_task_unref(submit(pool, step_again, NULL));
  return true;
}

static void own_ones_do_not_starve_others(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  outside = (gate)GATE;
  lf_task_unref(submit(pool, step_again, NULL));
  lf_task_unref(submit(pool, step_again, NULL));
  lf_task_unref(submit(pool, step_add, &outside));
  gate_await(&outside, 1);
  fake_drop(pool);
}

static void others_steal(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  for (int i = 0; i < 200; i++) {
    gate done = GATE;
    lf_task *inner = fake_task(pool, step_add, &done, NULL);
    lf_task *outer = submit(pool, step_submit, inner, step_await, &done);
    await(outer);
    lf_task_unref(outer);
  }
  fake_close(pool);
}

enum { MOST = 5, ROUNDS = 300 };

static bool step_meet(fake_run *run, void *arg) {
  gate_add(arg);
  gate_await(arg, lf_pool_max_workers(lf_worker_pool(run->vm->worker)));
  return true;
}

static bool step_nothing(fake_run *run, void *arg) {
  (void)run;
  (void)arg;
  return true;
}

/* Tasks that need each other all run at once: none lies about while a worker
 * sleeps, whether they come one by one or behind many brief ones. */
static void no_task_lies_about(void **state) {
  (void)state;
  for (int workers = 2; workers <= MOST; workers++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, workers);
    for (int round = 0; round < ROUNDS; round++) {
      gate all = GATE;
      lf_task *tasks[MOST];
      for (int i = 0; i < round % 40; i++)
        lf_task_unref(submit(pool, step_nothing, NULL));
      for (int i = 0; i < workers; i++)
        tasks[i] = submit(pool, step_meet, &all);
      for (int i = 0; i < workers; i++) {
        await(tasks[i]);
        lf_task_unref(tasks[i]);
      }
    }
    fake_close(pool);
  }
}

static bool step_submit_those_that_meet(fake_run *run, void *arg) {
  lf_pool *pool = lf_worker_pool(run->vm->worker);
  for (int i = 0; i < lf_pool_max_workers(pool); i++)
    lf_task_unref(submit(pool, step_meet, arg));
  return true;
}

static void no_inner_task_lies_about(void **state) {
  (void)state;
  static gate all[ROUNDS];
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 4);
  for (int i = 0; i < ROUNDS; i++) {
    all[i] = (gate)GATE;
    lf_task_unref(submit(pool, step_submit_those_that_meet, &all[i]));
    gate_await(&all[i], 4);
  }
  fake_close(pool);
}

static void each_runs_once(void **state) {
  (void)state;
  enum { MANY = 20000 };
  static lf_task *tasks[MANY];
  fake_setup setup = {0};
  gate ran = GATE;
  lf_pool *pool = fake_pool(&setup, 3);
  for (int i = 0; i < MANY; i++)
    tasks[i] = submit(pool, step_add, &ran);
  lf_pool_shutdown(pool, false);
  await(lf_pool_over(pool));
  assert_int_equal(gate_count(&ran), MANY);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(lf_task_state(tasks[i]), LF_FINISHED);
    lf_task_unref(tasks[i]);
  }
  lf_pool_unhandle(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(first_come_first_served),
      TEST(a_workers_own_come_first_newest_first),
      TEST(the_tail_is_the_end),
      TEST(own_ones_do_not_starve_others),
      TEST(others_steal),
      TEST(no_task_lies_about),
      TEST(no_inner_task_lies_about),
      TEST(each_runs_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
