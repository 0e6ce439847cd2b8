/* SPDX-License-Identifier: MIT
 *
 * Gates: one task at a time, while its worker's others run. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/task/strand.h"

static lf_task *submit_to(lf_pool *pool, lf_strand *g, fake_step *step,
                          void *arg) {
  lf_task *t = fake_task(pool, step, arg, NULL);
  t->strand = g;
  return fake_submit(pool, t);
}

/* Notes how many are inside at once. */
static _Atomic int inside, most;

static bool step_pass(fake_run *run, void *arg) {
  (void)run;
  (void)arg;
  int n = atomic_fetch_add(&inside, 1) + 1;
  if (n > most)
    most = n;
  sched_yield();
  atomic_fetch_sub(&inside, 1);
  return true;
}

static void one_at_a_time(void **state) {
  (void)state;
  enum { TASKS = 2000 };
  static lf_task *tasks[2][TASKS];
  fake_setup setup = {0};
  lf_pool *pools[] = {fake_pool(&setup, 3), fake_pool(&setup, 2)};
  lf_strand *g = lf_strand_new();
  inside = most = 0;
  for (int i = 0; i < TASKS; i++)
    for (int k = 0; k < 2; k++)
      tasks[k][i] = submit_to(pools[k], g, step_pass, NULL);
  for (int i = 0; i < TASKS; i++)
    for (int k = 0; k < 2; k++) {
      await(tasks[k][i]);
      assert_int_equal(lf_task_state(tasks[k][i]), LF_FINISHED);
      lf_task_unref(tasks[k][i]);
    }
  assert_int_equal(most, 1);
  fake_close(pools[0]);
  fake_close(pools[1]);
  lf_strand_free(g);
}

static void others_run_meanwhile(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate hold = GATE;
  lf_pool *pool = fake_pool(&setup, 2);
  lf_strand *g = lf_strand_new();
  lf_task *first = submit_to(pool, g, step_await, &hold);
  until(lf_task_state(first) == LF_RUNNING);
  lf_task *second = submit_to(pool, g, step_log, NUMBER(2));
  lf_task *third = submit_to(pool, g, step_log, NUMBER(3));
  lf_task *other = submit(pool, step_log, NUMBER(1));
  await(other); /* though the other worker has met the two before */
  assert_int_equal(lf_task_state(second), LF_PENDING);
  assert_int_equal(stat_of(pool).queued, 2);
  gate_add(&hold);
  await(third);
  assert_log(1, 2, 3);
  lf_task_unref(first);
  lf_task_unref(second);
  lf_task_unref(third);
  lf_task_unref(other);
  fake_close(pool);
  lf_strand_free(g);
}

static void waiting_ones_are_cancelled(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate hold = GATE;
  lf_pool *pool = fake_pool(&setup, 2);
  lf_strand *g = lf_strand_new();
  lf_task *first = submit_to(pool, g, step_await, &hold);
  until(lf_task_state(first) == LF_RUNNING);
  lf_task *second = submit_to(pool, g, step_log, NUMBER(2));
  lf_task *third = submit_to(pool, g, step_log, NUMBER(3));
  lf_task *other = submit(pool, step_log, NUMBER(1));
  await(other);
  assert_true(lf_pool_cancel(second));
  gate_add(&hold);
  await(third);
  assert_log(1, 3);
  assert_int_equal(lf_task_state(second), LF_CANCELLED);
  lf_task_unref(first);
  lf_task_unref(second);
  lf_task_unref(third);
  lf_task_unref(other);
  fake_close(pool);
  lf_strand_free(g);
}

static void shutdown_takes_them_along(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate hold = GATE;
  lf_pool *pool = fake_pool(&setup, 2), *next = fake_pool(&setup, 1);
  lf_strand *g = lf_strand_new();
  lf_task *first = submit_to(pool, g, step_await, &hold);
  until(lf_task_state(first) == LF_RUNNING);
  lf_task *second = submit_to(pool, g, step_log, NUMBER(2));
  lf_task *foreign = submit_to(next, g, step_log, NUMBER(3));
  lf_task *other = submit(pool, step_log, NUMBER(1));
  lf_task *last = submit(next, step_log, NUMBER(1));
  await(other);
  await(last);
  lf_pool_shutdown(pool, true);
  assert_int_equal(lf_task_state(second), LF_CANCELLED);
  assert_int_equal(lf_task_state(foreign), LF_PENDING);
  gate_add(&hold);
  await(foreign);
  lf_task_unref(first);
  lf_task_unref(second);
  lf_task_unref(foreign);
  lf_task_unref(other);
  lf_task_unref(last);
  fake_close(pool);
  fake_close(next);
  lf_strand_free(g);
}

/* A pool that is left alone waits for its tasks at gates. */
static void the_pool_waits_for_them(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate hold = GATE;
  lf_pool *holder = fake_pool(&setup, 1), *pool = fake_pool(&setup, 1);
  lf_strand *g = lf_strand_new();
  lf_task *first = submit_to(holder, g, step_await, &hold);
  until(lf_task_state(first) == LF_RUNNING);
  lf_task *second = submit_to(pool, g, step_log, NUMBER(2));
  lf_task *over = lf_pool_over(lf_pool_ref(pool));
  until(stat_of(pool).idle == 1);
  lf_pool_unhandle(pool);
  assert_false(lf_task_done(over));
  gate_add(&hold);
  await(over);
  assert_int_equal(lf_task_state(second), LF_FINISHED);
  assert_log(2);
  lf_task_unref(first);
  lf_task_unref(second);
  lf_pool_unref(pool);
  fake_close(holder);
  lf_strand_free(g);
}

/* A pool that was shut down keeps a worker for them. */
static void the_last_worker_stays(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate hold = GATE;
  lf_pool *pool = fake_pool(&setup, 1);
  lf_strand *g = lf_strand_new();
  lf_strand_enter(g, LF_FOREVER);
  lf_task *aside = submit_to(pool, g, step_log, NUMBER(1));
  lf_task *busy = submit(pool, step_await, &hold);
  until(lf_task_state(busy) == LF_RUNNING);
  lf_pool_shutdown(pool, false);
  gate_add(&hold);
  await(busy);
  until(stat_of(pool).idle == 1 || stat_of(pool).workers == 0);
  lf_strand_leave(g);
  await(aside);
  assert_int_equal(lf_task_state(aside), LF_FINISHED);
  assert_log(1);
  assert_int_equal(setup.opened, 1);
  lf_task_unref(aside);
  lf_task_unref(busy);
  fake_close(pool);
  lf_strand_free(g);
}

/* The pool's end does not wait for whoever is inside. */
static void cancelled_ones_are_forgotten(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_strand *g = lf_strand_new();
  lf_strand_enter(g, LF_FOREVER);
  lf_task *aside = submit_to(pool, g, step_log, NUMBER(2));
  lf_task *other = submit(pool, step_log, NUMBER(1));
  await(other);
  assert_true(lf_pool_cancel(aside));
  fake_close(pool);
  assert_int_equal(lf_task_state(aside), LF_CANCELLED);
  lf_strand_leave(g);
  assert_log(1);
  lf_task_unref(aside);
  lf_task_unref(other);
  lf_strand_free(g);
}

static void threads_wait_until_a_deadline(void **state) {
  (void)state;
  lf_strand *g = lf_strand_new();
  assert_true(lf_strand_enter(g, lf_now()));
  assert_false(lf_strand_enter(g, lf_now()));
  lf_strand_leave(g);
  assert_true(lf_strand_enter(g, LF_FOREVER));
  lf_strand_leave(g);
  lf_strand_free(g);
}

static lf_strand *shared;

/* A worker that waits to enter is not waited for by a task that is to be run by
 * it. */
static bool step_enter(fake_run *run, void *arg) {
  gate *gates = arg;
  (void)run;
  gate_add(&gates[0]);
  gate_await(&gates[1], 1);
  lf_strand_enter(shared, LF_FOREVER);
  log_add(1);
  lf_strand_leave(shared);
  return true;
}

static void a_worker_that_enters_itself(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate gates[2] = {GATE, GATE};
  lf_pool *pool = fake_pool(&setup, 1);
  shared = lf_strand_new();
  lf_strand_enter(shared, LF_FOREVER);
  lf_task *aside = submit_to(pool, shared, step_log, NUMBER(2));
  lf_task *enters = submit(pool, step_enter, gates);
  gate_await(&gates[0], 1); /* so the first has been put aside */
  lf_strand_leave(shared);
  gate_add(&gates[1]);
  await(aside);
  assert_log(1, 2);
  lf_task_unref(aside);
  lf_task_unref(enters);
  fake_close(pool);
  lf_strand_free(shared);
}

/* A strand that is taken, and two pools that have a task for it: that of the
 * first, which came before, is busy until 'hold' opens. */
typedef struct {
  fake_setup setup;
  gate hold;
  lf_pool *pool, *next;
  lf_strand *strand;
  lf_task *second, *busy, *third;
} two_pools;

/* The tasks log these numbers; before them another of the idle pool logs 1. */
static void two_pools_begin(two_pools *t, int second, int third) {
  t->pool = fake_pool(&t->setup, 1);
  t->next = fake_pool(&t->setup, 1);
  t->strand = lf_strand_new();
  lf_strand_enter(t->strand, LF_FOREVER);
  t->second = submit_to(t->pool, t->strand, step_log, NUMBER(second));
  t->busy = submit(t->pool, step_await, &t->hold);
  until(lf_task_state(t->busy) == LF_RUNNING);
  t->third = submit_to(t->next, t->strand, step_log, NUMBER(third));
  lf_task *other = submit(t->next, step_log, NUMBER(1));
  await(other);
  lf_task_unref(other);
  lf_strand_leave(t->strand);
}

static void two_pools_end(two_pools *t) {
  lf_task_unref(t->second);
  lf_task_unref(t->busy);
  lf_task_unref(t->third);
  fake_close(t->pool);
  fake_close(t->next);
  lf_strand_free(t->strand);
}

/* The one whose turn it is was cancelled meanwhile. */
static void turns_are_passed_on(void **state) {
  (void)state;
  two_pools t = {.hold = GATE};
  two_pools_begin(&t, 2, 3); /* the second is in the busy pool's queue now */
  lf_pool_shutdown(t.pool, true);
  assert_int_equal(lf_task_state(t.second), LF_CANCELLED);
  await(t.third);
  assert_log(1, 3);
  gate_add(&t.hold);
  two_pools_end(&t);
}

/* The one that came first has a busy pool. */
static void idle_pools_come_first(void **state) {
  (void)state;
  two_pools t = {.hold = GATE};
  two_pools_begin(&t, 3, 2);
  await(t.third);
  assert_int_equal(lf_task_state(t.second), LF_PENDING);
  gate_add(&t.hold);
  await(t.second);
  assert_log(1, 2, 3);
  two_pools_end(&t);
}

static void *enter_often(void *arg) {
  (void)arg;
  for (int i = 0; i < 2000; i++) {
    lf_strand_enter(shared, LF_FOREVER);
    step_pass(NULL, NULL);
    lf_strand_leave(shared);
  }
  return NULL;
}

static void threads_and_tasks(void **state) {
  (void)state;
  enum { TASKS = 2000 };
  static lf_task *tasks[TASKS];
  fake_setup setup = {0};
  pthread_t threads[2];
  lf_pool *pool = fake_pool(&setup, 3);
  shared = lf_strand_new();
  inside = most = 0;
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, enter_often, NULL), 0);
  for (int i = 0; i < TASKS; i++)
    tasks[i] = submit_to(pool, shared, step_pass, NULL);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < TASKS; i++) {
    await(tasks[i]);
    lf_task_unref(tasks[i]);
  }
  assert_int_equal(most, 1);
  fake_close(pool);
  lf_strand_free(shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(one_at_a_time),
      TEST(others_run_meanwhile),
      TEST(waiting_ones_are_cancelled),
      TEST(shutdown_takes_them_along),
      TEST(the_pool_waits_for_them),
      TEST(the_last_worker_stays),
      TEST(cancelled_ones_are_forgotten),
      TEST(threads_wait_until_a_deadline),
      TEST(a_worker_that_enters_itself),
      TEST(turns_are_passed_on),
      TEST(idle_pools_come_first),
      TEST(threads_and_tasks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
