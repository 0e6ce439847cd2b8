/* SPDX-License-Identifier: MIT
 *
 * runtime/native/library.h: functions of the C library, bound and called. What
 * crashes and who may call is tested by tests/lua/api_native*.lua. */
#include "tests/c/why.h"

#include "runtime/native/call.h"
#include "runtime/native/library.h"

#include <string.h>

static int begin(void **state) {
  (void)state;
  lf_buf_init(&why, NULL, 0);
  return 0;
}

/* Libraries stay to the end: that blocks are left means nothing. */
static int end(void **state) {
  (void)state;
  lf_buf_fini(&why);
  return 0;
}

#define LIBRARY(f) cmocka_unit_test_setup_teardown(f, begin, end)

typedef struct {
  lf_library_option what;
  const char *function, *value;
} option;

/* What opening the library returns; with at most one option. */
static int open_with(const char *name, const char *text, option o,
                     lf_library **out) {
  lf_buf bytes;
  lf_buf_init(&bytes, NULL, 0);
  lf_buf_reset(&why);
  assert_int_equal(lf_library_describe(&bytes, name, LF_SAFE, text), 0);
  if (o.function)
    lf_library_option_put(&bytes, o.what, o.function, o.value);
  lf_code *code = lf_code_get(bytes.data, bytes.len, "a library", NULL);
  lf_buf_fini(&bytes);
  int err = lf_library_open(code, out, &why);
  lf_code_unref(code);
  return err;
}

static lf_native *bound(const char *name, const char *text, option o,
                        const char *function) {
  lf_library *library;
  if (open_with(name, text, o, &library) != 0)
    fail_msg("%s", why_text());
  lf_native *n = lf_library_find(library, function);
  assert_non_null(n);
  return n;
}

static lf_cvalue call(const lf_native *n, lf_cvalue *args) {
  lfut_task task = {0};
  lf_cvalue result = {0};
  lf_native_error error;
  assert_true(lf_native_call(n, args, &task, &result, &error));
  lf_call_fini(&task);
  return result;
}

static void is_one_object_however_often_it_is_opened(void **state) {
  (void)state;
  lf_library *a, *b, *c;
  assert_int_equal(open_with("m", "double cos(double);", (option){0}, &a), 0);
  assert_int_equal(open_with("m", "double cos(double);", (option){0}, &b), 0);
  assert_int_equal(open_with("m", "double sin(double);", (option){0}, &c), 0);
  assert_ptr_equal(a, b);
  assert_ptr_not_equal(a, c);
  assert_true(a->identity == c->identity); /* of what is loaded */
  assert_string_equal(a->name, "libm.so.6");
  assert_int_equal(a->nfunctions, 1);
  assert_string_equal(a->functions[0]->code->label,
                      "function cos of libm.so.6");
  assert_null(lf_library_find(a, "sin"));
}

static void passes_values_of_every_kind(void **state) {
  (void)state;
  lf_native *n = bound("m", "double pow(double, double); float fabsf(float);",
                       (option){0}, "pow");
  assert_true(call(n, (lf_cvalue[]){{.d = 2}, {.d = 10}}).d == 1024);
  n = lf_library_find(n->library, "fabsf");
  assert_true(call(n, (lf_cvalue[]){{.f = -1.5f}}).f == 1.5f);
  n = bound("c",
            "int abs(int); int toupper(int); size_t strlen(const char *); char "
            "*strchr(const char *, int); long labs(long);",
            (option){0}, "abs");
  assert_int_equal(call(n, (lf_cvalue[]){{.i = -5}}).i, 5);
  n = lf_library_find(n->library, "labs");
  assert_int_equal(call(n, (lf_cvalue[]){{.i = INT64_MIN + 1}}).i, INT64_MAX);
  n = lf_library_find(n->library, "strlen");
  char text[] = "text";
  assert_int_equal(call(n, (lf_cvalue[]){{.p = text}}).bits, 4);
  n = lf_library_find(n->library, "strchr");
  assert_ptr_equal(call(n, (lf_cvalue[]){{.p = text}, {.i = 'x'}}).p, text + 2);
}

/* Narrow results are extended, whatever is in the rest of the register. */
static void extends_results(void **state) {
  (void)state;
  lf_native *n =
      bound("c", "int8_t abs(int);", (option){0}, "abs"); /* it lies */
  assert_int_equal(call(n, (lf_cvalue[]){{.i = 0x1ff}}).i, -1);
  n = bound("c", "uint8_t abs(int);", (option){0}, "abs");
  assert_int_equal(call(n, (lf_cvalue[]){{.i = 0x1ff}}).i, 255);
  n = bound("c", "bool abs(int);", (option){0}, "abs");
  assert_int_equal(call(n, (lf_cvalue[]){{.i = 0x180}}).i, 1);
}

static void calls_variadic_functions_with_their_types(void **state) {
  (void)state;
  lf_native *n =
      bound("c", "int snprintf(char *s, size_t n, const char *f, ...);",
            (option){LF_OPT_TYPES, "snprintf", "int, double"}, "snprintf");
  assert_true(n->proto->variadic);
  lf_native *typed = n->library->functions[n->library->nfunctions - 1];
  assert_int_equal(typed->base, n->index);
  assert_int_equal(typed->proto->nparams, 5);
  char out[32];
  lf_cvalue args[] = {{.p = out},
                      {.bits = sizeof out},
                      {.p = (char[]){"%d %.1f"}},
                      {.i = -3},
                      {.d = 2.5}};
  assert_int_equal(call(typed, args).i, 6);
  assert_string_equal(out, "-3 2.5");
}

/* --- Failures --- */

static bool fails(const lf_native *n, lf_cvalue arg) {
  lfut_task task = {0};
  lf_cvalue result;
  lf_native_error error;
  bool failed = !lf_native_call(n, &arg, &task, &result, &error);
  lf_call_fini(&task);
  if (failed)
    lf_native_explain(n, &error, &why);
  return failed;
}

static void knows_results_that_mean_failure(void **state) {
  (void)state;
  lf_native *n = bound("c", "int abs(int);",
                       (option){LF_OPT_ERROR, "abs", "nonzero"}, "abs");
  assert_true(fails(n, (lf_cvalue){.i = -5}));
  assert_string_equal(why_text(), "abs of libc.so.6 returned 5");
  assert_false(fails(n, (lf_cvalue){.i = 0}));
  n = bound("c", "int abs(int);", (option){LF_OPT_ERROR, "abs", "zero"}, "abs");
  assert_true(fails(n, (lf_cvalue){.i = 0}));
  assert_false(fails(n, (lf_cvalue){.i = 1}));
  n = bound("c", "int close(int fd);",
            (option){LF_OPT_ERROR, "close", "negative"}, "close");
  assert_true(fails(n, (lf_cvalue){.i = -1}));
  assert_non_null(strstr(why_text(), "Bad file descriptor"));
  n = bound("c", "char *getenv(const char *name);",
            (option){LF_OPT_ERROR, "getenv", "null"}, "getenv");
  assert_true(fails(n, (lf_cvalue){.p = (char[]){"=no such"}}));
}

/* --- Lengths --- */

static bool fits(const lf_native *n, lf_cvalue *args, const size_t *lengths) {
  lf_buf_reset(&why);
  return lf_native_check(n, args, lengths, &why);
}

static void checks_lengths(void **state) {
  (void)state;
  char a[10] = "", b[10] = "";
  lf_native *n =
      bound("c", "void *memcpy(void *to, const void *from, size_t n);",
            (option){LF_OPT_ARGS, "memcpy", "to:out[n] from:in[n]"}, "memcpy");
  lf_cvalue args[] = {{.p = a}, {.p = b}, {.bits = 10}};
  assert_true(n->checks);
  assert_true(fits(n, args, (size_t[]){10, 10, 0}));
  assert_true(fits(n, args, (size_t[]){SIZE_MAX, 11, 0})); /* not known */
  assert_false(fits(n, args, (size_t[]){10, 9, 0}));
  assert_string_equal(why_text(), "argument 'from': needs 10 elements, has 9");
  args[2].bits = UINT64_MAX;
  assert_false(fits(n, args, (size_t[]){10, 10, 0}));
  assert_string_equal(why_text(),
                      "argument 'from': its length is negative or too large");
  args[2].bits = 1;
  args[0].p = NULL; /* has no elements */
  assert_false(fits(n, args, (size_t[]){10, 10, 0}));
  args[2].bits = 0;
  assert_true(fits(n, args, (size_t[]){10, 10, 0}));
}

static void multiplies_lengths(void **state) {
  (void)state;
  char a[64];
  lf_native *n =
      bound("c", "size_t fread(void *to, size_t size, size_t n, FILE *f);",
            (option){LF_OPT_ARGS, "fread", "to:out[size*n*2]"}, "fread");
  lf_cvalue args[] = {{.p = a}, {.bits = 4}, {.bits = 8}, {.p = NULL}};
  assert_true(fits(n, args, (size_t[]){64, 0, 0, 0}));
  assert_false(fits(n, args, (size_t[]){63, 0, 0, 0}));
  args[1].bits = args[2].bits = UINT64_C(1) << 40; /* too much to multiply */
  assert_false(fits(n, args, (size_t[]){64, 0, 0, 0}));
}

static void fills_in_lengths_at_the_end(void **state) {
  (void)state;
  char text[] = "abc";
  lf_native *n = bound("c", "void *memchr(const void *s, int c, size_t n);",
                       (option){LF_OPT_ARGS, "memchr", "s:in[n?]"}, "memchr");
  lf_cvalue args[3] = {{.p = text}, {.i = 'c'}};
  assert_int_equal(n->least, 2);
  lf_native_fill(n, 2, args, (size_t[]){3, 0, 0});
  assert_int_equal(args[2].bits, 3);
  assert_ptr_equal(call(n, args).p, text + 2);
  args[0].p = NULL;
  lf_native_fill(n, 2, args, (size_t[]){3, 0, 0});
  assert_int_equal(args[2].bits, 0);
}

/* --- What is refused --- */

static void refuses(void **state) {
  (void)state;
  static const struct {
    const char *name, *text;
    option option;
    const char *answer;
  } cases[] = {
      {"m", "double cos(double", {0}, "cdef:1:"},
      {"no_such_lib", "int f(void);", {0}, "cannot load 'no_such_lib'"},
      {"m", "int cosn(int);", {0}, "has no function 'cosn'"},
      {"c", "int abs(int);", {LF_OPT_ERROR, "abs", "null"}, "is never null"},
      {"c", "int abs(int);", {LF_OPT_ERROR, "abs", "bad"}, "'zero' expected"},
      {"c", "int abs(int);", {LF_OPT_ERROR, "labs", "zero"}, "not declared"},
      {"c", "int abs(int x);", {LF_OPT_ARGS, "abs", "x:in[1]"}, "'x:in[1]'"},
      {"c",
       "size_t strlen(const char *s);",
       {LF_OPT_ARGS, "strlen", "s:in[n]"},
       "is not understood"},
      {"c",
       "size_t strlen(const char *s);",
       {LF_OPT_ARGS, "strlen", "s:in[1"},
       "is not understood"},
      {"c", "int abs(int);", {LF_OPT_TYPES, "abs", "int"}, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lf_library *library;
    int err =
        open_with(cases[i].name, cases[i].text, cases[i].option, &library);
    assert_int_equal(err, LF_EBROKEN);
    if (!strstr(why_text(), cases[i].answer))
      fail_msg("%s: %s", cases[i].text, why_text());
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      LIBRARY(is_one_object_however_often_it_is_opened),
      LIBRARY(passes_values_of_every_kind),
      LIBRARY(extends_results),
      LIBRARY(calls_variadic_functions_with_their_types),
      LIBRARY(knows_results_that_mean_failure),
      LIBRARY(checks_lengths),
      LIBRARY(multiplies_lengths),
      LIBRARY(fills_in_lengths_at_the_end),
      LIBRARY(refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
