/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/task/chain.h"

static lf_task *running(void) {
  lf_task *t = lf_task_new(NULL);
  lf_task_start(t);
  return t;
}

/* A task of the pool that does fn(arg), after the other. */
static lf_task *after(lf_pool *pool, lf_task *first, fake_step *fn, void *arg) {
  lf_task *model = fake_task(pool, fn, arg, NULL);
  lf_dependent *d = lf_chain_new(lf_pool_owner(pool), first);
  assert_int_equal(lf_buf_move(&d->task.data, &model->data), 0);
  lf_task_unref(model);
  assert_int_equal(lf_pool_follow(pool, d), 0);
  return &d->task;
}

static void finish(lf_task *t) {
  await(t);
  lf_task_unref(t);
}

static void end(lf_task *t, lf_state state) {
  lf_task_end(t, state);
  lf_task_unref(t);
}

static void is_run_when_the_other_has_finished(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *first = running();
  lf_task *t = after(pool, first, step_log, NUMBER(1));
  assert_int_equal(stat_of(pool).queued, 1);
  finish(submit(pool, step_log, NUMBER(0)));
  end(first, LF_FINISHED);
  finish(t);
  assert_log(0, 1);
  fake_close(pool);
}

static void a_pool_ends_after_what_it_holds(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *first = running();
  lf_task_unref(after(pool, first, step_log, NUMBER(1)));
  lf_dependent *late = lf_chain_new(lf_pool_owner(pool), first);
  lf_pool_shutdown(pool, false);
  assert_int_equal(lf_pool_follow(pool, late), LF_ESHUTDOWN);
  lf_task_unref(&late->task);
  assert_false(lf_task_done(lf_pool_over(pool)));
  end(first, LF_FINISHED);
  await(lf_pool_over(pool));
  assert_log(1);
  lf_pool_unhandle(pool);
}

static void ends_as_the_other_unless_that_has_finished(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *failing = running(), *cancelled = lf_task_new(NULL);
  lf_task *t = after(pool, failing, step_log, NUMBER(1));
  lf_task *u = after(pool, t, step_log, NUMBER(2));
  lf_task *v = after(pool, cancelled, step_log, NUMBER(3));
  lf_buf_put(&failing->data, "why", 3);
  end(failing, LF_FAILED);
  assert_int_equal(lf_task_state(u), LF_FAILED);
  assert_memory_equal(u->data.data, "why", 3);
  lf_task_cancel(cancelled);
  assert_int_equal(lf_task_state(v), LF_CANCELLED);
  assert_int_equal(stat_of(pool).queued, 0);
  assert_int_equal(stat_of(pool).failed, 2);
  assert_int_equal(stat_of(pool).cancelled, 1);
  lf_task_unref(cancelled);
  lf_task_unref(t);
  lf_task_unref(u);
  lf_task_unref(v);
  fake_close(pool);
  assert_int_equal(log_len(), 0);
}

static void can_be_cancelled_before(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *first = running();
  lf_task *t = after(pool, first, step_log, NUMBER(1));
  lf_task *u = after(pool, t, step_log, NUMBER(2));
  assert_true(lf_pool_cancel(t));
  assert_int_equal(lf_task_state(u), LF_CANCELLED);
  lf_task_unref(t);
  lf_task_unref(u);
  fake_close(pool); /* does not wait for the first */
  end(first, LF_FINISHED);
  assert_int_equal(log_len(), 0);
}

/* At once, not when the other ends. */
static void is_cancelled_with_all_that_is_queued(void **state) {
  (void)state;
  enum { MANY = 1000 };
  static lf_task *tasks[MANY];
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *first = running();
  for (int i = 0; i < MANY; i++)
    tasks[i] = after(pool, i % 2 ? tasks[i - 1] : first, step_log, NUMBER(1));
  lf_pool_shutdown(pool, true);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(lf_task_state(tasks[i]), LF_CANCELLED);
    lf_task_unref(tasks[i]);
  }
  fake_close(pool);
  end(first, LF_FINISHED);
  assert_int_equal(log_len(), 0);
}

enum { LONG = 100000 };

static void a_long_one_is_run_step_by_step(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *first = running(), *last = lf_task_ref(first);
  for (int i = 0; i < LONG; i++) {
    lf_dependent *d = lf_chain_new(lf_pool_owner(pool), last);
    lf_task_unref(last);
    assert_int_equal(lf_pool_follow(pool, d), 0);
    last = &d->task;
  }
  end(first, LF_FINISHED);
  finish(last);
  assert_int_equal(stat_of(pool).finished, LONG);
  fake_close(pool);
}

static void *end_it(void *arg) {
  end(arg, LF_FINISHED);
  return NULL;
}

/* The other's end, its own cancellation and its pool's come at once. */
static void ends_once_whoever_comes_first(void **state) {
  (void)state;
  for (int i = 0; i < 2000; i++) {
    fake_setup setup = {0};
    pthread_t thread;
    lf_pool *pool = fake_pool(&setup, 1);
    lf_task *first = running();
    lf_task *t = after(pool, first, step_add, &(gate)GATE);
    lf_task *u = after(pool, t, step_add, &(gate)GATE);
    pthread_create(&thread, NULL, end_it, first);
    if (i % 2)
      lf_pool_cancel(t);
    else
      lf_pool_shutdown(pool, true);
    pthread_join(thread, NULL);
    finish(t);
    finish(u);
    fake_close(pool);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(is_run_when_the_other_has_finished),
      TEST(a_pool_ends_after_what_it_holds),
      TEST(ends_as_the_other_unless_that_has_finished),
      TEST(can_be_cancelled_before),
      TEST(is_cancelled_with_all_that_is_queued),
      TEST(a_long_one_is_run_step_by_step),
      TEST(ends_once_whoever_comes_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
