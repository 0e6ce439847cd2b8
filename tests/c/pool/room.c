/* SPDX-License-Identifier: MIT
 *
 * How many tasks may wait, and who waits until there are less. */
#include "runtime/pool/room.h"

#include "runtime/pool/internal.h"
#include "runtime/pool/limits.h"
#include "tests/c/fake.h"

/* A pool of one worker that is busy until the gate is open. */
static lf_pool *occupied(fake_setup *setup, size_t max_queue, gate *go) {
  static gate busy;
  busy = (gate)GATE;
  lf_pool *pool = fake_pool(setup, 1);
  pool->o.max_queue = max_queue;
  lf_task_unref(submit(pool, step_add, &busy, step_await, go));
  gate_await(&busy, 1);
  return pool;
}

/* A task without steps, with a place; NULL: there is none. */
static lf_task *take(lf_pool *pool, bool anyway) {
  lf_task *t = lf_limited_new(lf_pool_owner(pool), NULL);
  if (lf_limited_take_room(t, anyway))
    return t;
  lf_task_unref(t);
  return NULL;
}

static void many_are_let_in(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = occupied(&setup, 0, &go);
  assert_false(lf_room_is_limited(pool));
  gate_add(&go);
  fake_close(pool);
}

static void a_place_is_given_back(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_pool *pool = occupied(&setup, 2, &go);
  assert_true(lf_room_is_limited(pool));
  lf_task *a = take(pool, false), *b = take(pool, false);
  assert_true(lf_room_is_full(pool));
  assert_null(take(pool, false));
  lf_task *c = take(pool, true);
  assert_true(lf_task_start(a)); /* by beginning, */
  assert_true(lf_room_is_full(pool));
  assert_true(lf_task_cancel(b)); /* being cancelled, */
  assert_false(lf_room_is_full(pool));
  lf_task *d = take(pool, false);
  assert_null(take(pool, false));
  lf_task_unref(c); /* being dropped, */
  lf_task *e = take(pool, false);
  assert_null(take(pool, false));
  lf_limited_give_room(e); /* or before it is queued, once */
  lf_limited_give_room(e);
  assert_false(lf_room_is_full(pool));
  lf_task_end(a, LF_FINISHED);
  assert_int_equal(pool->waiting, 1);
  lf_task_unref(a);
  lf_task_unref(b);
  lf_task_unref(d);
  lf_task_unref(e);
  assert_int_equal(pool->waiting, 0);
  gate_add(&go);
  fake_close(pool);
}

static void who_waits_is_told(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  lf_task *room = NULL, *same = NULL;
  lf_pool *pool = occupied(&setup, 1, &go);
  assert_int_equal(lf_room_await(pool, &room), 0);
  assert_null(room);
  lf_task *t = take(pool, false), *more = take(pool, true);
  assert_int_equal(lf_room_await(pool, &room), 0);
  assert_int_equal(lf_room_await(pool, &same), 0);
  assert_ptr_equal(room, same);
  lf_task_cancel(t);
  assert_int_equal(lf_task_state(room), LF_RUNNING); /* still full */
  lf_task_cancel(more);
  assert_int_equal(lf_task_state(room), LF_FINISHED);
  lf_task_unref(t);
  lf_task_unref(more);
  lf_task_unref(room);
  lf_task_unref(same);
  gate_add(&go);
  fake_close(pool);
}

static void a_pool_that_takes_no_more_tells(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    fake_setup setup = {0};
    gate go = GATE;
    lf_task *room;
    lf_pool *pool = occupied(&setup, 1, &go);
    lf_task *t = take(pool, false);
    assert_int_equal(lf_room_await(pool, &room), 0);
    assert_int_equal(lf_task_state(room), LF_RUNNING);
    if (i == 0)
      lf_pool_shutdown(pool, false);
    else
      lf_pool_break(pool, "no");
    assert_int_equal(lf_task_state(room), LF_FINISHED);
    lf_task_unref(room);
    assert_int_equal(lf_room_await(pool, &room), 0);
    assert_null(room);
    lf_task_unref(t);
    gate_add(&go);
    fake_close(pool);
  }
}

enum { ROUNDS = 20000, TAKERS = 3 };

static _Atomic int inside, most;

static void *take_and_give(void *arg) {
  lf_pool *pool = arg;
  for (int i = 0; i < ROUNDS; i++) {
    lf_task *room;
    while (!lf_room_take(pool, false))
      if (lf_room_await(pool, &room) == 0 && room) {
        until(lf_task_done(room));
        lf_task_unref(room);
      }
    int n = ++inside;
    most = n > most ? n : most;
    inside--;
    lf_room_give(pool);
  }
  return NULL;
}

static void nobody_waits_for_ever(void **state) {
  (void)state;
  fake_setup setup = {0};
  gate go = GATE;
  pthread_t threads[TAKERS];
  lf_pool *pool = occupied(&setup, TAKERS - 1, &go);
  for (int i = 0; i < TAKERS; i++)
    pthread_create(&threads[i], NULL, take_and_give, pool);
  for (int i = 0; i < TAKERS; i++)
    pthread_join(threads[i], NULL);
  assert_in_range(most, 1, TAKERS - 1);
  assert_int_equal(pool->waiting, 0);
  gate_add(&go);
  fake_close(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(many_are_let_in),       TEST(a_place_is_given_back),
      TEST(who_waits_is_told),     TEST(a_pool_that_takes_no_more_tells),
      TEST(nobody_waits_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
