/* SPDX-License-Identifier: MIT
 *
 * What is counted of a pool's tasks, by its workers and others, also when the
 * pool has ended. */
#include "runtime/pool/profile.h"

#include "tests/c/fake.h"

static lf_code *code_of(const char *label) {
  return lf_code_get(label, strlen(label), label, NULL);
}

static void add_calls(const lf_tally *t, void *arg) {
  *(uint64_t *)arg += t->calls;
}

static uint64_t calls_of(lf_profile *f, int *workers) {
  uint64_t calls = 0;
  lf_profile_each(f, add_calls, &calls, workers);
  return calls;
}

static lf_task *run(lf_pool *pool, lf_code *code) {
  lf_task *t = fake_task(pool, step_log, NUMBER(1), NULL);
  t->code = lf_code_ref(code);
  fake_submit(pool, t);
  await(t);
  return t;
}

static void of_workers(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_code *code = code_of("function <a.lua:1>");
  lf_profile *f = lf_profile_ref(lf_pool_profile(pool));
  const lf_times chunk = {.begun = 1, .ns = {[LF_PHASE_RUN] = 10}};
  int workers;
  int64_t first, last;
  assert_int_equal(calls_of(f, &workers), 0);
  assert_false(lf_profile_window(f, &first, &last));
  for (int i = 0; i < 5; i++)
    lf_task_unref(run(pool, code));
  assert_int_equal(calls_of(f, &workers), 5);
  assert_in_range(workers, 1, 2);
  lf_profile_chunk(f, code, 7, 1, &chunk);
  assert_int_equal(calls_of(f, &workers), 12);
  assert_true(lf_profile_window(f, &first, &last));
  assert_int_equal(first, 1);
  assert_int_equal(last, 11);
  fake_close(pool);
  assert_int_equal(calls_of(f, &workers), 12);
  assert_in_range(workers, 1, 2);
  assert_string_equal(f->kind, "thread");
  lf_profile_unref(f);
  lf_code_unref(code);
}

static void before_a_run(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  lf_task *t = fake_task(pool, step_log, NUMBER(1), NULL);
  lf_times times;
  lf_metered metered;
  assert_false(lf_profile_begin(t, &times, &metered)); /* is not timed */
  assert_null(metered.times);
  lf_task_set_born(t, 7);
  assert_true(lf_profile_begin(t, &times, &metered));
  assert_ptr_equal(metered.times, &times);
  assert_true(times.fine);
  assert_int_equal(metered.flow, 7);
  lf_task_set_born(t, 8);
  lf_profile_begin(t, &times, &metered);
  assert_false(times.fine);
  lf_task_cancel(t);
  lf_task_unref(t);
  fake_close(pool);
}

/* All that are there can be walked through, while others come and go. */
static void walk(void **state) {
  (void)state;
  fake_setup setups[3] = {{0}};
  lf_pool *pools[3];
  int seen = 0;
  for (int i = 0; i < 3; i++)
    pools[i] = fake_pool(&setups[i], 1);
  lf_profile *f = lf_profiles_next(NULL);
  for (; f; f = lf_profiles_next(f))
    seen++;
  assert_int_equal(seen, 3);
  for (int i = 0; i < 3; i++)
    fake_close(pools[i]);
  assert_null(lf_profiles_next(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(of_workers),
      TEST(before_a_run),
      TEST(walk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
