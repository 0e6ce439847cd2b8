/* SPDX-License-Identifier: MIT
 *
 * How many workers there are, and how many of them run: max_workers, those
 * that are blocked or parked, and who takes their place. */
#include "runtime/os/clock.h"
#include "runtime/pool/current.h"
#include "tests/c/fake.h"

static void starts_on_demand(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  gate busy = GATE, go = GATE;
  assert_int_equal(stat_of(pool).workers, 0);
  for (int i = 1; i <= 5; i++) {
    int running = i < 3 ? i : 3;
    lf_task_unref(submit(pool, step_add, &busy, step_await, &go));
    gate_await(&busy, running);
    assert_int_equal(stat_of(pool).workers, running);
  }
  assert_int_equal(stat_of(pool).queued, 2);
  gate_add(&go);
  fake_close(pool);
  assert_int_equal(setup.most, 3);
  assert_int_equal(setup.opened, 3);
  assert_int_equal(setup.closed, 3);
}

static void idle_ones_are_used_first(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 4);
  for (int i = 0; i < 50; i++) {
    lf_task *task = submit(pool, step_log, NUMBER(i));
    await(task);
    lf_task_unref(task);
    until(stat_of(pool).idle == 1);
  }
  /* One that just then looks whether there is garbage is not idle. */
  assert_true(stat_of(pool).workers < 4);
  fake_close(pool);
}

/* Submits some that submit some; every third one is blocked in between. */
static gate open_gate;

static bool step_spread(fake_run *run, void *arg) {
  lf_pool *pool = lf_worker_pool(run->vm->worker);
  intptr_t depth = (intptr_t)arg;
  if (depth % 3 == 1)
    step_block(run, &open_gate);
  for (int i = 0; i < 3 && depth > 0; i++)
    lf_task_unref(submit(pool, step_spread, NUMBER(depth - 1)));
  return true;
}

static void never_more_than_max_workers(void **state) {
  (void)state;
  open_gate = (gate)GATE;
  gate_add(&open_gate);
  for (int workers = 1; workers <= 3; workers++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, workers);
    for (int i = 0; i < 5; i++)
      lf_task_unref(submit(pool, step_spread, NUMBER(4)));
    fake_drop(pool);
    assert_true(setup.most <= workers);
    assert_int_equal(setup.running, 0);
    assert_int_equal(setup.opened, setup.closed);
  }
}

/* --- Blocked ---------------------------------------------------------------
 */

static void another_stands_in_for_a_blocked_one(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate opened = GATE;
  lf_task *blocked = submit(pool, step_block, &opened, step_log, NUMBER(2));
  lf_task *opener = submit(pool, step_log, NUMBER(1), step_add, &opened);
  await(blocked);
  assert_log(1, 2);
  assert_int_equal(setup.most, 1);
  until(stat_of(pool).workers == 1); /* the other one leaves */
  lf_task_unref(blocked);
  lf_task_unref(opener);
  fake_close(pool);
}

enum { CHAIN = 20 };

/* Each is blocked until the next has run; the last one was submitted last. */
static void a_chain_of_blocked_ones(void **state) {
  (void)state;
  static gate gates[CHAIN + 1];
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  for (int i = 0; i <= CHAIN; i++)
    gates[i] = (gate)GATE;
  for (int i = 0; i < CHAIN; i++)
    lf_task_unref(submit(pool, step_block, &gates[i + 1], step_add, &gates[i]));
  until(setup.opened >= CHAIN);
  gate_add(&gates[CHAIN]);
  gate_await(&gates[0], 1);
  assert_true(setup.most <= 2);
  until(stat_of(pool).workers <= 2);
  fake_close(pool);
}

/* The inner task is pending when its submitter is blocked. */
static void a_blocked_ones_own_tasks_run(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  for (int i = 0; i < 100; i++) {
    gate done = GATE;
    lf_task *inner = fake_task(pool, step_add, &done, NULL);
    lf_task *outer = submit(pool, step_submit, inner, step_block, &done);
    await(outer);
    lf_task_unref(outer);
  }
  assert_int_equal(setup.most, 1);
  fake_close(pool);
}

static bool step_block_for_pinned(fake_run *run, void *arg) {
  lf_worker *w = run->vm->worker;
  lf_task *task;
  gate_add(arg);
  lf_worker_block(w);
  until((task = lf_worker_pinned(w)));
  lf_worker_unblock(w);
  lf_task_cancel(task);
  lf_task_unref(task);
  return true;
}

static void a_blocked_one_finds_what_is_pinned(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate blocked = GATE;
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *outer = submit(pool, step_block_for_pinned, &blocked);
  gate_await(&blocked, 1);
  lf_task *pinned = fake_task(pool, step_log, NUMBER(1), NULL);
  assert_int_equal(lf_pool_broadcast(pool, &pinned, lf_pool_count(pool)), 0);
  await(outer);
  assert_int_equal(lf_task_state(pinned), LF_CANCELLED);
  lf_task_unref(outer);
  lf_task_unref(pinned);
  fake_close(pool);
}

/* --- Parked ----------------------------------------------------------------
 */

static void a_parked_one_frees_its_worker(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *last = fake_task(pool, step_log, NUMBER(1), NULL);
  lf_task *middle = submit(pool, step_wait, last, step_log, NUMBER(2));
  lf_task *first = submit(pool, step_wait, middle, step_log, NUMBER(3));
  fake_submit(pool, last);
  await(first);
  assert_log(1, 2, 3);
  assert_int_equal(setup.opened, 1);
  lf_task_unref(first);
  lf_task_unref(middle);
  lf_task_unref(last);
  fake_close(pool);
}

static _Atomic int strangers;

static bool step_note_worker(fake_run *run, void *arg) {
  *(lf_worker **)arg = lf_worker_self();
  return run != NULL;
}

static bool step_check_worker(fake_run *run, void *arg) {
  strangers += *(lf_worker **)arg != lf_worker_self();
  strangers += lf_worker_self() != run->vm->worker;
  return true;
}

static void it_goes_on_where_it_was(void **state) {
  (void)state;
  enum { MANY = 300 };
  static lf_worker *workers[MANY];
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  lf_task *awaited = fake_task(pool, step_log, NUMBER(1), NULL);
  for (int i = 0; i < MANY; i++)
    lf_task_unref(submit(pool, step_note_worker, &workers[i], step_wait,
                         awaited, step_check_worker, &workers[i]));
  until(stat_of(pool).queued == 0);
  fake_submit(pool, awaited);
  fake_close(pool);
  lf_task_unref(awaited);
  assert_int_equal(strangers, 0);
  assert_true(setup.most <= 3);
}

static bool step_nap(fake_run *run, void *arg) {
  int64_t *until = arg;
  if (run->resumed)
    log_add(lf_now() >= *until);
  else
    fake_park(run, *until);
  return run->resumed;
}

static void a_deadline_wakes_it(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  int64_t now = lf_now();
  int64_t later[] = {now + 3000000, now - 1, now + 1000000, now + 2000000};
  for (int i = 0; i < 4; i++)
    lf_task_unref(submit(pool, step_nap, &later[i]));
  fake_close(pool);
  assert_log(1, 1, 1, 1);
}

/* Woken by an outside thread (or several), in any moment. */
static _Atomic(lf_waker *) waker;

static bool step_sleep(fake_run *run, void *arg) {
  (void)arg;
  if (run->resumed)
    return true;
  fake_park(run, LF_FOREVER);
  waker = &run->base.waker;
  return false;
}

static void a_waker_wakes_it(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  for (int i = 0; i < 500; i++) {
    waker = NULL;
    lf_task *task = submit(pool, step_sleep, NULL);
    until(waker);
    lf_waker *w = waker;
    w->wake(w);
    w->wake(w); /* more often than needed */
    await(task);
    w->wake(w); /* late */
    lf_task_unref(task);
  }
  fake_close(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(starts_on_demand),
      TEST(idle_ones_are_used_first),
      TEST(never_more_than_max_workers),
      TEST(another_stands_in_for_a_blocked_one),
      TEST(a_chain_of_blocked_ones),
      TEST(a_blocked_ones_own_tasks_run),
      TEST(a_blocked_one_finds_what_is_pinned),
      TEST(a_parked_one_frees_its_worker),
      TEST(it_goes_on_where_it_was),
      TEST(a_deadline_wakes_it),
      TEST(a_waker_wakes_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
