/* SPDX-License-Identifier: MIT
 *
 * runtime/native/plugin.h: the program is the plugin, whose descriptor each
 * test changes. */
#include "tests/c/why.h"

#include "runtime/native/plugin.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int twice(int x) {
  return 2 * x;
}

static const lfut_host *host; /* what init was given */
static int init_result, inits;
static _Atomic int forks;

static int init(const lfut_host *h) {
  host = h;
  inits++;
  return init_result;
}

static void after_fork(void) {
  forks++;
}

static lfut_function functions[2];
static lfut_plugin plugin;
static const lfut_plugin *given;

LFUT_EXPORT const lfut_plugin *lfut_plugin_v1(void) {
  return given;
}

static lf_dso dso;

static int begin(void **state) {
  functions[0] = (lfut_function){
      .prototype = "int twice(int x)", .entry = (lfut_entry)twice, .doc = "d"};
  functions[1] = (lfut_function){.prototype = "int again(int x)",
                                 .entry = (lfut_entry)twice,
                                 .flags = LFUT_PROCESS | LFUT_BLOCKING};
  plugin = (lfut_plugin){.size = sizeof plugin,
                         .magic = LFUT_PLUGIN_MAGIC,
                         .major = LFUT_PLUGIN_MAJOR,
                         .minor = LFUT_PLUGIN_MINOR,
                         .function_size = sizeof functions[0],
                         .word_size = sizeof(void *),
                         .name = "test",
                         .version = "1.2",
                         .functions = functions,
                         .nfunctions = 2};
  given = &plugin;
  dso = (lf_dso){.handle = dlopen(NULL, RTLD_NOW), .name = "program"};
  return why_begin(state);
}

#define PLUGIN(f) cmocka_unit_test_setup_teardown(f, begin, why_end)

static void assert_refused(const char *answer) {
  assert_null(lf_plugin_open(&dso, &why));
  assert_string_equal(why_text(), answer);
  lf_buf_reset(&why);
}

static void opens_what_is_right(void **state) {
  (void)state;
  assert_ptr_equal(lf_plugin_open(&dso, &why), &plugin);
  assert_int_equal(why.len, 0);
  plugin.size = offsetof(lfut_plugin, init); /* an older one */
  plugin.function_size = offsetof(lfut_function, args);
  plugin.nfunctions = 1;
  assert_ptr_equal(lf_plugin_open(&dso, &why), &plugin);
}

static void refuses_other_interfaces(void **state) {
  (void)state;
  given = NULL;
  assert_refused("plugin program: lfut_plugin_v1 returned NULL");
  given = &plugin;
  plugin.magic++;
  assert_refused("plugin program: its descriptor does not begin as one");
  plugin.magic--;
  plugin.major++;
  assert_refused("plugin program is for interface 2.0, this is 1.0");
  plugin.major--;
  plugin.minor++;
  assert_refused("plugin program needs interface 1.1, this is 1.0");
  plugin.minor--;
  plugin.word_size = 4;
  assert_refused("plugin program has words of 4 bytes, not 8");
  plugin.word_size = sizeof(void *);
  plugin.size = offsetof(lfut_plugin, init) - 1;
  assert_refused("plugin program: its descriptor is too short (55 bytes)");
  plugin.size = sizeof plugin;
  plugin.function_size = offsetof(lfut_function, args) - 1;
  assert_refused(
      "plugin program: its functions' entries are too short (23 bytes)");
}

static void refuses_what_lacks_something(void **state) {
  (void)state;
  static const char missing[] =
      "plugin program: name, version or functions are missing";
  plugin.name = "";
  assert_refused(missing);
  plugin.name = "test";
  plugin.version = NULL;
  assert_refused(missing);
  plugin.version = "1.2";
  plugin.nfunctions = 0;
  assert_refused(missing);
  plugin.nfunctions = 2;
  functions[1].entry = NULL;
  assert_refused("plugin test 1.2: function 2 has no entry");
  functions[1].entry = (lfut_entry)twice;
  functions[0].prototype = NULL;
  assert_refused("plugin test 1.2: function 1 has no prototype");
}

static void refuses_flags_that_it_does_not_know(void **state) {
  (void)state;
  functions[0].flags = LFUT_PROCESS + 1;
  assert_refused("plugin test 1.2: unknown flag 0x5 of 'int twice(int x)'");
  functions[0].flags = 0x4000 | LFUT_BLOCKING;
  assert_refused("plugin test 1.2: unknown flag 0x4000 of 'int twice(int x)'");
}

/* Fields that an older plugin does not have are zero, whatever follows. */
static void reads_functions_of_any_size(void **state) {
  (void)state;
  struct {
    const char *prototype;
    lfut_entry entry;
    uint32_t flags;
  } old[2] = {{"int a(void)", (lfut_entry)twice, 1},
              {"int b(void)", (lfut_entry)twice, 2}};
  struct {
    lfut_function function;
    const char *more;
  } grown[2] = {{functions[0], "x"}, {functions[1], "x"}};
  plugin.functions = (const lfut_function *)(const void *)old;
  plugin.function_size = sizeof old[0];
  lfut_function f = lf_plugin_function(&plugin, 0);
  assert_string_equal(f.prototype, "int a(void)");
  assert_null(f.args);
  assert_null(f.doc);
  assert_int_equal(lf_plugin_function(&plugin, 1).flags, 2);
  plugin.functions = &grown[0].function;
  plugin.function_size = sizeof grown[0];
  assert_string_equal(lf_plugin_function(&plugin, 0).doc, "d");
  f = lf_plugin_function(&plugin, 1);
  assert_string_equal(f.prototype, "int again(int x)");
}

static void declares_its_functions(void **state) {
  (void)state;
  lf_buf text;
  lf_buf_init(&text, NULL, 0);
  assert_int_equal(lf_plugin_declare(&plugin, &text), 0);
  assert_int_equal(lf_buf_put(&text, "", 1), 0);
  assert_string_equal((char *)text.data,
                      "typedef struct lfut_task lfut_task;\n"
                      "int twice(int x);\nint again(int x);");
  lf_buf_fini(&text);
}

/* --- Life --- */

static void begins_once(void **state) {
  (void)state;
  plugin.init = init;
  plugin.after_fork = after_fork;
  init_result = 7;
  assert_int_equal(lf_plugin_begin(&plugin, &why), LF_EBROKEN);
  assert_memory_equal(why.data, "plugin test 1.2: its init has failed (7)",
                      why.len);
  init_result = 0;
  assert_int_equal(lf_plugin_begin(&plugin, &why), 0);
  assert_int_equal(lf_plugin_begin(&plugin, &why), 0);
  assert_int_equal(inits, 2);
  assert_int_equal(host->size, sizeof *host);
  assert_int_equal(host->minor, LFUT_PLUGIN_MINOR);
}

static void is_told_of_forks(void **state) {
  (void)state;
  int status;
  plugin.after_fork = after_fork; /* it has begun: see above */
  pid_t pid = fork();
  if (pid == 0)
    _exit(forks);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(WEXITSTATUS(status), 1);
  assert_int_equal(forks, 0);
}

/* --- Services --- */

static int reports;

static void report(void *user, double done, double total) {
  assert_ptr_equal(user, &reports);
  assert_true(done <= total);
  reports++;
}

static void a_call_may_look_and_report(void **state) {
  (void)state;
  volatile int stop = 0;
  lfut_task task = {.stop = &stop, .progress = report, .user = &reports};
  assert_int_equal(host->cancelled(&task), 0);
  stop = 1;
  assert_int_not_equal(host->cancelled(&task), 0);
  task.told = lf_now() + 1000000000; /* as if it had just been */
  host->progress(&task, 1, 2);
  assert_int_equal(reports, 0);
  host->progress(&task, 2, 2); /* the end is always told */
  assert_int_equal(reports, 1);
  lfut_task none = {0};
  assert_int_equal(host->cancelled(&none), 0);
  host->progress(&none, 1, 1);
  assert_int_equal(host->cancelled(NULL), 0);
  host->progress(NULL, 1, 1);
  host->set_error(NULL, "x");
}

static void a_call_may_leave_more(void **state) {
  (void)state;
  uint64_t size;
  lfut_task task = {0};
  host->set_error(&task, "first");
  host->set_error(&task, "last");
  assert_string_equal(task.error, "last");
  host->set_error(&task, NULL);
  assert_string_equal(task.error, "");
  for (int i = 0; i < 250; i++)
    assert_int_equal(host->return_bytes(&task, "a\0b", 3), 0);
  assert_int_not_equal(host->return_bytes(&task, "a\0b", 3), 0);
  assert_int_not_equal(host->return_bytes(NULL, "", 0), 0);
  assert_int_equal(task.nextra, 250);
  assert_int_equal(task.extra.len, 250 * (sizeof size + 3));
  memcpy(&size, task.extra.data, sizeof size);
  assert_int_equal(size, 3);
  assert_memory_equal(task.extra.data + sizeof size, "a\0b", 3);
  lf_call_fini(&task);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      PLUGIN(opens_what_is_right),
      PLUGIN(refuses_other_interfaces),
      PLUGIN(refuses_what_lacks_something),
      PLUGIN(refuses_flags_that_it_does_not_know),
      PLUGIN(reads_functions_of_any_size),
      PLUGIN(declares_its_functions),
      PLUGIN(begins_once),
      PLUGIN(is_told_of_forks),
      PLUGIN(a_call_may_look_and_report),
      PLUGIN(a_call_may_leave_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
