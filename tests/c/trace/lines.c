/* SPDX-License-Identifier: MIT
 *
 * The lines of a trace: other processes call things by numbers of their own, or
 * by those of the process that they are forks of. */
#include "runtime/trace/lines.h"

#include "runtime/trace/names.h"
#include "tests/c/fake.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORKER = 71, ITS_WORKER = 72 };

static lf_lines lines;
static int file;

static void begin(void) {
  file = memfd_create("trace", 0);
  assert_int_equal(lf_export_open(&lines.out, dup(file), 0), 0);
}

/* The file from there on, up to the array's end. */
static void expect(const char *want) {
  static char text[1 << 16];
  lf_export_flush(&lines.out);
  ssize_t n = pread(file, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  if (!strstr(text, want))
    fail_msg("missing: %s\nin: %s", want, text);
}

static void end(void) {
  lf_lines_fini(&lines);
  assert_int_equal(lf_export_close(&lines.out), 0);
  close(file);
  lf_trace_names_forget();
}

static lf_trace_from from(pid_t process, pid_t parent) {
  return (lf_trace_from){process, process + 1000, process, parent, 1};
}

static void tell(pid_t process, pid_t parent, uint8_t kind, uint32_t number,
                 const char *text) {
  lf_trace_from f = from(process, parent);
  lf_text_event e = {.head = {.kind = kind, .ns = LF_TEXT_EVENTS}};
  e.head.name = number;
  strcpy(e.text, text);
  lf_lines_write(&lines, &f, &e.head, 1 + LF_TEXT_EVENTS);
}

static void slice(pid_t process, pid_t parent, uint32_t name) {
  lf_trace_from f = from(process, parent);
  lf_event e = {.at = 1, .ns = 2, .kind = LF_EVENT_SLICE, .name = name};
  lf_lines_write(&lines, &f, &e, 1);
}

static void numbers(void **state) {
  (void)state;
  begin();
  uint32_t ours = lf_trace_name("ours");
  slice(WORKER, getpid(), ours); /* it has never told what that is */
  expect("\"pid\":71,\"tid\":1071,\"ts\":0.001,\"dur\":0.002,\"cat\":\"run\","
         "\"name\":\"ours\"");
  tell(WORKER, getpid(), LF_EVENT_NAME, ours + 1, "its");
  lf_trace_name("another");
  slice(WORKER, getpid(), ours + 1);
  expect("\"tid\":1071,\"ts\":0.001,\"dur\":0.002,\"cat\":\"run\","
         "\"name\":\"its\"");
  /* A fork of that one has its names, and ours, and new ones. */
  slice(ITS_WORKER, WORKER, ours + 1);
  expect("\"tid\":1072,\"ts\":0.001,\"dur\":0.002,\"cat\":\"run\","
         "\"name\":\"its\"");
  slice(ITS_WORKER, WORKER, ours);
  expect("\"tid\":1072,\"ts\":0.001,\"dur\":0.002,\"cat\":\"run\","
         "\"name\":\"ours\"");
  tell(ITS_WORKER, WORKER, LF_EVENT_NAME, ours + 2, "its own");
  slice(ITS_WORKER, WORKER, ours + 2);
  expect("\"name\":\"its own\"");
  end();
}

static void titles(void **state) {
  (void)state;
  begin();
  slice(WORKER, getpid(), 1); /* nobody has said what it is called */
  expect("\"pid\":71,\"tid\":71,\"name\":\"process_name\",\"args\":{\"name\":"
         "\"lfut worker\"}");
  tell(ITS_WORKER, WORKER, LF_EVENT_PROCESS, 0, "in_1");
  expect("\"pid\":72,\"tid\":72,\"name\":\"process_name\",\"args\":{\"name\":"
         "\"in_1\"}");
  tell(ITS_WORKER, WORKER, LF_EVENT_LINE, 0, "thread_1");
  expect("\"pid\":72,\"tid\":1072,\"name\":\"thread_name\",\"args\":{\"name\":"
         "\"thread_1\"}");
  end();
}

static void counters(void **state) {
  (void)state;
  begin();
  tell(WORKER, getpid(), LF_EVENT_NAME, 1, "queue");
  tell(WORKER, getpid(), LF_EVENT_NAME, 2, "inner");
  lf_trace_from f = from(WORKER, getpid());
  lf_event e = {.at = 1, .ns = 7, .kind = LF_EVENT_COUNTER};
  e.flow = 1;
  e.name = 2;
  lf_lines_write(&lines, &f, &e, 1);
  expect("{\"ph\":\"C\",\"pid\":71,\"ts\":0.001,\"name\":\"queue\",\"args\":{"
         "\"inner\":7}}");
  end();
}

/* What another process writes need not make sense. */
static void nonsense(void **state) {
  (void)state;
  begin();
  lf_event e[3] = {{.kind = 99}, {.kind = LF_EVENT_NAME, .name = 1 << 30}};
  e[2] = (lf_event){.kind = LF_EVENT_SLICE, .phase = 200, .name = 1 << 30};
  lf_trace_from f = from(WORKER, WORKER);
  lf_lines_write(&lines, &f, e, 3);
  slice(WORKER, WORKER, 1 << 30);
  expect("\"name\":\"?\"");
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(numbers),
      TEST(titles),
      TEST(counters),
      TEST(nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
