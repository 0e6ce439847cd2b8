/* SPDX-License-Identifier: MIT
 *
 * A trace of several threads: all events are there, also more than rings hold;
 * sessions do not mix; what a worker process sends. */
#include "runtime/trace/trace.h"

#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/lfut-trace-XXXXXX";

static void begin(lf_trace_sampler *sample) {
  strcpy(strrchr(path, '-') + 1, "XXXXXX");
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(lf_trace_start(path, sample, NULL, NULL), 0);
  assert_true(lf_is_traced());
}

/* How often the text is in the file. */
static int count(const char *text) {
  static char line[4096];
  int n = 0;
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  while (fgets(line, sizeof line, f))
    n += strstr(line, text) != NULL;
  fclose(f);
  return n;
}

static void end(void) {
  uint64_t lost = 1;
  assert_int_equal(lf_trace_stop(&lost), 0);
  assert_int_equal(lost, 0);
  assert_false(lf_is_traced());
}

static void slice(const char *name) {
  lf_trace_slice(lf_now(), 2000, LF_PHASE_RUN, NULL, name, 0, 0);
}

enum { EVENTS = LF_LIMIT(350000, 20000) };

static void *body(void *name) {
  pthread_setname_np(pthread_self(), name);
  for (int i = 0; i < EVENTS; i++)
    slice(name);
  return NULL;
}

static void of_threads(void **state) {
  (void)state;
  static char names[][8] = {"one", "two", "three"};
  pthread_t threads[3];
  begin(NULL);
  for (int i = 0; i < 3; i++)
    pthread_create(&threads[i], NULL, body, names[i]);
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  end();
  for (int i = 0; i < 3; i++) {
    char text[64];
    snprintf(text, sizeof text, "\"run\",\"name\":\"%s\"", names[i]);
    assert_int_equal(count(text), EVENTS);
    snprintf(text, sizeof text, "\"args\":{\"name\":\"%s\"}", names[i]);
    assert_int_equal(count(text), 1);
  }
  unlink(path);
}

static void one_after_the_other(void **state) {
  (void)state;
  begin(NULL);
  slice("first");
  end();
  assert_int_equal(count("first"), 1);
  unlink(path);
  slice("between"); /* belongs to none */
  begin(NULL);
  slice("second");
  end();
  assert_int_equal(count("first"), 0);
  assert_int_equal(count("between"), 0);
  assert_int_equal(count("second"), 1);
  unlink(path);
  uint64_t lost;
  assert_int_equal(lf_trace_stop(&lost), 0); /* there is none */
}

static void ways(void **state) {
  (void)state;
  begin(NULL);
  int64_t now = lf_now();
  lf_trace_slice(now + 1, 2, LF_PHASE_PACK, NULL, "f", 's', 5);
  lf_trace_slice(now + 3, 2, LF_PHASE_NATIVE, NULL, "f", 't', 5);
  lf_trace_slice(now + 6, 2, LF_PHASE_UNPACK, NULL, "f", 'f', 5);
  end();
  assert_int_equal(count("\"id\":5}"), 3);
  assert_int_equal(count("\"ph\":\"s\""), 1);
  assert_int_equal(count("\"cat\":\"native\""), 1);
  unlink(path);
}

/* What was begun before the trace is cut, what was over then is not in it. */
static void before_the_trace(void **state) {
  (void)state;
  int64_t before = lf_now();
  until(lf_now() > before + 10000);
  begin(NULL);
  lf_trace_slice(before, 1000, LF_PHASE_RUN, NULL, "over", 0, 0);
  lf_trace_slice(before, 1000000000000, LF_PHASE_RUN, NULL, "begun", 0, 0);
  end();
  assert_int_equal(count("over"), 0);
  assert_int_equal(count("\"ts\":0.000,\"dur\":999"), 1);
  unlink(path);
}

static void put_counter(void *arg) {
  (void)arg;
  lf_trace_counter("queue", "lfut", 3);
}

static void counters(void **state) {
  (void)state;
  begin(put_counter);
  end();
  assert_true(count("\"ph\":\"C\"") > 0);
  unlink(path);
}

static void wrong_files(void **state) {
  (void)state;
  uint64_t lost;
  assert_int_equal(lf_trace_start("/no/such/directory/x", NULL, NULL, NULL),
                   ENOENT);
  assert_int_equal(lf_trace_start("/dev/full", NULL, NULL, NULL), ENOSPC);
  assert_false(lf_is_traced());
  assert_int_equal(lf_trace_stop(&lost), 0);
}

/* --- A worker process --- */

static int channel[2], session;

static void send(const void *bytes, size_t n) {
  if (write(channel[1], bytes, n) != (ssize_t)n)
    abort();
}

static void work(void *arg) {
  (void)arg;
  lf_trace_forward(send);
  lf_time_as(LF_TIME_LONG | LF_TIME_TRACE | session * LF_TIME_SESSION);
  for (int i = 0; i < 100; i++)
    slice("far");
  slice("known");
  lf_trace_hand_over();
}

static void of_processes(void **state) {
  (void)state;
  static unsigned char bytes[100000];
  fake_child child;
  ssize_t n;
  assert_int_equal(pipe(channel), 0);
  begin(NULL);
  session = lf_timing_now() / LF_TIME_SESSION;
  slice("known");
  fake_start(&child, work, NULL);
  close(channel[1]);
  size_t have = 0;
  while ((n = read(channel[0], bytes + have, sizeof bytes - have)) > 0)
    have += (size_t)n;
  assert_int_equal(fake_join(&child), 0);
  lf_trace_feed(child.pid, child.pid, (uint32_t)session, bytes, have);
  lf_trace_feed(child.pid, child.pid, (uint32_t)session + 1, bytes, have);
  end();
  close(channel[0]);
  assert_int_equal(count("\"name\":\"far\""), 100);
  assert_int_equal(count("\"name\":\"known\""), 2);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(of_threads),   TEST(one_after_the_other),
      TEST(ways),         TEST(before_the_trace),
      TEST(counters),     TEST(wrong_files),
      TEST(of_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
