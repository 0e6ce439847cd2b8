/* SPDX-License-Identifier: MIT
 *
 * runtime/os/fork.h. */
#include "tests/c/fake.h"

#include "runtime/os/fork.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Waits for the end of a child that has to exit. */
static int status_of(pid_t pid) {
  int status;
  assert_true(pid > 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

static int owned(void) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  lf_fd_own(fd);
  return fd;
}

static void a_child_keeps_one_descriptor(void **state) {
  (void)state;
  enum { MANY = 40 };
  int fds[MANY], other = dup(0);
  for (int i = 0; i < MANY; i++)
    fds[i] = owned();
  lf_fd_close(fds[0]); /* also from among them */
  lf_fd_close(-1);
  pid_t pid = lf_fork(fds[20]);
  if (pid == 0) {
    int left = 0;
    for (int i = 0; i < MANY; i++)
      left += is_open(fds[i]);
    _exit(!(left == 1 && is_open(fds[20]) && is_open(other)));
  }
  assert_int_equal(status_of(pid), 0);
  assert_false(is_open(fds[0]));
  for (int i = 1; i < MANY; i++) {
    assert_true(is_open(fds[i]));
    lf_fd_close(fds[i]);
  }
  close(other);
}

static void children_have_no_pipes_of_commands(void **state) {
  (void)state;
  int ends[2], go[2];
  char text[8];
  assert_int_equal(pipe2(go, O_CLOEXEC), 0);
  assert_int_equal(lf_pipe_open(ends), 0);
  assert_true(ends[0] > STDERR_FILENO && ends[1] > STDERR_FILENO);
  int twin = lf_pipe_duplicate(ends[1]);
  assert_true(twin > STDERR_FILENO && twin != ends[1]);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    bool fine = is_open(ends[0]) && is_open(ends[1]);
    fine = fine && read(ends[0], text, 1) == -1 && errno == EBADF;
    fine = fine && write(ends[1], "x", 1) == -1 && errno == EBADF;
    fine = fine && write(twin, "x", 1) == -1 && errno == EBADF;
    fine = fine && read(go[0], text, 1) == 1;
    _exit(!fine);
  }
  lf_fd_close(twin);
  FILE *stream = fdopen(ends[1], "w");
  assert_true(fputs("text", stream) >= 0);
  lf_pipe_close_stream(stream);
  assert_int_equal(read(ends[0], text, sizeof text), 4);
  assert_int_equal(read(ends[0], text, sizeof text), 0); /* the child lives */
  lf_fd_close(ends[0]);
  assert_int_equal(write(go[1], "x", 1), 1);
  assert_int_equal(status_of(pid), 0);
  close(go[0]);
  close(go[1]);
}

static void children_are_told_apart(void **state) {
  (void)state;
  uint32_t mine = lf_generation;
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    pid = fork(); /* however it is forked */
    if (pid == 0)
      _exit(lf_generation == mine + 2 ? 0 : 1);
    bool foreign = lf_is_foreign(mine) && !lf_is_foreign(lf_generation);
    _exit(foreign ? status_of(pid) : 2);
  }
  assert_int_equal(status_of(pid), 0);
  assert_false(lf_is_foreign(mine));
}

/* All signals reach a child, but Ctrl-C does nothing to it. */
static void a_child_has_signals_of_its_own(void **state) {
  (void)state;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    sigset_t now;
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    raise(SIGINT);
    bool right = !sigismember(&now, SIGTERM) && !sigismember(&now, SIGINT) &&
                 action.sa_handler != SIG_IGN; /* commands would inherit it */
    _exit(!right);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  assert_int_equal(status_of(pid), 0);
}

/* A child ends when its parent does; who holds the pipe then has ended, too. */
static void children_do_not_outlive_their_parent(void **state) {
  (void)state;
  int ends[2];
  char byte;
  assert_int_equal(pipe(ends), 0);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    if (lf_fork(-1) == 0)
      for (;;)
        pause();
    _exit(0);
  }
  close(ends[1]);
  assert_int_equal(status_of(pid), 0);
  assert_int_equal(read(ends[0], &byte, 1), 0);
  close(ends[0]);
}

static void a_sibling_is_the_parents(void **state) {
  (void)state;
  int ends[2];
  pid_t sibling = 0;
  assert_int_equal(pipe(ends), 0);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    uint32_t generation = lf_generation;
    sibling = lf_fork_sibling(-1);
    if (sibling == 0)
      _exit(lf_is_foreign(generation) ? 7 : 8);
    ssize_t n = write(ends[1], &sibling, sizeof sibling);
    _exit(n != sizeof sibling);
  }
  assert_int_equal(read(ends[0], &sibling, sizeof sibling), sizeof sibling);
  assert_int_equal(status_of(sibling), 7);
  assert_int_equal(status_of(pid), 0);
  close(ends[0]);
  close(ends[1]);
}

/* --- Output --- */

/* What waits in a stream is written once, by the parent; what a child adds, by
 * the child. */
static void output_appears_once(void **state) {
  (void)state;
  FILE *f = tmpfile();
  char text[64] = "";
  fputs("before ", f);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    if (!lf_fork_was_clean())
      _exit(1);
    fputs("child ", f);
    lf_fork_exit(3);
  }
  assert_int_equal(status_of(pid), 3);
  fputs("parent", f);
  rewind(f);
  assert_non_null(fgets(text, sizeof text, f));
  assert_string_equal(text, "before child parent");
  fclose(f);
}

static gate begun = GATE, done = GATE;

static void hold_a_stream(void *arg) {
  flockfile(arg);
  gate_add(&begun);
  gate_await(&done, 1);
  funlockfile(arg);
}

/* Other streams are left alone then: who knows who uses them. */
static void threads_make_a_fork_unclean(void **state) {
  (void)state;
  FILE *f = tmpfile();
  assert_int_equal(lf_thread_start("holder", hold_a_stream, f), 0);
  gate_await(&begun, 1);
  assert_false(lf_flush_output()); /* and does not wait for it */
  pid_t pid = lf_fork(-1);
  if (pid == 0)
    _exit(lf_fork_was_clean());
  assert_int_equal(status_of(pid), 0);
  gate_add(&done);
  until(!lf_threads_others());
  assert_true(lf_flush_output());
  assert_true(lf_streams_are_free());
  fclose(f);
}

/* --- The rest --- */

static void children_can_be_waited_for(void **state) {
  (void)state;
  signal(SIGCHLD, SIG_IGN);
  lf_fork_want_ends();
  pid_t pid = lf_fork(-1);
  if (pid == 0)
    _exit(5);
  assert_int_equal(status_of(pid), 5);
  signal(SIGCHLD, SIG_DFL);
}

static void names_signals(void **state) {
  (void)state;
  assert_string_equal(lf_signal_name(SIGSEGV), "SIGSEGV");
  assert_string_equal(lf_signal_name(SIGKILL), "SIGKILL");
  assert_string_equal(lf_signal_name(0), "signal 0");
  assert_string_equal(lf_signal_name(-1), "signal -1");
  assert_string_equal(lf_signal_name(1000), "signal 1000");
}

static void numbers_are_unique(void **state) {
  (void)state;
  enum { MANY = 100 };
  uint64_t ids[MANY];
  for (int i = 0; i < MANY; i++) {
    ids[i] = lf_unique();
    assert_int_not_equal(ids[i], 0);
    for (int k = 0; k < i; k++)
      assert_true(ids[k] != ids[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_child_keeps_one_descriptor),
      TEST(children_have_no_pipes_of_commands),
      TEST(children_are_told_apart),
      TEST(a_child_has_signals_of_its_own),
      TEST(children_do_not_outlive_their_parent),
      TEST(a_sibling_is_the_parents),
      TEST(output_appears_once),
      TEST(threads_make_a_fork_unclean),
      TEST(children_can_be_waited_for),
      TEST(names_signals),
      TEST(numbers_are_unique),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
