/* SPDX-License-Identifier: MIT
 *
 * Parallel loops that end early. */
#include "tests/c/fake.h"

enum { MANY = 1000 };

/* Counts the items that have begun; they wait until they may go on. */
typedef struct {
  gate begun, go;
} gates;

#define GATES                                                                  \
  { GATE, GATE }

static void wait_in_each(uint64_t item, void *arg) {
  gates *g = arg;
  (void)item;
  gate_add(&g->begun);
  gate_await(&g->go, 1);
}

/* A loop of which two items are running. */
static lf_loop *running_loop(lf_pool *pool, lf_order order, gates *g) {
  fake_body body = {.item = wait_in_each, .arg = g};
  lf_loop *loop = fake_loop(pool, body, 1, order);
  lf_loop_supply(loop, NULL, MANY);
  gate_await(&g->begun, 2);
  return loop;
}

/* Takes what has run; returns why no more did. */
static lf_stop take_rest(lf_loop *loop, int *n) {
  lf_chunk *chunk;
  lf_stop why = {.err = 1};
  lf_next next;
  for (*n = 0; (next = fake_next(loop, &chunk, &why)) == LF_CHUNK; ++*n)
    lf_chunk_free(chunk);
  assert_int_equal(next, LF_STOPPED);
  return why;
}

static void close_stops_it(void **state) {
  (void)state;
  int n;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates g = GATES;
  lf_loop *loop = running_loop(pool, LF_ORDERED, &g);
  lf_loop_close(loop);
  gate_add(&g.go);
  assert_int_equal(take_rest(loop, &n).err, 0);
  assert_int_equal(n, 2);
  lf_loop_supply(loop, NULL, 2 * MANY);
  assert_int_equal(take_rest(loop, &n).err, 0);
  assert_int_equal(gate_count(&g.begun), 2);
  lf_loop_unref(loop);
  fake_close(pool);
}

static void dropping_it_stops_nothing(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates first = GATES, second = GATES;
  lf_loop_unref(running_loop(pool, LF_ORDERED, &first));
  gate_add(&first.go);
  gate_await(&first.begun, MANY);
  lf_loop_unref(running_loop(pool, LF_UNORDERED, &second));
  lf_pool_shutdown(pool, false); /* nor does that */
  gate_add(&second.go);
  gate_await(&second.begun, MANY);
  fake_close(pool);
}

static void cancelling_the_queue_stops_it(void **state) {
  (void)state;
  for (int order = LF_ORDERED; order <= LF_UNORDERED; order++) {
    int n;
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 2);
    gates g = GATES;
    lf_loop *loop = running_loop(pool, (lf_order)order, &g);
    lf_pool_shutdown(pool, true);
    gate_add(&g.go);
    assert_int_equal(take_rest(loop, &n).err, 0);
    assert_int_equal(n, 2);
    lf_loop_unref(loop);
    fake_close(pool);
  }
}

static void an_interrupt_stops_it(void **state) {
  (void)state;
  int n;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates first = GATES, second = GATES;
  lf_loop *loop = running_loop(pool, LF_ORDERED, &first);
  lf_pool_interrupt(pool);
  gate_add(&first.go);
  assert_int_equal(take_rest(loop, &n).err, 0);
  assert_int_equal(n, 2);
  lf_loop_supply(loop, NULL, 2 * MANY); /* it does not go on with new ones */
  assert_int_equal(take_rest(loop, &n).err, 0);
  lf_loop_unref(loop);
  loop = running_loop(pool, LF_ORDERED, &second); /* but others may begin */
  gate_add(&second.go);
  gate_await(&second.begun, MANY);
  lf_loop_unref(loop);
  fake_close(pool);
}

/* Cancelled at any moment, also between a claim and the next runner. */
static void it_stops_at_any_moment(void **state) {
  (void)state;
  for (int round = 0; round < 300; round++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 1 + round % 2);
    lf_loop *loop = fake_loop(pool, (fake_body){0}, 1, LF_ORDERED);
    lf_chunk *chunk;
    lf_stop why;
    lf_loop_supply(loop, NULL, 100000000);
    assert_int_equal(fake_next(loop, &chunk, &why), LF_CHUNK);
    lf_chunk_free(chunk);
    lf_pool_shutdown(pool, true);
    await(lf_pool_over(pool));
    int n;
    assert_int_equal(take_rest(loop, &n).err, 0);
    lf_loop_unref(loop);
    lf_pool_unhandle(pool);
  }
}

static void a_broken_pool_stops_it(void **state) {
  (void)state;
  int n;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates g = GATES;
  lf_loop *loop = running_loop(pool, LF_ORDERED, &g);
  lf_pool_break(pool, "broken");
  gate_add(&g.go);
  lf_stop why = take_rest(loop, &n);
  assert_int_equal(why.err, LF_EBROKEN);
  assert_string_equal(why.text, "broken");
  assert_int_equal(n, 2);
  lf_loop_unref(loop);
  fake_close(pool);
}

static void workers_that_cannot_start_stop_it(void **state) {
  (void)state;
  const int errors[] = {LF_EBROKEN, LF_ENOMEM};
  for (int i = 0; i < 2; i++) {
    int n;
    fake_setup setup = {.open_error = errors[i], .why = "no luck"};
    lf_pool *pool = fake_pool(&setup, 2);
    lf_loop *loop = fake_loop(pool, (fake_body){0}, 1, LF_ORDERED);
    assert_int_equal(lf_loop_supply(loop, NULL, MANY), 0);
    lf_stop why = take_rest(loop, &n);
    assert_int_equal(n, 0);
    assert_true(why.err < 0);
    if (errors[i] == LF_EBROKEN)
      assert_string_equal(why.text, "no luck");
    lf_loop_unref(loop);
    fake_close(pool);
  }
}

static void a_pool_that_has_ended_stops_it(void **state) {
  (void)state;
  int n;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_loop *loop = fake_loop(pool, (fake_body){0}, 1, LF_ORDERED);
  lf_pool_shutdown(pool, false);
  await(lf_pool_over(pool));
  assert_int_equal(lf_loop_supply(loop, NULL, MANY), 0);
  assert_int_equal(take_rest(loop, &n).err, LF_ESHUTDOWN);
  lf_loop_unref(loop);
  lf_pool_unhandle(pool);
}

/* --- Who waits
 * ------------------------------------------------------------------ */

typedef struct {
  lf_waker waker;
  _Atomic int woken;
} counter;

static void count(lf_waker *waker) {
  lf_container_of(waker, counter, waker)->woken++;
}

static void who_watches_is_woken(void **state) {
  (void)state;
  int n;
  counter c = {.waker = {.wake = count}};
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates g = GATES;
  lf_loop *loop = running_loop(pool, LF_ORDERED, &g);
  assert_true(lf_loop_watch(loop, &c.waker));
  assert_int_equal(c.woken, 0);
  lf_loop_close(loop);
  gate_add(&g.go);
  until(c.woken > 0);
  until(stat_of(pool).running == 0);
  lf_loop_unwatch(loop, &c.waker);
  assert_false(lf_loop_watch(loop, &c.waker));
  lf_loop_unwatch(loop, &c.waker);
  take_rest(loop, &n);
  assert_false(lf_loop_watch(loop, &c.waker));
  lf_loop_unwatch(loop, &c.waker);
  lf_loop_unref(loop);
  fake_close(pool);
}

static void all_who_watch_are_woken(void **state) {
  (void)state;
  int n;
  counter c[3] = {{.waker = {.wake = count}},
                  {.waker = {.wake = count}},
                  {.waker = {.wake = count}}};
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates g = GATES;
  lf_loop *loop = running_loop(pool, LF_ORDERED, &g);
  for (int i = 0; i < 3; i++)
    assert_true(lf_loop_watch(loop, &c[i].waker));
  lf_loop_unwatch(loop, &c[1].waker);
  lf_loop_close(loop);
  gate_add(&g.go);
  until(c[0].woken > 0 && c[2].woken > 0);
  assert_int_equal(c[1].woken, 0);
  lf_loop_unwatch(loop, &c[0].waker);
  lf_loop_unwatch(loop, &c[2].waker);
  take_rest(loop, &n);
  lf_loop_unref(loop);
  fake_close(pool);
}

static bool count_running(lf_task *task, void *n) {
  *(int *)n += lf_task_state(task) == LF_RUNNING;
  return true;
}

/* Who waits for a loop waits for the tasks that run its chunks. */
static void it_awaits_its_runners(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  gates g = GATES;
  lf_loop *loop = running_loop(pool, LF_ORDERED, &g);
  lf_waits *waits = lf_loop_waits(loop);
  int running = 0;
  waits->each(waits, count_running, &running);
  assert_int_equal(running, 2);
  assert_false(waits->any);
  lf_runner *runner = lf_runner_new(loop, NULL);
  assert_false(lf_runner_ops.is_awaited(&runner->task));
  waits->count(waits, 1);
  assert_true(lf_runner_ops.is_awaited(&runner->task));
  waits->count(waits, -1);
  lf_task_unref(&runner->task);
  lf_loop_close(loop);
  gate_add(&g.go);
  int n;
  take_rest(loop, &n);
  waits->each(waits, count_running, &running);
  assert_int_equal(running, 2);
  lf_loop_unref(loop);
  fake_close(pool);
}

/* What tells of the loop's end. */
static lf_task *seal(lf_loop *loop) {
  lf_task *over = lf_task_new(NULL);
  lf_task_start(over);
  lf_loop_seal(loop, lf_task_ref(over));
  return over;
}

static void its_end_is_told(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  for (int items = 0; items <= MANY; items += MANY / 2) {
    lf_loop *loop = fake_loop(pool, (fake_body){0}, 7, LF_ORDERED);
    lf_chunk *chunk;
    lf_stop why;
    lf_next next;
    lf_loop_supply(loop, NULL, (uint64_t)items);
    lf_task *over = seal(loop);
    assert_true(items > 0 || lf_task_done(over));
    await(over);
    uint64_t n = 0;
    for (; (next = lf_loop_next(loop, &chunk, &why)) == LF_CHUNK; n += 7)
      lf_chunk_free(chunk);
    assert_int_equal(next, LF_END);
    assert_int_equal(n, (items + 6) / 7 * 7);
    lf_task_unref(over);
    lf_loop_unref(loop);
  }
  fake_close(pool);
}

static void its_end_is_when_nothing_runs(void **state) {
  (void)state;
  for (int closed = 0; closed <= 1; closed++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 2);
    gates g = GATES;
    lf_loop *loop = running_loop(pool, LF_ORDERED, &g);
    lf_task *over = seal(loop);
    if (closed)
      lf_loop_close(loop);
    else
      lf_pool_shutdown(pool, true);
    assert_false(lf_task_done(over));
    lf_loop_unref(loop); /* nobody takes the results */
    gate_add(&g.go);
    await(over);
    assert_int_equal(gate_count(&g.begun), 2);
    lf_task_unref(over);
    fake_close(pool);
  }
}

/* Cancelled at any moment, as above. */
static void its_end_is_told_at_any_moment(void **state) {
  (void)state;
  for (int round = 0; round < 300; round++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 1 + round % 2);
    lf_loop *loop = fake_loop(pool, (fake_body){0}, 1, LF_ORDERED);
    lf_chunk *chunk;
    lf_stop why;
    lf_loop_supply(loop, NULL, 100000000);
    lf_task *over = seal(loop);
    assert_int_equal(fake_next(loop, &chunk, &why), LF_CHUNK);
    lf_chunk_free(chunk);
    lf_pool_shutdown(pool, true);
    await(over);
    await(lf_pool_over(pool));
    lf_task_unref(over);
    lf_loop_unref(loop);
    lf_pool_unhandle(pool);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(close_stops_it),
      TEST(dropping_it_stops_nothing),
      TEST(cancelling_the_queue_stops_it),
      TEST(an_interrupt_stops_it),
      TEST(it_stops_at_any_moment),
      TEST(a_broken_pool_stops_it),
      TEST(workers_that_cannot_start_stop_it),
      TEST(a_pool_that_has_ended_stops_it),
      TEST(who_watches_is_woken),
      TEST(all_who_watch_are_woken),
      TEST(it_awaits_its_runners),
      TEST(its_end_is_told),
      TEST(its_end_is_when_nothing_runs),
      TEST(its_end_is_told_at_any_moment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
