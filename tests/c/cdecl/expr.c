/* SPDX-License-Identifier: MIT
 *
 * runtime/cdecl/expr.h: against what the compiler makes of the same. */
#include "tests/c/why.h"

#include "runtime/cdecl/expr.h"

#include <limits.h>
#include <string.h>

static lf_clex x;

/* Where the expressions stand there is one constant and one type. */
static bool constant(void *user, const lf_ctoken *name, lf_cinteger *value) {
  (void)user;
  *value = (lf_cinteger){.bits = 42};
  return lf_ctoken_is(name, "ANSWER");
}

static bool begins_type(void *user, const lf_ctoken *tok) {
  (void)user;
  return lf_ctoken_is(tok, "short");
}

static const lf_ctype *type(void *user) {
  (void)user;
  lf_clex_next(&x);
  return lf_ctype_builtin("short", 5);
}

static lf_cinteger read_text(const char *text) {
  static const lf_cscope scope = {constant, begins_type, type};
  lf_buf_reset(&why);
  lf_clex_init(&x, text, strlen(text), &why);
  lf_clex_next(&x);
  return lf_cexpr_read(&x, &scope, NULL);
}

static void assert_value(const char *text, lf_cinteger want) {
  lf_cinteger v = read_text(text);
  if (x.err || x.tok.kind != LF_T_END || v.bits != want.bits ||
      v.is_unsigned != want.is_unsigned || v.is_wide != want.is_wide)
    fail_msg("%s: %llx %d %d (%.*s)", text, (unsigned long long)v.bits,
             v.is_unsigned, v.is_wide, (int)why.len, (char *)why.data);
}

#define IS_UNSIGNED(e)                                                         \
  _Generic((e), unsigned : true, unsigned long : true, default : false)

/* The same text for both. */
#define SAME(e)                                                                \
  assert_value(#e, (lf_cinteger){(uint64_t)(e), IS_UNSIGNED(e), sizeof(e) == 8})

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wextra"

static void gives_numbers_their_types(void **state) {
  (void)state;
  SAME(0);
  SAME(2147483647);
  SAME(2147483648);
  SAME(0x7fffffff);
  SAME(0x80000000);
  SAME(0xffffffffffffffff);
  SAME(017);
  SAME(1u);
  SAME(1L);
  SAME(1uL);
  SAME(4294967295u);
  SAME(4294967296u);
  SAME('a');
  SAME('\n');
  SAME('\0');
  SAME('\xff');
}

static void calculates_as_the_compiler(void **state) {
  (void)state;
  SAME(1 + 2 * 3);
  SAME((1 + 2) * 3);
  SAME(10 - 4 - 3);
  SAME(-7 / 2);
  SAME(-7 % 2);
  SAME(7u - 8);
  SAME(1 - 2u);
  SAME(-1 < 1u);
  SAME(-1L < 1u);
  SAME(0u - 1 == 4294967295u);
  SAME(~0);
  SAME(~0u);
  SAME(!5);
  SAME(- -5);
  SAME(+'a');
  SAME(1 << 30);
  SAME(1u << 31);
  SAME(1L << 40);
  SAME(-8 >> 1);
  SAME(0x80000000 >> 4);
  SAME(5 & 3 | 8 ^ 2);
  SAME(1 && 0 || 1);
  SAME(1 ? 2 : 3u);
  SAME(0 ? 2 : 3L);
  SAME(1 ? 0 : 1 ? 5 : 6);
  SAME(1 <= 1 == 1 != 0);
  SAME(sizeof(short));
  SAME((short)65537);
  SAME((short)-1);
}

/* What is not needed need not exist. */
static void leaves_out_what_is_not_needed(void **state) {
  (void)state;
  SAME(0 && 1 / 0);
  SAME(1 || 1 % 0);
  SAME(1 ? 2 : 1 / 0);
  SAME(0 ? 1 << 99 : 3);
}
#pragma GCC diagnostic pop

static void knows_constants(void **state) {
  (void)state;
  assert_value("ANSWER", (lf_cinteger){.bits = 42});
  assert_value("ANSWER/2-1", (lf_cinteger){.bits = 20});
  lf_cinteger v = read_text("ANSWER - 43");
  assert_true(lf_cinteger_negative(&v));
  v = read_text("ANSWER - 43u");
  assert_false(lf_cinteger_negative(&v));
}

/* As compilers make of it, though the standard does not say so. */
static void shifts_into_the_sign(void **state) {
  (void)state;
  assert_value("1 << 31", (lf_cinteger){.bits = (uint64_t)INT_MIN});
  assert_value("1L << 63",
               (lf_cinteger){.bits = (uint64_t)INT64_MIN, .is_wide = true});
}

static void ends_at_what_does_not_belong_to_it(void **state) {
  (void)state;
  lf_cinteger v = read_text("1 + 2, 3");
  assert_int_equal(v.bits, 3);
  assert_int_equal(x.tok.kind, ',');
  v = read_text("4 }");
  assert_int_equal(v.bits, 4);
  assert_int_equal(x.tok.kind, '}');
}

static void refuses(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "1 +",
      "(1",
      "1 / 0",
      "1 % 0",
      "1 << 32",
      "1L << 64",
      "1 << -1",
      "1 >> 99",
      "2147483647 + 1",
      "-2147483647 - 2",
      "65536 * 65536",
      "-(-2147483647 - 1)",
      "OTHER",
      "1.5",
      "1e3",
      "08",
      "0x",
      "1ulu",
      "18446744073709551616",
      "\"text\"",
      "''",
      "'ab",
      "1 ? 2",
      "(-9223372036854775807L - 1) / -1",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    read_text(bad[i]);
    if (x.err != LF_EBROKEN || why.len == 0)
      fail_msg("not refused: %s", bad[i]);
  }
}

static void limits_depth(void **state) {
  (void)state;
  char text[2 * LF_C_NESTING + 20];
  memset(text, '(', sizeof text);
  text[sizeof text - 1] = '\0';
  read_text(text);
  assert_int_equal(x.err, LF_EBROKEN);
  memset(text, '!', sizeof text - 1);
  read_text(text);
  assert_int_equal(x.err, LF_EBROKEN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WHY_TEST(gives_numbers_their_types),
      WHY_TEST(calculates_as_the_compiler),
      WHY_TEST(leaves_out_what_is_not_needed),
      WHY_TEST(knows_constants),
      WHY_TEST(shifts_into_the_sign),
      WHY_TEST(ends_at_what_does_not_belong_to_it),
      WHY_TEST(refuses),
      WHY_TEST(limits_depth),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
