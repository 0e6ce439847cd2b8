/* SPDX-License-Identifier: MIT
 *
 * runtime/cdecl/symbols.h. Linked with memory.c. */
#include "tests/c/memory.h"
#include "tests/c/why.h"

#include "runtime/cdecl/symbols.h"

#include <stdio.h>
#include <string.h>

static lf_cnames names;
static lf_clex x;

/* The text, for messages show the line in which a token is: one for each. */
static char source[1 << 20];
static size_t used;

static void begin_text(void) {
  lf_clex_init(&x, source, sizeof source, &why);
}

static int begin(void **state) {
  int err = why_begin(state);
  names = (lf_cnames){0};
  begin_text();
  return err;
}

static int end(void **state) {
  lf_cnames_fini(&names);
  return why_end(state);
}

#define NAMES(f) cmocka_unit_test_setup_teardown(f, begin, end)

static lf_ctoken token(const char *text) {
  char *at = source + used;
  size_t len = strlen(text);
  lf_check(used + len < sizeof source);
  memcpy(at, text, len);
  at[len] = '\n';
  used += len + 1;
  return (lf_ctoken){.kind = LF_T_NAME, .at = at, .len = len, .line = 3};
}

static void constant(const char *text, int value) {
  lf_ctoken t = token(text);
  lf_cnames_constant(&names, &x, &t, (lf_cinteger){.bits = (uint64_t)value});
}

static void type(const char *text, const char *of) {
  lf_ctoken t = token(text);
  lf_cnames_typedef(&names, &x, &t, lf_ctype_builtin(of, strlen(of)));
}

/* A function without parameters. */
static void function(const char *text, const char *result) {
  lf_ctoken t = token(text);
  lf_cfunc *f = lf_carena_take(&names.arena, sizeof *f);
  if (f)
    f->result = lf_ctype_builtin(result, strlen(result));
  const lf_ctype *made = f ? lf_ctype_function(&names.arena, f) : NULL;
  if (made)
    lf_cnames_function(&names, &x, &t, made);
  else
    lf_clex_no_memory(&x);
}

static const lf_cname *find(const char *text) {
  lf_ctoken t = token(text);
  return lf_cnames_find(&names, &t);
}

static void assert_complaint(const char *part) {
  assert_int_equal(x.err, LF_EBROKEN);
  if (!strstr(why_text(), part))
    fail_msg("'%s' is not in '%s'", part, why_text());
  lf_buf_reset(&why);
  begin_text();
}

static void keeps_what_was_declared(void **state) {
  (void)state;
  constant("A", 1);
  constant("B", -2);
  type("number", "double");
  function("f", "int");
  function("g", "void");
  assert_int_equal(x.err, 0);
  assert_int_equal(names.n, 5);
  const lf_cconst *c = (const void *)names.constants.data;
  assert_int_equal(names.constants.len, 2 * sizeof *c);
  assert_string_equal(c[1].name, "B");
  assert_int_equal(c[1].value, -2);
  const lf_cfunc *f = (const void *)names.functions.data;
  assert_int_equal(names.functions.len, 2 * sizeof *f);
  assert_string_equal(f[0].text, "int f(void)");
  assert_int_equal(f[1].line, 3);
  assert_int_equal(find("g")->index, 1);
  assert_int_equal(find("number")->meaning, LF_N_TYPE);
  assert_null(find("numbe"));
}

static void finds_types(void **state) {
  (void)state;
  type("number", "double");
  constant("A", 1);
  lf_ctoken number = token("number"), i = token("int64_t"), a = token("A"),
            word = token("int"), none = token("nothing");
  assert_string_equal(lf_cnames_type(&names, &number)->name, "number");
  assert_int_equal(lf_cnames_type(&names, &number)->kind, LF_C_DOUBLE);
  assert_int_equal(lf_cnames_type(&names, &i)->kind, LF_C_INT64);
  assert_null(lf_cnames_type(&names, &a));
  assert_null(lf_cnames_type(&names, &word)); /* is no name */
  assert_null(lf_cnames_type(&names, &none));
  lf_ctoken wrong = token("nubmer");
  assert_string_equal(lf_cnames_near(&names, &wrong), "number");
  wrong = token("B"); /* constants are not types */
  assert_null(lf_cnames_near(&names, &wrong));
}

/* The same twice is fine, as in C. */
static void takes_the_same_again(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    constant("A", 1);
    type("number", "int");
    function("f", "int");
    type("uint8_t", "unsigned char"); /* is built in as that */
  }
  type("number", "int32_t");
  assert_int_equal(x.err, 0);
  assert_int_equal(names.functions.len, sizeof(lf_cfunc));
  assert_int_equal(names.constants.len, sizeof(lf_cconst));
}

static void refuses_another_meaning(void **state) {
  (void)state;
  constant("A", 1);
  type("number", "int");
  function("f", "int");
  constant("A", 2);
  assert_complaint("'A' declared again with another value (first: line 3: 1)");
  type("number", "long");
  assert_complaint("(first: line 3: typedef int number)");
  function("f", "void");
  assert_complaint("'f' declared again with another type (first: line 3: int "
                   "f(void))");
  function("number", "int");
  assert_complaint("'number' declared again");
  type("size_t", "int");
  assert_complaint("'size_t' is built in with another meaning");
  constant("int8_t", 1);
  assert_complaint("is built in");
}

static void keeps_tags_apart(void **state) {
  (void)state;
  lf_ctoken t = token("s");
  const lf_ctype *s = lf_cnames_declare_tag(&names, &x, "struct", &t, NULL);
  const lf_ctype *e =
      lf_cnames_declare_tag(&names, &x, "enum", &t, lf_ctype_builtin("int", 3));
  assert_string_equal(s->name, "struct s");
  assert_int_equal(s->kind, LF_C_OPAQUE);
  assert_string_equal(e->name, "enum s");
  assert_int_equal(e->kind, LF_C_INT32);
  assert_ptr_equal(lf_cnames_declare_tag(&names, &x, "struct", &t, NULL), s);
  assert_ptr_equal(lf_cnames_tag(&names, "enum", &t)->type, e);
  assert_null(lf_cnames_tag(&names, "union", &t));
  assert_ptr_equal(lf_cnames_tag(&names, NULL, &t)->type, s);
  assert_null(lf_cnames_find(&names, &t)); /* a tag is no name */
  assert_int_equal(names.n, 0);
  constant("s", 1);
  assert_int_equal(x.err, 0);
}

static void closed_it_takes_only_tags(void **state) {
  (void)state;
  lf_ctoken t = token("s");
  names.closed = true;
  assert_non_null(lf_cnames_declare_tag(&names, &x, "struct", &t, NULL));
  assert_int_equal(x.err, 0);
  constant("A", 1);
  assert_complaint("nothing can be declared here");
}

static void limits_how_many(void **state) {
  (void)state;
  static char text[LF_C_NAMES + 1][8];
  for (int i = 0; i < LF_C_NAMES; i++) {
    snprintf(text[i], sizeof text[i], "n%d", i);
    constant(text[i], i);
  }
  assert_int_equal(x.err, 0);
  for (int i = 0; i < LF_C_NAMES; i++)
    assert_int_equal(find(text[i])->value.bits, i);
  constant("more", 1);
  assert_int_equal(x.err, LF_EBROKEN);
}

/* --- Lack of memory --- */

static bool declare_all(void *arg) {
  static const char *const texts[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  (void)arg;
  names = (lf_cnames){0};
  begin_text();
  for (int i = 0; i < 8; i++)
    constant(texts[i], i);
  type("number", "int");
  function("k", "int");
  lf_ctoken t = token("s");
  assert_non_null(lf_cnames_declare_tag(&names, &x, "struct", &t, NULL));
  lf_cnames_fini(&names);
  return x.err == 0;
}

static void lacks_memory(void **state) {
  (void)state;
  assert_true(memory_fail_each(declare_all, NULL) > 3);
  assert_int_equal(why.len, 0);
  names = (lf_cnames){0};
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NAMES(keeps_what_was_declared), NAMES(finds_types),
      NAMES(takes_the_same_again),    NAMES(refuses_another_meaning),
      NAMES(keeps_tags_apart),        NAMES(closed_it_takes_only_tags),
      NAMES(limits_how_many),         NAMES(lacks_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
