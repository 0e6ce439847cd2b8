/* SPDX-License-Identifier: MIT
 *
 * runtime/cdecl/type.h. Linked with memory.c. */
#include "tests/c/fake.h"
#include "tests/c/memory.h"

#include "runtime/cdecl/type.h"

#include <stdalign.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

static lf_carena arena;

static int end(void **state) {
  lf_carena_free(&arena);
  assert_int_equal(memory_blocks(), 0);
  return fake_end(state);
}

#define TYPE(f) cmocka_unit_test_setup_teardown(f, fake_begin, end)

static const lf_ctype *builtin(const char *name) {
  return lf_ctype_builtin(name, strlen(name));
}

/* --- Memory --- */

static void memory_is_zeroed_and_aligned(void **state) {
  (void)state;
  static const unsigned char zeroes[10000];
  for (size_t size = 0; size < sizeof zeroes; size = 2 * size + 1) {
    unsigned char *p = lf_carena_take(&arena, size);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
    assert_memory_equal(p, zeroes, size);
    memset(p, 0xff, size);
  }
}

static void copies_are_ended(void **state) {
  (void)state;
  char *copy = lf_carena_copy(&arena, "abcdef", 3);
  assert_string_equal(copy, "abc");
  assert_string_equal(lf_carena_copy(&arena, "", 0), "");
}

/* --- What needs no declaration --- */

static void knows_the_sizes(void **state) {
  (void)state;
#define SIZE(type) assert_int_equal(lf_ctype_size(builtin(#type)), sizeof(type))
  SIZE(char);
  SIZE(bool);
  SIZE(short);
  SIZE(int);
  SIZE(long);
  SIZE(long long);
  SIZE(float);
  SIZE(double);
  SIZE(size_t);
  SIZE(time_t);
  SIZE(off_t);
  SIZE(int_fast16_t);
  assert_int_equal(lf_ctype_size(builtin("void")), 0);
  assert_int_equal(lf_ctype_size(builtin("FILE")), 0);
  assert_int_equal(lf_ctype_size(lf_ctype_pointer(&arena, builtin("void"))),
                   sizeof(void *));
}

static void lists_what_is_built_in(void **state) {
  (void)state;
  size_t n = 0;
  for (const char *name; (name = lf_ctype_builtin_name(n)); n++)
    assert_string_equal(builtin(name)->name, name);
  assert_true(n > 40);
  assert_null(builtin("int32"));
  assert_null(lf_ctype_builtin("int", 2));
  assert_null(lf_ctype_builtin("", 0));
}

/* --- Spelling --- */

static lf_cparam params[2];
static lf_cfunc function;

/* int (char *, double) */
static const lf_ctype *some_function(void) {
  const lf_ctype *text = lf_ctype_pointer(&arena, builtin("char"));
  params[0] = (lf_cparam){"text", text};
  params[1] = (lf_cparam){"", builtin("double")};
  function =
      (lf_cfunc){.result = builtin("int"), .nparams = 2, .params = params};
  return text ? lf_ctype_function(&arena, &function) : NULL;
}

static void assert_spelled(const lf_ctype *type, const char *alone,
                           const char *declared) {
  assert_string_equal(type->name, alone);
  assert_string_equal(lf_ctype_spell(&arena, type, "x"), declared);
}

static void spells_as_c_does(void **state) {
  (void)state;
  const lf_ctype *i = builtin("int");
  const lf_ctype *p = lf_ctype_pointer(&arena, i);
  const lf_ctype *a = lf_ctype_array(&arena, i, "3");
  const lf_ctype *f = some_function();
  assert_spelled(i, "int", "int x");
  assert_spelled(p, "int *", "int *x");
  assert_spelled(lf_ctype_pointer(&arena, p), "int **", "int **x");
  assert_spelled(lf_ctype_const(&arena, i), "const int", "const int x");
  assert_spelled(lf_ctype_const(&arena, p), "int *const", "int *const x");
  assert_spelled(a, "int[3]", "int x[3]");
  assert_spelled(lf_ctype_pointer(&arena, a), "int (*)[3]", "int (*x)[3]");
  assert_spelled(f, "int (char *, double)", "int x(char *, double)");
  assert_spelled(lf_ctype_pointer(&arena, f), "int (*)(char *, double)",
                 "int (*x)(char *, double)");
  assert_spelled(lf_ctype_alias(&arena, p, "handle"), "handle", "handle x");
  assert_spelled(lf_ctype_opaque(&arena, "struct s", "struct s"), "struct s",
                 "struct s x");
}

static void names_functions(void **state) {
  (void)state;
  some_function();
  assert_int_equal(lf_cfunc_name(&arena, &function, "f"), 0);
  assert_string_equal(function.name, "f");
  assert_string_equal(function.text, "int f(char *text, double)");
  lf_cfunc none = {.result = lf_ctype_pointer(&arena, builtin("void"))};
  assert_int_equal(lf_cfunc_name(&arena, &none, "g"), 0);
  assert_string_equal(none.text, "void *g(void)");
  none.params = params;
  none.nparams = 1;
  none.variadic = true;
  assert_int_equal(lf_cfunc_name(&arena, &none, "g"), 0);
  assert_string_equal(none.text, "void *g(char *text, ...)");
}

/* --- Comparing --- */

static void const_belongs_to_a_type(void **state) {
  (void)state;
  const lf_ctype *i = builtin("int"), *c = lf_ctype_const(&arena, i);
  assert_true(c->is_const);
  assert_ptr_equal(lf_ctype_const(&arena, c), c);
  assert_ptr_equal(lf_ctype_plain(c), i);
  assert_ptr_equal(lf_ctype_plain(i), i);
  assert_false(lf_ctype_equal(i, c));
  assert_false(
      lf_ctype_equal(lf_ctype_pointer(&arena, i), lf_ctype_pointer(&arena, c)));
  const lf_ctype *f = some_function();
  assert_ptr_equal(lf_ctype_const(&arena, f), f);
}

static void compares_what_types_are(void **state) {
  (void)state;
  const lf_ctype *i = builtin("int");
  assert_true(lf_ctype_equal(i, builtin("int32_t")));
  assert_false(lf_ctype_equal(i, builtin("unsigned int")));
  assert_false(lf_ctype_equal(builtin("char"), builtin("int8_t")));
  assert_true(lf_ctype_equal(lf_ctype_alias(&arena, i, "number"), i));
  assert_true(
      lf_ctype_equal(lf_ctype_pointer(&arena, i), lf_ctype_pointer(&arena, i)));
  assert_false(lf_ctype_equal(lf_ctype_pointer(&arena, i), i));
  const lf_ctype *s = lf_ctype_opaque(&arena, "struct s", "struct s");
  assert_true(lf_ctype_equal(s, lf_ctype_opaque(&arena, "struct s", "S")));
  assert_false(lf_ctype_equal(s, lf_ctype_opaque(&arena, "union s", "S")));
}

static void compares_functions(void **state) {
  (void)state;
  const lf_ctype *f = some_function();
  lf_cfunc other = function;
  lf_cparam changed[2] = {params[0], {"y", builtin("float")}};
  const lf_ctype *same = lf_ctype_function(&arena, &other);
  assert_true(lf_ctype_equal(f, same));
  other.params = changed;
  assert_false(lf_ctype_equal(f, same));
  other = function;
  other.variadic = true;
  assert_false(lf_ctype_equal(f, same));
  other = function;
  other.nparams = 1;
  assert_false(lf_ctype_equal(f, same));
  other = function;
  other.result = builtin("long");
  assert_false(lf_ctype_equal(f, same));
}

/* --- Lack of memory --- */

static bool make_all(void *arg) {
  (void)arg;
  const lf_ctype *i = builtin("int"), *f = some_function();
  bool good = f && lf_cfunc_name(&arena, &function, "some_function") == 0;
  for (int n = 0; n < 30 && i; n++)
    i = lf_ctype_pointer(&arena, i);
  const lf_ctype *a = i ? lf_ctype_array(&arena, i, "2") : NULL;
  const lf_ctype *c = a ? lf_ctype_const(&arena, a) : NULL;
  good = good && c && lf_ctype_spell(&arena, c, "a_name") != NULL;
  lf_carena_free(&arena);
  return good;
}

static void lacks_memory(void **state) {
  (void)state;
  assert_true(memory_fail_each(make_all, NULL) > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TYPE(memory_is_zeroed_and_aligned),
      TYPE(copies_are_ended),
      TYPE(knows_the_sizes),
      TYPE(lists_what_is_built_in),
      TYPE(spells_as_c_does),
      TYPE(names_functions),
      TYPE(const_belongs_to_a_type),
      TYPE(compares_what_types_are),
      TYPE(compares_functions),
      TYPE(lacks_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
