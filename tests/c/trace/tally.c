/* SPDX-License-Identifier: MIT
 *
 * Counts of functions: runs and chunks, what was timed of them, and how counts
 * are added up. */
#include "runtime/trace/tally.h"

#include "runtime/trace/trace.h"

#include "tests/c/fake.h"

static lf_code *code_of(const char *label) {
  return lf_code_get(label, strlen(label), label, NULL);
}

static const lf_times timed = {
    .born = 1000,
    .begun = 3000,
    .fine = true,
    .ns = {[LF_PHASE_RUN] = 500, [LF_PHASE_PACK] = 30, [LF_PHASE_UNPACK] = 20},
    .sent = 10,
    .received = 7};

static void runs(void **state) {
  (void)state;
  lf_tallies all = {0};
  lf_code *f = code_of("function <a.lua:1>"),
          *g = code_of("function <a.lua:2>");
  const lf_times bytes = {.sent = 1, .received = 2};
  lf_tallies_run(&all, f, false, &timed);
  lf_tallies_run(&all, g, true, &bytes);
  lf_tallies_run(&all, f, true, &bytes);
  lf_tallies_run(&all, NULL, false, &timed); /* of nothing that has a name */
  lf_tally *of_g = all.first, *of_f = of_g->next;
  assert_null(of_f->next);
  assert_ptr_equal(of_f->code, f);
  assert_int_equal(of_f->calls, 2);
  assert_int_equal(of_f->failures, 1);
  assert_int_equal(of_f->sent, 11);
  assert_int_equal(of_f->received, 9);
  assert_int_equal(of_f->timed, 1);
  assert_int_equal(of_f->run, 500);
  assert_int_equal(of_f->longest, 500);
  assert_int_equal(of_f->queued, 2000);
  assert_int_equal(of_f->busy, 550);
  assert_int_equal(of_f->fine_packed, 30);
  assert_int_equal(of_f->fine_unpacked, 20);
  assert_int_equal(of_g->calls, 1);
  assert_int_equal(of_g->failures, 1);
  assert_int_equal(of_g->timed, 0);
  assert_int_equal(all.begun, 3000);
  assert_int_equal(all.ended, 3550);
  lf_tallies_fini(&all);
  lf_code_unref(f);
  lf_code_unref(g);
}

static void chunks(void **state) {
  (void)state;
  lf_tallies all = {0};
  lf_code *f = code_of("function <a.lua:1>");
  const lf_times chunk = {.begun = 100, .ns = {[LF_PHASE_RUN] = 1000}};
  lf_tallies_chunk(&all, f, 10, 2, &chunk);
  lf_tallies_chunk(&all, f, 0, 0, &chunk); /* nothing of it was run */
  lf_tally *t = all.first;
  assert_int_equal(t->calls, 10);
  assert_int_equal(t->items, 10);
  assert_int_equal(t->failures, 2);
  assert_int_equal(t->longest,
                   100); /* each took the same, as far as is known */
  lf_tallies_fini(&all);
  lf_code_unref(f);
}

static void slow_functions(void **state) {
  (void)state;
  lf_tallies all = {0};
  lf_code *f = code_of("function <a.lua:1>");
  lf_times times = {.begun = 1, .ns = {[LF_PHASE_RUN] = 1000000}};
  assert_false(lf_code_is_slow(f));
  assert_false(lf_code_is_slow(NULL));
  lf_tallies_run(&all, f, false, &times);
  assert_true(lf_code_is_slow(f));
  times.ns[LF_PHASE_RUN] = 100;
  lf_tallies_run(&all, f, false, &times);
  assert_false(lf_code_is_slow(f));
  lf_tallies_fini(&all);
  lf_code_unref(f);
}

/* If none is missed, they stand for themselves alone. */
static void long_runs(void **state) {
  (void)state;
  lf_tallies all = {0}, sum = {0};
  lf_code *f = code_of("function <a.lua:1>");
  const lf_times one = {
      .begun = 1, .ns = {[LF_PHASE_RUN] = LF_LONG_NS, [LF_PHASE_PACK] = 7}};
  lf_tallies_run(&all, f, false, &timed);
  lf_tallies_run(&all, f, false, &one); /* one of a sample */
  lf_tally *t = all.first;
  assert_int_equal(t->timed, 2);
  assert_int_equal(t->longs, 0);
  lf_time_as(LF_TIME_LONG);
  lf_tallies_run(&all, f, false, &one);
  lf_tallies_run(&all, f, false, &timed);
  lf_time_as(0);
  assert_int_equal(t->calls, 4);
  assert_int_equal(t->timed, 3);
  assert_int_equal(t->longest, LF_LONG_NS);
  lf_tallies_move(&sum, &all);
  t = sum.first;
  assert_int_equal(t->longs, 1);
  assert_int_equal(t->long_run, LF_LONG_NS);
  assert_int_equal(t->long_busy, LF_LONG_NS + 7);
  lf_tallies_fini(&sum);
  lf_code_unref(f);
}

static void sums(void **state) {
  (void)state;
  lf_tallies a = {0}, b = {0};
  lf_code *f = code_of("function <a.lua:1>"),
          *g = code_of("function <a.lua:2>");
  lf_times later = timed;
  later.begun = 9000;
  later.ns[LF_PHASE_RUN] = 700;
  lf_tallies_run(&a, f, false, &timed);
  lf_tallies_run(&b, f, false, &later);
  lf_tallies_run(&b, g, false, &later);
  lf_tallies_packed(&b, f, 5);
  lf_tallies_unpacked(&b, f, 6);
  lf_tallies_move(&a, &b);
  assert_null(b.first);
  lf_tally *t = a.first;
  while (t->code != f)
    t = t->next;
  assert_int_equal(t->calls, 2);
  assert_int_equal(t->run, 1200);
  assert_int_equal(t->longest, 700);
  assert_int_equal(t->packed, 5);
  assert_int_equal(t->unpacked, 6);
  assert_int_equal(a.begun, 3000);
  assert_int_equal(a.ended, 9750);
  lf_tallies_fini(&a);
  lf_code_unref(f);
  lf_code_unref(g);
}

static void names(void **state) {
  (void)state;
  char out[LF_FUNCTION_NAME];
  assert_string_equal(lf_function_name("function <a.lua:12>", out), "a.lua:12");
  assert_string_equal(lf_function_name("function compress2 of libz.so.1", out),
                      "compress2");
  assert_string_equal(lf_function_name("task", out), "task");
  assert_string_equal(lf_function_name("function <x of y.lua:1>", out),
                      "x of y.lua:1");
  assert_string_equal(lf_function_name("", out), "");
}

/* To another process and back. */
static void sent(void **state) {
  (void)state;
  lf_tallies from = {0}, to = {0};
  lf_code *f = code_of("function <a.lua:1>"), *g = code_of("print");
  lf_buf bytes;
  lf_buf_init(&bytes, NULL, 0);
  lf_tallies_run(&from, f, false, &timed);
  lf_tallies_run(&from, g, true, &timed);
  assert_int_equal(lf_tallies_put(&from, &bytes), 0);
  for (int i = 0; i < 2; i++) /* is added up */
    assert_true(lf_tallies_get(&to, bytes.data, bytes.len));
  assert_false(lf_tallies_get(&to, bytes.data, bytes.len - 1));
  assert_false(lf_tallies_get(&to, bytes.data, 1));
  assert_int_equal(to.begun, from.begun);
  assert_int_equal(to.ended, from.ended);
  lf_tally *of_f = to.first;
  while (of_f && strcmp(of_f->code->label, "function <a.lua:1>") != 0)
    of_f = of_f->next;
  assert_non_null(of_f);
  assert_int_equal(of_f->calls, 2);
  assert_int_equal(of_f->run, 2 * 500);
  assert_int_equal(of_f->longest, 500);
  lf_buf_fini(&bytes);
  lf_tallies_fini(&from);
  lf_tallies_fini(&to);
  lf_code_unref(f);
  lf_code_unref(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(runs), TEST(chunks), TEST(slow_functions), TEST(long_runs),
      TEST(sums), TEST(names),  TEST(sent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
