/* SPDX-License-Identifier: MIT
 *
 * How a pool comes to its end, and how queued work is cancelled. */
#include "runtime/pool/current.h"
#include "tests/c/fake.h"

/* A pool with one worker that is kept busy until 'go'. */
static lf_pool *busy_pool(fake_setup *setup, gate *go) {
  gate busy = GATE;
  lf_pool *pool = fake_pool(setup, 1);
  lf_task_unref(submit(pool, step_add, &busy, step_await, go));
  gate_await(&busy, 1);
  return pool;
}

static void a_pool_that_was_never_used(void **state) {
  (void)state;
  fake_setup setup = {0};
  fake_drop(fake_pool(&setup, 3));
  lf_pool *pool = fake_pool(&setup, 3);
  lf_pool_shutdown(pool, true);
  assert_true(lf_task_done(lf_pool_over(pool)));
  lf_pool_unhandle(pool);
  assert_int_equal(setup.opened, 0);
}

static void shutdown_finishes_what_is_queued(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = busy_pool(&setup, &go);
  lf_task *task = submit(pool, step_log, NUMBER(1));
  lf_pool_shutdown(pool, false);
  lf_pool_shutdown(pool, false);
  assert_true(lf_pool_is_shutdown(pool));
  assert_false(lf_task_done(lf_pool_over(pool)));
  gate_add(&go);
  await(lf_pool_over(pool));
  assert_int_equal(lf_task_state(task), LF_FINISHED);
  assert_int_equal(setup.closed, setup.opened);
  lf_pool_shutdown(pool, true);
  lf_task_unref(task);
  lf_pool_unhandle(pool);
}

static bool step_try(fake_run *run, void *arg) {
  lf_pool *pool = lf_worker_pool(run->vm->worker);
  lf_task *task = fake_task(pool, step_log, NUMBER(1), NULL);
  log_add(lf_pool_submit(pool, task, LF_NEAR));
  lf_task_unref(task);
  gate_add(arg);
  return true;
}

static void nobody_submits_after_shutdown(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE, tried = GATE;
  lf_pool *pool = busy_pool(&setup, &go);
  lf_task *task = fake_task(pool, step_log, NUMBER(2), NULL);
  lf_task_unref(submit(pool, step_try, &tried));
  lf_pool_shutdown(pool, false);
  assert_int_equal(lf_pool_submit(pool, task, LF_NEAR), LF_ESHUTDOWN);
  assert_int_equal(lf_pool_broadcast(pool, &task, lf_pool_count(pool)),
                   LF_ESHUTDOWN);
  assert_int_equal(lf_pool_submit(pool, task, LF_TAIL), 0);
  gate_add(&go);
  await(lf_pool_over(pool));
  assert_log(LF_ESHUTDOWN, 2);
  lf_task_unref(task);
  task = fake_task(pool, step_log, NUMBER(3), NULL);
  assert_int_equal(lf_pool_submit(pool, task, LF_TAIL), LF_ESHUTDOWN);
  lf_task_unref(task);
  lf_pool_unhandle(pool);
}

static void shutdown_cancels_what_is_queued(void **state) {
  (void)state;
  enum { MANY = 100 };
  lf_task *tasks[MANY];
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = busy_pool(&setup, &go);
  for (int i = 0; i < MANY; i++)
    tasks[i] = submit(pool, step_log, NUMBER(i));
  lf_pool_shutdown(pool, true);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(lf_task_state(tasks[i]), LF_CANCELLED);
    lf_task_unref(tasks[i]);
  }
  assert_int_equal(stat_of(pool).cancelled, MANY);
  assert_int_equal(stat_of(pool).running, 1);
  gate_add(&go);
  fake_close(pool);
  assert_int_equal(log_len(), 0);
}

/* What a worker has in its own queue, and what is pinned, is cancelled too. */
static void own_and_pinned_ones_are_cancelled(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE, busy = GATE;
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *own = fake_task(pool, step_log, NUMBER(1), NULL);
  lf_task *pinned = fake_task(pool, step_log, NUMBER(2), NULL);
  lf_task_ref(own);
  lf_task_unref(
      submit(pool, step_submit, own, step_add, &busy, step_await, &go));
  gate_await(&busy, 1);
  assert_int_equal(lf_pool_broadcast(pool, &pinned, lf_pool_count(pool)), 0);
  lf_pool_shutdown(pool, true);
  assert_int_equal(lf_task_state(own), LF_CANCELLED);
  assert_int_equal(lf_task_state(pinned), LF_CANCELLED);
  gate_add(&go);
  lf_task_unref(own);
  lf_task_unref(pinned);
  fake_close(pool);
}

enum { CROWD = 100000 };

static void a_crowd_is_cancelled_one_by_one(void **state) {
  (void)state;
  static lf_task *tasks[CROWD];
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = busy_pool(&setup, &go);
  for (int i = 0; i < CROWD; i++)
    tasks[i] = submit(pool, step_log, NUMBER(i));
  assert_int_equal(stat_of(pool).queued, CROWD);
  for (int i = CROWD; i-- > 0;) {
    assert_true(lf_task_cancel(tasks[i]));
    lf_task_unref(tasks[i]);
  }
  assert_int_equal(stat_of(pool).queued, 0);
  assert_int_equal(stat_of(pool).cancelled, CROWD);
  gate_add(&go);
  fake_close(pool);
  assert_int_equal(log_len(), 0);
}

static void dropped_the_work_still_completes(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = busy_pool(&setup, &go);
  lf_task *inner = fake_task(pool, step_log, NUMBER(2), NULL);
  lf_task *outer = submit(pool, step_log, NUMBER(1), step_submit, inner);
  lf_pool_ref(pool);
  lf_pool_unhandle(pool);
  assert_false(lf_pool_is_shutdown(pool));
  gate_add(&go);
  await(lf_pool_over(pool));
  lf_task_unref(outer);
  assert_log(1, 2);
  lf_pool_unref(pool);
}

/* Nobody but its own threads knows the pool. */
static void a_forgotten_pool_ends(void **state) {
  (void)state;
  static fake_setup setup;
  for (int i = 0; i < 100; i++) {
    lf_pool *pool = fake_pool(&setup, 2);
    lf_task_unref(submit(pool, step_log, NUMBER(1)));
    lf_pool_unhandle(pool);
  }
  lf_threads_settle();
  assert_int_equal(log_len(), 100);
  assert_int_equal(setup.opened, setup.closed);
}

static void the_last_handle_counts(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  assert_ptr_equal(lf_pool_handle(pool), pool);
  lf_pool_unhandle(pool);
  lf_task *task = submit(pool, step_log, NUMBER(1));
  await(task);
  lf_task_unref(task);
  fake_drop(pool);
}

static void a_parked_one_holds_the_end_up(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *never = lf_task_new(NULL);
  lf_task *parked = submit(pool, step_wait, never, step_log, NUMBER(1));
  until(stat_of(pool).running == 1 && setup.running == 0);
  lf_pool_shutdown(pool, true);
  assert_false(lf_task_done(lf_pool_over(pool)));
  lf_task_cancel(never);
  await(lf_pool_over(pool));
  assert_int_equal(lf_task_state(parked), LF_FINISHED);
  lf_task_unref(never);
  lf_task_unref(parked);
  lf_pool_unhandle(pool);
}

/* At the end of the program tasks may still submit others. */
static void finish_finishes_everything(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = busy_pool(&setup, &go);
  lf_task *innermost = fake_task(pool, step_log, NUMBER(2), NULL);
  lf_task *inner =
      fake_task(pool, step_log, NUMBER(1), step_submit, innermost, NULL);
  lf_task_unref(submit(pool, step_submit, inner));
  lf_pool_finish(pool);
  gate_add(&go);
  await(lf_pool_over(pool));
  assert_log(1, 2);
  lf_pool_unhandle(pool);
}

static bool step_shutdown(fake_run *run, void *arg) {
  lf_pool_shutdown(lf_worker_pool(run->vm->worker), arg != NULL);
  return true;
}

static void a_task_may_shut_its_pool_down(void **state) {
  (void)state;
  for (int cancel = 0; cancel < 2; cancel++) {
    fake_setup setup = {0};
    gate go = GATE;
    lf_pool *pool = busy_pool(&setup, &go);
    lf_task_unref(submit(pool, step_shutdown, NUMBER(cancel)));
    lf_task *queued = submit(pool, step_log, NUMBER(1));
    gate_add(&go);
    await(lf_pool_over(pool));
    assert_int_equal(lf_task_state(queued),
                     cancel ? LF_CANCELLED : LF_FINISHED);
    lf_task_unref(queued);
    lf_pool_unhandle(pool);
  }
}

/* --- Submitting while it ends -----------------------------------------------
 */

enum { SUBMITTERS = 3, ROUNDS = 200, EACH = 20 };

typedef struct {
  lf_pool *pool;
  gate *start;
  lf_task *tasks[EACH];
  int accepted;
} submitter;

static void *submit_some(void *arg) {
  submitter *s = arg;
  s->accepted = 0;
  gate_await(s->start, 1);
  for (int i = 0; i < EACH; i++) {
    lf_task *task = fake_task(s->pool, step_log, NUMBER(1), NULL);
    if (lf_pool_submit(s->pool, task, LF_NEAR) == 0)
      s->tasks[s->accepted++] = task;
    else
      lf_task_unref(task);
  }
  return NULL;
}

/* What was accepted is done, in one way or the other. */
static void submitting_races_with_shutdown(void **state) {
  (void)state;
  for (int round = 0; round < ROUNDS; round++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 1 + round % 3);
    gate start = GATE;
    submitter s[SUBMITTERS];
    pthread_t threads[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++) {
      s[i].pool = pool;
      s[i].start = &start;
      pthread_create(&threads[i], NULL, submit_some, &s[i]);
    }
    gate_add(&start);
    lf_pool_shutdown(pool, round % 2);
    for (int i = 0; i < SUBMITTERS; i++)
      pthread_join(threads[i], NULL);
    await(lf_pool_over(pool));
    for (int i = 0; i < SUBMITTERS; i++)
      while (s[i].accepted > 0) {
        lf_task *task = s[i].tasks[--s[i].accepted];
        assert_true(lf_task_done(task));
        lf_task_unref(task);
      }
    lf_pool_stats stats = stat_of(pool);
    assert_int_equal(stats.queued + stats.running + stats.workers, 0);
    lf_pool_unhandle(pool);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_pool_that_was_never_used),
      TEST(shutdown_finishes_what_is_queued),
      TEST(nobody_submits_after_shutdown),
      TEST(shutdown_cancels_what_is_queued),
      TEST(own_and_pinned_ones_are_cancelled),
      TEST(a_crowd_is_cancelled_one_by_one),
      TEST(dropped_the_work_still_completes),
      TEST(a_forgotten_pool_ends),
      TEST(the_last_handle_counts),
      TEST(a_parked_one_holds_the_end_up),
      TEST(finish_finishes_everything),
      TEST(a_task_may_shut_its_pool_down),
      TEST(submitting_races_with_shutdown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
