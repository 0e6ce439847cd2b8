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
#include <sys/mman.h>
#include <sys/wait.h>
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

/* What comes from there: pieces, each with its head. */
typedef struct {
  lf_trace_from from;
  size_t n;
} head;

static int channel[2], session;
static struct {
  lf_trace_desk desk;
  atomic_bool ready;
} * shared; /* with the child */

static void send(const lf_trace_from *from, const void *bytes, size_t n) {
  char whole[sizeof(head) + 32768];
  head h = {*from, n};
  memcpy(whole, &h, sizeof h);
  memcpy(whole + sizeof h, bytes, n);
  if (n > 32768 ||
      write(channel[1], whole, sizeof h + n) != (ssize_t)(sizeof h + n))
    abort();
}

static void nothing(void *unused) {
  (void)unused;
}

static void begin_work(lf_trace_sampler *sample) {
  const lf_trace_way way = {send, &shared->desk, sample, nothing};
  lf_trace_forward(&way);
  lf_time_as(LF_TIME_LONG | LF_TIME_TRACE | session * LF_TIME_SESSION);
}

static bool read_all(void *bytes, size_t n) {
  char *p = bytes;
  for (ssize_t r; n > 0; p += r, n -= (size_t)r)
    if ((r = read(channel[0], p, n)) <= 0)
      return false;
  return true;
}

/* Takes one piece; false: there are no more. 'with': the trace's number, if it
 * is to be another than that of the piece. */
static bool feed_one(uint32_t with) {
  static unsigned char bytes[32768];
  head h;
  if (!read_all(&h, sizeof h))
    return false;
  assert_true(read_all(bytes, h.n));
  if (with)
    h.from.session = with;
  lf_trace_feed(&h.from, bytes, h.n);
  return true;
}

/* A trace in which the child does that. */
static void begin_child(fake_child *child, void (*work)(void *arg)) {
#ifdef __SANITIZE_THREAD__
  skip(); /* it starts no threads after a fork of several */
#endif
  assert_int_equal(pipe(channel), 0);
  begin(NULL);
  session = lf_timing_now() / LF_TIME_SESSION;
  slice("known");
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(shared != MAP_FAILED);
  lf_parker_init_shared(&shared->desk.parker);
  fake_start(child, work, NULL);
  close(channel[1]);
}

static void end_child(void) {
  end();
  close(channel[0]);
  munmap(shared, sizeof *shared);
}

static void work(void *arg) {
  (void)arg;
  begin_work(nothing);
  for (int i = 0; i < 100; i++)
    slice("far");
  slice("known");
  lf_trace_hand_over();
}

static void of_processes(void **state) {
  (void)state;
  fake_child child;
  begin_child(&child, work);
  while (feed_one(0))
    ;
  assert_int_equal(fake_join(&child), 0);
  end_child();
  assert_int_equal(count("\"name\":\"far\""), 100);
  assert_int_equal(count("\"name\":\"known\""), 2);
  assert_int_equal(count("process_name"), 2);
  assert_int_equal(count("thread_name"), 2);
  unlink(path);
}

static void of_another_trace(void **state) {
  (void)state;
  fake_child child;
  begin_child(&child, work);
  while (feed_one((uint32_t)session + 1))
    ;
  assert_int_equal(fake_join(&child), 0);
  end_child();
  assert_int_equal(count("\"name\":\"far\""), 0);
  unlink(path);
}

static void put_one(void *unused) {
  (void)unused;
  lf_trace_counter("queue", "inner", 3);
}

static void *thread_body(void *unused) {
  pthread_setname_np(pthread_self(), "inner_1");
  slice("inner");
  lf_trace_open(lf_now(), LF_PHASE_RUN, NULL, "goes on", 't', 99);
  atomic_store(&shared->ready, true);
  for (;;)
    pause();
  return unused;
}

/* Has a process of its own, and a thread in the middle of something, and waits
 * itself: all goes out by the relay. */
static void stay(void *arg) {
  (void)arg;
  pthread_t thread;
  begin_work(put_one);
  slice("far");
  const lf_trace_from own = {.process = 77,
                             .thread = 78,
                             .namer = 77,
                             .parent = getpid(),
                             .session = (uint32_t)session};
  struct {
    int64_t at, ns;
    uint64_t flow;
    uint32_t name, kind;
  } e = {.at = lf_now(), .ns = 5000, .name = 1, .kind = 1}; /* "known" */
  lf_trace_feed(&own, &e, sizeof e);
  pthread_create(&thread, NULL, thread_body, NULL);
  for (;;)
    pause();
}

static void by_the_relay(void **state) {
  (void)state;
  fake_child child;
  begin_child(&child, stay);
  until(atomic_load(&shared->ready));
  lf_trace_ask(&shared->desk);
  until(lf_trace_has_answered(&shared->desk));
  int status = fake_kill(&child);
  assert_true(WIFSIGNALED(status));
  while (feed_one(0))
    ;
  end_child();
  assert_int_equal(count("\"name\":\"far\""), 1);
  assert_int_equal(count("\"name\":\"inner\""), 1);
  assert_int_equal(count("\"name\":\"goes on\""), 1);
  assert_int_equal(count("\"id\":99}"), 1);
  assert_int_equal(count("{\"name\":\"inner_1\"}"), 1);
  assert_true(count("\"name\":\"queue\",\"args\":{\"inner\":3}") > 0);
  assert_int_equal(count("\"pid\":77,\"tid\":78,\"ts\""), 1);
  assert_int_equal(count("\"name\":\"known\""), 2);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(of_threads),   TEST(one_after_the_other),
      TEST(ways),         TEST(before_the_trace),
      TEST(counters),     TEST(wrong_files),
      TEST(of_processes), TEST(of_another_trace),
      TEST(by_the_relay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
