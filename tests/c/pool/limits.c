/* SPDX-License-Identifier: MIT
 *
 * What a task may take: limits on their way, items of loops that are given up
 * or have not begun in time. */
#include "runtime/pool/limits.h"
#include "tests/c/fake.h"

#include <string.h>

enum { BRIEF = 1000000 }; /* ns */

static lf_limits *new_limits(int64_t timeout, int64_t queue_timeout) {
  lf_limits *l = lf_limits_new(NULL, NULL, 0);
  assert_non_null(l);
  l->timeout = timeout;
  l->queue_timeout = queue_timeout;
  l->grace = BRIEF;
  return l;
}

static void are_copied_with_a_name(void **state) {
  (void)state;
  lf_limits *l = new_limits(5, LF_FOREVER);
  assert_string_equal(l->name, "");
  lf_limits *named = lf_limits_new(l, "name", 4);
  lf_limits *again = lf_limits_new(named, NULL, 0);
  lf_limits none;
  lf_limits_copy(&none, NULL);
  assert_int_equal(again->timeout, 5);
  assert_string_equal(again->name, "name");
  assert_true(lf_limits_are_of_each(again));
  assert_false(lf_limits_are_of_each(&none));
  lf_limits_unref(l);
  lf_limits_unref(named);
  lf_limits_unref(again);
}

static lf_limits *received(const void *bytes, size_t len) {
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  assert_int_equal(lf_buf_put(&buf, bytes, len), 0);
  lf_limits *l = lf_limits_from(&buf);
  lf_buf_fini(&buf);
  return l;
}

static void are_sent_as_they_are(void **state) {
  (void)state;
  size_t len;
  lf_limits *l = new_limits(7, 8);
  lf_limits *named = lf_limits_new(l, "a name", 6);
  named->memory = 9;
  named->retries = 10;
  named->priority = -11;
  const unsigned char *bytes = lf_limits_bytes(named, &len);
  lf_limits *copy = received(bytes, len);
  assert_non_null(copy);
  assert_int_equal(copy->timeout, 7);
  assert_int_equal(copy->queue_timeout, 8);
  assert_int_equal(copy->memory, 9);
  assert_int_equal(copy->retries, 10);
  assert_int_equal(copy->priority, -11);
  assert_string_equal(copy->name, "a name");
  for (size_t n = 0; n < len; n++) /* what comes may be anything */
    assert_null(received(bytes, n));
  named->timeout = 0;
  assert_null(received(bytes, len));
  lf_limits_unref(copy);
  lf_limits_unref(named);
  lf_limits_unref(l);
}

/* --- Items ------------------------------------------------------------------
 */

typedef struct {
  gate begun, go;
} gates;

/* The second one waits. */
static void wait_in_second(uint64_t item, void *arg) {
  gates *g = arg;
  gate_add(&g->begun);
  if (item == 1)
    gate_await(&g->go, 1);
}

static lf_loop *loop_with(lf_pool *pool, fake_body body, lf_order order,
                          lf_limits *limits) {
  lf_loop *loop = fake_loop(pool, body, 0, order);
  lf_loop_limit(loop, limits);
  lf_limits_unref(limits);
  return loop;
}

/* All of them, each a chunk; the number of those stopped for the reason. */
static int stopped_of(lf_loop *loop, int items, lf_reason reason) {
  int stopped = 0;
  for (int i = 0; i < items; i++) {
    lf_chunk *c;
    lf_stop why;
    assert_int_equal(fake_next(loop, &c, &why), LF_CHUNK);
    assert_int_equal(c->count, 1);
    assert_int_equal(c->failed, c->reason != LF_GO_ON);
    if (c->failed)
      assert_int_equal(c->reason, reason);
    stopped += c->failed;
    lf_chunk_free(c);
  }
  return stopped;
}

/* It hangs: others take the place of its worker, which comes back later. */
static void an_item_that_hangs_fails_alone(void **state) {
  (void)state;
  for (int order = LF_ORDERED; order <= LF_UNORDERED; order++) {
    fake_setup setup = {0};
    lf_pool *pool = fake_pool(&setup, 2);
    gates g = {GATE, GATE};
    fake_body body = {.item = wait_in_second, .arg = &g};
    lf_loop *loop =
        loop_with(pool, body, (lf_order)order, new_limits(BRIEF, LF_FOREVER));
    assert_int_equal(lf_loop_supply(loop, NULL, 5), 0);
    assert_true(stopped_of(loop, 5, LF_STOP_TIMEOUT) >= 1);
    gate_add(&g.go);
    lf_loop_unref(loop);
    fake_close(pool);
    until(setup.closed == setup.opened);
  }
}

static void items_that_have_not_begun_in_time(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE, go = GATE;
  lf_task_unref(submit(pool, step_add, &busy, step_await, &go));
  gate_await(&busy, 1);
  lf_loop *loop = loop_with(pool, (fake_body){0}, LF_ORDERED,
                            new_limits(LF_FOREVER, BRIEF));
  assert_int_equal(lf_loop_supply(loop, NULL, 3), 0);
  assert_int_equal(stopped_of(loop, 3, LF_STOP_QUEUE), 3);
  gate_add(&go);
  lf_loop_unref(loop);
  fake_close(pool);
}

/* What runs is asked to stop, which these items do not; nothing more begins. */
static void a_loop_is_stopped(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  gates g = {GATE, GATE};
  fake_body body = {.item = wait_in_second, .arg = &g};
  lf_limits *limits = new_limits(LF_FOREVER, LF_FOREVER);
  lf_loop *loop = loop_with(pool, body, LF_ORDERED, limits);
  assert_int_equal(lf_loop_supply(loop, NULL, 2), 0);
  gate_await(&g.begun, 2);
  lf_loop_stop(loop);
  lf_task *over = lf_task_new(NULL);
  lf_task_start(over);
  lf_task_ref(over);
  lf_loop_seal(loop, over);
  await(over); /* also while one hangs */
  lf_task_unref(over);
  gate_add(&g.go);
  lf_loop_unref(loop);
  fake_close(pool);
  until(setup.closed == setup.opened); /* those that hung, too */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(are_copied_with_a_name),
      TEST(are_sent_as_they_are),
      TEST(an_item_that_hangs_fails_alone),
      TEST(items_that_have_not_begun_in_time),
      TEST(a_loop_is_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
