/* SPDX-License-Identifier: MIT
 *
 * runtime/os/poller.h */
#include "tests/c/fake.h"

#include "runtime/os/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  lf_polled polled;
  _Atomic int fired;
} waiting;

static void note(lf_polled *p) {
  atomic_fetch_add(&lf_container_of(p, waiting, polled)->fired, 1);
}

static waiting wait_for(int fd, unsigned wanted) {
  return (waiting){.polled = {.fd = fd, .wanted = wanted, .fire = note}};
}

static void await_fired(waiting *w) {
  while (atomic_load(&w->fired) == 0)
    sched_yield();
  assert_int_equal(w->fired, 1);
  lf_poller_unwatch(&w->polled);
}

static void make_pair(int fds[2]) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void close_pair(const int fds[2]) {
  close(fds[0]);
  close(fds[1]);
}

static void told_of_each_direction(void **state) {
  (void)state;
  int fds[2];
  make_pair(fds);
  for (int i = 0; i < 3; i++) {
    waiting r = wait_for(fds[0], LF_READABLE),
            w = wait_for(fds[0], LF_WRITABLE);
    assert_int_equal(lf_poller_watch(&r.polled), 0);
    assert_int_equal(lf_poller_watch(&w.polled), 0);
    await_fired(&w);
    assert_int_equal(r.fired, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    await_fired(&r);
    assert_false(r.polled.closed);
    assert_int_equal(lf_poll_now(fds[0], LF_READABLE), LF_READABLE);
    char c;
    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(lf_poll_now(fds[0], LF_READABLE), 0);
  }
  close_pair(fds);
  assert_int_equal(lf_poll_now(fds[0], LF_READABLE), LF_ECLOSED);
}

static void one_for_each_direction(void **state) {
  (void)state;
  int fds[2];
  make_pair(fds);
  waiting r = wait_for(fds[0], LF_READABLE);
  waiting both = wait_for(fds[0], LF_READABLE | LF_WRITABLE);
  assert_int_equal(lf_poller_watch(&r.polled), 0);
  assert_int_equal(lf_polled_count(), 1);
  assert_int_equal(lf_poller_watch(&both.polled), EBUSY);
  lf_poller_unwatch(&r.polled);
  assert_int_equal(lf_poller_watch(&both.polled), 0);
  await_fired(&both);
  assert_int_equal(lf_polled_count(), 0);
  assert_int_equal(r.fired, 0);
  close_pair(fds);
}

static void refused(void **state) {
  (void)state;
  int fd = open("/dev/null", O_RDONLY), file = open("/proc/self/exe", O_RDONLY);
  waiting none = wait_for(-1, LF_READABLE), far = wait_for(9999, LF_READABLE);
  waiting regular = wait_for(file, LF_READABLE);
  assert_int_equal(lf_poller_watch(&none.polled), EBADF);
  assert_int_equal(lf_poller_watch(&far.polled), EBADF);
  assert_int_equal(lf_poller_watch(&regular.polled), EPERM);
  assert_int_equal(lf_polled_count(), 0);
  close(fd);
  close(file);
}

static void told_when_it_is_closed(void **state) {
  (void)state;
  int fds[2];
  make_pair(fds);
  waiting said = wait_for(fds[0], LF_READABLE);
  waiting unsaid = wait_for(fds[1], LF_READABLE);
  assert_int_equal(lf_poller_watch(&said.polled), 0);
  assert_int_equal(lf_poller_watch(&unsaid.polled), 0);
  lf_poller_close(fds[0]);
  await_fired(&said);
  assert_true(said.polled.closed);
  int other = dup(fds[0]); /* so that the peer is told of no end */
  close_pair(fds);
  await_fired(&unsaid);
  assert_true(unsaid.polled.closed);
  close(other);
}

/* The number stands for another file by now. */
static void closed_and_opened_again(void **state) {
  (void)state;
  int fds[2], others[2];
  make_pair(fds);
  make_pair(others);
  waiting old = wait_for(fds[0], LF_READABLE);
  assert_int_equal(lf_poller_watch(&old.polled), 0);
  assert_int_equal(dup2(others[0], fds[0]), fds[0]);
  waiting new = wait_for(fds[0], LF_READABLE);
  assert_int_equal(lf_poller_watch(&new.polled), 0);
  await_fired(&old);
  assert_true(old.polled.closed);
  assert_int_equal(new.fired, 0);
  assert_int_equal(write(others[1], "x", 1), 1);
  await_fired(&new);
  close_pair(fds);
  close_pair(others);
}

static void none_in_a_forked_process(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip(); /* it does not go on after a fork of several threads */
#endif
  int fds[2];
  make_pair(fds);
  waiting r = wait_for(fds[0], LF_READABLE);
  assert_int_equal(lf_poller_watch(&r.polled), 0);
  pid_t child = fork();
  if (child == 0) {
    waiting own = wait_for(fds[1], LF_WRITABLE);
    bool ok = lf_polled_count() == 0 && lf_poller_watch(&own.polled) == 0;
    while (ok && atomic_load(&own.fired) == 0)
      sched_yield();
    _exit(ok && r.fired == 0 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(write(fds[1], "x", 1), 1);
  await_fired(&r);
  close_pair(fds);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(told_of_each_direction),
                                     TEST(one_for_each_direction),
                                     TEST(refused),
                                     TEST(told_when_it_is_closed),
                                     TEST(closed_and_opened_again),
                                     TEST(none_in_a_forked_process)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
