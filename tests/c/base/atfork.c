/* SPDX-License-Identifier: MIT
 *
 * runtime/base/atfork.h. The hooks take the places of locks that this program
 * does not have. */
#include "tests/c/fake.h"

#include "runtime/base/atfork.h"
#include "runtime/os/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What 'child' returns in a forked one. */
static int in_child(int (*child)(void)) {
  int status;
  pid_t pid = fork();
  if (pid == 0)
    _exit(child());
  if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
    return -1;
  return WEXITSTATUS(status);
}

#define HOOK(name, number)                                                     \
  static void name(void) {                                                     \
    log_add(number);                                                           \
  }
HOOK(before_1, 11)
HOOK(before_2, 12)
HOOK(before_3, 13)
HOOK(parent_1, 21)
HOOK(parent_3, 23)
HOOK(child_1, 31)
HOOK(child_2, 32)
HOOK(child_3, 33)

static bool is_log(const int *want, size_t n) {
  bool same = log_len() == n;
  for (size_t i = 0; same && i < n; i++)
    same = log_at(i) == want[i];
  return same;
}

static int saw_its_own(void) {
  static const int want[] = {11, 12, 13, 33, 32, 31};
  return !is_log(want, sizeof want / sizeof want[0]);
}

static void forget(void) {
  for (int i = LF_FORK_LIBRARIES; i <= LF_FORK_COMMANDS; i++)
    lf_at_fork((lf_fork_lock)i, NULL, NULL, NULL);
}

/* In whatever order they have come. */
static void calls_hooks_in_the_order_of_locks(void **state) {
  (void)state;
  lf_at_fork(LF_FORK_COMMANDS, before_3, parent_3, child_3);
  lf_at_fork(LF_FORK_LIBRARIES, before_1, parent_1, child_1);
  lf_at_fork(LF_FORK_CHILDREN, before_2, NULL, child_2);
  assert_int_equal(in_child(saw_its_own), 0);
  assert_log(11, 12, 13, 23, 21);
  forget();
}

static int saw_nothing(void) {
  return log_len() != 0;
}

static void forgets_what_is_replaced(void **state) {
  (void)state;
  lf_at_fork(LF_FORK_CHILDREN, before_1, parent_1, child_1);
  forget();
  assert_int_equal(in_child(saw_nothing), 0);
  assert_int_equal(log_len(), 0);
}

/* --- Calls that no fork may interrupt --- */

static gate begun = GATE, forking = GATE;
static _Atomic pid_t forker; /* the thread that forks */
static _Atomic bool over;    /* the call is */

/* Does the thread wait in the kernel? */
static bool sleeps(pid_t thread) {
  char path[64], letter = '?';
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
  FILE *f = fopen(path, "re");
  if (f && fscanf(f, "%*d (%*[^)]) %c", &letter) != 1)
    letter = '?';
  if (f)
    fclose(f);
  return letter == 'S';
}

static void call(void *arg) {
  lf_call_begin();
  lf_call_begin(); /* one in another is the same call */
  gate_add(&begun);
  gate_await(&forking, 1);
  until(sleeps(forker));
  lf_call_end();
  over = true;
  lf_call_end();
  gate_add(arg);
}

static int was_over(void) {
  return !over;
}

static void a_fork_waits_for_calls(void **state) {
  (void)state;
  gate ended = GATE;
  forker = (pid_t)syscall(SYS_gettid);
  assert_int_equal(lf_thread_start("call", call, &ended), 0);
  gate_await(&begun, 1);
  gate_add(&forking);
  assert_int_equal(in_child(was_over), 0);
  gate_await(&ended, 1);
}

static int calls_again(void) {
  lf_call_begin();
  lf_call_end();
  return 0;
}

/* A call may fork itself; both go on. (The lock that a child makes anew is
 * still the old one to the thread sanitizer.) */
static void a_call_may_fork(void **state) {
  (void)state;
  const char *sanitizer = getenv("LFUT_SANITIZER");
  if (sanitizer && strcmp(sanitizer, "thread") == 0)
    skip();
  lf_call_begin();
  assert_int_equal(in_child(calls_again), 0);
  lf_call_end();
  assert_int_equal(in_child(calls_again), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(calls_hooks_in_the_order_of_locks),
      TEST(forgets_what_is_replaced),
      TEST(a_fork_waits_for_calls),
      TEST(a_call_may_fork),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
