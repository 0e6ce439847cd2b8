/* SPDX-License-Identifier: MIT
 *
 * Broadcasts, interrupts, statistics, names, several pools. */
#include "runtime/pool/current.h"
#include "runtime/pool/registry.h"
#include "tests/c/fake.h"

enum { WORKERS = 4 };

static bool step_note_id(fake_run *run, void *arg) {
  *(int *)arg = lf_worker_id(run->vm->worker);
  return true;
}

static void broadcast_reaches_every_worker(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, WORKERS);
  for (int round = 0; round < 50; round++) {
    lf_task *tasks[WORKERS];
    int ids[WORKERS], seen = 0;
    for (int i = 0; i < WORKERS; i++)
      tasks[i] = fake_task(pool, step_note_id, &ids[i], NULL);
    for (int i = 0; i < round % 5; i++)
      lf_task_unref(submit(pool, step_log, NUMBER(1)));
    assert_int_equal(lf_pool_broadcast(pool, tasks, lf_pool_count(pool)), 0);
    for (int i = 0; i < WORKERS; i++) {
      await(tasks[i]);
      seen |= 1 << ids[i];
      lf_task_unref(tasks[i]);
    }
    assert_int_equal(seen, (1 << (WORKERS + 1)) - 2);
  }
  assert_int_equal(setup.opened, WORKERS);
  fake_close(pool);
}

static void broadcast_waits_for_busy_workers(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *tasks[2];
  gate busy = GATE, go = GATE, ran = GATE;
  lf_task_unref(submit(pool, step_add, &busy, step_await, &go));
  gate_await(&busy, 1);
  for (int i = 0; i < 2; i++)
    tasks[i] = fake_task(pool, step_add, &ran, NULL);
  assert_int_equal(lf_pool_broadcast(pool, tasks, lf_pool_count(pool)), 0);
  gate_await(&ran, 1); /* on the other one */
  assert_int_equal(lf_task_done(tasks[0]) + lf_task_done(tasks[1]) <= 1, 1);
  gate_add(&go);
  gate_await(&ran, 2);
  for (int i = 0; i < 2; i++) {
    await(tasks[i]);
    lf_task_unref(tasks[i]);
  }
  fake_close(pool);
}

/* --- Interrupts
 * --------------------------------------------------------------- */

static bool step_until_interrupted(fake_run *run, void *arg) {
  gate_add(arg);
  while (run->vm->setup->interrupted == 0)
    lf_park(lf_worker_parker(run->vm->worker), LF_FOREVER);
  return true;
}

static void interrupt_stops_what_runs(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE;
  uint64_t epoch = lf_pool_epoch(pool);
  lf_task *running = submit(pool, step_until_interrupted, &busy);
  gate_await(&busy, 1);
  lf_task *queued = submit(pool, step_log, NUMBER(1));
  lf_pool_interrupt(pool);
  assert_int_equal(lf_task_state(queued), LF_CANCELLED);
  assert_int_equal(lf_pool_epoch(pool), epoch + 1);
  await(running);
  assert_int_equal(setup.interrupted, 1);
  lf_task *after = submit(pool, step_log, NUMBER(2));
  await(after);
  assert_log(2);
  lf_task_unref(running);
  lf_task_unref(queued);
  lf_task_unref(after);
  fake_close(pool);
}

static void interrupting_an_ending_pool_is_harmless(void **state) {
  (void)state;
  for (int i = 0; i < 200; i++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 2);
    lf_task_unref(submit(pool, step_log, NUMBER(1)));
    lf_task_unref(submit(pool, step_log, NUMBER(1)));
    lf_pool_shutdown(pool, false);
    lf_pool_interrupt(pool);
    fake_close(pool);
  }
}

/* --- Statistics
 * ----------------------------------------------------------------- */

static void statistics_add_up(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE, go = GATE;
  lf_task *inner = fake_task(pool, step_log, NUMBER(1), NULL);
  lf_task_unref(submit(pool, step_add, &busy, step_await, &go));
  gate_await(&busy, 1);
  lf_task *cancelled = submit(pool, step_log, NUMBER(2));
  lf_task_unref(submit(pool, step_fail, NULL));
  lf_task_unref(submit(pool, step_submit, inner));
  lf_pool_stats s = stat_of(pool);
  assert_int_equal(s.running, 1);
  assert_int_equal(s.queued, 3);
  lf_task_cancel(cancelled);
  lf_task_unref(cancelled);
  s = stat_of(pool);
  assert_int_equal(s.queued, 2);
  assert_int_equal(s.cancelled, 1);
  gate_add(&go);
  fake_drop(lf_pool_ref(pool));
  s = stat_of(pool);
  assert_int_equal(s.workers + s.idle + s.queued + s.running, 0);
  assert_int_equal(s.finished, 3);
  assert_int_equal(s.failed, 1);
  assert_int_equal(s.cancelled, 1);
  lf_pool_unref(pool);
}

static void broadcasts_and_failures_count(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *tasks[2];
  for (int i = 0; i < 2; i++)
    tasks[i] = fake_task(pool, step_log, NUMBER(1), NULL);
  lf_pool_broadcast(pool, tasks, lf_pool_count(pool));
  for (int i = 0; i < 2; i++) {
    await(tasks[i]);
    lf_task_unref(tasks[i]);
  }
  gate busy = GATE, go = GATE;
  for (int i = 0; i < 3; i++)
    lf_task_unref(submit(pool, step_add, &busy, step_await, &go));
  gate_await(&busy, 2);
  lf_pool_break(pool, "broken");
  lf_pool_stats s = stat_of(pool);
  assert_int_equal(s.finished, 2);
  assert_int_equal(s.running, 2);
  assert_int_equal(s.failed, 1);
  assert_int_equal(s.queued, 0);
  gate_add(&go);
  fake_close(pool);
}

static bool step_check_self(fake_run *run, void *arg) {
  lf_worker *w = lf_worker_self();
  log_add(w == run->vm->worker && lf_worker_vm(w) == run->vm &&
          lf_worker_pool(w) == arg);
  return true;
}

static void a_worker_knows_itself(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  assert_null(lf_worker_self());
  assert_string_equal(lf_pool_name(pool), "fake");
  assert_int_equal(lf_pool_max_workers(pool), 1);
  assert_false(lf_pool_in_caller(pool));
  assert_ptr_equal(lf_pool_setup(pool), &setup);
  lf_task_unref(submit(pool, step_check_self, pool));
  fake_close(pool);
  assert_log(1);
}

/* --- Several pools
 * ---------------------------------------------------------------- */

static void pools_wait_for_each_other(void **state) {
  (void)state;
  enum { MANY = 100 };
  lf_task *tasks[MANY];
  fake_setup setup = {0};
  lf_pool *a = fake_pool(&setup, 1), *b = fake_pool(&setup, 1);
  tasks[0] = fake_task(a, step_log, NUMBER(0), NULL);
  for (int i = 1; i < MANY; i++)
    tasks[i] =
        submit(i % 2 ? b : a, step_wait, tasks[i - 1], step_log, NUMBER(i));
  fake_submit(a, tasks[0]);
  await(tasks[MANY - 1]);
  assert_int_equal(log_len(), MANY);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(log_at((size_t)i), i);
    lf_task_unref(tasks[i]);
  }
  fake_close(a);
  fake_close(b);
}

static void the_host_knows_those_that_live(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *a = fake_pool(&setup, 1), *b = fake_pool(&setup, 1);
  lf_registry *registry = lf_pool_registry(a);
  assert_int_equal(lf_registry_count(registry), 2);
  lf_pool *second = lf_registry_pool(registry, 1);
  assert_ptr_equal(second, b);
  assert_null(lf_registry_pool(registry, 2));
  lf_pool_unref(second);
  fake_close(a);
  assert_int_equal(lf_registry_count(registry), 1);
  fake_close(b);
  assert_int_equal(lf_registry_count(registry), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(broadcast_reaches_every_worker),
      TEST(broadcast_waits_for_busy_workers),
      TEST(interrupt_stops_what_runs),
      TEST(interrupting_an_ending_pool_is_harmless),
      TEST(statistics_add_up),
      TEST(broadcasts_and_failures_count),
      TEST(a_worker_knows_itself),
      TEST(pools_wait_for_each_other),
      TEST(the_host_knows_those_that_live),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
