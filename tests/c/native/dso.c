/* SPDX-License-Identifier: MIT
 *
 * runtime/native/dso.h: with libraries that every program has. */
#include "tests/c/why.h"

#include "runtime/native/dso.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool says(const char *part) {
  bool is_in = strstr(why_text(), part) != NULL;
  if (!is_in)
    print_error("'%s' is not in '%s'\n", part, why_text());
  lf_buf_reset(&why);
  return is_in;
}

static lf_dso opened(const char *name) {
  lf_dso dso;
  assert_int_equal(lf_dso_open(name, &dso, &why), 0);
  assert_int_equal(why.len, 0);
  return dso;
}

static void finds_a_library_by_its_name(void **state) {
  (void)state;
  lf_dso m = opened("m");
  assert_string_equal(m.name, "libm.so.6");
  assert_int_equal(m.path[0], '/');
  double (*root)(double) =
      (double (*)(double))lf_dso_function(&m, "sqrt", &why);
  assert_non_null(root);
  assert_true(root(9) == 3);
}

/* However it is named. */
static void it_is_the_same_library(void **state) {
  (void)state;
  char link[] = "/tmp/lfut-dso-XXXXXX", path[64];
  lf_dso m = opened("m"), again = opened("m"), whole = opened(m.path);
  assert_non_null(mkdtemp(link));
  snprintf(path, sizeof path, "%s/another.so", link);
  assert_int_equal(symlink(m.path, path), 0);
  lf_dso linked = opened(path), c = opened("c");
  unlink(path);
  rmdir(link);
  assert_ptr_equal(again.handle, m.handle);
  assert_ptr_equal(whole.handle, m.handle);
  assert_ptr_equal(linked.handle, m.handle);
  assert_string_equal(whole.name, m.name);
  assert_string_equal(linked.name, m.name);
  assert_true(whole.identity == m.identity);
  assert_true(c.identity != m.identity);
}

static void assert_not_opened(const char *name, const char *answer) {
  lf_dso dso;
  assert_int_equal(lf_dso_open(name, &dso, &why), LF_EBROKEN);
  assert_null(dso.handle);
  assert_true(says(answer));
}

static void says_what_is_no_library(void **state) {
  (void)state;
  char text[] = "/tmp/lfut-dso-XXXXXX", near[] = "./nothing.so";
  int fd = mkstemp(text);
  assert_true(fd >= 0);
  assert_not_opened(text, "is not a shared library (it is not an ELF file)");
  assert_int_equal(write(fd, "\177ELF", 4), 4);
  assert_not_opened(text, "(it is not an ELF file)"); /* cut off */
  unlink(text);
  close(fd);
  assert_not_opened(text, "No such file or directory");
  assert_not_opened("/tmp", "(it is a directory)");
  assert_not_opened(near, "cannot load './nothing.so'");
  assert_not_opened("/proc/self/exe", "cannot load");
}

static void says_what_it_has_tried(void **state) {
  (void)state;
  assert_not_opened("no_such_lib", "cannot load 'no_such_lib': tried "
                                   "libno_such_lib.so, any version of it");
  assert_not_opened("", "tried lib.so");
}

static void finds_functions_alone(void **state) {
  (void)state;
  lf_dso c = opened("c");
  assert_non_null(lf_dso_function(&c, "strlen", &why)); /* an IFUNC */
  assert_non_null(lf_dso_function(&c, "getenv", &why));
  assert_int_equal(why.len, 0);
  assert_null(lf_dso_function(&c, "environ", &why));
  assert_true(says("'environ' is a variable of libc.so.6"));
  assert_null(lf_dso_function(&c, "errno", &why)); /* one of each thread */
  assert_true(says("'errno' is a variable of libc.so.6"));
}

static void suggests_a_function(void **state) {
  (void)state;
  lf_dso m = opened("m");
  assert_null(lf_dso_function(&m, "tgama", &why));
  assert_true(says("libm.so.6 has no function 'tgama' (similar: tgamma)"));
  assert_null(lf_dso_function(&m, "no_function_is_called_so", &why));
  assert_null(strstr(why_text(), "similar"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WHY_TEST(finds_a_library_by_its_name), WHY_TEST(it_is_the_same_library),
      WHY_TEST(says_what_is_no_library),     WHY_TEST(says_what_it_has_tried),
      WHY_TEST(finds_functions_alone),       WHY_TEST(suggests_a_function),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
