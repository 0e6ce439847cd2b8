/* SPDX-License-Identifier: MIT
 *
 * runtime/process/child.h. */
#include "tests/c/fake.h"

#include "runtime/process/child.h"

#include <signal.h>
#include <unistd.h>

static const char program, other; /* whose children they are */

static void exit_with(void *status) {
  _exit((int)(intptr_t)status);
}

/* Says that it is there, and stays. */
static void stay(void *ends) {
  const int *pipe = ends;
  if (write(pipe[1], "x", 1) == 1)
    for (;;)
      pause();
  _exit(1);
}

static lf_child *started(void (*body)(void *arg), void *arg, bool daemon) {
  lf_child *child = lf_child_new(&program, daemon);
  assert_non_null(child);
  assert_int_equal(lf_child_start(child, "child", body, arg), 0);
  return child;
}

static void tells_how_it_has_ended(void **state) {
  (void)state;
  static const int statuses[] = {0, 3, 255};
  for (int i = 0; i < 3; i++) {
    lf_child *child = started(exit_with, NUMBER(statuses[i]), false);
    assert_true(lf_child_pid(child) > 0);
    await(lf_child_over(child));
    assert_int_equal(lf_child_exitcode(child), statuses[i]);
    lf_child_signal(child, SIGKILL); /* reaches nobody any more */
    lf_child_unref(child);
  }
}

static void ends_by_a_signal(void **state) {
  (void)state;
  int ends[2];
  char byte;
  assert_int_equal(pipe(ends), 0);
  lf_child *child = started(stay, ends, false);
  assert_int_equal(read(ends[0], &byte, 1), 1);
  assert_int_equal(lf_child_exitcode(child), LF_RUNNING_YET);
  lf_child_signal(child, SIGTERM);
  await(lf_child_over(child));
  assert_int_equal(lf_child_exitcode(child), -SIGTERM);
  lf_child_unref(child);
  close(ends[0]);
  close(ends[1]);
}

/* How many of them run. */
static int running(const void *whose, bool daemon) {
  int n = 0;
  lf_child *child;
  while ((child = lf_child_running(whose, daemon, (size_t)n))) {
    lf_child_unref(child);
    n++;
  }
  return n;
}

static void are_listed_while_they_run(void **state) {
  (void)state;
  int ends[2];
  char byte;
  assert_int_equal(pipe(ends), 0);
  lf_child *child[3];
  for (int i = 0; i < 3; i++) {
    child[i] = started(stay, ends, i == 0);
    assert_int_equal(read(ends[0], &byte, 1), 1);
  }
  assert_int_equal(running(&program, true), 1);
  assert_int_equal(running(&program, false), 2);
  assert_int_equal(running(&other, false), 0);
  for (int i = 0; i < 3; i++) {
    lf_child_signal(child[i], SIGKILL);
    await(lf_child_over(child[i]));
    lf_child_unref(child[i]);
  }
  assert_int_equal(running(&program, true) + running(&program, false), 0);
  close(ends[0]);
  close(ends[1]);
}

/* --- Who is who --- */

static lf_child *self, *elder;

/* In the new process; its status says what is wrong. */
static void look_around(void *arg) {
  (void)arg;
  int wrong = !lf_child_is_here(self) << 0 | !lf_child_is_foreign(self) << 1 |
              lf_child_is_here(elder) << 2 | !lf_child_is_foreign(elder) << 3;
  _exit(wrong);
}

static void knows_who_it_is(void **state) {
  (void)state;
  elder = lf_child_new(&program, false);
  self = lf_child_new(&program, false);
  assert_int_equal(lf_child_start(elder, "elder", exit_with, NULL), 0);
  assert_int_equal(lf_child_start(self, "self", look_around, NULL), 0);
  assert_false(lf_child_is_here(self));
  assert_false(lf_child_is_foreign(self));
  await(lf_child_over(self));
  await(lf_child_over(elder));
  assert_int_equal(lf_child_exitcode(self), 0);
  lf_child_unref(self);
  lf_child_unref(elder);
}

/* Nobody has to ask for its end, or to keep it. */
static void is_reaped_by_itself(void **state) {
  (void)state;
  lf_child *child = started(exit_with, NUMBER(1), false);
  lf_task *over = lf_task_ref(lf_child_over(child));
  lf_child_unref(child);
  await(over);
  lf_task_unref(over);
}

static void one_that_was_not_started_goes(void **state) {
  (void)state;
  lf_child *child = lf_child_new(&program, false);
  lf_child_unref(lf_child_ref(child));
  lf_child_unref(child);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(tells_how_it_has_ended),    TEST(ends_by_a_signal),
      TEST(are_listed_while_they_run), TEST(knows_who_it_is),
      TEST(is_reaped_by_itself),       TEST(one_that_was_not_started_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
