/* SPDX-License-Identifier: MIT
 *
 * The file of a trace: whole after each write, on files, pipes, and where there
 * is no room. */
#include "runtime/trace/export.h"

#include "tests/c/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static lf_export out;
static const lf_track track = {7, 8};

static const char *contents(int fd) {
  static char text[1 << 17];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  assert_true(n >= 0);
  text[n] = '\0';
  return text;
}

static int begin(int fd) {
  assert_int_equal(lf_export_open(&out, dup(fd), 1000), 0);
  return fd;
}

static int begin_file(void) {
  return begin(memfd_create("trace", 0));
}

static void whole_at_any_time(void **state) {
  (void)state;
  int fd = begin_file();
  assert_string_equal(contents(fd), "[\n]\n");
  lf_export_slice(&out, track, 2500, 1234567, "run", "a.lua:1");
  lf_export_flush(&out);
  const char one[] = "[\n{\"ph\":\"X\",\"pid\":7,\"tid\":8,\"ts\":1.500,"
                     "\"dur\":1234.567,\"cat\":\"run\",\"name\":\"a.lua:1\"}";
  char want[1000];
  snprintf(want, sizeof want, "%s\n]\n", one);
  assert_string_equal(contents(fd), want);
  lf_export_counter(&out, 7, 1000, "queue", "lfut", 42);
  assert_int_equal(lf_export_close(&out), 0);
  snprintf(want, sizeof want,
           "%s,\n{\"ph\":\"C\",\"pid\":7,\"ts\":0.000,\"name\":\"queue\","
           "\"args\":{\"lfut\":42}}\n]\n",
           one);
  assert_string_equal(contents(fd), want);
  close(fd);
}

static void ways(void **state) {
  (void)state;
  int fd = begin_file();
  lf_export_track(&out, track, "thread_name", "w\\u0022");
  lf_export_flow(&out, track, 1000, 's', 99);
  lf_export_flow(&out, track, 2000, 'f', 99);
  assert_int_equal(lf_export_close(&out), 0);
  assert_string_equal(
      contents(fd),
      "[\n{\"ph\":\"M\",\"pid\":7,\"tid\":8,\"name\":\"thread_name\","
      "\"args\":{\"name\":\"w\\u0022\"}},\n"
      "{\"ph\":\"s\",\"name\":\"t\",\"cat\":\"t\",\"pid\":7,\"tid\":8,"
      "\"ts\":0.000,\"id\":99},\n"
      "{\"ph\":\"f\",\"name\":\"t\",\"cat\":\"t\",\"pid\":7,\"tid\":8,"
      "\"ts\":1.000,\"bp\":\"e\",\"id\":99}\n]\n");
  close(fd);
}

static void many(void **state) {
  (void)state;
  int fd = begin_file();
  for (int i = 0; i < 5000; i++)
    lf_export_slice(&out, track, 1000 + i, 1, "run", "f");
  assert_int_equal(lf_export_close(&out), 0);
  char end[4] = "";
  off_t size = lseek(fd, 0, SEEK_END);
  assert_int_equal(pread(fd, end, 3, size - 3), 3);
  assert_string_equal(end, "\n]\n");
  assert_true(size > 5000 * 60 && size < 5000 * 100);
  close(fd);
}

static void pipes(void **state) {
  (void)state;
  int fds[2];
  char text[200];
  assert_int_equal(pipe(fds), 0);
  begin(fds[1]);
  lf_export_counter(&out, 7, 1000, "c", "w", 0);
  assert_int_equal(lf_export_close(&out), 0);
  ssize_t n = read(fds[0], text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  assert_string_equal(text, "[\n{\"ph\":\"C\",\"pid\":7,\"ts\":0.000,"
                            "\"name\":\"c\",\"args\":{\"w\":0}}\n]\n");
  close(fds[0]);
  close(fds[1]);
}

static void full(void **state) {
  (void)state;
  int fd = open("/dev/full", O_WRONLY);
  assert_int_equal(lf_export_open(&out, fd, 0), ENOSPC);
  lf_export_slice(&out, track, 0, 1, "run", "f"); /* harmless */
  assert_int_equal(lf_export_close(&out), ENOSPC);
}

/* As much as fits stays, and is whole. */
static void limited(void **state) {
  (void)state;
  enum { MOST = 20480 };
  static char text[MOST + 1];
  struct rlimit old, few;
  char path[] = "/tmp/lfut-export-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  unlink(path);
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  few = (struct rlimit){MOST, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &few);
  assert_int_equal(lf_export_open(&out, dup(fd), 0), 0);
  for (int i = 0; i < 5000; i++)
    lf_export_slice(&out, track, 1000 + i, 1, "run", "f");
  int err = lf_export_close(&out);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_int_equal(err, EFBIG);
  ssize_t n = pread(fd, text, MOST, 0);
  assert_true(n > MOST - 200);
  assert_string_equal(text + n - 5, "\"}\n]\n");
  close(fd);
}

static void names(void **state) {
  (void)state;
  char json[64], tiny[10];
  lf_json_text(json, sizeof json, "a\"b\\c\nd");
  assert_string_equal(json, "a\\u0022b\\u005cc\\u000ad");
  lf_json_text(tiny, sizeof tiny, "abcdefghij"); /* never half an escape */
  assert_string_equal(tiny, "abc");
  lf_json_text(json, sizeof json, "gr\xc3\xbc\xc3\x9f");
  assert_string_equal(json, "gr\xc3\xbc\xc3\x9f");
  lf_json_text(json, sizeof json, "\xed\xa0\x80"); /* half of a pair */
  assert_string_equal(json, "\\u00ed\\u00a0\\u0080");
  lf_json_text(json, sizeof json,
               "\xff"
               "x"); /* no UTF-8: as Latin-1 */
  assert_string_equal(json, "\\u00ffx");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(whole_at_any_time), TEST(ways),  TEST(many), TEST(pipes), TEST(full),
      TEST(limited),           TEST(names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
