/* SPDX-License-Identifier: MIT
 *
 * runtime/os/command.h. Commands that are to last read from a pipe of ours, and
 * say by another one that they have begun. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/command.h"
#include "runtime/os/fork.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *text) {
  lf_command c;
  assert_int_equal(lf_command_start(&c, text, -1, -1, false), 0);
  assert_int_equal(lf_command_wait(&c, LF_FOREVER), 0);
  return lf_command_end(&c);
}

static void tells_how_it_has_ended(void **state) {
  (void)state;
  int status = run("exit 3");
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 3);
  assert_int_equal(run(":"), 0);
  status = run("-no-such-command 2> /dev/null"); /* not an option */
  assert_int_equal(WEXITSTATUS(status), 127);
  status = run("kill -KILL $$");
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* Whatever is in this process. */
static void no_signal_is_blocked_in_it(void **state) {
  (void)state;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  signal(SIGINT, SIG_IGN);
  int term = run("kill -TERM $$"), interrupted = run("kill -INT $$");
  signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  assert_true(WIFSIGNALED(term) && WTERMSIG(term) == SIGTERM);
  assert_true(WIFSIGNALED(interrupted) && WTERMSIG(interrupted) == SIGINT);
}

/* A command with a pipe to (as 0) or from (as 1) it, of which this is our end.
 */
static int start(lf_command *c, const char *text, int as, bool of_task) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  assert_int_equal(lf_command_start(c, text, ends[as], as, of_task), 0);
  close(ends[as]);
  return ends[!as];
}

static void reads_and_writes(void **state) {
  (void)state;
  char text[16] = "";
  lf_command c;
  int from = start(&c, "echo hello", 1, true);
  assert_int_equal(read(from, text, sizeof text), 6);
  assert_string_equal(text, "hello\n");
  assert_int_equal(read(from, text, sizeof text), 0);
  assert_int_equal(lf_command_end(&c), 0);
  close(from);
  int to = start(&c, "read line; test \"$line\" = yes", 0, true);
  assert_int_equal(write(to, "yes\n", 4), 4);
  assert_int_equal(lf_command_end(&c), 0);
  close(to);
}

/* One that waits until it is told to end, and has begun to. */
static int start_waiting(lf_command *c, bool of_task, int *to) {
  int ends[2];
  char byte, text[64];
  assert_int_equal(pipe(ends), 0);
  snprintf(text, sizeof text, "echo; exec cat <&%d >&2 %d>&-", ends[0],
           ends[1]);
  int from = start(c, text, 1, of_task);
  assert_int_equal(read(from, &byte, 1), 1);
  close(ends[0]);
  *to = ends[1];
  fcntl(*to, F_SETFD, FD_CLOEXEC);
  return from;
}

static void waits_until_a_deadline(void **state) {
  (void)state;
  lf_command c;
  int to, from = start_waiting(&c, false, &to);
  assert_int_equal(lf_command_wait(&c, 0), LF_ETIMEOUT);
  assert_int_equal(lf_command_wait(&c, lf_now() + 1000000), LF_ETIMEOUT);
  close(to);
  assert_int_equal(lf_command_wait(&c, LF_FOREVER), 0);
  assert_int_equal(lf_command_wait(&c, 0), 0);
  assert_int_equal(lf_command_end(&c), 0);
  close(from);
}

/* What the shell has started dies of it, too: it has the other end. */
static void signals_reach_what_it_has_started(void **state) {
  (void)state;
  lf_command c;
  char byte;
  int from = start(&c, "(echo; while :; do read x; done) & wait", 1, false);
  assert_int_equal(read(from, &byte, 1), 1);
  lf_command_signal(&c, SIGKILL);
  assert_int_equal(read(from, &byte, 1), 0);
  int status = lf_command_end(&c);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  close(from);
}

/* Those that are of tasks, and read nothing from us. */
static void interrupts_the_commands_of_tasks(void **state) {
  (void)state;
  lf_command task, other, reader;
  int to[2], from[2] = {start_waiting(&task, true, &to[0]),
                        start_waiting(&other, false, &to[1])};
  int input = start(&reader, "cat > /dev/null", 0, true);
  lf_commands_interrupt();
  lf_commands_interrupt();
  assert_true(lf_command_is_interrupted(&task));
  assert_false(lf_command_is_interrupted(&other));
  assert_false(lf_command_is_interrupted(&reader));
  int status = lf_command_end(&task);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  lf_command_interrupt(&other);
  assert_true(lf_command_is_interrupted(&other));
  status = lf_command_end(&other);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  close(input);
  assert_int_equal(lf_command_end(&reader), 0);
  for (int i = 0; i < 2; i++) {
    close(to[i]);
    close(from[i]);
  }
  lf_commands_interrupt(); /* there are none */
}

/* In a forked child it is the parent's. */
static void belongs_to_who_has_started_it(void **state) {
  (void)state;
  lf_command c;
  int to, status, from = start_waiting(&c, true, &to);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    lf_command_signal(&c, SIGKILL);
    lf_command_interrupt(&c);
    lf_commands_interrupt();
    bool right = lf_command_wait(&c, LF_FOREVER) == 0 &&
                 lf_command_end(&c) == -1 && errno == ECHILD;
    _exit(!right);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(lf_command_wait(&c, 0), LF_ETIMEOUT);
  close(to);
  assert_int_equal(lf_command_end(&c), 0);
  close(from);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(tells_how_it_has_ended),
      TEST(no_signal_is_blocked_in_it),
      TEST(reads_and_writes),
      TEST(waits_until_a_deadline),
      TEST(signals_reach_what_it_has_started),
      TEST(interrupts_the_commands_of_tasks),
      TEST(belongs_to_who_has_started_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
