/* SPDX-License-Identifier: MIT
 *
 * runtime/base/mem.h. That allocations fail on demand is read from the
 * environment at the start, so the program runs itself anew for that. */
#include "tests/c/fake.h"

#include "runtime/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

static void gives_memory_even_for_nothing(void **state) {
  (void)state;
  void *a = lf_malloc(0), *b = lf_zalloc(0), *c = lf_realloc(NULL, 0);
  assert_non_null(a);
  assert_non_null(b);
  assert_non_null(c);
  assert_ptr_not_equal(a, b);
  lf_free(a);
  lf_free(b);
  lf_free(c);
  lf_free(NULL);
}

static void zeroes_what_was_used(void **state) {
  (void)state;
  static const unsigned char zeroes[4096];
  for (int i = 0; i < 10; i++) {
    unsigned char *p = lf_zalloc(sizeof zeroes);
    assert_memory_equal(p, zeroes, sizeof zeroes);
    memset(p, 0xff, sizeof zeroes);
    lf_free(p);
  }
}

static void keeps_bytes_when_it_grows(void **state) {
  (void)state;
  char *p = lf_realloc(NULL, 8);
  memcpy(p, "seven", 6);
  p = lf_realloc(p, 1 << 20);
  assert_string_equal(p, "seven");
  p = lf_realloc(p, 6);
  assert_string_equal(p, "seven");
  lf_free(p);
}

static void copies_bytes_and_ends_them(void **state) {
  (void)state;
  char *p = lf_strndup("a\0b, and more", 3);
  assert_memory_equal(p, "a\0b", 4);
  lf_free(p);
  p = lf_strndup("", 0);
  assert_string_equal(p, "");
  lf_free(p);
}

/* Sanitizers end the program instead. */
static void refuses_absurd_sizes(void **state) {
  (void)state;
  const char *sanitizer = getenv("LFUT_SANITIZER");
  if (sanitizer && strcmp(sanitizer, "no") != 0)
    skip();
  volatile size_t most = PTRDIFF_MAX;
  void *p = lf_malloc(10);
  assert_null(lf_malloc(most));
  assert_null(lf_zalloc(most));
  assert_null(lf_realloc(p, most));
  lf_free(p); /* it is still there */
}

#ifdef LF_DEBUG

static void counts_blocks_and_allocations(void **state) {
  (void)state;
  size_t blocks = lf_mem_blocks(), count = lf_mem_count();
  void *a = lf_malloc(1), *b = lf_realloc(NULL, 1);
  b = lf_realloc(b, 100);
  assert_int_equal(lf_mem_blocks(), blocks + 2);
  assert_int_equal(lf_mem_count(), count + 3);
  assert_false(lf_mem_refuse());
  assert_int_equal(lf_mem_count(), count + 4);
  lf_free(a);
  lf_free(b);
  assert_int_equal(lf_mem_blocks(), blocks);
}

/* Which of four allocations fail, as bits. */
static int try_four(void) {
  int failed = 0;
  void *p = NULL, *more;
  failed |= !(more = lf_malloc(1)) << 0;
  lf_free(more);
  failed |= !(p = lf_realloc(NULL, 1)) << 1;
  failed |= !(more = lf_realloc(p, 100)) << 2;
  lf_free(more ? more : p);
  failed |= lf_mem_refuse() << 3;
  return failed;
}

static int failed_with(const char *fail) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    setenv("LFUT_FAIL_ALLOC", fail, 1);
    execl(program, program, "try", (char *)NULL);
    _exit(255);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void fails_the_one_that_is_asked_for(void **state) {
  (void)state;
  assert_int_equal(failed_with(""), 0);
  assert_int_equal(failed_with("0"), 0);
  assert_int_equal(failed_with("1"), 1);
  assert_int_equal(failed_with("3"), 4);
  assert_int_equal(failed_with("4"), 8);
  assert_int_equal(failed_with("5"), 0);
  assert_int_equal(failed_with("3+"), 12);
}

#else

static int try_four(void) {
  return 255;
}

static void counts_blocks_and_allocations(void **state) {
  (void)state;
  lf_free(lf_malloc(1));
  assert_int_equal(lf_mem_blocks(), 0);
  assert_int_equal(lf_mem_count(), 0);
  assert_false(lf_mem_refuse());
}

static void fails_the_one_that_is_asked_for(void **state) {
  (void)state;
  skip(); /* there is no such thing */
}

#endif

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      TEST(gives_memory_even_for_nothing),
      TEST(zeroes_what_was_used),
      TEST(keeps_bytes_when_it_grows),
      TEST(copies_bytes_and_ends_them),
      TEST(refuses_absurd_sizes),
      TEST(counts_blocks_and_allocations),
      TEST(fails_the_one_that_is_asked_for),
  };
  program = argv[0];
  if (argc > 1 && strcmp(argv[1], "try") == 0)
    return try_four();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
